"""The as-of rule, and that a candle's forecast is the same bits whatever else is asked (ASO-1, ASO-2, ASO-4)."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nn.data.targets import FORECAST_COLUMNS
from nn.data.windows import usable_ends
from nn.service import scoring
from nn.service.scoring import REASONS, newest_allowed, score

RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def versions(chain):
    return chain.shelf().line_of("15m").chain


def bits(answer):
    return answer.values.view(np.uint32)


@given(
    valid_from=st.lists(st.integers(-5, 60), min_size=0, max_size=6, unique=True).map(sorted),
    closes=st.lists(st.integers(-10, 70), min_size=1, max_size=30),
)
def test_the_newest_version_that_was_valid_at_the_close_is_chosen(valid_from, closes):
    """ASO-1, against the definition written out."""
    chosen = newest_allowed(np.array(valid_from, dtype=np.int64), np.array(closes))
    for close, index in zip(closes, chosen, strict=True):
        allowed = [k for k, moment in enumerate(valid_from) if moment <= close]
        assert index == (allowed[-1] if allowed else -1)


def test_each_candle_is_scored_by_the_version_of_its_close(versions, kit):
    """A version valid from the open of candle 200 first scores candle 199, which closes at that moment."""
    answer = score(versions, [kit.candles(300)], "15m", FORECAST_COLUMNS)
    assert answer.version[149 - 1] == -1
    assert REASONS[answer.reason_codes[148]] == "no_version"
    assert [answer.version[row] for row in (149, 198, 199, 258, 259, 299)] == [0, 0, 1, 1, 2, 2]
    assert np.isfinite(answer.values[answer.scored]).all()
    assert np.isnan(answer.values[~answer.scored]).all()


def test_rows_that_cannot_be_scored_say_why(registry, kit):
    """DQ-4 and LIM: warm-up and gap are null with a reason, and never a number."""
    registry.publish(registry.add(-5000))
    versions = registry.shelf().line_of("15m").chain
    whole = kit.candles(300)
    holed = whole.drop(index=range(200, 204))  # four bars missing in a row
    answer = score(versions, [holed], "15m", FORECAST_COLUMNS)
    reasons = answer.reasons
    assert reasons[: kit.first_scored] == ["warmup"] * kit.first_scored
    assert reasons[kit.first_scored : 200] == [None] * (200 - kit.first_scored)
    assert reasons[200 : 200 + 15] == ["gap"] * 15
    assert reasons[215:] == [None] * (296 - 215)
    bridged = score(versions, [whole.drop(index=range(200, 203))], "15m", FORECAST_COLUMNS)  # three may be bridged
    assert set(bridged.reasons[kit.first_scored :]) == {None}


@RELAXED
@given(data=st.data())
def test_a_forecast_does_not_depend_on_the_range_asked_for(versions, kit, data):
    """Same first candle, any end: the shared rows are bit-identical, and so is the last row asked alone."""
    frame = kit.candles(330, seed=data.draw(st.integers(0, 3)))
    cut = data.draw(st.integers(kit.first_scored + 1, 330))
    whole, part = (
        score(versions, [frame], "15m", FORECAST_COLUMNS),
        score(versions, [frame[:cut]], "15m", FORECAST_COLUMNS),
    )
    np.testing.assert_array_equal(bits(whole)[:cut], bits(part))
    np.testing.assert_array_equal(whole.version[:cut], part.version)
    alone = score(versions, [frame[:cut]], "15m", FORECAST_COLUMNS, last_only=True)
    assert len(alone.open_ms) == 1
    np.testing.assert_array_equal(bits(alone)[0], bits(whole)[cut - 1])


def test_another_chain_does_not_change_the_rows_of_a_version(versions, kit):
    """Batches of one version never hold windows of another: removing a version moves no other row's bits."""
    frame = kit.candles(300)
    full, two = score(versions, [frame], "15m", FORECAST_COLUMNS), score(versions[:2], [frame], "15m", FORECAST_COLUMNS)
    same = full.version < 2
    np.testing.assert_array_equal(bits(full)[same], bits(two)[same])


def test_a_batch_of_forecasts_agrees_with_the_model_asked_directly(versions, kit):
    """The windows that reach the model are the scaled features that end at each row."""
    import torch

    version, frame = versions[0], kit.candles(190)
    scaled = version.scaled(version.features(frame))
    answer = score(versions[:1], [frame], "15m", FORECAST_COLUMNS)
    for row in (149, 170, 189):
        window = torch.from_numpy(scaled[row - 15 : row + 1].copy())[None]
        np.testing.assert_allclose(answer.values[row], version.model.forecast(window)[0].numpy(), rtol=1e-4, atol=1e-6)


def test_a_forecast_that_is_not_finite_is_withheld(versions, kit):
    """LIM-9: null with a reason, never a number in its place."""

    class Broken:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def forecast(self, rows, ends):
            out = self.inner.forecast(rows, ends)
            out[::40, 5] = float("nan")
            return out

    answer = score([Broken(versions[0])], [kit.candles(260)], "15m", FORECAST_COLUMNS)
    withheld = [row for row, reason in enumerate(answer.reasons) if reason == "not_finite"]
    assert len(withheld) >= 3
    assert np.isnan(answer.values[withheld]).all()
    assert (answer.version[withheld] == -1).all()


