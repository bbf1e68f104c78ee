"""What the catalogue says of one feature. From: the catalogue's lines. To: feature sets, the printed table, docs."""

from __future__ import annotations

from dataclasses import dataclass

from .expression import Node, nodes_of, warmups_of
from .primitives import COLUMNS
from .resolve import resolve
from .span import milliseconds

REFUSED = "a missing column, or a value that is not finite, is refused"
UNKNOWN = "NaN while {} is absent, or not known somewhere in the window"
ONE_EACH = {"market": 1, "sector": 1}  # warm-ups do not depend on how many pairs there are


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
    rule: str = ""  # for missing data, where the family's own does not say it

    @property
    def formula(self) -> str:
        """The recurrence in the notation of the specification."""
        return str(self.node)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns and groups of pairs that the recurrence reads."""
        return tuple(sorted(_inputs(self.node, needed=False)))

    @property
    def needs(self) -> tuple[str, ...]:
        """Inputs beyond the candle that the feature is NaN without: optional columns, btc, market, sector."""
        return tuple(sorted(_inputs(self.node, needed=True) - {"date", *COLUMNS}))

    @property
    def parameters(self) -> dict[str, tuple[int | str, ...]]:
        """Windows and lags, in bars or as a clock time, by operation; and the parameters of the set."""
        found: dict[str, dict[int | str, None]] = {}
        for x in sorted(nodes_of(self.node), key=lambda x: x.n):
            if x.n or x.span:
                found.setdefault(x.operation.name, {})[x.span.words if x.span else x.n] = None
            elif x.operation.name == "parameter":
                found.setdefault("set", {})[str(x.value)] = None
        return {name: tuple(lengths) for name, lengths in sorted(found.items())}

    @property
    def missing(self) -> str:
        """What becomes of missing data."""
        return self.rule or (UNKNOWN.format(" or ".join(self.needs)) if self.needs else REFUSED)

    def warmup(self, timeframe: str = "15m") -> int:
        """Return the bars that are NaN before the first value; windows in clock time depend on the timeframe."""
        (node,) = resolve((self.node,), milliseconds(timeframe), DEFAULTS, ONE_EACH)
        return warmups_of(node)[node][1]


# What a set may be given besides names. Leverage and its limit are multiples of the stake, the margin a share of the
# position; the GARCH weights are fitted on a training range, omega 0 stands for variance targeting.
DEFAULTS: dict[str, float] = {
    "leverage": 1.0, "max_leverage": 20.0, "maintenance_margin": 0.005,
    "garch_omega": 0.0, "garch_alpha": 0.05, "garch_beta": 0.93,
}  # fmt: skip


def _inputs(root: Node, *, needed: bool) -> set[str]:
    """Return the names of what is read; with `needed` without what has a substitute."""
    found: set[str] = set()
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        operation = node.operation
        if operation.name in ("close_time", "open_time"):
            found.add("date")
        elif (operation.kind == "column" and node.value != "peer") or operation.kind == "group":
            found.add(str(node.value))
        stack.extend(node.inputs[1:] if needed and operation.name == "first_known" else node.inputs)
    return found
