"""The synthetic market keeps its promises: laws of candles, facts of real returns, the same market every time."""

import hashlib
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tools.exchange.intervals import DAY, HOUR
from tools.exchange.synthetic.clock import Clock
from tools.exchange.synthetic.derivatives import FUNDING_CAP, INTEREST, funding
from tools.exchange.synthetic.market import synthetic_market

END = datetime(2025, 10, 1)
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]


@pytest.fixture(scope="module")
def year():
    """A year of 15m candles: long enough for statistics."""
    return synthetic_market(11, PAIRS, 365, END, "15m")


def closes(market, symbol, interval="15m"):
    return market.venues["futures"][symbol].trades.candles(interval).close


def returns(market, symbol):
    return np.diff(np.log(closes(market, symbol)))


def autocorrelation(values, lag):
    return np.corrcoef(values[lag:], values[:-lag])[0, 1]


def digest(market):
    """Return a hash of every byte that a market can serve."""
    content = hashlib.sha256()
    for listings in market.venues.values():
        for symbol, listing in listings.items():
            content.update(symbol.encode())
            for history in (listing.trades, listing.mark):
                for interval in history.stored:
                    for column in history.load(interval).columns():
                        content.update(column.tobytes())
            content.update(listing.funding.time.tobytes() + listing.funding.rate.tobytes())
    return content.hexdigest()


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**40),
    coin=st.sampled_from(["BTC", "DOGE", "XRP", "PEPE", "A", "1000SHIB"]),
    interval=st.sampled_from(["1m", "5m", "15m", "1h"]),
    days=st.integers(1, 8),
)
def test_every_candle_obeys_the_laws_of_candles(seed, coin, interval, days):
    market = synthetic_market(seed, [f"{coin}/USDT"], days, END, interval)
    for listings in market.venues.values():
        for listing in listings.values():
            grid = (10**listing.instrument.price_decimals, 10**listing.instrument.lot_decimals)
            for history in (listing.trades, listing.mark):
                for name in history.stored:
                    candles = history.load(name)
                    assert len(candles) == days * DAY // (candles.open_time[1] - candles.open_time[0])
                    assert (candles.low > 0).all()
                    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
                    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
                    assert_array_equal(candles.open[1:], candles.close[:-1])
            traded = listing.trades.load(interval)
            assert (traded.volume >= 1 / grid[1]).all()
            for size, columns in zip(grid, (traded.columns()[1:5], (traded.volume,)), strict=True):
                for column in columns:
                    assert_array_equal(np.rint(column * size) / size, column)


