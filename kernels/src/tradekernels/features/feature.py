"""What the catalogue says of one feature. From: the catalogue's lines. To: feature sets, the printed table, docs."""

from __future__ import annotations

from dataclasses import dataclass

from .expression import Node, nodes_of, warmups_of

REFUSED = "a missing column, or a value that is not finite, is refused"


@dataclass(frozen=True)
class Feature:
    """One column of a feature matrix."""

    name: str
    id: str  # of the specification, "FEA-7"
    family: str
    node: Node  # the recurrence: what is computed is what is printed
    unit: str
    range: tuple[float, float]  # values never leave it; float32 rounding aside
    meaning: str
    source: str
    missing: str = REFUSED

    @property
    def formula(self) -> str:
        """The recurrence in the notation of the specification."""
        return str(self.node)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns the recurrence reads."""
        columns = {"date" if x.operation.name == "close_time" else str(x.value)
                   for x in nodes_of(self.node) if x.operation.kind == "column"}  # fmt: skip
        return tuple(sorted(columns))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Windows and lags in bars, by the operation that uses them."""
        found: dict[str, set[int]] = {}
        for x in nodes_of(self.node):
            if x.n:
                found.setdefault(x.operation.name, set()).add(x.n)
        return {name: tuple(sorted(bars)) for name, bars in sorted(found.items())}

    def warmup(self, timeframe: str = "15m") -> int:
        """Return the bars that are NaN before the first value. Windows of today's features all count bars."""
        milliseconds(timeframe)
        return warmups_of(self.node)[self.node][1]


def milliseconds(timeframe: str) -> int:
    """Return the length of a bar of `timeframe`, such as 15m, 1h, 1d or 1w."""
    units = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
    count, unit = str(timeframe)[:-1], str(timeframe)[-1:]
    if unit not in units or not (count.isascii() and count.isdigit() and int(count) > 0):
        raise ValueError(f"timeframe is {timeframe!r}, expected a number and m, h, d or w, such as 15m")
    return int(count) * units[unit]
