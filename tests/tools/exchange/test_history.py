"""Aggregation against pandas, the candle in progress by hand, and pages that add up to the whole."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tools.exchange.candles import Candles, check_candles, rows_between
from tools.exchange.history import History, TooFine, aggregate

START = 1_735_689_600_000  # 2025-01-01, a Wednesday, ms
PANDAS = {"15m": "15min", "1h": "1h", "4h": "4h", "1d": "1D", "1w": "W-MON", "1M": "MS"}


def candles_from(rows, step=300_000):
    """Return 5m candles of (close, volume) rows; None leaves a gap."""
    kept = [(START + number * step, *row) for number, row in enumerate(rows) if row is not None]
    open_time, close, volume = (np.array(column) for column in zip(*kept, strict=True))
    opening = np.concatenate(([close[0]], close[:-1]))
    high, low = np.maximum(opening, close) + 0.5, np.minimum(opening, close) - 0.5
    return Candles(open_time.astype(np.int64), opening, high, low, close, volume)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 4000), interval=st.sampled_from(list(PANDAS)))
def test_coarser_candles_are_what_pandas_makes_of_the_finer_ones(seed, n, interval):
    draw = np.random.default_rng(seed)
    rows = [
        None if draw.random() < 0.1 else (draw.uniform(50, 60), draw.integers(0, 10**6) / 1e3) for _ in range(n - 1)
    ]
    fine = candles_from([(55.0, 1.0), *rows])
    built = aggregate(fine, interval, 3)
    columns = {name: getattr(fine, name) for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame(columns, index=pd.to_datetime(fine.open_time, unit="ms", utc=True))
    rule = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bins = frame.resample(PANDAS[interval], closed="left", label="left")
    slow = bins.agg(rule)[bins.size() > 0]
    assert_array_equal(built.open_time, slow.index.as_unit("ms").asi8)
    for name in ("open", "high", "low", "close"):
        assert_array_equal(getattr(built, name), slow[name])
    assert_array_equal(built.volume, slow["volume"].round(3))


def test_a_sum_of_decimal_volumes_is_the_exact_decimal():
    """Three times 0.1 is 0.3 to an exchange, not 0.30000000000000004."""
    fine = candles_from([(5.0, 0.1)] * 3)
    assert aggregate(fine, "15m", 3).volume.tolist() == [float(Decimal("0.3"))]


def test_after_a_complete_candle_the_next_has_just_opened_at_the_last_price():
    served = History({"5m": lambda: candles_from([(5.0, 1.0), (6.0, 1.0), (7.0, 1.0)])}).candles("15m")
    assert served.open_time.tolist() == [START, START + 900_000]
    assert [column[-1] for column in served.columns()[1:]] == [7.0, 7.0, 7.0, 7.0, 0.0]


def test_an_unfinished_candle_holds_what_was_traded_so_far():
    served = History({"5m": lambda: candles_from([(5.0, 1.0), (6.0, 1.0), (7.0, 1.0), (9.0, 2.0)])}).candles("15m")
    assert served.open_time.tolist() == [START, START + 900_000]
    assert (served.open[-1], served.close[-1], served.volume[-1]) == (7.0, 9.0, 2.0)


def test_what_is_stored_is_served_rather_than_rebuilt():
    hourly = candles_from([(100.0, 1.0)], step=3_600_000)
    history = History({"1h": lambda: hourly, "5m": lambda: candles_from([(5.0, 1.0)] * 24)})
    assert history.candles("1h").close[0] == 100.0
    assert history.candles("4h").close[0] == 100.0  # of the coarsest that fits
    assert history.candles("30m").close[0] == 5.0
    assert history.finest == "5m"


def test_an_interval_finer_than_the_store_is_refused_by_name():
    with pytest.raises(TooFine, match=r"1m candles cannot be built from the stored 5m"):
        History({"5m": lambda: candles_from([(5.0, 1.0)])}).candles("1m")


@settings(derandomize=True)
@given(
    times=st.lists(st.integers(0, 300), unique=True).map(sorted),
    start=st.none() | st.integers(0, 300),
    end=st.none() | st.integers(0, 300),
    limit=st.integers(1, 50),
)
def test_a_page_is_what_a_patient_reader_would_pick(times, start, end, limit):
    inside = [time for time in times if (start is None or time >= start) and (end is None or time <= end)]
    expected = inside[-limit:] if start is None else inside[:limit]
    assert np.array(times, np.int64)[rows_between(np.array(times, np.int64), start, end, limit)].tolist() == expected


@pytest.mark.parametrize(
    ("times", "closes", "words"),
    [
        ([0, 2, 2], [1.0, 1.0, 1.0], "row 2 opens at 2"),
        ([0, 2, 1], [1.0, 1.0, 1.0], "row 2 opens at 1"),
        ([0, 1, 2], [1.0, np.nan, 1.0], "close of row 1"),
    ],
)
def test_candles_out_of_order_or_not_finite_are_refused(times, closes, words):
    ones = np.ones(3)
    with pytest.raises(ValueError, match=words):
        check_candles(Candles(np.array(times, np.int64), ones, ones, ones, np.array(closes), ones), "BTC")
