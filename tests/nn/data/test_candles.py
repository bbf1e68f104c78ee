"""Reading Freqtrade's store: what is read is what was written, and whatever cannot be read is refused by name."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from nn.data.candles import BadCandles, list_pairs, read_candles
from nn.data.store import pair_to_filename

FUTURES = "BTC/USDT:USDT"


def test_spot_and_futures_are_found_by_the_name_of_the_pair(datadir, candles):
    """DAT-3, DAT-11"""
    for pair, kind in (("BTC/USDT", "spot"), (FUTURES, "futures")):
        frame, report = read_candles(datadir, pair, "15m")
        pd.testing.assert_frame_equal(frame, candles, check_dtype=False)
        assert str(frame["date"].dt.tz) == "UTC"
        assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume"]
        assert (report.pair, report.candle_type, report.rows) == (pair, kind, 200)


def test_parquet_and_feather_have_one_fingerprint(datadir, candles):
    """DAT-3, DAT-4"""
    _, feather = read_candles(datadir, "BTC/USDT", "15m")
    (datadir / "BTC_USDT-15m.feather").unlink()
    candles.to_parquet(datadir / "BTC_USDT-15m.parquet")
    frame, parquet = read_candles(datadir, "BTC/USDT", "15m")
    assert parquet == feather
    assert (frame.dtypes.iloc[1:] == np.float64).all()


def test_mark_candles_are_read_and_whole_numbers_become_float64(datadir, candles):
    _, report = read_candles(datadir, FUTURES, "15m", "mark")
    assert (report.candle_type, report.zero_volume) == ("mark", 0)
    candles.assign(volume=7).to_feather(datadir / "BTC_USDT-15m.feather")
    frame, _ = read_candles(datadir, "BTC/USDT", "15m")
    assert frame["volume"].dtype == np.float64


@pytest.mark.parametrize("column", ["funding_rate", "open"])
def test_funding_is_read_in_the_layout_of_today_and_of_before(datadir, column):
    """Freqtrade stored the rate as the open of an OHLCV candle before 2026."""
    date = pd.date_range("2025-01-01", periods=3, freq="8h", tz="UTC")
    rates = pd.DataFrame({"date": date, column: [1e-4, -2e-4, 0.0]})
    if column == "open":
        rates = rates.assign(high=0.0, low=0.0, close=0.0, volume=0.0)
    rates.to_feather(datadir / "futures" / "BTC_USDT_USDT-1h-funding_rate.feather")
    frame, report = read_candles(datadir, FUTURES, "1h", "funding_rate")
    assert list(frame.columns) == ["date", "funding_rate"]
    assert frame["funding_rate"].tolist() == [1e-4, -2e-4, 0.0]
    assert report.rows == 3


def test_a_missing_pair_or_timeframe_is_refused_with_a_list_of_what_is_there(datadir, tmp_path):
    with pytest.raises(BadCandles, match=r"DOGE_USDT-15m.*no 15m spot candles of DOGE/USDT; .* candles of BTC/USDT"):
        read_candles(datadir, "DOGE/USDT", "15m")
    with pytest.raises(BadCandles, match=r"no 5m futures candles of .*; of .* there are 15m futures, 15m mark"):
        read_candles(datadir, FUTURES, "5m")
    with pytest.raises(BadCandles, match="the directory holds 15m futures, 15m mark, 15m spot candles"):
        read_candles(datadir, "DOGE/USDT", "1h")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadCandles, match="the directory holds no candles"):
        read_candles(tmp_path / "empty", "BTC/USDT", "15m")
    with pytest.raises(BadCandles, match="is no directory"):
        read_candles(tmp_path / "nowhere", "BTC/USDT", "15m")


@pytest.mark.parametrize("pair", ["", "BTC", "BTC USDT", "/USDT", "BTC/USDT:", "BTC/USDT\x00"])
def test_what_is_no_pair_is_refused(datadir, pair):
    with pytest.raises(BadCandles, match="expected one such as BTC/USDT"):
        read_candles(datadir, pair, "15m")


def test_a_pair_cannot_lead_out_of_the_directory(datadir):
    assert pair_to_filename("../../etc/x:y") == "______etc_x_y"
    with pytest.raises(BadCandles, match="expected one such as"):
        read_candles(datadir, "../../BTC/USDT", "15m")


@pytest.mark.parametrize("name", ["BTC_USDT-15m.feather", "BTC_USDT-15m.parquet"])
@pytest.mark.parametrize("keep", [0, 4, 100, -1, -100])
def test_a_truncated_file_is_refused_politely(tmp_path, candles, name, keep):
    path = tmp_path / name
    candles.to_feather(path) if path.suffix == ".feather" else candles.to_parquet(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadCandles, match=rf"{name}: cannot be read as (feather|parquet) \(.*download it again"):
        read_candles(tmp_path, "BTC/USDT", "15m")


def test_a_file_of_something_else_is_refused(datadir):
    path = datadir / "BTC_USDT-15m.feather"
    path.write_bytes(b"date,open,high\n" * 50)
    with pytest.raises(BadCandles, match="cannot be read as feather"):
        read_candles(datadir, "BTC/USDT", "15m")
    pd.DataFrame({"time": [1]}).to_feather(path)
    with pytest.raises(BadCandles, match=r"BTC_USDT-15m.feather: column date is missing, found time"):
        read_candles(datadir, "BTC/USDT", "15m")


def test_a_file_without_rows_is_refused(datadir, candles):
    candles.iloc[:0].to_feather(datadir / "BTC_USDT-15m.feather")
    with pytest.raises(BadCandles, match="holds no rows"):
        read_candles(datadir, "BTC/USDT", "15m")


def test_a_bad_row_is_refused_with_the_name_of_its_file(datadir, candles):
    """DQ-3"""
    candles.loc[8, "low"] = np.nan
    candles.to_feather(datadir / "BTC_USDT-15m.feather")
    with pytest.raises(BadCandles, match=r"BTC_USDT-15m.feather: BTC/USDT 15m spot: row 8 .* has low nan"):
        read_candles(datadir, "BTC/USDT", "15m")


def test_the_last_candle_is_left_out_while_it_is_open(datadir, candles):
    """DQ-2"""
    now = candles["date"].iloc[-1].to_pydatetime() + timedelta(minutes=1)
    frame, report = read_candles(datadir, "BTC/USDT", "15m", now=now)
    assert (len(frame), report.rows, report.dropped) == (199, 199, "INCOMPLETE_BAR")


def test_pairs_are_listed_by_timeframe(datadir, candles):
    candles.to_feather(datadir / "1000SHIB_USDT-15m.feather")
    candles.to_feather(datadir / "ETH_USDT-1h.feather")
    candles.to_feather(datadir / "ETH_USDT-trades.feather")
    assert list_pairs(datadir, "15m") == ["1000SHIB/USDT", "BTC/USDT", "BTC/USDT:USDT"]
    assert list_pairs(datadir, "1h") == ["ETH/USDT"]
    assert list_pairs(datadir, "15m", "mark") == ["BTC/USDT:USDT"]
    assert list_pairs(datadir / "nowhere", "15m") == []


@pytest.mark.real_data
def test_recorded_futures_have_no_gaps(market_data):
    for pair in ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"):
        frame, report = read_candles(market_data, pair, "15m")
        assert (len(frame), report.rows, report.gaps) == (61_344, 61_344, 0)
        assert f"{report.last:%Y-%m-%d %H:%M}" == "2025-09-30 23:45"


@pytest.mark.real_data
@pytest.mark.parametrize(("pair", "gaps", "rows"), [("LTC/USDT", 27, 67_798), ("XRP/USDT", 25, 64_872)])
def test_recorded_outages_are_found(market_data, pair, gaps, rows):
    """DQ-4"""
    frame, report = read_candles(market_data, pair, "1h")
    assert (report.rows, report.gaps, len(report.gap_list)) == (rows, gaps, gaps)
    hours = int((frame["date"].iloc[-1] - frame["date"].iloc[0]) / pd.Timedelta(hours=1)) + 1
    assert report.missing_bars == hours - rows


@pytest.mark.real_data
def test_recorded_funding_and_mark_are_readable(market_data):
    mark, report = read_candles(market_data, FUTURES, "1h", "mark")
    assert (len(mark), report.gaps) == (50_605, 0)
    funding, _ = read_candles(market_data, FUTURES, "1h", "funding_rate")
    assert len(funding) == 6_638
    assert funding["funding_rate"].abs().between(0, 0.03).all()


@pytest.mark.real_data
def test_every_recorded_pair_passes_every_rule(market_data):
    for timeframe in ("1m", "5m", "15m", "1h"):
        for pair in list_pairs(market_data, timeframe):
            assert read_candles(market_data, pair, timeframe)[1].rows > 5_000