def test_a_seed_names_one_market_in_every_process(market):
    """SIM-3."""
    code = (
        "import sys, runpy; from datetime import datetime;"
        "from tools.exchange.synthetic.market import synthetic_market;"
        f"digest = runpy.run_path({__file__!r})['digest'];"
        f"print(digest(synthetic_market(7, {PAIRS!r}, 12, datetime(2025, 10, 1), '5m')))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(market)
    assert digest(synthetic_market(8, PAIRS, 12, END, "5m")) != digest(market)


def test_a_coin_stays_as_it_is_when_others_join(market):
    alone = synthetic_market(7, ["ETH/USDT"], 12, END, "5m")
    assert_array_equal(closes(alone, "ETHUSDT", "5m"), closes(market, "ETHUSDT", "5m"))


def test_coins_move_together(year):
    together = np.corrcoef([returns(year, symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")])
    assert (together[np.triu_indices(3, 1)] > 0.5).all()
    assert (together[np.triu_indices(3, 1)] < 0.95).all()


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_volatility_clusters_while_direction_does_not(year, symbol):
    """|return| remembers an hour and a day; a return remembers nothing (5 standard errors, widened for fat tails)."""
    change = returns(year, symbol)
    for lag, least in ((1, 0.15), (4, 0.12), (96, 0.08)):
        assert autocorrelation(np.abs(change), lag) > least
    for lag in (1, 2, 4, 16, 96):
        product = change[lag:] * change[:-lag]
        assert abs(product.mean()) < 5 * product.std() / np.sqrt(len(product))


def test_returns_have_fat_tails_and_the_size_of_the_coin(year):
    for symbol, daily in (("BTCUSDT", 0.026), ("SOLUSDT", 0.042)):
        change = returns(year, symbol)
        assert 4 < ((change / change.std()) ** 4).mean() < 60
        assert 0.75 * daily < change.std() * np.sqrt(96) < 1.5 * daily


def test_days_have_their_rhythm(year):
    """The American morning is busier than the night before Europe wakes, in prices and in volume."""
    candles = year.venues["futures"]["BTCUSDT"].trades.load("15m")
    hour = candles.open_time % DAY // HOUR
    busy, quiet = (hour >= 13) & (hour < 17), (hour >= 2) & (hour < 6)
    spread = np.log(candles.high / candles.low)
    assert spread[busy].mean() > 1.2 * spread[quiet].mean()
    assert candles.volume[busy].mean() > 1.2 * candles.volume[quiet].mean()


def test_volume_rises_with_the_move(year):
    candles = year.venues["futures"]["BTCUSDT"].trades.load("15m")
    assert np.corrcoef(np.abs(np.log(candles.close / candles.open)), np.log(candles.volume))[0, 1] > 0.2


def test_spot_perpetual_and_mark_stay_close(year):
    perpetual = year.venues["futures"]["ETHUSDT"]
    spot = year.venues["spot"]["ETHUSDT"].trades.load("15m").close
    for other in (perpetual.trades.load("15m").close, perpetual.mark.load("15m").close):
        assert np.abs(other / spot - 1).max() < 0.004


def test_funding_is_paid_every_eight_hours_and_within_its_cap(year):
    rates = year.venues["futures"]["BTCUSDT"].funding
    assert len(rates.time) == 3 * 365
    assert (rates.time % (8 * HOUR) == 0).all()
    assert np.abs(rates.rate).max() <= FUNDING_CAP
    assert 0 < rates.rate.mean() < 5e-4


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        (0.0, INTEREST),  # near the interest the rate is the interest
        (0.0005, INTEREST),
        (0.0010, 0.0005),  # above it, the premium less the damper
        (-0.0010, -0.0005),
        (0.0500, FUNDING_CAP),
    ],
)
def test_a_steady_premium_gives_the_funding_of_binances_formula(premium, rate):
    clock = Clock(0, 2 * DAY, "1h")
    assert funding(clock, np.full(clock.n_hours, premium)).rate == pytest.approx([rate] * 6)


def test_funding_looks_back_and_its_last_hour_weighs_most():
    """A premium of 0.9 % that starts at 08:00: its first hour has 8 of 36 weights, then comes the damper of 5 bp."""
    clock = Clock(0, 2 * DAY, "1h")
    premium = np.where(np.arange(clock.n_hours) >= 8, 0.009, 0.0)
    assert funding(clock, premium).rate[:3] == pytest.approx([INTEREST, 0.009 * 8 / 36 - 0.0005, FUNDING_CAP])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"interval": "7m"}, "timeframe is 7m, expected one of 1m"),
        ({"pairs": ["BTC-USDT"]}, "pair is BTC-USDT, expected a name like"),
        ({"pairs": ["BTC/USDT:BTC"]}, "pair is BTC/USDT:BTC"),
        ({"days": 0}, "days is 0, expected 1 to"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_a_market_is_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        synthetic_market(**{"seed": 7, "pairs": PAIRS, "days": 2, "end": END, "interval": "5m", **change})


def hourly_returns(market):
    close = market.venues["futures"]["BTCUSDT"].trades.candles("1h").close
    return np.diff(np.log(close))


def test_a_planted_trend_can_be_forecast_and_a_fair_game_cannot():
    fair = hourly_returns(synthetic_market(3, ["BTC/USDT"], 365, END, "15m"))
    planted = hourly_returns(synthetic_market(3, ["BTC/USDT"], 365, END, "15m", planted_trend=0.4))
    assert abs(autocorrelation(fair, 1)) < 0.05
    assert autocorrelation(planted, 1) > 0.06
    past, future = (np.convolve(planted, np.ones(8), "valid")[part] for part in (slice(None, -8), slice(8, None)))
    assert np.corrcoef(past, future)[0, 1] > 0.2


def test_a_planted_trend_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"planted_trend is 1\.5, expected 0 to 1"):
        synthetic_market(3, ["BTC/USDT"], 5, END, "15m", planted_trend=1.5)
