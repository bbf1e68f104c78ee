"""Live requests that meet are scored together and get the bits that each would get alone."""

import threading

import numpy as np
import pytest

from nn.service.backends.shared import SharedBackend
from nn.service.batching import Grouped


class Held:
    """A backend whose first call waits until it is let go, and that counts its calls."""

    name = "held"

    def __init__(self, backend):
        self.backend, self.calls, self.entered, self.gate = backend, [], threading.Event(), threading.Event()

    def forecast(self, rows, ends):
        self.calls.append(len(ends))
        self.entered.set()
        assert self.gate.wait(10)
        if (rows == 99).any():
            raise ValueError("a row of 99")
        return self.backend.forecast(rows, ends)


@pytest.fixture
def held(chain):
    return Held(SharedBackend(chain.shelf().line_of("15m").champion.model))


def windows(seed):
    return np.random.default_rng(seed).normal(size=(20, 6)).astype(np.float32)


def ask_at_once(grouped, held, requests):
    """Ask the first alone; the others once it runs; then let it go. Return the answers."""
    answers = [None] * len(requests)

    def ask(k):
        try:
            answers[k] = grouped.forecast(*requests[k])
        except RuntimeError as error:
            answers[k] = error

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(len(requests))]
    threads[0].start()
    assert held.entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(grouped._waiting) < len(requests) - 1:
        pass
    held.gate.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return answers


def test_those_who_wait_are_scored_in_one_run_with_the_same_bits(held):
    grouped = Grouped(held)
    requests = [(windows(seed), np.array([15, 19][: 1 + seed % 2])) for seed in range(9)]
    answers = ask_at_once(grouped, held, requests)
    assert held.calls == [1, sum(len(ends) for _, ends in requests[1:])]
    for (rows, ends), answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer, held.backend.forecast(rows, ends))
    assert not grouped._running
    np.testing.assert_array_equal(grouped.forecast(*requests[3]), answers[3])


def test_a_failure_reaches_all_of_its_group_and_nobody_after_it(held):
    grouped = Grouped(held)
    bad = np.full((20, 6), 99, np.float32)
    answers = ask_at_once(grouped, held, [(windows(k) if k != 2 else bad, np.array([15])) for k in range(4)])
    assert isinstance(answers[0], np.ndarray)
    assert [type(each) for each in answers[1:]] == [RuntimeError] * 3
    assert grouped.forecast(windows(5), np.array([15])).shape == (1, 38)


def test_many_threads_for_a_while(held):
    """Every request is answered, whoever leads."""
    held.gate.set()
    grouped = Grouped(held)
    expected = {seed: held.backend.forecast(windows(seed), np.array([17])) for seed in range(6)}
    wrong = []

    def ask(seed):
        answers = [grouped.forecast(windows(seed), np.array([17])) for _ in range(30)]
        wrong.extend(seed for answer in answers if not np.array_equal(answer, expected[seed]))

    threads = [threading.Thread(target=ask, args=(k % 6,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert sum(held.calls) == 12 * 30
    assert not any(thread.is_alive() for thread in threads)
