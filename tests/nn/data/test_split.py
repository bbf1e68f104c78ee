"""Train, validation and test: in the order of time, with no label that reaches across (WIN-2, LEK-2)."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from nn.data.targets import make_targets, max_horizon_bars
from nn.data.windows import Split, chronological_split


def test_rows_worked_out_by_hand():
    """WIN-2: 48 rows before and 48 rows after each border belong to nobody."""
    split = chronological_split(1000, (0.6, 0.2, 0.2))
    assert (split.train[0], split.train[-1]) == (0, 551)
    assert (split.validation[0], split.validation[-1]) == (648, 751)
    assert (split.test[0], split.test[-1]) == (848, 999)


def test_two_fractions_leave_the_test_part_empty():
    split = chronological_split(500, (0.8, 0.2))
    assert (split.train[-1], split.validation[0], split.validation[-1], len(split.test)) == (351, 448, 499, 0)


@given(
    n_bars=st.integers(1, 2000),
    shares=st.tuples(*[st.integers(1, 10)] * 3),
    purge=st.integers(0, 60),
    embargo=st.integers(0, 60),
)
def test_no_label_reaches_the_next_part_and_the_order_is_that_of_time(n_bars, shares, purge, embargo):
    """LEK-2, on the actual index sets"""
    fractions = [share / sum(shares) for share in shares]
    try:
        split = chronological_split(n_bars, fractions, purge=purge, embargo=embargo)
    except ValueError as fault:
        assert "is empty" in str(fault)  # noqa: PT017
        return
    for earlier, later in ((split.train, split.validation), (split.validation, split.test)):
        reached = {row + ahead for row in earlier.tolist() for ahead in (0, purge)}
        assert not reached & set(later.tolist())
        assert later.min() - earlier.max() == purge + embargo + 1
    split.check(horizon=purge + embargo)
    with pytest.raises(ValueError, match="reaches row"):
        split.check(horizon=purge + embargo + 1)


def test_a_change_of_the_next_part_moves_no_label_of_the_one_before(make_candles):
    """LEK-2, LEK-3: the labels themselves, not only their row numbers"""
    frame, other = make_candles(800, seed=1), make_candles(800, seed=2)
    split = chronological_split(800, (0.5, 0.25, 0.25))
    before = make_targets(frame, "15m").values
    for part, later in ((split.train, split.validation), (split.validation, split.test)):
        mixed = frame.copy()
        mixed.loc[later[0] :] = other.loc[later[0] :]
        assert make_targets(mixed, "15m").values[part].tobytes() == before[part].tobytes()
        assert not np.isnan(before[part]).any()


def test_a_split_without_purge_is_caught_by_its_check():
    split = chronological_split(1000, purge=0, embargo=0)
    with pytest.raises(ValueError, match=r"the label of row 699 reaches row 747, but the next part begins at row 700"):
        split.check(max_horizon_bars("15m"))


def test_a_boundary_cuts_every_pair_at_the_same_moment():
    """WIN-2: pairs that were listed at different times are cut by date, not by share."""
    cut, start = datetime(2025, 1, 11, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    old = pd.date_range(start, periods=2000, freq="15min")
    young = old[500:]
    for times in (old, young, pd.Series(young), young.as_unit("ms").asi8):
        split = chronological_split(times, boundaries=[cut])
        moments = (
            pd.to_datetime(times, unit="ms", utc=True) if isinstance(times, np.ndarray) else pd.DatetimeIndex(times)
        )
        assert moments[split.train[-1]] == cut - pd.Timedelta(minutes=15 * 49)
        assert moments[split.validation[0]] == cut + pd.Timedelta(minutes=15 * 48)
    in_ms = [int(cut.timestamp() * 1000), int(cut.timestamp() * 1000) + 500 * 900_000]
    three = chronological_split(old, boundaries=in_ms)
    assert_array_equal(three.train, split_of(old, cut).train)
    assert three.test[0] == 960 + 500 + 48


def split_of(times, cut):
    return chronological_split(times, boundaries=[cut])


def test_a_split_can_be_restricted_to_usable_rows():
    split = chronological_split(500, (0.8, 0.2)).only([3, 7, 400, 450, 499, 600])
    assert [part.tolist() for part in split.parts] == [[3, 7], [450, 499], []]
    assert Split(split.train, split.validation, split.test).check(48) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"bars": 100}, r"validation is empty: of 100 bars it would begin at row 118 and end before row 37"),
        ({"bars": 60, "fractions": (0.5, 0.5)}, "train is empty"),
        ({"bars": 1000, "fractions": (0.5, 0.6)}, "expected 2 or 3 numbers above 0 that add up to 1"),
        ({"bars": 1000, "fractions": (1.0,)}, "expected 2 or 3 numbers"),
        ({"bars": 1000, "fractions": (1.2, -0.2)}, "expected 2 or 3 numbers"),
        ({"bars": 1000, "purge": -1}, "purge is -1"),
        ({"bars": 1000, "boundaries": [500]}, "boundaries need the times"),
        ({"bars": np.arange(1000), "boundaries": [500, 400]}, "ascending"),
        ({"bars": np.arange(1000), "boundaries": []}, "expected"),
        ({"bars": np.arange(1000)[::-1]}, "expected ascending UTC datetimes"),
        ({"bars": np.arange(1000.0)}, "times have type float64"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        chronological_split(**arguments)


@given(n_bars=st.integers(400, 1000), purge=st.integers(48, 60))
def test_every_row_is_in_one_part_or_in_the_room_between(n_bars, purge):
    assume(n_bars * 0.15 > purge + 60)
    split = chronological_split(n_bars, purge=purge, embargo=48)
    rows = np.concatenate(split.parts)
    assert len(np.unique(rows)) == len(rows) == n_bars - 2 * (purge + 48)
    assert (np.diff(rows) > 0).all()
