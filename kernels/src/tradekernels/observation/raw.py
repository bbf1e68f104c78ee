"""Raw values of the market slots. From: graphs (market.py) and frames. To: training statistics and observation rows.

A raw value counts from the first bar on which it is defined, not only once it has settled: until then it is NaN here,
and the slot is the table's default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..features.expression import Node, nodes_of, warmups_of
from ..features.feature import ONE_EACH
from ..features.frame import read_frame
from ..features.primitives import COLUMNS
from ..features.program import Program, compile_program
from ..features.resolve import resolve
from .market import INPUTS

CHUNK = 2048  # rows at a time: they stay in the cache


@dataclass(frozen=True)
class Compiled:
    """The raw values of a set: its market slots in order, and then what stands for an unknown ATR."""

    program: Program
    keys: tuple[str, ...]  # of the recurrences, windows in bars and parameters included
    warmup: int  # rows until no value depends on where history begins


def compile_raw(
    nodes: dict[str, Node], inputs: tuple[str, ...], bar_ms: int, parameters: Mapping[str, float]
) -> Compiled:
    """Return the program for the raw values, each NaN until it is defined; flags count with the mean they speak of."""
    roots = resolve(tuple(nodes.values()), bar_ms, parameters, ONE_EACH)
    warmups = warmups_of(*roots)
    first = dict(zip(nodes, (warmups[root][0] for root in roots), strict=True))
    first |= {f"{name}_valid": first[name] for name in ("ma5", "ma20")}
    read = {str(node.value) for node in nodes_of(*roots) if node.operation.name == "column"}
    never_known = sorted(read - {*COLUMNS, *inputs})
    program = compile_program(roots, (*COLUMNS, *inputs, *never_known), bar_ms, tuple(first.values()))
    return Compiled(program, tuple(root.key for root in roots), max(settled for _, settled in warmups.values()))


def read_rows(frame: Any, bar_ms: int, inputs: tuple[str, ...]) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Return open times and columns of a frame, checked; refused is also an input that is out of its range."""
    date, columns = read_frame(frame, bar_ms, inputs)
    for name, values in zip(inputs, columns[len(COLUMNS) :], strict=True):
        if values is None:
            continue
        low, high = INPUTS[name]
        outside = (values < low) | (values > high)
        if outside.any():
            row = int(outside.argmax())
            raise ValueError(
                f"{name} in row {row} is {values[row]}, expected a number from {low:g} to {high:g}, or NaN"
            )
    return date, columns


def raw_rows(
    program: Program, date: np.ndarray, columns: list[np.ndarray | None], dtype: type[np.floating]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the raw values of a few rows at a time, with their place; the next ones overwrite them."""
    machine = program.machine(len(date))
    raw = np.empty((min(len(date), CHUNK), program.n_outputs), dtype=dtype)
    columns = [*columns, *[None] * (len(program.columns) - len(columns))]
    for start in range(0, len(date), CHUNK):
        part = slice(start, min(start + CHUNK, len(date)))
        rows = raw[: part.stop - start]
        machine.run(date[part], tuple(None if column is None else column[part] for column in columns), rows)
        yield part, rows
