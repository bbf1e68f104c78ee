"""A Freqtrade data directory is served as it is: files found by their names, both shapes of funding, faults named."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from tools.exchange.datadir import datadir_market, decimals


def frame(n=40, step="15min", start="2025-03-01", price=42_000.5):
    date = pd.date_range(start, periods=n, freq=step, tz="UTC")
    close = price + np.arange(n) * 0.5
    return pd.DataFrame(
        {"date": date, "open": close, "high": close + 1, "low": close - 1, "close": close, "volume": np.full(n, 0.125)}
    )


@pytest.fixture
def folder(tmp_path):
    futures = tmp_path / "futures"
    futures.mkdir()
    frame().to_feather(tmp_path / "BTC_USDT-15m.feather")
    frame().to_parquet(tmp_path / "ETH_USDT-15m.parquet")
    frame(n=80).to_feather(futures / "BTC_USDT_USDT-15m-futures.feather")
    frame(n=20, step="1h").to_feather(futures / "BTC_USDT_USDT-1h-futures.feather")
    frame(n=20, step="1h").to_feather(futures / "BTC_USDT_USDT-1h-mark.feather")
    rates = pd.DataFrame({"date": frame(n=3, step="8h")["date"], "funding_rate": [1e-4, -2.5e-5, 3e-8]})
    rates.to_feather(futures / "BTC_USDT_USDT-1h-funding_rate.feather")
    frame().to_feather(futures / "1000SHIB_USDT_USDT-15m-futures.feather")
    rates.rename(columns={"funding_rate": "open"}).to_feather(futures / "1000SHIB_USDT_USDT-1h-funding_rate.feather")
    (futures / "BTC_USD_BTC-15m-futures.feather").write_bytes(b"coin-margined: not served, not read")
    (tmp_path / "BTC_USDT-trades.feather").write_bytes(b"trades: not served, not read")
    return tmp_path


def test_every_series_of_the_folder_is_listed(folder):
    market = datadir_market(folder)
    assert {venue: list(listings) for venue, listings in market.venues.items()} == {
        "spot": ["BTCUSDT", "ETHUSDT"],
        "futures": ["1000SHIBUSDT", "BTCUSDT"],
    }
    assert [listing.instrument.pair for listing in market.venues["futures"].values()] == [
        "1000SHIB/USDT:USDT",
        "BTC/USDT:USDT",
    ]


def test_stored_candles_come_back_bit_for_bit(folder):
    served = datadir_market(folder).venues["futures"]["BTCUSDT"].trades.candles("15m")[:-1]
    stored = frame(n=80)
    assert_array_equal(served.open_time, stored["date"].dt.as_unit("ms").array.asi8)
    for name in ("open", "high", "low", "close", "volume"):
        assert_array_equal(getattr(served, name), stored[name])


def test_funding_is_read_in_its_new_and_its_old_shape(folder):
    listings = datadir_market(folder).venues["futures"]
    for symbol in ("BTCUSDT", "1000SHIBUSDT"):
        assert listings[symbol].funding.rate.tolist() == [1e-4, -2.5e-5, 3e-8]
    assert len(listings["1000SHIBUSDT"].mark.stored) == 0


def test_the_trading_grid_is_seen_from_the_data(folder):
    instrument = datadir_market(folder).venues["spot"]["BTCUSDT"].instrument
    assert (instrument.price_decimals, instrument.lot_decimals) == (1, 3)


@pytest.mark.parametrize(
    ("values", "places"), [([1.0, 2.0], 0), ([0.1, 0.25], 2), ([1e-9], 8), ([63124.01], 2), ([1e7], 0)]
)
def test_decimals_are_counted(values, places):
    assert decimals(np.array(values)) == places


@pytest.mark.parametrize(
    ("name", "broken", "words"),
    [
        ("XRP_USDT-15m.feather", frame().drop(columns="low"), "XRP_USDT-15m.feather has no column low"),
        ("XRP_USDT-15m.feather", frame().iloc[::-1].reset_index(drop=True), "XRP_USDT-15m.feather: row 1 opens"),
        ("XRP_USDT-15m.feather", frame().iloc[:0], "XRP_USDT-15m.feather has 0 rows"),
    ],
)
def test_a_broken_file_is_refused_by_name(folder, name, broken, words):
    broken.to_feather(folder / name)
    with pytest.raises(ValueError, match=words):
        datadir_market(folder)


def test_a_folder_without_candles_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no candles"):
        datadir_market(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        datadir_market(tmp_path / "nowhere")
