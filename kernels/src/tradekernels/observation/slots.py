"""The one table of the observation: what stands where. From: the specification (OBS-0..58). To: everything that fills,
names, clips or serves the vector.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

VERSION = 1  # part of every digest: raise it when `_observation.pyx` makes another value of the same raw one
MAX_NUM_TOKENS = 1  # pairs that one model tells apart; a larger number lengthens the one-hot block (OBS-58)

# First index of each block; a block ends where the next one begins (OBS-57).
STARTS = {
    "bar": 0, "derived": 3, "technical": 5, "micro": 18, "agent": 21, "metadata": 27, "external": 32, "token": 53,
}  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """One value of the observation."""

    index: int
    name: str
    block: str
    formula: str  # T(x) = tanh((x - mean)/std), both of the training range; std 0 gives 0
    unit: str  # of what goes in; the value itself is a number without a unit
    range: tuple[float, float]
    missing: str  # the value when the data for it are not there; "error" where that is refused

    @property
    def id(self) -> str:
        """The requirement that defines the slot."""
        return f"OBS-{min(self.index, 55)}"


_STANDARD, _SHARE, _FLAG = (-1.0, 1.0), (0.0, 1.0), (0.0, 1.0)
_EXTERNAL = (
    ("cvd_24h", "base"), ("cvd_168h", "base"), ("yang_zhang_24h", "ratio"), ("yang_zhang_168h", "ratio"),
    ("garch_12h", "ratio"), ("garch_24h", "ratio"), ("ret_15m", "ratio"), ("ret_60m", "ratio"), ("ret_5m", "ratio"),
    ("sma_60", "quote"), ("yang_zhang_720h", "ratio"), ("parkinson_24h", "ratio"), ("parkinson_168h", "ratio"),
    ("garch_500m", "ratio"), ("taker_buy_ratio", "ratio"), ("tbr_sma_24h", "ratio"), ("tbr_sma_6h", "ratio"),
    ("tbr_sma_12h", "ratio"), ("tbr_momentum_1h", "ratio"), ("tbr_momentum_6h", "ratio"),
    ("tbr_momentum_12h", "ratio"),
)  # fmt: skip
EXTERNAL: tuple[str, ...] = tuple(name for name, _ in _EXTERNAL)  # names of the catalogue, FEA-184..204, in slot order

_TABLE: tuple[tuple[str, str, str, tuple[float, float], str], ...] = (
    ("price", "T(C)", "quote", _STANDARD, "error"),
    ("log_volume_norm", "tanh(ln(1 + Q/Q0))", "-", _SHARE, "error"),
    ("rel_volume", "tanh(ln(1 + V/V0))", "-", _SHARE, "error"),
    ("ret_bar", "tanh((C - C[1])/C[1])", "ratio", _STANDARD, "error; 0 on the first bar of all"),
    ("vol_proxy", "tanh(ln(1 + ATR_14/C))", "-", _SHARE, "ATR = 1% of C"),
    ("ma5", "T(SMA_5)", "quote", _STANDARD, "0"),
    ("ma5_valid", "1 once 5 bars exist", "flag", _FLAG, "0"),
    ("ma20", "T(SMA_20)", "quote", _STANDARD, "0"),
    ("ma20_valid", "1 once 20 bars exist", "flag", _FLAG, "0"),
    ("rsi", "(RSI_14 - 50)/50", "-", _STANDARD, "RSI = 50"),
    ("macd", "T(EMA_12 - EMA_26)", "quote", _STANDARD, "0"),
    ("macd_signal", "T(EMA_9 of the line)", "quote", _STANDARD, "0"),
    ("momentum", "T(C - C[10])", "quote", _STANDARD, "0"),
    ("atr", "T(ATR_14)", "quote", _STANDARD, "ATR = 1% of C"),
    ("cci", "T(CCI_20)", "-", _STANDARD, "0"),
    ("obv", "T(SUM_200(sign(C - C[1]) V))", "base", _STANDARD, "0"),
    ("bb_position", "clip((C - low)/(up - low), -1, 2)", "-", (-1.0, 2.0), "0.5, also if up - low <= 1e-4 C"),
    ("bb_width", "clip((up - low)/C, 0, 10)", "ratio", (0.0, 10.0), "0"),
    ("ofi_proxy", "book: tanh(order_flow_imbalance/mean_top_depth); taker: 2 taker/V - 1; "
     "candles: tanh((C - C[10])/(1% C))", "-", _STANDARD, "0"),
    ("quantity_imbalance", "book: (bid - ask)/(bid + ask) size of 5 levels; else tanh((up - low)/C)",
     "-", _STANDARD, "0"),
    ("microstructure_deviation", "book: tanh((weighted mid - mid)/mid in bps); else tanh((MACD - signal)/(1% C))",
     "-", _STANDARD, "0"),
    ("cash_ratio", "clip(cash/worth, 0, 1)", "ratio", _SHARE, "1 if worth <= 0"),
    ("position_ratio", "tanh(position value/worth)", "ratio", _STANDARD, "0 if worth <= 0"),
    ("volume_imbalance", "tanh((bought - sold)/(bought + sold)), 20 bars", "-", _STANDARD, "0"),
    ("trade_intensity", "tanh(own fills per bar), 20 bars", "1/bar", _SHARE, "0"),
    ("realized_spread", "clip(mean side x (fill - mid)/mid, -0.1, 0.1), 20 bars", "ratio", (-0.1, 0.1), "0"),
    ("agent_fill_ratio", "filled/placed amount, 20 bars", "ratio", _SHARE, "0"),
    ("is_high_importance", "1 if a high-importance event falls in the bar", "flag", _FLAG, "0"),
    ("time_since_event", "tanh(hours/24)", "h", _SHARE, "0"),
    ("risk_off_flag", "1 if fear and greed < 25", "flag", _FLAG, "0"),
    ("fear_greed_value", "fear and greed/100", "ratio", _SHARE, "0"),
    ("fear_greed_indicator", "1 if fear and greed is known", "flag", _FLAG, "0"),
    *((name, f"T(FEA-{k})", unit, _STANDARD, "0") for k, (name, unit) in enumerate(_EXTERNAL, start=184)),
    ("num_tokens_norm", "tokens/MAX_NUM_TOKENS", "-", _SHARE, "error"),
    ("token_id_norm", "id/MAX_NUM_TOKENS", "-", _SHARE, "error"),
)  # fmt: skip


def slots_of(max_num_tokens: int = MAX_NUM_TOKENS) -> tuple[Slot, ...]:
    """Return the table for models that tell up to `max_num_tokens` pairs apart: 55 + `max_num_tokens` slots."""
    if not isinstance(max_num_tokens, int) or max_num_tokens < 1:
        raise ValueError(f"max_num_tokens is {max_num_tokens!r}, expected a whole number from 1 on")
    one_hot = ((f"token_onehot[{k}]", f"1 if id = {k}", "flag", _FLAG, "error") for k in range(max_num_tokens))
    names = list(STARTS)
    return tuple(
        Slot(k, name, names[sum(start <= k for start in STARTS.values()) - 1], formula, unit, range_, missing)
        for k, (name, formula, unit, range_, missing) in enumerate((*_TABLE, *one_hot))
    )


def blocks_of(max_num_tokens: int = MAX_NUM_TOKENS) -> Mapping[str, slice]:
    """Return the slice of each block, for block-wise clipping."""
    ends = [*list(STARTS.values())[1:], 55 + max_num_tokens]
    return MappingProxyType({name: slice(start, end) for (name, start), end in zip(STARTS.items(), ends, strict=True)})


def layout_digest(slots: tuple[Slot, ...]) -> str:
    """Return the SHA-256 over index, name and block of every slot, in order."""
    return hashlib.sha256(json.dumps([[slot.index, slot.name, slot.block] for slot in slots]).encode()).hexdigest()


SLOTS: tuple[Slot, ...] = slots_of()
BLOCKS: Mapping[str, slice] = blocks_of()
LAYOUT_DIGEST: str = layout_digest(SLOTS)
AGENT: slice = BLOCKS["agent"]
assert len(SLOTS) == 55 + MAX_NUM_TOKENS == 56, f"the observation has {len(SLOTS)} slots, expected 56"
assert len({slot.name for slot in SLOTS}) == len(SLOTS), "a slot's name is used twice"
