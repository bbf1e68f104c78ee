"""No forecast sees the future: not in its candles, and not in its weights; and these tests see it when one does."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from harness import assert_past_is_unchanged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nn.data.targets import FORECAST_COLUMNS
from nn.service import scoring

RELAXED = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def assert_nothing_scores_before_its_time(reply, models, bar_ms):
    """Law of ASO-1, read off the wire alone: valid_from <= close, and no allowed version is newer."""
    valid_from = {
        each["version"]: datetime.fromisoformat(each["valid_from"]).timestamp() * 1000
        for line in models["lines"]
        for each in line["versions"]
    }
    for row in reply["rows"]:
        close = row["date"] + bar_ms
        assert row["close_time"] == close
        allowed = [name for name, moment in valid_from.items() if moment <= close]
        if row["model_version"] is None:
            assert all(row[name] is None for name in FORECAST_COLUMNS)
            assert (row["reason"] == "no_version") == (not allowed)
        else:
            assert valid_from[row["model_version"]] <= close, "scored by a version from the future"
            assert row["model_version"] == max(allowed, key=valid_from.__getitem__)


@pytest.fixture(scope="module")
def serve_chain(tmp_path_factory, kit):
    """Return a function that serves a chain valid from these candles."""

    def serve_chain(bars, serve, registry_type):
        registry = registry_type(tmp_path_factory.mktemp("chain"))
        registry.publish(*(registry.add(bar, seed) for seed, bar in enumerate(bars)))
        return serve(registry)

    return serve_chain


@RELAXED
@given(
    bars=st.lists(st.integers(90, 260), min_size=1, max_size=5, unique=True).map(sorted),
    start=st.integers(0, 30),
    end=st.integers(140, 260),
)
def test_no_candle_is_scored_by_a_version_from_its_future(serve_chain, serve, chain, kit, bars, start, end):
    """ASO-1, over random chains and requests."""
    ask = serve_chain(bars, serve, type(chain))
    frame = kit.candles(260)[start:end]
    models = ask("GET", "/models").json()
    assert_nothing_scores_before_its_time(ask.json(frame).json(), models, kit.bar_ms)


@pytest.mark.parametrize(
    "leak",
    [
        lambda valid_from, close: np.full(len(close), len(valid_from) - 1, np.int32),  # the newest scores everything
        lambda valid_from, close: scoring_rule(valid_from, close + 900_000),  # one candle too early
        lambda valid_from, close: np.minimum(scoring_rule(valid_from, close) + 1, len(valid_from) - 1).astype(np.int32),
    ],
    ids=["newest for all", "one candle early", "next version"],
)
def test_a_version_used_before_its_valid_from_is_caught(ask, kit, monkeypatch, leak):
    """A planted leak: the law above must see it."""
    monkeypatch.setattr(scoring, "newest_allowed", leak)
    with pytest.raises(AssertionError, match=r"from the future|no_version"):
        assert_nothing_scores_before_its_time(
            ask.json(kit.candles(300)).json(), ask("GET", "/models").json(), kit.bar_ms
        )


scoring_rule = scoring.newest_allowed


def replies(ask, kit):
    """Return a function from candles to what the service answers over the wire, Arrow, one row per candle."""

    def ask_for(frame):
        response = ask.arrow(kit.arrow_body(frame))
        assert response.status_code == 200, response.text
        table = kit.read_reply(response.content)
        columns = {name: table[name].fill_null(float("nan")).to_numpy() for name in FORECAST_COLUMNS}
        return columns | {name: table[name].to_numpy() for name in ("model_version", "reason")}

    return ask_for


@RELAXED
@given(cut=st.integers(150, 297), seed=st.integers(0, 100))
def test_replies_up_to_a_cut_do_not_change_when_the_future_does(ask, kit, cut, seed):
    """Leakage, service replies: bit for bit, whether the later candles are noise or not there."""
    assert_past_is_unchanged(replies(ask, kit), kit.candles(300, seed=seed), cut=cut, seed=seed)


def test_a_window_that_reaches_one_candle_ahead_is_caught(ask, kit, monkeypatch):
    """A planted leak: windows shifted by one row into the future."""
    honest = scoring.run_section

    def peeking(version, features, ends):
        return honest(version, features, np.minimum(ends + 1, len(features) - 1))

    monkeypatch.setattr(scoring, "run_section", peeking)
    with pytest.raises(AssertionError):
        assert_past_is_unchanged(replies(ask, kit), kit.candles(300), cut=(180, 230, 280))


def test_a_version_that_claims_to_be_valid_before_its_data_ended_is_not_served(registry, serve, kit):
    """REG-5: the manifest's own dates must keep the embargo."""
    from_ = kit.start + timedelta(minutes=15 * 120)
    registry.publish(registry.add(120, trained_until=from_))
    assert serve(registry).json(kit.candles(170)).status_code == 503
