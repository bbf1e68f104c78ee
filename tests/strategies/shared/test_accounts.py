"""The account that a bot reads from its trades is the one that the environment keeps (PPA-2, OBS-61).

Random actions drive the environment's kernel, long and short; its fills are written down as Freqtrade's orders, and the
slots that come of them are those that the environment shows.
"""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from ccxt import DECIMAL_PLACES
from freqtrade.persistence import LocalTrade, Order, disable_database_use, enable_database_use
from stub_service import candles
from tradekernels.environment import Costs, Risk, Settings, TradingEnvironment, market
from tradekernels.execution import Fees, Latency, Quantiser, Slippage
from tradekernels.observation import fit, observation_set

from strategies.shared.accounts import Accounts

PAIR, FEE, ROWS = "BTC/USDT:USDT", 0.001, 160
CASH = 9900.0 / 3


@pytest.fixture
def book():
    """Freqtrade's trades in memory, as in a backtest."""
    disable_database_use("15m")
    LocalTrade.reset_trades()
    yield LocalTrade
    LocalTrade.reset_trades()
    enable_database_use()


def strategy(**changes):
    def starting_balance():
        """As Freqtrade works it out: what an open trade has realised is in the free balance, and not taken off."""
        return 9900.0 + 0.99 * sum(trade.realized_profit for trade in LocalTrade.bt_trades_open)

    wallets = SimpleNamespace(get_starting_balance=starting_balance)
    provider = SimpleNamespace(current_whitelist=lambda: [PAIR, "ETH/USDT:USDT"])
    config = {"stake_amount": "unlimited", "tradable_balance_ratio": 0.99}
    made = SimpleNamespace(wallets=wallets, dp=provider, config=config, max_open_trades=3)
    made.__dict__.update(changes)
    return made


def write_down(when, amount, price):
    """Book a fill of signed base currency: more of the open trade, less of it, or the end of it and a new one."""
    side = "buy" if amount > 0 else "sell"
    open_trades = list(LocalTrade.bt_trades_open)
    trade = open_trades[0] if open_trades else None
    if trade is not None and side == trade.exit_side and abs(amount) > trade.amount - 1e-9:
        rest = abs(amount) - trade.amount
        order(trade, side, trade.amount, price, when)
        trade.close_date = when
        trade.close(price, show_msg=False)
        LocalTrade.close_bt_trade(trade)
        if rest > 1e-9:
            write_down(when, rest * np.sign(amount), price)
        return
    if trade is None:
        trade = LocalTrade(
            id=len(LocalTrade.bt_trades) + 1, pair=PAIR, base_currency="BTC", stake_currency="USDT", open_rate=price,
            open_rate_requested=price, open_date=when, stake_amount=0.0, amount=0.0, fee_open=FEE, fee_close=FEE,
            is_open=True, exchange="binance", is_short=amount < 0, leverage=1.0, orders=[],
            amount_precision=5, precision_mode=DECIMAL_PLACES,
        )  # fmt: skip
        LocalTrade.add_bt_trade(trade)
    order(trade, side, abs(amount), price, when)
    trade.recalc_trade_from_orders()


def order(trade, side, amount, price, when):
    made = Order(
        ft_trade_id=trade.id, ft_is_open=False, ft_pair=PAIR, order_id=str(len(trade.orders)), ft_order_side=side,
        side=side, order_type="limit", status="closed", order_date=when, order_filled_date=when, price=price,
        average=price, ft_price=price, ft_amount=amount, amount=amount, filled=amount, remaining=0.0,
    )  # fmt: skip
    made._trade_bt = trade
    trade.orders.append(made)


@pytest.mark.parametrize("can_short", [False, True])
def test_slots_are_those_of_the_environment(book, can_short):
    frame = candles(ROWS, seed=4)
    observations = observation_set(fit(frame, "15m"), [PAIR])
    free = Costs(Fees(10, 10), Slippage(0, 0, 0), Latency(base_ms=0.0, jitter_ms=0.0, spike_probability=0.0))
    settings = Settings(free, risk=Risk(max_drawdown=1, max_intrabar_drawdown=1), cash=CASH, can_short=can_short)
    grid = Quantiser("0.00001", "0.00001", 0)
    place = market(PAIR, frame, observations.market(frame), "15m", grid)
    environment = TradingEnvironment(place, 1, settings)
    seen = environment.reset(pairs=0, rows=0)
    accounts, draw = Accounts(strategy(), "15m"), np.random.default_rng(5)
    target, orders = 0.0, 0
    for row in range(ROWS - 1):
        account, fields = accounts.fields(PAIR, frame.iloc[: row + 1])
        mine = observations.market(frame)[row : row + 1]
        observations.fill_agent(mine, [fields], [account.price])
        np.testing.assert_allclose(mine[0, 21:27], seen[0, 21:27], atol=2e-5, err_msg=f"row {row}")
        assert account.weight == pytest.approx(environment.weight()[0], abs=2e-5)
        if draw.random() < 0.4:
            target = draw.choice([0.0, draw.uniform(-0.9 if can_short else 0.1, 0.9)])
            before = environment.units()[0]
            seen = environment.step(np.array([target])).observation
            traded = environment.units()[0] - before
            if traded:
                price = round(frame["open"][row + 1] * 1e5) / 1e5
                write_down((frame["date"][row] + timedelta(minutes=15)).to_pydatetime(), traded, price)
                orders += 1
        else:
            units, worth = environment.units()[0], environment.copies["worth"][0]
            half_a_lot_more = (units + 0.5e-5 * np.sign(units)) * account.price / worth  # nothing is ordered
            seen = environment.step(np.array([half_a_lot_more])).observation
            assert environment.copies["n_trades"][0] == orders
    assert orders > 40
    assert len(LocalTrade.bt_trades) > 10


def test_a_pair_begins_with_its_share(book):
    """The rule of docs/strategies.md: tradable balance by max_open_trades, or the fixed stake."""
    assert Accounts(strategy(), "15m").opening() == 3300
    assert Accounts(strategy(max_open_trades=float("inf")), "15m").opening() == 4950  # two pairs
    fixed = {"stake_amount": 250, "tradable_balance_ratio": 0.99}
    assert Accounts(strategy(config=fixed), "15m").opening() == 250


def test_a_pair_list_that_shrinks_enlarges_no_account(book):
    """A filter or a fault may empty it: the whole balance would be the account of each trade that is open."""
    pairs = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
    provider = SimpleNamespace(current_whitelist=lambda: pairs)
    accounts = Accounts(strategy(max_open_trades=float("inf"), dp=provider), "15m")
    assert accounts.opening() == 3300
    pairs.clear()
    assert accounts.opening() == 3300


def test_another_history_is_not_mixed_with_this_one(book):
    """Hyperopt trades the same candles again with the same object."""
    frame = candles(200)
    accounts, when = Accounts(strategy(), "15m"), frame["date"][10].to_pydatetime()
    write_down(when, 1.0, 100.0)
    write_down(when + timedelta(minutes=15), -1.0, 150.0)
    assert accounts.fields(PAIR, frame)[0].cash == pytest.approx(3300 + 50 - 0.25)
    LocalTrade.reset_trades()
    assert accounts.fields(PAIR, frame)[0].cash == 3300
