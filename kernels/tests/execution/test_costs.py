"""Holds fees, slippage and latency to slow twins, hand values and laws (EXE-1, EXE-2, EXE-3)."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradekernels.execution import CounterRandom, Fees, Latency, Slippage, hour_of_week

notionals = st.decimals(0, 10_000_000, places=7).map(float)
rates = st.sampled_from(["0", "1", "2.5", "4", "7.5", "10", "12.345"])


@given(notional=notionals, bps=rates, bnb=st.booleans())
def test_a_fee_is_the_exact_one_rounded_up_to_the_quote_step(notional, bps, bnb):
    step = Fraction(1, 10**8)
    share = Fraction(bps) / 10_000 * (Fraction(3, 4) if bnb else 1)
    exact = math.ceil(Fraction(Decimal(repr(notional))) * share / step) * step
    assert float(Fees(taker_bps=bps, pay_in_bnb=bnb).fee(notional)) == float(exact)


def test_fees_by_hand():
    """EXE-1: 10 bps of 100 are 0.1; a quarter less in BNB; 0.1 of a step is a whole step."""
    assert Fees(maker_bps=2, taker_bps=10).fee([100.0, 0.0]).tolist() == [0.1, 0.0]
    assert float(Fees(maker_bps=2).fee(100.0, maker=True)) == 0.02
    assert float(Fees(pay_in_bnb=True).fee(100.0)) == 0.075
    assert float(Fees(quote_step="0.01").fee(1.0)) == 0.01
    with pytest.raises(ValueError, match="taker_bps is -1, expected at least 0"):
        Fees(taker_bps=-1)
    with pytest.raises(ValueError, match="maker_bps is 1e-07, expected below 10,000 with at most 6 decimals"):
        Fees(maker_bps=1e-7)


def test_freqtrade_charges_the_same():
    """EXE-1: Freqtrade's own fee, as its trades compute it, is ours up to the quote step."""
    persistence = pytest.importorskip("freqtrade.persistence")
    trade = persistence.LocalTrade(
        pair="BTC/USDT", stake_amount=1000.0, amount=0.02345, open_rate=50_000.01, fee_open=0.001, fee_close=0.001,
        exchange="binance", is_short=False, leverage=1.0,
    )  # fmt: skip
    notional = 0.02345 * 50_000.01
    theirs = trade.open_trade_value - notional
    assert abs(float(Fees(taker_bps=10).fee(notional)) - theirs) < 1.1e-8


def test_slippage_by_hand():
    """EXE-2: half of 2 bps, and 0.8 x 50 bps x sqrt(1/100); a spread too small to be believed counts as the least."""
    slippage = Slippage(k=0.8, spread_bps=2.0, min_half_spread_bps=0.5)
    assert slippage.bps(1.0, 100.0, 50.0).tolist() == 5.0
    assert slippage.bps(1.0, 100.0, 50.0, spread_bps=0.1).tolist() == 4.5
    assert slippage.bps([0.0, 4.0], [0.0, 0.0], 10.0).tolist() == [9.0, 9.0]


positive = st.floats(0, 1e6, allow_nan=False)


@given(size=positive, more=positive, liquidity=st.floats(1e-3, 1e9), volatility=positive, spread=positive)
def test_slippage_grows_with_size_and_agrees_with_its_twin(size, more, liquidity, volatility, spread):
    slippage = Slippage()
    small, large = slippage.bps([size, size + more], liquidity, volatility, spread)
    assert 0.5 <= small <= large
    assert small == max(spread / 2, 0.5) + 0.8 * volatility * math.sqrt(size / liquidity)
    assert slippage.bps(size, liquidity * 2, volatility, spread) <= small


def slow_latency(model, hour, words):
    """Return EXE-3 in plain Python."""
    total = 0.0
    for attempt in range(1 + model.retries):
        uniform, spike = (int(word >> np.uint64(11)) / 2**53 for word in words[2 * attempt : 2 * attempt + 2])
        one = (model.base_ms + model.jitter_ms * uniform) * model.hour_of_week[hour]
        if spike < model.spike_probability:
            one *= model.spike_multiple
        if one <= model.timeout_ms:
            return total + one, attempt + 1
        total += model.timeout_ms
    return total, 0


@pytest.mark.parametrize(
    "model",
    [
        Latency(),
        Latency(spike_probability=0.5, spike_multiple=12.0),
        Latency(spike_probability=0.9, spike_multiple=12.0, retries=0),
        Latency(hour_of_week=tuple(1 + hour / 24 for hour in range(168))),
    ],
    ids=["default", "spikes", "no retry", "seasons"],
)
def test_latency_agrees_with_its_twin(model):
    times = np.arange(2000, dtype=np.int64) * 1_234_567
    random = CounterRandom(11, 5)
    ms, attempts = model.draw(times, random, np.arange(2000))
    expected = [
        slow_latency(model, hour, words)
        for hour, words in zip(hour_of_week(times), random.words(np.arange(2000)), strict=True)
    ]
    assert list(zip(ms.tolist(), attempts.tolist(), strict=True)) == expected


def test_latency_has_the_stated_distribution():
    """EXE-3: 250 to 300 ms, in one of a hundred cases five times that."""
    ms, attempts = Latency().draw(np.zeros(200_000, dtype=np.int64), CounterRandom(1), np.arange(200_000))
    plain = ms[ms <= 300]
    assert plain.min() >= 250
    assert abs(plain.mean() - 275) < 0.2
    assert 0.009 < (ms > 1200).mean() < 0.011
    assert ms[ms > 300].min() >= 1250
    assert (attempts == 1).all()


def test_the_words_are_those_of_numpys_philox():
    theirs = np.random.Philox(key=np.array([7, 3], dtype=np.uint64)).random_raw(400).reshape(100, 4)
    assert (CounterRandom(7, 3).words(np.arange(1, 101)) == theirs).all()


def test_the_week_begins_on_monday():
    monday = np.datetime64("2024-01-01T00:30", "ms").astype(np.int64)
    assert hour_of_week(monday) == 0
    assert hour_of_week(monday - 3_600_000) == 167


def test_what_is_out_of_range_is_refused_by_name():
    with pytest.raises(ValueError, match="retries is 2, expected 0 or 1"):
        Latency(retries=2)
    with pytest.raises(ValueError, match="hour_of_week has 3 multipliers, expected 168"):
        Latency(hour_of_week=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="spike_probability is 2, expected at most 1"):
        Latency(spike_probability=2)
    with pytest.raises(ValueError, match="seed is -1, expected a whole number"):
        CounterRandom(-1)
    with pytest.raises(ValueError, match=r"shapes do not fit: size \(2,\), liquidity \(3,\)"):
        Slippage().bps([1.0, 2.0], [1.0, 2.0, 3.0], 1.0)
