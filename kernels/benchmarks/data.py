"""Candles to measure on. From: a seed, or Freqtrade's files in CANDLEWRIGHT_MARKET_DATA. To: the scripts."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

try:
    from tradekernels.features import References
except ImportError:  # an earlier tradekernels, whose features read no other pair
    References = SimpleNamespace

ROWS = 61_344  # 639 days of 15m candles
BAR_MS = 900_000
OTHERS = ("ETH/USDT", "SOL/USDT")


@dataclass(frozen=True)
class Market:
    """Candles of one pair, the closes of others, and what they are in words."""

    frame: pd.DataFrame
    references: Any
    what: str


def read_market(rows: int = ROWS) -> Market:
    """Return recorded candles where there are some, else seeded ones."""
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    return recorded(Path(folder), rows) if folder else random_market(rows)


def random_walk(rows: int = ROWS, seed: int = 7) -> pd.DataFrame:
    """Return seeded candles of 15m."""
    random = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(random.normal(0, 0.003, rows)))
    open_ = np.concatenate([[30_000], close[:-1]])
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.001, rows)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.001, rows)))
    date = pd.to_datetime(1_600_000_200_000 + BAR_MS * np.arange(rows), unit="ms", utc=True)
    columns = {"open": open_, "high": high, "low": low, "close": close, "volume": random.lognormal(4, 1, rows)}
    return pd.DataFrame({"date": date} | columns)


def random_market(rows: int = ROWS) -> Market:
    """Return a walk with every optional column, and three others that share some of its way."""
    frame, random = random_walk(rows), np.random.default_rng(8)
    volume, close = frame["volume"], frame["close"]
    spread = close * random.uniform(1e-5, 1e-4, rows)
    settled = np.repeat(random.normal(1e-4, 1e-4, rows // 32 + 1), 32)[:rows]
    optional = {
        "taker_buy_volume": volume * random.uniform(0.3, 0.7, rows),
        "quote_volume": volume * close * random.uniform(0.999, 1.001, rows),
        "funding_rate": settled,
        "mark_price": close * random.normal(1, 1e-4, rows),
        "open_interest": 1e5 * np.exp(np.cumsum(random.normal(0, 0.001, rows))),
        "best_bid": close - spread,
        "best_ask": close + spread,
        **{name: random.lognormal(0, 1, rows) for name in ("best_bid_size", "best_ask_size", "mean_top_depth")},
        **{name: random.lognormal(2, 1, rows) for name in ("bid_size_5", "ask_size_5")},
        "order_flow_imbalance": random.normal(0, 10, rows),
    }
    shared, others = np.log(close / close.iloc[0]), {}
    for seed, pair in enumerate(("BTC/USDT", *OTHERS), start=9):
        own = random_walk(rows, seed)
        for name in ("open", "high", "low", "close"):
            own[name] *= np.exp(shared * 0.7)
        own["high"], own["low"] = own[["open", "high", "close"]].max(axis=1), own[["open", "low", "close"]].min(axis=1)
        others[pair] = own
    what = "seeded random walk with every optional column, three others as references"
    return Market(frame.assign(**optional), References(frames=others, sector=OTHERS), what)


def recorded(folder: Path, rows: int = ROWS) -> Market:
    """Return the last candles of BTC/USDT with funding and mark price where recorded; ETH and SOL as references.

    The features of BTC read the pair itself, so that they cost what they cost elsewhere.
    """
    frames = {pair: candles(folder, pair, rows) for pair in ("BTC/USDT", *OTHERS)}
    if frames["BTC/USDT"] is None:
        sys.exit(f"CANDLEWRIGHT_MARKET_DATA is {folder}, expected a folder with 15m candles of BTC/USDT in feather")
    frames = {pair: frame for pair, frame in frames.items() if frame is not None}
    frame = frames["BTC/USDT"].copy()
    closed = frame[["date"]] + pd.Timedelta(BAR_MS, "ms")
    for name, kind, column in (("funding_rate", "funding_rate", "open"), ("mark_price", "mark", "close")):
        for path in sorted(folder.rglob(f"BTC_USDT_USDT-*-{kind}.feather"))[:1]:
            known = pd.read_feather(path)[["date", column]]
            if kind == "mark":
                known["date"] += known["date"].diff().min()  # a candle is known at its close
            frame[name] = pd.merge_asof(closed, known.astype({"date": closed["date"].dtype}), on="date")[column]
    sector = tuple(pair for pair in OTHERS if pair in frames)
    return Market(frame, References(frames=frames, sector=sector), f"BTC/USDT, references {', '.join(frames)}")


def candles(folder: Path, pair: str, rows: int) -> pd.DataFrame | None:
    """Return the last 15m candles of a pair, of its future where there is one, in Freqtrade's file names."""
    stem = pair.replace("/", "_")
    found = [*folder.rglob(f"{stem}_USDT-15m-futures.feather"), *folder.rglob(f"{stem}-15m.feather")]
    return pd.read_feather(found[0]).tail(rows).reset_index(drop=True) if found else None
