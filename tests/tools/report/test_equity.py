"""Equity: worked out by hand on four candles, and reconciled with Freqtrade's own balance."""

import numpy as np
import pandas as pd
import pytest

from tools.report.equity import buy_and_hold, strategy_curve
from tools.report.market import Market, PairCandles, read_market
from tools.report.result import read_result

from .conftest import FEE, START_MS, STEP

PAIR = "BTC/USDT:USDT"


def market_of(world, bars=None):
    bars = bars or len(next(iter(world.frames.values())))
    return read_market(world.datadir, world.frames, "15m", START_MS, START_MS + (bars - 1) * STEP)


def test_a_leveraged_short_is_marked_to_market_by_hand(world):
    """Short 2 coins at 100 in candle 1, closes 101, 98, 97, out at 99 in candle 3, 0.3 of funding over two candles."""
    times = START_MS + np.arange(4) * STEP
    close = np.array([100.0, 101.0, 98.0, 97.0])
    market = Market(STEP, START_MS, times + STEP, {PAIR: PairCandles(times, *[close] * 5, 0, "")}, {})
    trade = world.trade(PAIR, 1, 2, short=True, stake=100.0, leverage=2.0)
    trade |= {"open_rate": 100.0, "close_rate": 99.0, "amount": 2.0, "funding_fees": 0.3}
    trade["orders"] = []
    trade["profit_abs"] = 2 * (100 - 99) - FEE * 200 - FEE * 198 + 0.3
    backtest = read_result(world.write({"A": world.stats([trade], bars=4)}))
    curve, account = strategy_curve(backtest, market)
    # At the close of candle 1 one of two candles of funding has accrued, at the close of candle 2 all of it.
    expected = [0, 0, 2 * (100 - 101) - 0.1 + 0.15, 2 * (100 - 98) - 0.1 + 0.3, 2 - 0.1 - 0.099 + 0.3]
    assert curve.values - 1000 == pytest.approx(np.array(expected))
    assert account.to_the_cent


def test_the_last_point_is_freqtrades_final_balance(world):
    backtest = read_result(world.write({"A": world.stats(world.busy(200))}))
    curve, account = strategy_curve(backtest, market_of(world))
    assert curve.values[-1] == pytest.approx(backtest["final_balance"], abs=1e-6)
    assert account.difference == pytest.approx(0.0, abs=1e-6)
    assert account.largest_trade_gap < 1e-6


def test_a_balance_that_freqtrade_states_otherwise_is_noticed(world):
    backtest = read_result(world.write({"A": world.stats(world.busy(20), final_balance=1234.0)}))
    _, account = strategy_curve(backtest, market_of(world))
    assert not account.to_the_cent


def test_a_position_built_and_sold_in_parts_follows_its_orders(world):
    trade = world.trade(PAIR, 10, 8)
    buy, sell = trade["orders"]
    opens = world.frames[PAIR]["open"].to_numpy()
    more = buy | {"order_filled_timestamp": START_MS + 12 * STEP, "safe_price": opens[12]}
    some = sell | {"order_filled_timestamp": START_MS + 14 * STEP, "safe_price": opens[14]}
    trade["orders"] = [buy, more, some, sell]
    cash = [side * buy["amount"] * opens[bar] for side, bar in ((-1, 10), (-1, 12), (1, 14), (1, 18))]
    trade["profit_abs"] = sum(cash) - FEE * sum(map(abs, cash))
    backtest = read_result(world.write({"A": world.stats([trade])}))
    market = market_of(world)
    curve, account = strategy_curve(backtest, market)
    held = 2 * buy["amount"] * market.closes(PAIR)[13]
    assert curve.values[14] - 1000 == pytest.approx(cash[0] + cash[1] - FEE * (-cash[0] - cash[1]) + held)
    assert account.largest_trade_gap < 1e-9


def test_an_open_trade_counts_at_the_last_close_and_not_in_the_balance(world):
    trades = [world.trade(PAIR, 10, 8), world.trade(PAIR, 100, 20, is_open=True)]
    backtest = read_result(world.write({"A": world.stats(trades)}))
    market = market_of(world)
    curve, account = strategy_curve(backtest, market)
    bought = trades[1]["amount"] * (market.closes(PAIR)[-1] - trades[1]["open_rate"]) - FEE * 100
    assert account.open_profit == pytest.approx(bought)
    assert curve.values[-1] == pytest.approx(backtest["final_balance"] + bought)
    assert account.to_the_cent


def test_a_pair_without_candles_counts_when_its_trades_close(world):
    trades = [world.trade(PAIR, 10, 8), world.trade("ETH/USDT:USDT", 20, 5)]
    backtest = read_result(world.write({"A": world.stats(trades)}))
    (world.datadir / "futures" / "ETH_USDT_USDT-15m-futures.feather").unlink()
    market = market_of(world)
    curve, account = strategy_curve(backtest, market)
    assert list(market.missing) == ["ETH/USDT:USDT"]
    assert curve.values[26] - curve.values[25] == pytest.approx(trades[1]["profit_abs"])
    assert account.to_the_cent


def test_without_any_candles_the_balance_still_agrees(world, tmp_path):
    backtest = read_result(world.write({"A": world.stats(world.busy(20))}))
    market = read_market(tmp_path / "nowhere", world.frames, "15m", START_MS, backtest["backtest_end_ts"])
    assert strategy_curve(backtest, market)[1].to_the_cent
    assert buy_and_hold(backtest, market) is None


def test_buy_and_hold_is_equal_parts_net_of_two_fees(world):
    backtest = read_result(world.write({"A": world.stats(world.busy(4))}))
    hold = buy_and_hold(backtest, market_of(world))
    growth = np.mean([frame["close"].iloc[-1] / frame["open"].iloc[0] for frame in world.frames.values()])
    assert hold.values[0] == 1000
    assert hold.values[-1] == pytest.approx(1000 / (1 + FEE) * growth * (1 - FEE))


def test_a_gap_in_the_candles_keeps_the_last_price_and_is_counted(world):
    path = world.datadir / "futures" / "BTC_USDT_USDT-15m-futures.feather"
    frame = pd.read_feather(path)
    frame.drop(range(50, 60)).reset_index(drop=True).to_feather(path)
    market = market_of(world)
    assert market.pairs[PAIR].missing_bars == 10
    assert (market.closes(PAIR)[50:60] == frame["close"][49]).all()
    backtest = read_result(world.write({"A": world.stats(world.busy(60))}))
    assert strategy_curve(backtest, market)[1].to_the_cent
