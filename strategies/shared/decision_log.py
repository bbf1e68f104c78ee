"""What a bot was told live, to be held against the same candles scored again later: one JSON line per decision (ASO-6).

From: `live`, at each new answer. To: the file named by CANDLEWRIGHT_DECISION_LOG, if it is set; `tools.report parity`
reads it. A line is some 700 bytes; nothing here deletes the file.
"""

import os
from collections.abc import Mapping

import numpy as np

from strategies.shared.forecast_log import append_line, iso
from strategies.shared.forms import DECISION
from strategies.shared.wire import PRICES


def log_decision(
    pair: str, timeframe: str, date: int, candle: tuple[float, ...], numbers: np.ndarray, texts: Mapping[str, str]
) -> None:
    """Append one decision about the candle that opened at `date` (ms), with the prices it was made on."""
    path = os.environ.get("CANDLEWRIGHT_DECISION_LOG")
    if not path:
        return
    line = {"pair": pair, "timeframe": timeframe, "date": iso(date), "candle": dict(zip(PRICES, candle, strict=True))}
    told = dict(zip(DECISION.numbers, numbers.astype(float).tolist(), strict=True))
    append_line("CANDLEWRIGHT_DECISION_LOG", path, line | {"numbers": told, "texts": dict(texts)})
