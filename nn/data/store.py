"""Where Freqtrade keeps candles on disk, and how to open them without trusting the file.

From: a Freqtrade data directory, feather or Parquet. To: candles.py. Freqtrade's names, from its `IDataHandler`:
`BTC_USDT-15m.feather` for spot, `futures/BTC_USDT_USDT-15m-futures.feather`, `...-1h-mark`, `...-1h-funding_rate`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from .quality import OHLCV, BadCandles, resolve_candle_type

CANDLE_COLUMNS = ("date", *OHLCV)
FUNDING_COLUMNS = ("date", "funding_rate")
FUNDING_BEFORE_2026 = {"funding_rate": "open"}  # older Freqtrade stored the rate as the open of an OHLCV candle
FORMATS = ("feather", "parquet")  # the first that exists is read: feather is Freqtrade's own default
_FILE_NAME = re.compile(r"([\w-]+)-(\d+[a-zA-Z]{1,2})(?:-([a-zA-Z_]+))?\.(?:feather|parquet)")
_PAIR = re.compile(r"[^\s/:\x00]+/[^\s/:\x00]+(:[^\s/:\x00]+)?")


def pair_to_filename(pair: str) -> str:
    """Return a pair as Freqtrade writes it in file names: BTC/USDT:USDT is BTC_USDT_USDT."""
    return re.sub(r"[/ .@$+:]", "_", pair)


def candle_path(datadir: Path | str, pair: str, timeframe: str, candle_type: str = "auto") -> Path:
    """Return the file that holds these candles; a missing one is refused with a list of what is there."""
    if not _PAIR.fullmatch(pair):
        raise BadCandles(f"pair is {pair!r}, expected one such as BTC/USDT or BTC/USDT:USDT")
    candle_type = resolve_candle_type(pair, candle_type)
    folder = Path(datadir)
    if not folder.is_dir():
        raise BadCandles(f"{folder} is no directory, expected a data directory such as user_data/data/binance")
    stem = f"{pair_to_filename(pair)}-{timeframe}"
    stem = stem if candle_type == "spot" else f"futures/{stem}-{candle_type}"
    for extension in FORMATS:
        path = folder / f"{stem}.{extension}"
        if path.is_file():
            return path
    raise BadCandles(
        f"{folder / stem}.feather: there are no {timeframe} {candle_type} candles of {pair}; "
        + _what_is_there(folder, pair, timeframe, candle_type)
    )


def list_pairs(datadir: Path | str, timeframe: str, candle_type: str | None = None) -> list[str]:
    """Return the pairs that have candles of a timeframe: spot and futures, or one candle type, sorted."""
    wanted = ("spot", "futures") if candle_type is None else (candle_type,)
    found = _stored(Path(datadir))
    return sorted({pair for pair, its_timeframe, kind in found if its_timeframe == timeframe and kind in wanted})


def read_columns(path: Path, names: tuple[str, ...], instead: dict[str, str] | None = None) -> pd.DataFrame:
    """Return the named columns of a feather or Parquet file.

    The Arrow table is taken apart column by column: no pandas metadata of the file is believed, nothing is unpickled.
    `instead` names the column to read where the file was written in an older layout.
    """
    try:
        table = feather.read_table(path, memory_map=False) if path.suffix == ".feather" else parquet.read_table(path)
        found = table.column_names
        for name in names:
            if name not in found and (instead or {}).get(name) not in found:
                raise BadCandles(f"{path}: column {name} is missing, found {', '.join(found) or 'none'}")
        columns = {name: table.column(name if name in found else (instead or {})[name]) for name in names}
        return pd.DataFrame({name: _series(column) for name, column in columns.items()})
    except (pa.ArrowException, OSError) as fault:
        why = " ".join(str(fault).split())[:200]
        raise BadCandles(f"{path}: cannot be read as {path.suffix[1:]} ({why}); download it again") from fault


def _series(column: pa.ChunkedArray) -> pd.Series:
    if pa.types.is_timestamp(column.type) and str(column.type.tz).upper() in ("UTC", "+00:00", "ETC/UTC"):
        column = column.cast(pa.timestamp(column.type.unit, tz="UTC"))
    return column.to_pandas()


def _stored(folder: Path) -> list[tuple[str, str, str]]:
    names = [match for path in folder.glob("*") if (match := _FILE_NAME.fullmatch(path.name)) and not match[3]]
    names += [match for path in folder.glob("futures/*") if (match := _FILE_NAME.fullmatch(path.name)) and match[3]]
    # The first "_" stands for "/" and the second for ":", as Freqtrade reads its own names back.
    return [(m[1].replace("_", "/", 1).replace("_", ":", 1), m[2], m[3] or "spot") for m in names]


def _what_is_there(folder: Path, pair: str, timeframe: str, candle_type: str) -> str:
    found = _stored(folder)
    of_pair = sorted({f"{tf} {kind}" for its_pair, tf, kind in found if its_pair == pair})
    if of_pair:
        return f"of {pair} there are {', '.join(of_pair)}"
    pairs = sorted({its_pair for its_pair, tf, kind in found if tf == timeframe and kind == candle_type})
    if pairs:
        more = f" and {len(pairs) - 20} more" if len(pairs) > 20 else ""
        return f"there are {timeframe} {candle_type} candles of {', '.join(pairs[:20])}{more}"
    kinds = sorted({f"{tf} {kind}" for _, tf, kind in found})
    return f"the directory holds {', '.join(kinds)} candles" if kinds else "the directory holds no candles"
