"""Live requests that meet are answered together and get the bits that each would get alone."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from nn.service import batching
from nn.service.arrow import read_arrow
from nn.service.batching import Job, Lane, answer_together
from nn.service.errors import Refused


@pytest.fixture
def lines(both_lines):
    shelf = both_lines.shelf()
    return tuple(shelf.line_of("15m", kind) for kind in ("unified_patchtst", "direction"))


@pytest.fixture
def job(lines, kit):
    def make(seed=0, pairs=1, lines=lines, in_time=lambda: None):
        frames = {f"P{k}/USDT": kit.candles(300 + k, seed=10 * seed + k) for k in range(pairs)}
        asked = read_arrow(kit.stream_of(kit.pairs_table(frames)))
        return Job(asked, lines, tuple((line.champion,) for line in lines), in_time, lambda found: found)

    return make


@pytest.fixture
def lane(monkeypatch):
    """A lane whose first group waits in `answer_together` until `gate` is set; `sizes` has the jobs of each group."""
    lane: Lane = Lane()
    lane.entered, lane.gate, lane.sizes = threading.Event(), threading.Event(), []

    def held(jobs):
        lane.sizes.append(len(jobs))
        lane.entered.set()
        assert lane.gate.wait(30)
        return answer_together(jobs)

    monkeypatch.setattr(batching, "answer_together", held)
    return lane


def ask_at_once(lane, jobs) -> list[Future]:
    """Ask the first alone, the others while it runs; then let it go."""
    futures = [lane.ask(jobs[0])]
    assert lane.entered.wait(30)
    futures += [lane.ask(job) for job in jobs[1:]]
    lane.gate.set()
    return futures


def assert_same(found, expected):
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.values.view(np.uint32), other.values.view(np.uint32))
        for name in ("block", "open_ms", "version", "reason_codes"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
        assert mine.scored.any()


def test_those_who_wait_are_answered_together_with_the_same_bits(lane, job):
    jobs = [job(seed, pairs=1 + seed % 3) for seed in range(6)]
    alone = [answer_together([each])[0] for each in jobs]
    futures = ask_at_once(lane, jobs)
    for future, expected in zip(futures, alone, strict=True):
        assert_same(future.result(30), expected)
    assert lane.sizes == [1, 5]


def test_a_group_takes_no_more_than_a_run_of_the_network_holds(lane, job):
    jobs = [job(0), *(job(seed, pairs=20) for seed in (1, 2)), job(3, pairs=12)]
    for future in ask_at_once(lane, jobs):
        future.result(30)
    assert lane.sizes == [1, 1, 2]


def test_who_asks_other_lines_is_answered_apart(lane, job, lines):
    jobs = [job(0), job(1), job(2, lines=lines[:1]), job(3)]
    futures = ask_at_once(lane, jobs)
    assert [len(future.result(30)) for future in futures] == [2, 2, 1, 2]
    assert lane.sizes == [1, 2, 1]


def test_what_is_wrong_with_one_is_the_trouble_of_one(lane, job):
    """SRV-8: a request that is late, or that fails, takes nobody along."""

    def late():
        raise Refused(503, "timeout", "too late")

    def broken(found):
        raise ValueError("no answer")

    bad = job(4)
    jobs = [job(0), job(1), job(2, in_time=late), job(3), Job(bad.asked, bad.lines, bad.versions, bad.in_time, broken)]
    alone = [answer_together([jobs[k]])[0] for k in (0, 1, 3)]
    futures = ask_at_once(lane, jobs)
    for k, expected in zip((0, 1, 3), alone, strict=True):
        assert_same(futures[k].result(30), expected)
    assert isinstance(futures[2].exception(30), Refused)
    assert isinstance(futures[4].exception(30), ValueError)
    assert lane.ask(jobs[1]).result(30)


def test_nobody_works_for_a_client_that_is_gone(lane, job):
    futures = [lane.ask(job(0))]
    assert lane.entered.wait(30)
    futures += [lane.ask(job(1)), lane.ask(job(2))]
    assert futures[1].cancel()
    lane.gate.set()
    assert futures[2].result(30)
    assert lane.sizes == [1, 1]


def test_many_threads_for_a_while(job):
    """Every request is answered with its own candles' forecast."""
    lane: Lane = Lane()
    jobs = [job(seed) for seed in range(4)]
    expected = [answer_together([each])[0] for each in jobs]
    wrong = []

    def ask(k):
        for _ in range(15):
            found = lane.ask(jobs[k]).result(30)
            wrong.extend(k for a, b in zip(found, expected[k], strict=True) if not np.array_equal(a.values, b.values))

    threads = [threading.Thread(target=ask, args=(k % 4,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong
