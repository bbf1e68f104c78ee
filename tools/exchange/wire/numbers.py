"""Numbers as Binance writes them: decimal strings.

From: float64. To: JSON. The text reads back as the same float, so a downloaded candle equals its source bit for bit.
"""

from __future__ import annotations

import numpy as np


def decimal(value: float) -> str:
    """Return the shortest decimal text of a float, never with an exponent."""
    text = repr(float(value))
    return np.format_float_positional(value, trim="0") if "e" in text else text


def step(decimals: int) -> str:
    """Return the size of one step of a grid, e.g. 0.001 for 3."""
    return "1" if decimals == 0 else f"{10.0**-decimals:.{decimals}f}"
