"""Settles what a graph leaves open. From: a feature's graph, a timeframe, parameters, pairs. To: bars and columns only.

Open are windows in clock time, the parameters of a set, and means over however many other pairs there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .expression import Node, column, constant, nodes_of

PEER = column("peer", "P")  # inside a mean over pairs: the close of one of them


def resolve(
    roots: tuple[Node, ...], bar_ms: int, parameters: Mapping[str, float], pairs: Mapping[str, int]
) -> tuple[Node, ...]:
    """Return the graphs with windows in bars, parameters as numbers, and one copy per pair of what is averaged.

    Parameters
    ----------
    roots : tuple of Node
        Graphs of features.
    bar_ms : int
        Length of a bar, milliseconds.
    parameters : Mapping of str to float
        Values of the parameters that the graphs name.
    pairs : Mapping of str to int
        How many pairs there are in each group; `sector` 2 makes the columns `sector.0` and `sector.1`.
    """
    done: dict[Node, Node] = {}
    for node in nodes_of(*roots):
        done[node] = _resolved(node, done, bar_ms, parameters, pairs)
    return tuple(done[root] for root in roots)


def _resolved(
    node: Node, done: dict[Node, Node], bar_ms: int, parameters: Mapping[str, float], pairs: Mapping[str, int]
) -> Node:
    if node.operation.name == "cells":
        return constant(node.span.bars(bar_ms) if node.span else 0)
    if node.operation.kind == "parameter":
        return constant(parameters[str(node.value)])
    if node.operation.kind == "group":
        return _mean_over(str(node.value), done[node.inputs[0]], pairs[str(node.value)])
    inputs = [done[x] for x in node.inputs]
    n = node.n if node.span is None else node.span.bars(bar_ms)
    value = 2.0 / (n + 1) if node.operation.name == "timed_mean" else node.value
    return Node.make(node.operation.name, *inputs, n=n, value=value, label=node.label)


def _mean_over(group: str, body: Node, count: int) -> Node:
    """Return the mean of `body` over the pairs at which it is known, NaN where it is known at none."""
    if count == 0:
        return constant(math.nan)
    total, known = constant(0.0), constant(0.0)
    for k in range(count):
        value = _with_peer(body, column(f"{group}.{k}"))
        is_known = Node.make("known", value)
        total = total + Node.make("select", is_known, value, 0.0)
        known = known + is_known
    return total / known


def _with_peer(body: Node, peer: Node) -> Node:
    """Return the expression with one pair's close in the place of `PEER`."""
    done: dict[Node, Node] = {}
    for node in nodes_of(body):
        if node is PEER:
            done[node] = peer
        elif all(done[x] is x for x in node.inputs):
            done[node] = node
        else:
            inputs = [done[x] for x in node.inputs]
            done[node] = Node.make(node.operation.name, *inputs, n=node.n, value=node.value)
    return done[body]
