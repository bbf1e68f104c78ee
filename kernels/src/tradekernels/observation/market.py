"""The market slots: a raw value and a shape each. From: the catalogue's nodes, statistics. To: raw.py, the sets.

The feature engine computes the raw value and `_observation.pyx` gives it its shape.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..features import CATALOG
from ..features.catalog.indicators import QUOTE, atr, bands, macd_line, rsi
from ..features.catalog.momentum import CCI
from ..features.catalog.trend import SIGNAL
from ..features.expression import Node, column, constant
from ..features.primitives import UNKNOWN, C, V, known, sign, sma, total, where
from .slots import AGENT, EXTERNAL, SLOTS

if TYPE_CHECKING:
    from .statistics import Statistics

TAKER = "taker_buy_volume"
BOOK = (
    "best_bid", "best_ask", "best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5",
    "order_flow_imbalance", "mean_top_depth",
)  # fmt: skip
# What a frame may have besides candles, and the values it may take; NaN where it is not known.
INPUTS: dict[str, tuple[float, float]] = {
    **dict.fromkeys((TAKER, "quote_volume", *BOOK), (0.0, math.inf)),
    "order_flow_imbalance": (-math.inf, math.inf),
    "event_high": (0.0, 1.0),  # 1 if an event of high importance falls in the bar
    "hours_since_event": (0.0, math.inf),  # at the close
    "fear_greed": (0.0, 100.0),  # the index as it was known at the close
}  # fmt: skip

SOURCES = {"book": BOOK, "taker": (TAKER,), "candles": ()}  # of slots 18 to 20, and the columns each needs
STANDARDISED: tuple[str, ...] = tuple(slot.name for slot in SLOTS if slot.formula.startswith("T("))
MARKET: tuple[str, ...] = tuple(slot.name for slot in SLOTS[:53] if slot.block != "agent")
ATR_MISSING = "1% of C"  # what stands for ATR_14 while it is not known
assert len(STANDARDISED) == 30, f"{len(STANDARDISED)} slots are standardised, expected 30"
assert len(MARKET) == 53 - (AGENT.stop - AGENT.start) == 47, f"{len(MARKET)} slots are the market's, expected 47"


def source_of(columns: Container[str]) -> str:
    """Return what the micro slots 18 to 20 are made of where these columns are at hand (OBS-59)."""
    return next(source for source, needed in SOURCES.items() if all(name in columns for name in needed))


def inputs_of(source: str, absent: Iterable[str]) -> tuple[str, ...]:
    """Return the columns besides candles that a set reads, in the order of `INPUTS`."""
    unread = {*absent, *(() if source == "book" else BOOK)}
    return tuple(name for name in INPUTS if name not in unread)


@dataclass(frozen=True)
class Shape:
    """What becomes of a raw value x: z = (x - shift)/scale, perhaps bent by tanh, held in the slot's range.

    Standardised values have lost their mean in the engine already, before rows are float32: prices of a stable coin
    and volatilities of a long window move in their last digits only.
    """

    shift: float = 0.0
    scale: float = 1.0
    bent: bool = False


PLAIN, BENT = Shape(), Shape(bent=True)


def raw_nodes(source: str, inputs: tuple[str, ...]) -> dict[str, Node]:
    """Return the raw value of every market slot, in slot order, and then the range that stands for an unknown one."""
    up, low = bands()
    width, gap = up - low, macd_line() - SIGNAL
    fear_greed = column("fear_greed")
    nodes = {
        "price": C,
        "log_volume_norm": QUOTE,
        "rel_volume": V,
        "ret_bar": (C - C[1]) / C[1],
        "vol_proxy": atr(14) / C,
        "ma5": sma(C, 5),
        "ma5_valid": constant(1.0),  # known from the bar on which the mean is: raw.py
        "ma20": sma(C, 20),
        "ma20_valid": constant(1.0),
        "rsi": rsi(14),
        "macd": macd_line(),
        "macd_signal": SIGNAL,
        "momentum": C - C[10],
        "atr": atr(14),
        "cci": CCI,
        "obv": total(sign(C - C[1]) * V, 200),
        "bb_position": where(width > 1e-4 * C, (C - low) / width, 0.5),
        "bb_width": width / C,
        "ofi_proxy": (C - C[10]) / (0.01 * C),
        "quantity_imbalance": width / C,
        "microstructure_deviation": gap / (0.01 * C),
        "is_high_importance": column("event_high") > 0.0,
        "time_since_event": column("hours_since_event"),
        "risk_off_flag": fear_greed < 25.0,
        "fear_greed_value": fear_greed,
        "fear_greed_indicator": known(fear_greed),
        **{name: CATALOG[name].node for name in EXTERNAL},
    }
    if source == "book":
        nodes |= {
            "ofi_proxy": CATALOG["order_flow_imbalance"].node,
            "quantity_imbalance": CATALOG["depth_imbalance"].node,
            "microstructure_deviation": CATALOG["weighted_mid_deviation"].node,
        }
    elif source == "taker":
        nodes["ofi_proxy"] = CATALOG["trade_flow_imbalance"].node
    unread = {name for name in EXTERNAL if not set(inputs).issuperset(CATALOG[name].needs)}
    nodes |= dict.fromkeys(unread, UNKNOWN)
    assert tuple(nodes) == MARKET, "the graphs are not in slot order"
    return nodes | {ATR_MISSING: 0.01 * C}


def centred(nodes: dict[str, Node], means: Mapping[str, float]) -> dict[str, Node]:
    """Return the raw values with the training mean taken off those that are standardised."""
    means = {**means, ATR_MISSING: means["atr"]}
    return {name: node - means[name] if name in means else node for name, node in nodes.items()}


def shapes(statistics: Statistics) -> dict[str, Shape]:
    """Return the shape of every market slot; where a deviation or a scale is 0, it is such that the slot is 0."""
    source, stds = statistics.source, statistics.stds
    given = {
        "log_volume_norm": Shape(scale=statistics.quote_scale or math.inf),  # these two and vol_proxy go through
        "rel_volume": Shape(scale=statistics.volume_scale or math.inf),  # tanh(ln(1 + z)) on top
        "ret_bar": BENT,
        "rsi": Shape(50.0, 50.0),
        "ofi_proxy": PLAIN if source == "taker" else BENT,
        "quantity_imbalance": PLAIN if source == "book" else BENT,
        "microstructure_deviation": BENT,
        "time_since_event": Shape(scale=24.0, bent=True),
        "fear_greed_value": Shape(scale=100.0),
    }
    for name in STANDARDISED:
        given[name] = Shape(scale=stds[name] or math.inf, bent=True)
    return {name: given.get(name, PLAIN) for name in MARKET}


# A slot's own value before its raw value is known; 0 where it is not named.
MISSING: dict[str, float] = {
    "vol_proxy": (1.01**2 - 1) / (1.01**2 + 1),  # tanh(ln(1 + 1%))
    "bb_position": 0.5,
}
