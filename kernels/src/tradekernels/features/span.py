"""Windows in clock time. From: the catalogue's words, such as "24h". To: whole bars of a timeframe (DAT-10, OBS-62)."""

from __future__ import annotations

from dataclasses import dataclass

UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def milliseconds(text: str) -> int:
    """Return the length of a timeframe or window such as 15m, 1h, 1d or 1w."""
    count, unit = str(text)[:-1], str(text)[-1:]
    if unit not in UNITS or not (count.isascii() and count.isdigit() and int(count) > 0):
        raise ValueError(f"timeframe is {text!r}, expected a number and m, h, d or w, such as 15m")
    return int(count) * UNITS[unit]


@dataclass(frozen=True)
class Span:
    """A stretch of clock time; a few are other stretches on slower timeframes, as a window of one bar says nothing."""

    time: str
    quarter_hour_to_hour: str | int = ""  # for bars above 5m and up to 1h; a whole number counts bars
    slower: str | int = ""  # for bars above 1h

    def bars(self, bar_ms: int) -> int:
        """Return the window in bars of `bar_ms`, rounded up to whole bars."""
        length: str | int = self.time
        if bar_ms > UNITS["h"]:
            length = self.slower or length
        elif bar_ms > 5 * UNITS["m"]:
            length = self.quarter_hour_to_hour or length
        return length if isinstance(length, int) else -(-milliseconds(length) // bar_ms)

    @property
    def words(self) -> str:
        """The time, and what stands for it on slower timeframes."""
        middle = f"{self.quarter_hour_to_hour} bar(s) at 15m to 1h" if self.quarter_hour_to_hour else ""
        slower = f"{self.slower} above 1h" if self.slower not in ("", self.time) else ""
        others = ", ".join(filter(None, (middle, slower)))
        return f"{self.time} ({others})" if others else self.time

    def __str__(self) -> str:
        return self.time
