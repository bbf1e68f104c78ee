"""Which model version decided what, from the strategy's forecast log.

From: the JSON lines that `strategies/shared` writes to CANDLEWRIGHT_FORECAST_LOG, one per answered bulk request.
To: segments of candles per pair and version, trades and profit of each version, the share of candles without a score.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .result import Backtest, BadResult

MAX_LOG_BYTES = 64 * 2**20
UNDECIDED = "no version in the log"


def read_forecast_log(path: Path, timeframe: str) -> list[dict[str, Any]]:
    """Return the lines about this timeframe, oldest first; times become UTC milliseconds."""
    if not path.is_file():
        raise BadResult(f"{path}: no such forecast log")
    if path.stat().st_size > MAX_LOG_BYTES:
        raise BadResult(f"{path}: {path.stat().st_size} bytes, at most {MAX_LOG_BYTES} are read")
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = _entry(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadResult(f"{path}: line {number} is malformed ({type(error).__name__}: {error})") from error
        if entry["timeframe"] == timeframe:
            entries.append(entry)
    return entries


def decisions(entries: list[dict[str, Any]], backtest: Backtest, step: int, start: int, end: int) -> dict[str, Any]:
    """Return segments inside [start, end], unscored candles and what each version earned."""
    segments: list[dict[str, Any]] = []
    unscored: dict[str, int] = {}
    scored = 0
    for entry in _newest_answers(entries):
        for segment in entry["segments"]:
            scored += segment["rows"]
            first, last = max(segment["first"], start - step), min(segment["last"], end)
            if first <= last:
                segments.append({"pair": entry["pair"], "version": segment["version"], "first": first, "last": last})
        for reason, rows in entry["unscored"].items():
            unscored[reason] = unscored.get(reason, 0) + rows
    segments.sort(key=lambda segment: (segment["pair"], segment["first"]))
    asked = scored + sum(unscored.values())
    return {
        "chain_digests": sorted({entry["chain_digest"] for entry in entries if entry["chain_digest"]}),
        "segments": segments,
        "candles_asked": asked,
        "candles_scored": scored,
        "unscored": [{"reason": reason, "candles": rows, "share": rows / asked} for reason, rows in unscored.items()],
        "versions": _versions(segments, backtest.trades, step),
    }


def _entry(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "pair": str(raw["pair"]),
        "timeframe": str(raw["timeframe"]),
        "chain_digest": str(raw.get("chain_digest") or ""),
        "segments": [
            {
                "version": str(segment["model_version"]),
                "first": _milliseconds(segment["first"]),
                "last": _milliseconds(segment["last"]),
                "rows": int(segment["rows"]),
            }
            for segment in raw["segments"]
        ],
        "unscored": {str(reason): int(rows) for reason, rows in (raw.get("unscored") or {}).items()},
    }


def _milliseconds(text: str) -> int:
    when = datetime.fromisoformat(text)
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _newest_answers(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers that count: of two about the same candles of a pair, the later one."""
    accepted: list[dict[str, Any]] = []
    for entry in reversed(entries):
        same_pair = [other for other in accepted if other["pair"] == entry["pair"]]
        overlap = any(
            mine["first"] <= theirs["last"] and theirs["first"] <= mine["last"]
            for other in same_pair
            for theirs in other["segments"]
            for mine in entry["segments"]
        )
        # An answer without any score covers unknown candles: it stands only alone.
        if not overlap and (entry["segments"] or not same_pair):
            accepted.append(entry)
    return accepted


def _versions(segments: list[dict[str, Any]], trades: pd.DataFrame, step: int) -> list[dict[str, Any]]:
    """Return trades and profit per version; a trade belongs to the version of the candle before its entry."""
    # Freqtrade enters at the open of the candle after the signal.
    signal = trades["open_time"].to_numpy() - step
    decided = np.full(len(trades), UNDECIDED, dtype=object)
    for segment in segments:
        inside = (trades["pair"] == segment["pair"]) & (signal >= segment["first"]) & (signal <= segment["last"])
        decided[inside.to_numpy()] = segment["version"]
    names = list(dict.fromkeys(segment["version"] for segment in sorted(segments, key=lambda each: each["first"])))
    rows = []
    for name in [*names, UNDECIDED]:
        own = trades[decided == name]
        if name == UNDECIDED and own.empty:
            continue
        spans = [segment for segment in segments if segment["version"] == name]
        closed = own.loc[~own["is_open"], "profit"]
        rows.append(
            {
                "version": name,
                "first": min((span["first"] for span in spans), default=None),
                "last": max((span["last"] for span in spans), default=None),
                "trades": len(own),
                "profit": float(closed.sum()),
                "win_rate": float((closed > 0).mean()) if len(closed) else None,
            }
        )
    return rows