def test_prices_that_overflow_give_no_forecast(versions, kit):
    frame = kit.candles(300)
    frame.loc[250:, ["open", "high", "low", "close"]] = 1e308
    answer = score(versions, [frame], "15m", FORECAST_COLUMNS)
    assert np.isfinite(answer.values[answer.scored]).all()


def test_work_between_batches_can_be_ended(versions, kit):
    class EndedError(Exception):
        pass

    def end():
        raise EndedError

    with pytest.raises(EndedError):
        score(versions, [kit.candles(300)], "15m", FORECAST_COLUMNS, between_batches=end)


def test_a_candle_asked_together_with_other_pairs_has_the_same_bits(versions, kit):
    """Several frames in one call: each row as if its frame had been asked alone."""
    frames = [kit.candles(rows, seed=seed) for seed, rows in enumerate((300, 290, 120, 299, 300))]
    frames[3] = frames[3].drop(index=range(280, 284)).reset_index(drop=True)
    for last_only in (True, False):
        together = score(versions, frames, "15m", FORECAST_COLUMNS, last_only)
        assert together.block.tolist() == sorted(together.block.tolist())
        for k, frame in enumerate(frames):
            alone = score(versions, [frame], "15m", FORECAST_COLUMNS, last_only)
            mine = together.block == k
            np.testing.assert_array_equal(bits(together)[mine], bits(alone))
            np.testing.assert_array_equal(together.open_ms[mine], alone.open_ms)
            assert [r for r, m in zip(together.reasons, mine, strict=True) if m] == alone.reasons
        assert {None, "no_version" if last_only else "gap"} <= set(together.reasons)


def test_features_of_a_live_request_are_computed_once_for_two_lines(versions, kit):
    """A second line that reads the same features takes those of the first."""
    known = {}
    frames = [kit.candles(300), kit.candles(300, seed=1)]
    first = score(versions, frames, "15m", FORECAST_COLUMNS, True, known=known)
    assert sorted(known) == [(kit.features.digest, 0), (kit.features.digest, 1)]

    class Blind:
        def __getattr__(self, name):
            return getattr(versions[-1], name)

        def reader(self, frame):
            raise AssertionError("computed again")

    second = score([Blind()], frames, "15m", FORECAST_COLUMNS, True, known=known)
    assert first.version.tolist() == [2, 2]
    np.testing.assert_array_equal(bits(second), bits(first))


def test_a_second_line_with_a_longer_context_gets_the_features_it_reads(versions, kit):
    """Only rows that a window reads are kept; a line that reads earlier ones has them computed."""
    frames = [kit.candles(300), kit.candles(300, seed=1)]
    known = {}
    versions = versions[-1:]
    newest = score(versions, frames, "15m", FORECAST_COLUMNS, last_only=True, known=known)
    assert {each.first for each in known.values()} == {300 - versions[0].context_length}
    whole = score(versions, frames, "15m", FORECAST_COLUMNS, known=known)
    np.testing.assert_array_equal(bits(whole)[[299, 599]], bits(newest))
    np.testing.assert_array_equal(bits(whole), bits(score(versions, frames, "15m", FORECAST_COLUMNS)))


def test_history_keeps_the_features_of_one_section_only(versions, kit, monkeypatch):
    """Memory does not grow with the number of candles."""
    monkeypatch.setattr(scoring, "SECTION", 16)
    kept, frame = [], kit.candles(300)
    known = {}

    class Watched:
        def __getattr__(self, name):
            return getattr(versions[0], name)

        def scaled(self, features):
            kept.append([len(each._rows) for each in known.values()])
            return versions[0].scaled(features)

    answer = score([Watched()], [frame], "15m", FORECAST_COLUMNS, known=known)
    assert len(kept) == -(-np.count_nonzero(answer.scored) // 16)
    assert max(max(rows) for rows in kept) == 16 - 1 + versions[0].context_length


def test_sections_leave_no_trace(versions, kit, monkeypatch):
    """Memory is bounded by sections; where they begin shows in no bit."""
    frames = [kit.candles(300), kit.candles(280, seed=1)]
    whole = score(versions, frames, "15m", FORECAST_COLUMNS)
    for size in (1, 37, 64):
        monkeypatch.setattr(scoring, "SECTION", size)
        np.testing.assert_array_equal(bits(score(versions, frames, "15m", FORECAST_COLUMNS)), bits(whole))


def test_usable_rows_are_those_of_training(versions, kit):
    """DQ-4: one rule for both rooms, with holes and bars that Freqtrade filled in."""
    frame = kit.candles(300).drop(index=[*range(120, 125), 160, 161]).reset_index(drop=True)
    frame.loc[200:206, ["open", "high", "low", "close"]] = 100.0
    frame.loc[200:206, "volume"] = 0.0
    version = versions[0]
    candles = {name: frame[name].to_numpy() for name in frame}
    mine = np.flatnonzero(scoring.usable_rows(candles, kit.bar_ms, version))
    for first in (0, 1, 130, 170, len(frame) - 1):
        asked = scoring.usable_rows(candles, kit.bar_ms, version, first)
        assert (first + np.flatnonzero(asked)).tolist() == [row for row in mine if row >= first]
    assert mine.tolist() == usable_ends(frame, "15m", version.warmup, version.context_length).tolist()
    assert 0 < len(mine) < 250
