"""The rules of data quality: each refusal names the row, the value and what was expected."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.data.candles import BadCandles, check_candles
from nn.data.quality import check_funding, count_jumps, drop_unfinished

PAIR = "BTC/USDT"


def spoil(frame, row, **values):
    frame = frame.copy()
    for name, value in values.items():
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_a_price_that_is_no_price_is_refused(candles, name, value):
    """DQ-3"""
    with pytest.raises(BadCandles, match=rf"row 17 .*has {name} {float(value)!r}, expected a finite price above 0"):
        check_candles(spoil(candles, 17, **{name: value}), PAIR, "15m")


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
def test_a_volume_that_is_negative_or_not_finite_is_refused(candles, value):
    """DQ-3"""
    with pytest.raises(BadCandles, match=rf"row 3 .*has volume {float(value)!r}, expected a finite volume"):
        check_candles(spoil(candles, 3, volume=value), PAIR, "15m")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"high": 90.0, "low": 110.0}, r"high 90.0, expected a high of at least the low \(110.0\)"),
        ({"open": 101.0, "high": 100.0, "low": 90.0, "close": 95.0}, r"high 100.0, expected at least open and close"),
        ({"open": 95.0, "high": 100.0, "low": 96.0, "close": 97.0}, r"low 96.0, expected at most open and close"),
        ({"open": 95.0, "high": 100.0, "low": 90.0, "close": 101.0}, r"high 100.0, expected at least .* \(101.0\)"),
    ],
)
def test_a_bar_whose_wicks_do_not_bound_its_body_is_refused(candles, values, sentence):
    """DQ-3"""
    with pytest.raises(BadCandles, match=r"row 42 .*" + sentence):
        check_candles(spoil(candles, 42, **values), PAIR, "15m")


def test_a_row_out_of_order_and_a_duplicate_are_refused(candles):
    """DQ-1"""
    swapped = candles.iloc[[0, 2, 1, *range(3, 200)]].reset_index(drop=True)
    with pytest.raises(BadCandles, match=r"row 2 opens at .* and is earlier than row 1"):
        check_candles(swapped, PAIR, "15m")
    twice = candles.iloc[[0, 1, 1, *range(2, 200)]].reset_index(drop=True)
    with pytest.raises(BadCandles, match=r"row 2 opens at .* and repeats row 1"):
        check_candles(twice, PAIR, "15m")


@pytest.mark.parametrize(
    "date",
    [
        lambda date: date.dt.tz_localize(None),
        lambda date: date.dt.tz_convert("Europe/Berlin"),
        lambda date: date.astype(str),
        lambda date: date.astype("int64").astype(float),
    ],
    ids=["naive", "other zone", "text", "float"],
)
def test_times_that_are_not_utc_are_refused(candles, date):
    """DQ-1"""
    with pytest.raises(BadCandles, match="expected UTC datetimes or int64 milliseconds"):
        check_candles(candles.assign(date=date(candles["date"])), PAIR, "15m")


def test_a_missing_time_a_time_off_the_grid_and_a_fraction_of_a_millisecond_are_refused(candles):
    """DQ-1"""
    with pytest.raises(BadCandles, match="row 5 has no date"):
        check_candles(spoil(candles, 5, date=pd.NaT), PAIR, "15m")
    late = spoil(candles, 5, date=candles["date"][5] + timedelta(seconds=1))
    with pytest.raises(BadCandles, match=r"row 5 opens at .*, expected a whole multiple of 15m"):
        check_candles(late, PAIR, "15m")
    fine = candles.assign(date=candles["date"].astype("datetime64[ns, UTC]"))
    fine.loc[5, "date"] += pd.Timedelta(1, "ns")
    with pytest.raises(BadCandles, match=r"row 5 .*expected whole milliseconds"):
        check_candles(fine, PAIR, "15m")


@pytest.mark.parametrize("date", [-900_000, 1_700_006_400_000_000, 2**63 - 1])
def test_a_time_in_another_unit_is_refused(candles, date):
    """DQ-1: microseconds read as milliseconds lie in the year 55,000"""
    in_ms = candles["date"].astype("datetime64[ms, UTC]").astype("int64")
    with pytest.raises(BadCandles, match=f"row 199 has date {date}, expected milliseconds between 1970 and 2200"):
        check_candles(candles.assign(date=in_ms.where(candles.index != 199, date)), PAIR, "15m")


@pytest.mark.parametrize("name", ["date", "open", "volume"])
def test_a_missing_column_is_refused_by_name(candles, name):
    with pytest.raises(BadCandles, match=f"column {name} is missing, found"):
        check_candles(candles.drop(columns=name), PAIR, "15m")


@pytest.mark.parametrize("values", [["dear"] * 200, [True] * 200, [None] * 200])
def test_a_column_that_holds_no_numbers_is_refused(candles, values):
    with pytest.raises(BadCandles, match=r"column close has type .*, expected numbers"):
        check_candles(candles.assign(close=values), PAIR, "15m")


def test_gaps_are_counted_and_listed_and_nothing_is_filled(candles):
    """DQ-4"""
    holed = candles.drop(index=[10, 50, 51, 52]).reset_index(drop=True)
    report = check_candles(holed, PAIR, "15m")
    assert (report.rows, report.gaps, report.missing_bars) == (196, 2, 4)
    assert [gap.missing for gap in report.gap_list] == [1, 3]
    assert report.gap_list[0].after == candles["date"][9].to_pydatetime()
    assert report.gap_list[0].before == candles["date"][11].to_pydatetime()


def test_bars_without_volume_are_legal_and_the_filled_among_them_are_recognised(candles):
    """DQ-4, DQ-5"""
    quiet = spoil(candles, 20, volume=0.0)
    quiet = spoil(quiet, 21, volume=0.0, open=100.0, high=100.0, low=100.0, close=100.0)
    report = check_candles(quiet, PAIR, "15m")
    assert (report.zero_volume, report.filled) == (2, 1)
    mark = check_candles(quiet.assign(volume=0.0), "BTC/USDT:USDT", "15m", "mark")
    assert (mark.zero_volume, mark.filled) == (0, 0)


def test_a_jump_beyond_twenty_deviations_is_counted_and_stays(make_candles):
    """DQ-7"""
    calm = make_candles(300, volatility=0.001)
    assert check_candles(calm, PAIR, "15m").jumps == 0
    close = calm["close"].to_numpy(copy=True)
    close[200:] *= 1.2
    assert count_jumps(close) == 1
    close[50:] *= 1.2  # 49 returns before it are no measure yet
    assert count_jumps(close) == 1


def test_the_fingerprint_is_of_the_content_not_of_its_form(candles):
    report = check_candles(candles, PAIR, "15m")
    for unit in ("ms", "us", "ns"):
        same = candles.assign(date=candles["date"].astype(f"datetime64[{unit}, UTC]"), colour="red")
        assert check_candles(same, PAIR, "15m").fingerprint == report.fingerprint
    in_ms = candles.assign(date=candles["date"].astype("datetime64[ms, UTC]").astype("int64"))
    assert check_candles(in_ms, PAIR, "15m") == report
    other = spoil(candles, 199, volume=np.nextafter(candles["volume"][199], np.inf))
    assert check_candles(other, PAIR, "15m").fingerprint != report.fingerprint


def test_a_report_reads_as_a_sentence(candles):
    text = str(check_candles(candles, PAIR, "15m"))
    assert text.startswith("BTC/USDT 15m spot: 200 rows, 2023-11-15 00:00 .. 2023-11-17 01:45, ")
    assert "0 gaps (0 bars)" in text
    assert "no rows" in str(check_candles(candles.iloc[:0], PAIR, "15m"))


def test_an_unfinished_last_candle_is_dropped_with_its_reason(candles):
    """DQ-2"""
    opened = candles["date"].iloc[-1].to_pydatetime()
    closed, reason = drop_unfinished(candles, PAIR, "15m", opened + timedelta(minutes=15))
    assert (len(closed), reason) == (200, None)
    unfinished, reason = drop_unfinished(candles, PAIR, "15m", opened + timedelta(minutes=14, seconds=59))
    assert (len(unfinished), reason) == (199, "INCOMPLETE_BAR")


def test_a_candle_from_the_future_is_refused_and_so_is_a_clock_without_a_zone(candles):
    """DQ-1"""
    with pytest.raises(BadCandles, match=r"row 100 opens at .*expected no candle from the future"):
        drop_unfinished(candles, PAIR, "15m", candles["date"][99].to_pydatetime())
    with pytest.raises(ValueError, match="expected a time with a time zone"):
        drop_unfinished(candles, PAIR, "15m", datetime(2030, 1, 1))


def test_funding_may_be_negative_and_off_the_grid_but_not_missing():
    date = pd.to_datetime([1_700_006_400_003, 1_700_035_200_000], unit="ms", utc=True)
    report = check_funding(pd.DataFrame({"date": date, "funding_rate": [-0.0001, 0.0003]}), "BTC/USDT:USDT", "1h")
    assert (report.rows, report.candle_type, report.gaps) == (2, "funding_rate", 0)
    with pytest.raises(BadCandles, match=r"row 1 .*has funding_rate nan, expected a finite number"):
        check_funding(pd.DataFrame({"date": date, "funding_rate": [0.0, np.nan]}), "BTC/USDT:USDT", "1h")


def test_a_kind_of_candles_that_does_not_exist_is_refused(candles):
    with pytest.raises(ValueError, match="candle_type is 'premium'"):
        check_candles(candles, PAIR, "15m", "premium")


@given(rows=st.lists(st.integers(1, 198), unique=True, max_size=150))
def test_rows_and_missing_bars_add_up_to_the_time_they_span(make_candles, rows):
    """DQ-4"""
    report = check_candles(make_candles(200).drop(index=rows).reset_index(drop=True), PAIR, "15m")
    assert report.rows + report.missing_bars == 200
    assert report.missing_bars == len(rows)
    start = datetime(2023, 11, 15, tzinfo=UTC)
    assert (report.first, report.last) == (start, start + 199 * timedelta(minutes=15))
