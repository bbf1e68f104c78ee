"""A PPOAgent that writes down what it sees, and a dry-run that walks over a tape at the pace of a test.

From: `freqtrade_process`, `tape`. To: `test_parity`.
"""

import json
import sqlite3
import time
from contextlib import closing, contextmanager

import pandas as pd
from freqtrade_process import Freqtrade, merged
from tape import BAR, PAIRS

SPY = """
import json, os
from strategies.ppo_agent import PPOAgent as Agent


def note(**words):
    with open(os.environ["SPY"], "a") as file:
        file.write(json.dumps(words, default=str) + chr(10))


class PPOAgent(Agent):
    position_adjustment_enable = True

    def bot_start(self, **kwargs):
        super().bot_start(**kwargs)
        from strategies.shared.accounts import Accounts
        self.accounts = Accounts(self, self.timeframe)

    def bot_loop_start(self, current_time, **kwargs):
        super().bot_loop_start(current_time, **kwargs)
        for pair in self.dp.current_whitelist():
            frame, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
            if len(frame):
                account, fields = self.accounts.fields(pair, frame)
                note(date=frame["date"].iloc[-1], weight=account.weight, fields=fields, close=frame["close"].iloc[-1])
        note(loop=current_time)

    def populate_exit_trend(self, dataframe, metadata):
        dataframe = super().populate_exit_trend(dataframe, metadata)
        note(asked=dataframe["date"].iloc[-1], row=dataframe.drop(columns="date").iloc[-1].to_dict())
        return dataframe
"""


def spied(folder, tape, port, url):
    """Return Freqtrade with the agent above, which buys and sells at the other side's price at once."""
    one = Freqtrade(folder / "ft", port, tape.mode, url)
    prices, every_loop = {"price_side": "other"}, {"ohlcv_max_poll_interval_secs": 0}
    changes = {
        "exchange": {"pair_whitelist": [PAIRS[tape.mode]], "_ft_has_params": every_loop}, "entry_pricing": prices,
        "exit_pricing": prices, "internals": {"process_throttle_secs": 1, "heartbeat_interval": 0},
    }  # fmt: skip
    one.config.write_text(json.dumps(merged(json.loads(one.config.read_text()), changes)))
    (folder / "strategies").mkdir()
    (folder / "strategies" / "spy.py").write_text(SPY)
    return one


def notes(path):
    """Return what the spy has written so far; its last line may still be in the making."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


class DryRun:
    """Bots one after another on one tape, one database and one clock."""

    def __init__(self, folder, tape, port, url):
        self.tape, self.spy, self.log, self.clock = tape, folder / "spy", folder / "log", folder / "clock"
        self.freqtrade, self.strategies = spied(folder, tape, port, url), folder / "strategies"
        self.set_clock()

    @contextmanager
    def bot(self):
        words = ("--strategy-path", str(self.strategies))
        with self.freqtrade.trading("PPOAgent", self.log, *words, clock=self.clock, SPY=self.spy) as self.process:
            yield

    def set_clock(self):
        self.clock.write_text(str((self.tape.newest + BAR).timestamp() + 2.0))

    def advance(self):
        """Let the next candle close."""
        self.tape.advance()
        self.set_clock()

    def play(self, steps):
        """Wait until as many candles, the newest first, are decided on, and their orders placed, filled and booked."""
        for step in range(steps):
            self.wait_until(lambda: str(self.tape.newest) in self.asked())
            seen = self.loops()
            self.wait_until(lambda: self.loops() >= seen + 2)  # noqa: B023
            if step < steps - 1:
                self.advance()

    def wait_until(self, reached):
        deadline = time.monotonic() + 60
        while not reached():
            assert self.process.poll() is None, self.log.read_text()[-6000:]
            assert time.monotonic() < deadline, f"{self.spy.read_text()[-600:]}\n{self.log.read_text()[-6000:]}"
            time.sleep(0.02)

    def asked(self):
        """Return the columns of each candle that was the newest, by its open time."""
        return {each["asked"]: each["row"] for each in notes(self.spy) if "asked" in each}

    def loops(self):
        return sum("loop" in each for each in notes(self.spy))

    def query(self, words):
        with closing(sqlite3.connect(f"file:{self.freqtrade.folder}/trades.sqlite?mode=ro", uri=True)) as database:
            return database.execute(words).fetchall()

    def trades(self):
        return self.query("select is_open, exit_reason from trades order by id")

    def orders(self):
        """Return signed base currency by the row of the candle whose close an order was sent at."""
        orders = {}
        for when, side, amount in self.query("select order_date, side, filled from orders where filled > 0"):
            row = int((pd.Timestamp(when, tz="UTC") - self.tape.frame["date"][0]) / BAR) - 1
            orders[row] = orders.get(row, 0.0) + amount * (1 if side == "buy" else -1)
        return orders
