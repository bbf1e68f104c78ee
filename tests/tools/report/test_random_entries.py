"""The baseline of chance (EVA-3): what a run keeps, what it draws, and that chance is judged as chance."""

import numpy as np
import pandas as pd
import pytest

from tools.report.market import Market, PairCandles
from tools.report.random_entries import outcomes, place, random_runs

from .conftest import FEE, START_MS, STEP, random_walk

PAIR = "BTC/USDT"


def market_of(bars, seed=1):
    frame = random_walk(bars, seed)
    times = START_MS + np.arange(bars) * STEP
    prices = (frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    return Market(STEP, START_MS, times + STEP, {PAIR: PairCandles(times, *prices, 0, "")}, {})


def trades_at(starts, lengths, shorts, market):
    """Return the trades table of a strategy that entered at these bars."""
    same = {"pair": PAIR, "is_open": False, "stake": 100.0, "leverage": 2.0, "funding": 0.01}
    rows = pd.DataFrame(same | {"is_short": shorts, "fee_open": FEE, "fee_close": FEE})
    profit, _ = outcomes(rows, market.pairs[PAIR], np.asarray(starts)[None], np.asarray(lengths))
    begin = START_MS + np.asarray(starts) * STEP
    return rows.assign(open_time=begin, close_time=begin + np.asarray(lengths) * STEP, profit=profit[0])


def test_a_random_trade_pays_what_freqtrade_would():
    market = market_of(50)
    rows = trades_at([3, 10], [4, 5], [False, True], market)
    opens = market.pairs[PAIR].open
    up, down = opens[7] / opens[3], opens[15] / opens[10]
    assert rows["profit"].tolist() == pytest.approx(
        [200 * (up - 1) - 200 * FEE * (1 + up) + 0.01, -200 * (down - 1) - 200 * FEE * (1 + down) + 0.01]
    )


def test_a_trade_inside_one_candle_leaves_at_its_close():
    market = market_of(50)
    rows = trades_at([5], [0], [False], market)
    growth = market.pairs[PAIR].close[5] / market.pairs[PAIR].open[5]
    assert rows["profit"][0] == pytest.approx(200 * (growth - 1) - 200 * FEE * (1 + growth) + 0.01)


def test_random_trades_of_a_pair_stay_inside_the_period_and_never_overlap():
    lengths = np.array([7, 0, 30, 1, 12])
    starts = place(lengths, 80, 300, np.random.default_rng(1))
    order = starts.argsort(axis=1)
    begin = np.take_along_axis(starts, order, 1)
    end = begin + np.maximum(lengths, 1)[order]
    assert starts.min() >= 0
    assert (starts + lengths).max() <= 79
    assert (end[:, :-1] <= begin[:, 1:]).all()
    assert len(np.unique(starts[:, 0])) > 20


def test_trades_that_cannot_stand_in_a_row_are_placed_on_their_own():
    starts = place(np.array([40, 40, 99]), 100, 50, np.random.default_rng(1))
    assert (starts + np.array([40, 40, 99])).max() <= 99


def test_a_strategy_that_is_random_gets_a_percentile_without_pattern():
    """Its percentile is uniform: Kolmogorov-Smirnov distance below the 0.1% bound, and few false alarms."""
    market = market_of(600)
    rng = np.random.default_rng(11)
    lengths = np.array([5, 9, 2, 20, 14, 3, 30, 1])
    shorts = np.array([True, False] * 4)
    percentiles, p_values = [], []
    for seed in range(300):
        rows = trades_at(place(lengths, 600, 1, rng)[0], lengths, shorts, market)
        found = random_runs(rows, market, market.close_times[-1:], 99, seed)
        percentiles.append(found.percentile / 100)
        p_values.append(found.p_value)
    distance = np.max(np.abs(np.sort(percentiles) - (np.arange(300) + 0.5) / 300))
    assert distance < 1.95 / np.sqrt(300)
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.09


def test_a_strategy_that_knows_the_future_beats_every_run():
    market = market_of(600)
    opens = market.pairs[PAIR].open
    starts = np.arange(0, 590, 10)
    rows = trades_at(starts, np.full(59, 8), opens[starts + 8] < opens[starts], market)
    found = random_runs(rows, market, market.close_times[-1:], 200, 7)
    assert found.percentile == 100
    assert found.p_value == 1 / 201


def test_the_same_seed_gives_the_same_runs_and_the_curve_ends_on_the_profit():
    market = market_of(400)
    rows = trades_at([3, 50, 100], [10, 20, 30], [False, True, False], market)
    first, again, other = (random_runs(rows, market, market.close_times[::7], 50, seed) for seed in (1, 1, 2))
    assert (first.profits == again.profits).all()
    assert (first.profits != other.profits).any()
    assert first.curves[:, -1] == pytest.approx(first.profits)


def test_five_thousand_trades_make_two_hundred_whole_runs():
    """The size of a year of scalping; how long it takes is the machine's matter."""
    market = market_of(60_000)
    starts = np.arange(5000) * 11
    times = market.close_times[::40]
    found = random_runs(trades_at(starts, np.full(5000, 8), starts % 2 == 0, market), market, times, 200, 7)
    assert found.trades == 5000
    assert found.curves.shape == (200, len(times))
    assert np.isfinite(found.profits).all()
    assert len(np.unique(found.profits)) == 200


def test_nothing_to_compare_is_none():
    market = market_of(50)
    rows = trades_at([3], [4], [False], market)
    assert random_runs(rows.iloc[:0], market, market.close_times, 200, 7) is None
    assert random_runs(rows.assign(is_open=True), market, market.close_times, 200, 7) is None
