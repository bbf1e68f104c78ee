"""The language that features are written in. From: candle columns and numbers. To: a graph of `Node`s.

`C / sma(C, 20) - 1` builds nodes and computes nothing. Equal expressions are the same object, so what two features
share is computed once. Warm-up, digest and formula text are read off the graph; resolve.py settles what depends on the
timeframe, the set's parameters and the pairs at hand, and program.py turns the result into a program.
"""

from __future__ import annotations

import hashlib
import math

from .operations import OPERATIONS, Operation
from .span import Span

SETTLED = 1e-8  # a recursive mean is warm once its seed weighs less than this


_PRECEDENCE = {"greater": 0, "greater_equal": 0, "add": 1, "subtract": 1, "multiply": 2, "divide": 2, "ratio": 2}
_ATOM = 3


class Node:
    """One value per bar: an operation on other nodes. Made by the functions below, never directly."""

    __slots__ = ("inputs", "key", "label", "n", "operation", "span", "value")
    _known: dict[tuple, Node] = {}  # noqa: RUF012 - immutable nodes by what they are, so that equal ones are one

    operation: Operation
    inputs: tuple[Node, ...]
    n: int  # window or lag in bars, 0 where there is none
    span: Span | None  # window or lag in clock time: resolve.py turns it into bars
    value: float | str | None  # a constant's number, a column's name, a recursive mean's weight, a quantile's place
    label: str  # short name in formulas, "" to spell the expression out
    key: str  # SHA-256 of the recurrence: operations, versions, parameters, all the way down

    @staticmethod
    def make(
        name: str,
        *inputs: Node | float,
        n: int = 0,
        span: Span | None = None,
        value: float | str | None = None,
        label: str = "",
    ) -> Node:
        """Return the node for this operation, the same object every time."""
        operation = OPERATIONS[name]
        operands = tuple(x if isinstance(x, Node) else constant(x) for x in inputs)
        identity = (name, tuple(map(id, operands)), n, span, repr(value))
        node = Node._known.get(identity)
        if node is None:
            node = Node()
            node.operation, node.inputs, node.n, node.span = operation, operands, n, span
            node.value, node.label = value, label
            recipe = f"{name}.{operation.version}|{n}|{span!r}|{value!r}|" + ",".join(x.key for x in operands)
            node.key = hashlib.sha256(recipe.encode()).hexdigest()
            node = Node._known.setdefault(identity, node)
        return node

    def __add__(self, other: Node | float) -> Node:
        return Node.make("add", self, other)

    def __radd__(self, other: float) -> Node:
        return Node.make("add", other, self)

    def __sub__(self, other: Node | float) -> Node:
        return Node.make("subtract", self, other)

    def __rsub__(self, other: float) -> Node:
        return Node.make("subtract", other, self)

    def __mul__(self, other: Node | float) -> Node:
        return Node.make("multiply", self, other)

    def __rmul__(self, other: float) -> Node:
        return Node.make("multiply", other, self)

    def __truediv__(self, other: Node | float) -> Node:
        return Node.make("divide", self, other)

    def __rtruediv__(self, other: float) -> Node:
        return Node.make("divide", other, self)

    def __mod__(self, other: Node | float) -> Node:
        return Node.make("modulo", self, other)

    def __neg__(self) -> Node:
        return Node.make("multiply", -1.0, self)

    def __abs__(self) -> Node:
        return Node.make("absolute", self)

    def __gt__(self, other: Node | float) -> Node:
        return Node.make("greater", self, other)

    def __lt__(self, other: Node | float) -> Node:
        return Node.make("greater", other, self)

    def __ge__(self, other: Node | float) -> Node:
        return Node.make("greater_equal", self, other)

    def __le__(self, other: Node | float) -> Node:
        return Node.make("greater_equal", other, self)

    def __getitem__(self, bars: int) -> Node:
        """Return the value `bars` bars earlier, the notation `x[k]` of the specification."""
        return Node.make("lag", self, n=whole(bars))

    def __str__(self) -> str:
        return _text(self, -1)

    def __repr__(self) -> str:
        return f"Node({self})"


