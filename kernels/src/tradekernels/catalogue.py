"""The catalogue as text. From: features.CATALOG, observation.SLOTS. To: `python -m tradekernels`, docs/features.md."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from .features import BASE_40, CATALOG, DEFAULTS, OPTIONAL, Feature
from .features.expression import Node, nodes_of
from .observation import SLOTS

HEADINGS = (
    "id",
    "name",
    "formula",
    "parameters",
    "warm-up",
    "unit",
    "range",
    "if data are missing",
    "meaning",
    "source",
)
INTRODUCTION = """# Features

Made by `python -m tradekernels catalogue --page`; do not edit.

{count} features in {families} families, each one causal recurrence that gives the same bits in batch and bar by bar.

```python
from tradekernels.features import CATALOG, References, feature_set

features = feature_set(["rsi_14", "yang_zhang_24h", "btc_beta"], timeframe="15m")
rows = features.compute(frame, References({{"BTC/USDT": btc, ("ETH/USDT", "1h"): eth_hourly}}))
```

In a Freqtrade strategy it is one line: see [strategies](strategies.md).

**Reading the tables.** `O H L C V` are the candle, `x[k]` is the value k bars earlier, `x[24h]` the one known 24 hours
earlier. `SMA_n`, `EMA_n`, `WIL_n` (Wilder's), `STD_n` (population), `SUM_n`, `MAX_n` and `MIN_n` run over the last n
bars, or over the bars that closed in a stretch of clock time (`SUM_24h`). `a / b` is 0 where b is 0. Warm-up is in bars
of {timeframe}: a value before it is NaN, after it a number, except where the column "if data are missing" says
otherwise. Where that says nothing, a missing column, or a value that is not finite, is refused by name and row.

**Gaps.** A missing bar is told by the timestamps. Windows of n bars count bars; windows of clock time count time and
hold fewer bars. `features.missing_bars(frame)` says where they are, so that nothing is bridged unseen.

**Other pairs** are read as of this bar's close: an hour counts when it is over.

**Optional columns** of a frame, NaN where not known: {optional}.
`features.validity(frame, references)` says which features have all they need.

**Parameters of a set**, `feature_set(..., parameters={{...}})`, are part of the digest of the sets that read them:
{parameters}.
"""


def row(feature: Feature, timeframe: str) -> tuple[str, ...]:
    """Return the cells of one feature."""
    low, high = (f"{bound:.4g}" for bound in feature.range)
    parameters = "; ".join(f"{name} {', '.join(map(str, values))}" for name, values in feature.parameters.items())
    missing = feature.missing if feature.needs or feature.rule else ""
    return (
        feature.id, f"`{feature.name}`", f"`{feature.formula}`", parameters, str(feature.warmup(timeframe)),
        feature.unit, f"{low} .. {high}", missing, feature.meaning, feature.source,
    )  # fmt: skip


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def table(timeframe: str, family: str | None = None) -> str:
    """Return the catalogue, or one family of it, as one Markdown table."""
    chosen = [feature for feature in CATALOG.values() if family in (None, feature.family)]
    headings = (HEADINGS[0], HEADINGS[1], "family", *HEADINGS[2:])
    rows = [
        (cells[0], cells[1], feature.family, *cells[2:]) for feature in chosen for cells in [row(feature, timeframe)]
    ]
    return markdown(headings, rows)


def counts() -> dict[str, int]:
    """Return how many features each family has."""
    return dict(sorted(Counter(feature.family for feature in CATALOG.values()).items()))


def as_json(timeframe: str, family: str | None = None) -> str:
    """Return the catalogue as JSON: one object a feature, everything that is declared of it."""
    return json.dumps(
        [
            {
                "id": it.id, "name": it.name, "family": it.family, "formula": it.formula, "inputs": it.inputs,
                "needs": it.needs, "parameters": it.parameters, "warmup": it.warmup(timeframe), "unit": it.unit,
                "range": [bound if math.isfinite(bound) else None for bound in it.range], "missing": it.missing,
                "meaning": it.meaning, "source": it.source,
            }
            for it in CATALOG.values() if family in (None, it.family)
        ],
        indent=1,
    )  # fmt: skip


def shared_words() -> dict[str, str]:
    """Return the names that formulas use for parts that several share, and what they stand for."""
    words: dict[str, str] = {}
    for node in nodes_of(*(feature.node for feature in CATALOG.values())):
        if node.label and node.operation.kind not in ("column", "constant"):
            words.setdefault(node.label, _spelled_out(node))
    return dict(sorted(words.items(), key=lambda item: item[0].lower()))


def _spelled_out(node: Node) -> str:
    return str(node) if node.operation.name not in ("close_time", "open_time") else "ms since 1970, UTC"


def page(timeframe: str = "15m") -> str:
    """Return docs/features.md."""
    families = counts()
    parts = [
        INTRODUCTION.format(
            count=len(CATALOG), families=len(families), timeframe=timeframe,
            optional=", ".join(f"`{name}`" for name in OPTIONAL),
            parameters=", ".join(f"`{name}` {value:g}" for name, value in DEFAULTS.items()),
        ),
        "| family | features |\n| --- | ---: |\n"
        + "\n".join(f"| [{name}](#{name}) | {count} |" for name, count in families.items())
        + f"\n| all | {len(CATALOG)} |",
        f"`BASE_40`, what models read by default: {', '.join(f'`{name}`' for name in BASE_40)}.",
    ]  # fmt: skip
    for family in families:
        chosen = [row(feature, timeframe) for feature in CATALOG.values() if feature.family == family]
        parts.append(f"## {family}\n\n{markdown(HEADINGS, chosen)}")
    words = [(f"`{word}`", f"`{meaning}`") for word, meaning in shared_words().items()]
    parts.append("## Words in formulas\n\n" + markdown(("word", "is"), words))
    slots = [
        (str(slot.index), f"`{slot.name}`", slot.block, slot.formula, slot.unit,
         "{:g} .. {:g}".format(*slot.range), slot.missing)
        for slot in SLOTS
    ]  # fmt: skip
    headings = ("index", "name", "block", "formula", "unit", "range", "when missing")
    parts.append(
        "## The observation\n\nThe 56 values that a policy sees, in their one order: `tradekernels.observation`.\n\n"
        + markdown(headings, slots)
    )
    return "\n\n".join(parts) + "\n"
