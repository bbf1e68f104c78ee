"""The haircut by hand: what a book takes, what the way costs, and what reaches the page (EXE-7)."""

import json

import numpy as np
import pytest
from tradekernels.execution import Latency

from tools.commands.backtest import report_again
from tools.report.__main__ import main
from tools.report.document import build
from tools.report.figures import figures
from tools.report.market import read_market
from tools.report.micro import PARTS, Path, Venue, replay, take
from tools.report.page import render
from tools.report.result import read_result

from .conftest import FEE, START_MS, STEP
from .test_page import DATA

PAIR = "BTC/USDT:USDT"
AT_ONCE = Latency(base_ms=0.0, jitter_ms=0.0, spike_probability=0.0)
VENUE = Venue(latency=AT_ONCE, half_spread_bps=1.0, depth=(0.05, 0.1))


def market_of(world):
    bars = len(next(iter(world.frames.values())))
    return read_market(world.datadir, world.frames, "15m", START_MS, START_MS + (bars - 1) * STEP)


def backtest_of(world, *trades):
    return read_result(world.write({"A": world.stats(list(trades))}))


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    ("minutes", "mean_bps"),
    [
        (0.04, 1.0),  # the best level holds it
        (0.10, 2.0),  # half of it there at 1 bp, half a level on at 3 bps
        (0.25, (0.05 * 1 + 0.1 * 3 + 0.1 * 5) / 0.25),  # what is deeper holds as much as the last that is known
    ],
)
def test_an_order_pays_what_it_takes_from_the_levels(minutes, mean_bps, side):
    best, mean = take(minutes, side, VENUE)
    assert (best - 1) * side * 1e4 == pytest.approx(1.0, abs=1e-4)
    assert (mean - 1) * side * 1e4 == pytest.approx(mean_bps, abs=1e-4)


def test_what_no_book_holds_has_no_price():
    assert take(101.0, 1.0, VENUE) is None
    assert take(90.0, -1.0, VENUE)[1] > 0.8


def test_an_order_is_sent_when_its_price_is_reached_and_meets_the_price_of_its_arrival():
    path = Path(100.0, np.array([1000, 2000, 3000, 4000]), np.array([100.0, 98.5, 97.0, 99.0]))
    assert path.price_at(0, 100.0, 0.0) == 100.0  # at the open, at once
    assert path.price_at(0, 100.0, 2500.0) == 98.5
    assert path.price_at(0, 98.0, 0.0) == 97.0  # a stop at 98: the first print beyond it
    assert path.price_at(0, 98.0, 1000.0) == 99.0
    assert path.price_at(0, 105.0, 0.0) == 100.0  # never there: taken as sent at its time
    assert path.price_at(2000, 100.0, 0.0) == 98.5  # a time within the candle, as a finer timeframe gives


def test_without_a_way_and_without_depth_to_take_only_half_the_spread_and_its_fee_are_paid(world):
    trade = world.trade(PAIR, 100, 4, stake=1e-3)  # next to nothing beside the volume
    told = replay(backtest_of(world, trade), market_of(world), 7, VENUE)
    opens = world.frames[PAIR]["open"].to_numpy()
    traded = trade["amount"] * (opens[100] + opens[104])
    assert told["delay"] == pytest.approx(0.0, abs=1e-9 * traded)
    assert told["spread"] == pytest.approx(1e-4 * traded, rel=1e-4)
    assert told["impact"] == pytest.approx(0.0, abs=1e-9 * traded)
    fees = FEE * trade["amount"] * 1e-4 * (opens[100] - opens[104])  # more on what is bought, less on what is sold
    assert told["fees"] == pytest.approx(fees, abs=1e-9 * traded)
    assert told["mean_latency_ms"] == 0.0


@pytest.mark.parametrize("fallen", [1.0, 1e-7])  # to a millionth and less of an earlier price, as coins have
@pytest.mark.parametrize("short", [False, True])
def test_an_order_that_travels_for_a_whole_candle_meets_its_close(world, short, fallen):
    """So that the move of the price is known: from the open to the close, in the trader's direction."""
    frame = world.frames[PAIR]
    frame.loc[50:, ["open", "high", "low", "close"]] *= fallen
    frame.to_feather(world.datadir / "futures" / "BTC_USDT_USDT-15m-futures.feather")
    slow = Latency(base_ms=float(STEP), jitter_ms=0.0, spike_probability=0.0, timeout_ms=1e9)
    trade = world.trade(PAIR, 100, 4, short=short, stake=100 * fallen)
    told = replay(backtest_of(world, trade), market_of(world), 7, Venue(slow, 0.0, (1e6,)))
    moves = (frame["close"] - frame["open"]).to_numpy()
    delay = (-1 if short else 1) * trade["amount"] * (moves[100] - moves[104])
    assert told["delay"] == pytest.approx(delay, rel=1e-5)
    assert told["spread"] == told["impact"] == 0.0


