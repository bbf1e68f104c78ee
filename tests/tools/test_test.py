"""`test -- -k name` runs what fits: a suite without such a test has not failed, a name that fits nothing has."""

import pytest

from tools.commands import test as verb

SUITES = ("tests", "slow and end-to-end tests")


@pytest.mark.parametrize(
    ("codes", "rest", "expected"),
    [
        ((0, 5), ["-k", "name"], 0),
        ((5, 0), ["-k", "name"], 0),
        ((5, 5), ["-k", "nmae"], 1),
        ((0, 5), [], 1),
        ((0, 1), ["-k", "name"], 1),
    ],
)
def test_a_suite_without_a_test_of_that_name(monkeypatch, codes, rest, expected):
    given = dict(zip(SUITES, codes, strict=True))
    monkeypatch.setattr(verb, "run", lambda name, command, environment: given.get(name, 0))
    assert verb.test(False, rest) == expected
