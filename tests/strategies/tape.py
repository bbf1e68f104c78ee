"""An exchange that has seen some of its candles and sees one more when a test says so.

From: the stub's random walk. To: `test_parity`, as a server on loopback and as Freqtrade's candle files.
"""

import threading
from contextlib import contextmanager

import numpy as np
import pandas as pd
import uvicorn
from stub_service import candles

from tools.exchange.candles import Candles
from tools.exchange.history import History
from tools.exchange.market import Funding, Instrument, Listing, Market
from tools.exchange.server import bind
from tools.exchange.wire.app import create_app

PAIRS = {"spot": "BTC/USDT", "futures": "BTC/USDT:USDT"}
BAR = pd.Timedelta("15min")


def market(rows):
    """Return candles of 60,000 to the cent, so that a tick is next to nothing, each opening at the last close."""
    frame = candles(rows, "2025-01-01", seed=11)
    close = (frame["close"] * 600).round(2)
    opened = close.shift(1).fillna(close[0])
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    return frame.assign(open=opened, high=high, low=low, close=close, volume=frame["volume"].round(5) * 1000)


class Tape:
    """One pair of 15m, its first `n` candles seen; a perpetual's mark price is its price, and its funding nothing."""

    def __init__(self, mode, frame, n):
        self.mode, self.frame, self.n = mode, frame, n
        self.history = History({"15m": self.seen})
        listing = Listing(Instrument("BTC", "USDT", mode, 2, 8), self.history, self.history, self.funding)
        self.app = create_app(Market("a tape", [listing]))

    @property
    def newest(self):
        """Open time of the newest candle."""
        return self.frame["date"][self.n - 1]

    def seen(self):
        part = self.frame.iloc[: self.n]
        columns = (part[name].to_numpy(np.float64) for name in ("open", "high", "low", "close", "volume"))
        return Candles(part["date"].dt.as_unit("ms").astype("int64").to_numpy(), *columns)

    def funding(self):
        """Return rates of 0 every 8 hours: the environment knows no funding."""
        times = pd.date_range(self.frame["date"].iloc[0].floor("8h"), self.frame["date"].iloc[-1], freq="8h")
        return Funding(times.as_unit("ms").astype("int64").to_numpy(), np.zeros(len(times)))

    def advance(self):
        self.n += 1
        self.history._loaded.clear()
        self.history._served.clear()

    def store(self, datadir):
        """Write all candles as `freqtrade download-data` would."""
        if self.mode == "spot":
            datadir.mkdir()
            self.frame.to_feather(datadir / "BTC_USDT-15m.feather")
            return
        (datadir / "futures").mkdir(parents=True)
        hours = self.frame[self.frame["date"].dt.minute == 0].reset_index(drop=True)
        funding = pd.DataFrame({"date": hours["date"], "funding_rate": 0.0})
        for kind, frame in (("15m-futures", self.frame), ("1h-mark", hours), ("1h-funding_rate", funding)):
            frame.to_feather(datadir / "futures" / f"BTC_USDT_USDT-{kind}.feather")

    @contextmanager
    def serving(self):
        """Yield the port."""
        with bind("127.0.0.1", 0) as bound:
            server = uvicorn.Server(uvicorn.Config(self.app, log_level="warning", access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
            thread.start()
            try:
                yield bound.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join(10)