def whole(n: int) -> int:
    """Check a number of bars."""
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"a window or lag is a whole number of bars from 1 on, got {n!r}")
    return n


def constant(value: float) -> Node:
    """Return a number as a node."""
    return Node.make("constant", value=float(value))


def column(name: str, label: str = "") -> Node:
    """Return an input column."""
    return Node.make("column", value=name, label=label)


def named(label: str, node: Node) -> Node:
    """Give a shared expression its usual name in formulas."""
    node.label = node.label or label
    return node


def nodes_of(*roots: Node) -> list[Node]:
    """Return every node below and including `roots`, inputs before their users."""
    order: dict[Node, None] = {}
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, expanded = stack.pop()
        if node in order:
            continue
        if expanded:
            order[node] = None
            continue
        stack.append((node, True))
        stack.extend((x, False) for x in reversed(node.inputs))
    return list(order)


def warmups_of(*roots: Node) -> dict[Node, tuple[int, int]]:
    """Return for every node the first bar at which it is defined, and the first at which it has settled.

    They differ where a recursive mean lies below: it is defined from the end of its seed on, and settled once the
    seed, which depends on where history begins, weighs less than `SETTLED`.
    """
    warmup: dict[Node, tuple[int, int]] = {}
    for node in nodes_of(*roots):
        first = max((warmup[x][0] for x in node.inputs), default=0)
        settled = max((warmup[x][1] for x in node.inputs), default=0)
        match node.operation.kind:
            case "lag":
                first, settled = first + node.n, settled + node.n
            case "window":
                first, settled = first + node.n - 1, settled + node.n - 1
            case "path":
                first, settled = first + node.n, max(first, settled) + node.n
            case "recursive":
                assert isinstance(node.value, float)
                first += node.n - 1
                fading = 0 if node.value == 1.0 else math.ceil(math.log(SETTLED) / math.log(1.0 - node.value))
                settled = max(first, settled) + fading
        warmup[node] = first, settled
    return warmup


def _text(node: Node, outer: int) -> str:
    name, symbol = node.operation.name, node.operation.symbol
    if node.label and outer >= 0:
        return node.label
    if node.operation.kind in ("column", "constant", "parameter"):
        return f"{node.value:.10g}" if isinstance(node.value, float) else (node.label or str(node.value or name))
    operands = node.inputs
    length = node.span or node.n
    if node.operation.kind == "lag":
        return f"{_text(operands[0], _ATOM)}[{length}]"
    if node.operation.kind == "group":
        return f"{symbol}_{node.value}({_text(operands[0], 0)})"
    if node.operation.kind == "recursive":
        if node.n and node.value not in (1.0 / node.n, 2.0 / (node.n + 1)):
            return f"EWM_{node.value:g}({_text(operands[0], 0)})"
        return f"{'WIL' if node.n and node.value == 1.0 / node.n else symbol}_{length}({_text(operands[0], 0)})"
    if node.operation.kind in ("window", "path"):
        of = "" if node.value is None else f"<{node.value:g}>"
        window = "" if name == "psar" else f"_{length}"  # its n is a warm-up
        return f"{symbol}{window}{of}({', '.join(_text(x, 0) for x in operands)})"
    if name == "divide" and operands[0].operation.name == "sum" and str(operands[1]) == str(operands[0].n):
        return f"SMA_{operands[0].n}({_text(operands[0].inputs[0], 0)})"
    if (
        name == "divide"
        and operands[0].operation.name == "timed_sum"
        and str(operands[1]) == f"SUM_{operands[0].span}(1)"
    ):
        return f"SMA_{operands[0].span}({_text(operands[0].inputs[0], 0)})"
    if name == "calendar":
        return f"{symbol}_{node.value:g}({_text(operands[0], 0)})"
    if name not in _PRECEDENCE:
        return f"{symbol}({', '.join(_text(x, 0) for x in operands)})"
    level = _PRECEDENCE[name]
    right = level + (name in ("subtract", "divide", "ratio"))
    text = f"{_text(operands[0], level)} {symbol} {_text(operands[1], right)}"
    return f"({text})" if level < outer else text
