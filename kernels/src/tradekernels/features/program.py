"""Compiles feature graphs. From: the nodes of a feature set. To: instructions, constants and memory for _engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import _engine
from .engine import CODES, HEADER, Machine
from .expression import Node, nodes_of, warmups_of

INSTRUCTION = np.dtype(
    [(name, np.int64) for name in ("code", "out", "a", "b", "c", "d", "n", "start", "state", "reach", "lanes")]
    + [("alpha", np.float64)]
)
EVERYTHING = 2**62  # rows: more than any frame has
LANES = 8  # recursive means that the engine runs side by side, at most
BLOCK = 512  # bars: the slots of a block stay in the cache
PADDING = 8  # doubles between slots: a power of two apart, they would share few places in the cache


@dataclass(frozen=True)
class Program:
    """A feature set, compiled. Immutable; every run and every stream takes its own `Machine` from it."""

    instructions: np.ndarray
    columns: tuple[str, ...]  # inputs in the order of the first slots
    constants: tuple[float, ...]  # values of the slots after them
    n_scratch: int  # slots after those
    n_outputs: int
    initial_state: np.ndarray
    bar_ms: int
    timed: bool  # some window counts time: gaps matter

    @property
    def layout(self) -> bytes:
        """SHA-256 of the instructions: which number of the memory belongs to which node."""
        return hashlib.sha256(self.instructions.tobytes()).digest()

    @cached_property
    def inverse(self) -> np.ndarray:
        """1 / k for k up to the longest window."""
        return np.concatenate([[np.inf], 1.0 / np.arange(1.0, int(self.instructions["n"].max(initial=0)) + 2.0)])

    def machine(self, n_bars: int, state: np.ndarray | None = None) -> _engine.Machine:
        """Return a machine that works in blocks of at most `n_bars`, at the beginning or from `state`."""
        size = max(min(n_bars, BLOCK), 1)
        scratch = np.zeros((max(len(self.constants) + self.n_scratch, 1), size + PADDING))
        scratch[: len(self.constants)] = np.reshape(self.constants, (-1, 1))
        memory = (self.initial_state if state is None else state).copy()
        unknown_and_step = np.full((2, size), ((np.nan,), (1.0,)))
        bar, row = np.full(len(self.columns), np.nan), np.empty((1, self.n_outputs), dtype=np.float32)
        return Machine(
            self.instructions, memory, scratch, unknown_and_step, self.inverse, bar, row, self.bar_ms, self.timed
        )


class _Slots:
    """Hands out scratch slots and takes them back: few slots, so they stay in the cache."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.used = 0

    def take(self) -> int:
        if self.free:
            return self.free.pop()
        self.used += 1
        return self.used - 1


def _scheduled(order: list[Node]) -> list[list[Node]]:
    """Return the nodes, inputs before users, in groups: recursive means that run side by side, or one node."""
    done: set[Node] = set()
    groups: list[list[Node]] = []
    waiting = order
    while waiting:
        held: list[Node] = []
        for node in waiting:
            if node.operation.name != "recursive_mean" and done.issuperset(node.inputs):
                groups.append([node])
                done.add(node)
            else:
                held.append(node)
        ready = [node for node in held if done.issuperset(node.inputs)]
        groups += [ready[k : k + LANES] for k in range(0, len(ready), LANES)]
        done.update(ready)
        waiting = [node for node in held if node not in done]
    return groups


def _reach(order: list[Node]) -> dict[Node, int]:
    """Return how many rows before the first one that is asked for each node's values are read.

    A window is told apart by whole laps of its own: it reads the lap before the one that its first value is in.
    """
    reach = dict.fromkeys(order, 0)
    for node in reversed(order):  # users before their inputs
        if node.operation.kind == "pointwise":
            read = reach[node]
        else:
            read = min(reach[node] + 2 * node.n, EVERYTHING) if node.operation.forgets else EVERYTHING
        for x in node.inputs:
            reach[x] = max(reach[x], read)
    return reach


def compile_program(
    roots: tuple[Node, ...], columns: tuple[str, ...], bar_ms: int, cold: tuple[int, ...] | None = None
) -> Program:
    """Lay the graph out as a straight line of instructions, each slot reused as soon as its last reader is done.

    Parameters
    ----------
    roots : tuple of Node
        Resolved graphs (resolve.py), one per output column.
    columns : tuple of str
        Columns in the order in which they will be given; the graphs may read fewer.
    bar_ms : int
        Length of a bar, milliseconds.
    cold : tuple of int, optional
        Rows at the head of each output that are NaN; by default until the node has settled.
    """
    order = nodes_of(*roots)
    warmup = warmups_of(*roots)
    cold = cold or tuple(warmup[root][1] for root in roots)
    outputs: dict[Node, list[int]] = {}
    for k, root in enumerate(roots):
        outputs.setdefault(root, []).append(k)
    constants = [node for node in order if node.operation.kind == "constant"]
    readers: dict[Node, int] = dict.fromkeys(order, 0)
    for node in order:
        for x in set(node.inputs):
            readers[x] += 1

    reach = _reach(order)
    fixed = {node: len(columns) + k for k, node in enumerate(constants)}
    fixed |= {node: columns.index(str(node.value)) for node in order if node.operation.name == "column"}
    base = len(columns) + len(constants)
    scratch, slot = _Slots(), dict(fixed)
    memory, rows = [np.array([0.0, np.nan] + [0.0] * (HEADER - 2))], []
    offset = HEADER

    for group in _scheduled(order):
        for node in group:
            if node in fixed:
                continue
            slot[node] = base + scratch.take()
            a, b, c, d = ([slot[x] for x in node.inputs] + [0, 0, 0, 0])[:4]
            start = warmup[node.inputs[0]][0] if node.inputs else 0
            alpha = node.value if isinstance(node.value, float) else 0.0
            lanes = len(group) if node is group[0] and node.operation.name == "recursive_mean" else 1
            code, read = CODES[node.operation.name], (a, b, c, d)
            rows.append((code, slot[node], *read, node.n, start, offset, reach[node], lanes, alpha))
            memory.append(node.operation.initial_state(node.n))
            offset += len(memory[-1])
        for node in group:
            stored = outputs.get(node, ())
            rows.extend((CODES["store"], k, slot[node], 0, 0, 0, 0, cold[k], 0, 0, 1, 0.0) for k in stored)
        for node in group:  # only now, so that no member of the group writes what another one still reads
            for x in dict.fromkeys((*node.inputs, node)):
                readers[x] -= x is not node
                if readers[x] == 0 and x not in fixed:
                    readers[x] = -1  # given back once
                    scratch.free.append(slot[x] - base)

    return Program(
        instructions=np.array(rows, dtype=INSTRUCTION),
        columns=columns,
        constants=tuple(float(node.value) for node in constants if isinstance(node.value, float)),
        n_scratch=scratch.used,
        n_outputs=len(roots),
        initial_state=np.concatenate(memory),
        bar_ms=bar_ms,
        timed=any(node.operation.timed for node in order),
    )