def test_a_stop_inside_a_candle_pays_for_the_print_that_broke_it(world):
    frame, trade = world.frames[PAIR], world.trade(PAIR, 100, 4)
    low, opened = frame["low"][104], frame["open"][104]
    stop = low + 0.3 * (opened - low)
    trade["orders"][1]["safe_price"] = stop
    told = replay(backtest_of(world, trade), market_of(world), 7, VENUE)
    assert 0 <= told["delay"] <= trade["amount"] * (stop - low) * (1 + 1e-6)


def test_parts_add_up_by_trade_and_the_same_seed_gives_the_same(world):
    backtest, market = backtest_of(world, *world.busy(40)), market_of(world)
    told = replay(backtest, market, 7)
    assert told["orders"] == 80
    assert told["unpriced"] == []
    assert 250 <= told["mean_latency_ms"] <= 320
    assert told["haircut"] == pytest.approx(sum(told[name] for name in PARTS))
    assert sum(each["haircut"] for each in told["trades"]) == pytest.approx(told["haircut"])
    for each in told["trades"]:
        assert each["profit_after"] == each["profit"] - each["haircut"]
    assert told["spread"] > 0
    assert told["impact"] > 0
    assert replay(backtest, market, 7) == told
    assert replay(backtest, market, 8)["delay"] != told["delay"]


def test_more_money_pays_more_for_each_coin(world):
    market = market_of(world)
    small, large = (
        replay(backtest_of(world, world.trade(PAIR, 100, 4, stake=stake)), market, 7)["haircut_bps"]
        for stake in (1.0, 300.0)
    )
    assert large > 2 * small > 0


def test_orders_that_have_no_price_are_counted_by_reason_and_cost_nothing(world):
    trades = [world.trade(PAIR, 100, 4), world.trade(PAIR, 110, 4, stake=1e9), world.trade(PAIR, 120, 4)]
    trades[2]["pair"] = "GONE/USDT:USDT"
    told = replay(backtest_of(world, *trades), market_of(world), 7)
    assert told["unpriced"] == [
        {"reason": "larger than the book", "orders": 2},
        {"reason": "no candles", "orders": 2},
    ]
    assert [each["haircut"] == 0.0 for each in told["trades"]] == [False, True, True]
    world.frames[PAIR].assign(volume=0.0).to_feather(world.datadir / "futures" / "BTC_USDT_USDT-15m-futures.feather")
    told = replay(backtest_of(world, trades[0]), market_of(world), 7)
    assert told["unpriced"] == [{"reason": "no volume", "orders": 2}]


def test_a_backtest_without_a_trade_has_no_haircut(world):
    told = replay(backtest_of(world), market_of(world), 7)
    assert told["haircut"] == 0.0
    assert told["haircut_bps"] is None


def test_the_command_prints_each_trade_and_the_page_says_what_the_json_does(world, tmp_path, capsys):
    """EVA-7, REP-3: `tools/report --micro`."""
    path, out = world.write({"A": world.stats(world.busy(10))}), tmp_path / "r.json"
    arguments = [str(path), "--datadir", str(world.datadir), "--out", str(tmp_path / "r.html"), "--json", str(out)]
    arguments += ["--random-runs", "5"]
    assert main(arguments) == 0
    assert json.loads(out.read_text())["micro"] is None
    assert main([*arguments, "--micro"]) == 0
    document, said = json.loads(out.read_text()), capsys.readouterr().out
    assert sum(": profit " in line for line in said.splitlines()) == 10
    assert f"haircut of 10 trades {document['micro']['haircut']:+,.2f}" in said
    assert any("replayed as market orders in a book" in each["text"] for each in document["verdict"])
    page = (tmp_path / "r.html").read_text()
    assert dict(DATA.findall(page))["micro.haircut"] == json.dumps(document["micro"]["haircut"])
    again, market = build(read_result(path), world.datadir, runs=5, micro=True)
    assert render(again, figures(again, market)) == page


def test_the_verb_hands_the_wish_on(world, tmp_path, monkeypatch, capfd):
    """CMD-5: `tools/start.sh report RESULT --micro`."""
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    path = world.write({"A": world.stats([world.trade(PAIR, 100, 4)])})
    assert report_again(path, world.datadir, tmp_path / "r.html", micro=True) == 0
    assert json.loads((tmp_path / "r.json").read_text())["micro"]["orders"] == 2
    assert capfd.readouterr().out.splitlines() == [str(tmp_path / "r.html")]
