"""What the observation knows of its training range. From: training rows. To: the manifest, as JSON, and the sets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..features import feature_set
from ..features.span import UNITS, milliseconds
from .market import INPUTS, STANDARDISED, inputs_of, source_of
from .slots import EXTERNAL, LAYOUT_DIGEST

WINDOW_TABLES = ("up to 5m", "15m to 1h", "4h and above")  # OBS-62; the nodes' own spans follow it


def window_table_of(timeframe: str) -> str:
    """Return the name of the table by which the external windows are as long as they are on this timeframe."""
    bar_ms = milliseconds(timeframe)
    return WINDOW_TABLES[(bar_ms > 5 * UNITS["m"]) + (bar_ms > UNITS["h"])]


def garch_parameters(timeframe: str, parameters: Mapping[str, float] | None) -> dict[str, float]:
    """Return the parameters that the graphs read, checked; defaults where they are not given."""
    return feature_set(EXTERNAL, timeframe, parameters).parameters


@dataclass(frozen=True)
class Statistics:
    """Means and deviations of a training range, and what data it had: part of every model's manifest.

    Parameters
    ----------
    timeframe : str
        Length of a bar.
    means, stds : dict of str to float
        By standardised slot, in the units of its raw value; 0 and 0 where it was never known. A slot whose std is 0 is
        always 0.
    quote_scale, volume_scale : float
        Q0 and V0 of OBS-1 and OBS-2: mean quote and base volume of a bar.
    source : {"book", "taker", "candles"}
        What slots 18 to 20 are made of.
    absent : tuple of str
        Inputs that no frame had. A set does not read them, whatever a later frame has.
    parameters : dict of str to float
        garch_omega, garch_alpha, garch_beta.
    window_table : str
        Which windows of OBS-62 the external block has.
    rows : int
        Bars of the training range, all pairs together.
    first_ms, last_ms : int
        Open time of its earliest bar and close time of its latest, milliseconds since 1970, UTC.
    layout : str
        `LAYOUT_DIGEST` of the table that the slots' names come from.
    """

    timeframe: str
    means: dict[str, float]
    stds: dict[str, float]
    quote_scale: float
    volume_scale: float
    source: str
    absent: tuple[str, ...]
    parameters: dict[str, float]
    window_table: str
    rows: int
    first_ms: int
    last_ms: int
    layout: str = LAYOUT_DIGEST

    def __post_init__(self) -> None:
        """Refuse what no training range gives."""
        for name in ("means", "stds"):
            slots = getattr(self, name)
            if sorted(slots) != sorted(STANDARDISED):
                raise ValueError(f"{name} has slots {sorted(slots)}, expected {sorted(STANDARDISED)}")
        positive = {f"std of {name}": value for name, value in self.stds.items()}
        positive |= {"quote_scale": self.quote_scale, "volume_scale": self.volume_scale}
        for name, value in ({f"mean of {name}": value for name, value in self.means.items()} | positive).items():
            if not isinstance(value, float) or not math.isfinite(value) or (name in positive and value < 0):
                least = " of at least 0" if name in positive else ""
                raise ValueError(f"{name} is {value!r}, expected a finite number{least}")
        for name in ("rows", "first_ms", "last_ms"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a whole number")
        if self.rows < 1 or self.first_ms >= self.last_ms:
            raise ValueError(f"training range is {self.rows} rows from {self.first_ms} to {self.last_ms} ms")
        there = [name for name in INPUTS if name not in self.absent]
        if len(there) + len(self.absent) != len(INPUTS) or source_of(there) != self.source:
            raise ValueError(
                f"source is {self.source!r} and absent {list(self.absent)}, expected {source_of(there)!r} with that"
            )
        expected = {
            "window_table": window_table_of(self.timeframe),
            "parameters": garch_parameters(self.timeframe, self.parameters),
            "layout": LAYOUT_DIGEST,
        }
        for name, wanted in expected.items():
            if getattr(self, name) != wanted:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected {wanted!r}")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that a set with these statistics reads besides the candle, in order."""
        return inputs_of(self.source, self.absent)

    @property
    def silent(self) -> tuple[str, ...]:
        """Standardised slots that are always 0: not known in the training range, or always the same there."""
        return tuple(name for name, std in self.stds.items() if std == 0.0)

    def to_json(self) -> str:
        """Return the statistics as JSON; every number comes back as the very same float."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Statistics:
        """Return the statistics that `to_json` wrote.

        Raises
        ------
        ValueError
            If it is no such JSON: a key is missing, unknown or there twice, or a value is out of its range.
        """
        content = json.loads(text, object_pairs_hook=_without_twins)
        names = sorted(field.name for field in fields(cls))
        if not isinstance(content, dict) or sorted(content) != names:
            raise ValueError(f"statistics are {content if not isinstance(content, dict) else sorted(content)!r}, "
                             f"expected an object with {names}")  # fmt: skip
        for name, kind in (("means", dict), ("stds", dict), ("parameters", dict), ("absent", list)):
            if not isinstance(content[name], kind):
                raise ValueError(f"{name} is {content[name]!r}, expected an {'array' if kind is list else 'object'}")
        for name in ("means", "stds"):  # another program may have sorted them
            content[name] = {slot: content[name].get(slot) for slot in (*STANDARDISED, *content[name])}
        return cls(**content | {"absent": tuple(content["absent"])})


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError(f"statistics name a key twice: {[key for key, _ in pairs]}")
    return content
