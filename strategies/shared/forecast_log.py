"""Which model versions decided what: one JSON line per answered range, for the report.

From: the forecast source, after each bulk answer. To: the file named by CANDLEWRIGHT_FORECAST_LOG, if it is set.
"""

import logging
import os
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd

logger = logging.getLogger(__name__)


def log_versions(
    pair: str,
    timeframe: str,
    chain: str,
    dates: np.ndarray,
    answer: pd.DataFrame,
    reasons: np.ndarray,
    source: str,
    versions: tuple[str, ...],
) -> None:
    """Append the segments of equal versions; `dates` are open times in ms, `source` is service or cache.

    `versions` are the columns of `answer` that name them.
    """
    path = os.environ.get("CANDLEWRIGHT_FORECAST_LOG")
    if not path:
        return
    names = {name: answer[name].to_numpy(dtype=object) for name in versions}
    known = answer["model_version"].notna().to_numpy()
    moved = np.logical_or.reduce([version[1:] != version[:-1] for version in names.values()])
    changed = np.flatnonzero(moved & (known[1:] | known[:-1])) + 1
    segments = [
        {
            **{name: version[rows[0]] for name, version in names.items()},
            "first": iso(dates[rows[0]]),
            "last": iso(dates[rows[-1]]),
            "rows": len(rows),
        }
        for rows in np.split(np.arange(len(dates)), changed)
        if len(rows) and known[rows[0]]
    ]
    line = {
        "pair": pair,
        "timeframe": timeframe,
        "chain_digest": chain,
        "segments": segments,
        "unscored": dict(Counter(str(reason or "unknown") for reason in reasons[~known])),
        "source": source,
    }
    append_line("CANDLEWRIGHT_FORECAST_LOG", path, line)


def append_line(variable: str, path: str, line: dict[str, Any]) -> None:
    """Append one JSON line to the file that an environment variable names; a file that cannot be written is told."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, orjson.dumps(line) + b"\n")  # one write: lines of several processes do not mix
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("%s %s cannot be written: %s", variable, path, error)


def iso(milliseconds: int) -> str:
    """Return a UTC time as ISO 8601."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat()
