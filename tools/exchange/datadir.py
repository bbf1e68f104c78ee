"""Serve an existing Freqtrade data directory, exactly as it is: spot and USDT futures, mark price and funding.

From: files that `freqtrade download-data` wrote (feather or parquet). To: the exchange.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from .candles import Candles, Times, Values, check_candles
from .history import History
from .intervals import SPOT_INTERVALS
from .market import Funding, Instrument, Listing, Market, Venue

# freqtrade.data.history.datahandlers.idatahandler: PAIR-TIMEFRAME[-CANDLE_TYPE].EXTENSION
FILE_NAME = re.compile(r"^(?P<pair>\w+)-(?P<interval>\d+[a-zA-Z]{1,2})(?:-(?P<kind>[a-zA-Z_]+))?\.(?:feather|parquet)$")
KINDS = {"": "spot", "futures": "futures", "mark": "mark", "funding_rate": "funding_rate"}
PRICES = ("open", "high", "low", "close")
SAMPLE = 5_000  # newest rows whose decimals tell the grid
MAX_DECIMALS = 8

Files = dict[str, Path]  # interval: file


def datadir_market(folder: Path) -> Market:
    """Return the market stored in a data directory; files are read when first asked for.

    Raises
    ------
    ValueError
        If the folder does not exist or holds no candles.
    """
    if not folder.is_dir():
        raise ValueError(f"data directory {folder} does not exist")
    found = find_files(folder)
    listings = []
    for (base, quote), kinds in found.items():
        venues: tuple[Venue, ...] = ("spot", "futures")
        listings += [listing(base, quote, venue, kinds) for venue in venues if venue in kinds]
    if not listings:
        raise ValueError(f"data directory {folder} holds no candles, expected files like BTC_USDT-15m.feather")
    return Market(f"{len(listings)} series of {folder}", listings)


def find_files(folder: Path) -> dict[tuple[str, str], dict[str, Files]]:
    """Return the files of every coin: kind, then interval. What Binance has no route for is left out."""
    found: dict[tuple[str, str], dict[str, Files]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted([*folder.iterdir(), *(folder / "futures").glob("*")]):
        match = FILE_NAME.match(path.name)
        if not match or (match["kind"] or "") not in KINDS:
            continue
        base, quote, *settle = match["pair"].split("_")
        interval = "1M" if match["interval"] == "1Mo" else match["interval"]  # some file systems take 1M for 1m
        kind = KINDS[match["kind"] or ""]
        if interval in SPOT_INTERVALS and settle == ([] if kind == "spot" else [quote]):
            found[base, quote][kind][interval] = path
    return found


def listing(base: str, quote: str, venue: Venue, kinds: dict[str, Files]) -> Listing:
    """Return one instrument with what is stored about it."""
    trades = history(kinds[venue])
    newest = trades.load(trades.finest)[-SAMPLE:]
    prices = np.concatenate([getattr(newest, name) for name in PRICES])
    instrument = Instrument(base, quote, venue, decimals(prices), decimals(newest.volume))
    if venue == "spot":
        return Listing(instrument, trades)
    funding_files = list(kinds.get("funding_rate", {}).values())
    load_funding: Callable[[], Funding] = partial(read_funding, funding_files[0]) if funding_files else Funding.none
    return Listing(instrument, trades, history(kinds.get("mark", {})), load_funding)


def history(files: Files) -> History:
    return History({interval: partial(read_candles, path) for interval, path in files.items()}, MAX_DECIMALS)


def decimals(values: Values) -> int:
    """Return how many places after the point these values need: the exchange's grid, seen from its prices."""
    for places in range(MAX_DECIMALS):
        if np.array_equal(np.round(values, places), values):
            return places
    return MAX_DECIMALS


def read_frame(path: Path) -> tuple[pd.DataFrame, Times]:
    """Return a file's columns and its dates in ms."""
    frame = pd.read_feather(path) if path.suffix == ".feather" else pd.read_parquet(path)
    if "date" not in frame or not len(frame):
        raise ValueError(f"{path.name} has {len(frame)} rows of {list(frame)}, expected some with a date")
    return frame, frame["date"].astype("datetime64[ms, UTC]").to_numpy("datetime64[ms]").astype(np.int64)


def read_candles(path: Path) -> Candles:
    frame, open_time = read_frame(path)
    columns = (*PRICES, "volume")
    if missing := [name for name in columns if name not in frame]:
        raise ValueError(f"{path.name} has no column {missing[0]}, expected date, {', '.join(columns)}")
    return check_candles(Candles(open_time, *(frame[name].to_numpy(np.float64) for name in columns)), path.name)


def read_funding(path: Path) -> Funding:
    """Return funding rates; files written before Freqtrade 2026 hold them in a candle's `open`."""
    frame, time = read_frame(path)
    column = "funding_rate" if "funding_rate" in frame else "open"
    if column not in frame:
        raise ValueError(f"{path.name} has {list(frame)}, expected a column funding_rate or open")
    return Funding(time, frame[column].to_numpy(np.float64))
