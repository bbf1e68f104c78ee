"""Every feature the project knows. From: one module per family. To: feature sets, the printed table, the docs."""

from collections.abc import Mapping
from types import MappingProxyType

from ..feature import Feature
from . import (
    candles,
    cross_asset,
    flow,
    futures,
    microstructure,
    momentum,
    price,
    quality,
    statistics,
    time,
    trend,
    volatility,
    volume,
)

_FAMILIES = (
    price, trend, momentum, volatility, volume, microstructure, candles, quality, futures, time, statistics,
    cross_asset, flow,
)  # fmt: skip
_ALL = sorted(
    (feature for family in _FAMILIES for feature in family.FEATURES),
    key=lambda feature: int(feature.id.removeprefix("FEA-")),
)
CATALOG: Mapping[str, Feature] = MappingProxyType({feature.name: feature for feature in _ALL})
assert len(CATALOG) == len(_ALL) == len({feature.id for feature in _ALL}), "a feature is listed twice"

# What models read by default: every family, bounded or near-stationary values, short warm-up.
BASE_40: tuple[str, ...] = (
    "log_return", "volume_ratio", "range_pct", "body_ratio",
    "sma_20_ratio", "ema_9_ratio", "ema_20_ratio", "ema_50_ratio", "ema_20_50", "macd_hist", "adx_14", "di_diff",
    "aroon_diff",
    "rsi_7", "rsi_14", "rsi_14_change", "stoch_k", "stoch_d", "roc_5", "roc_20", "williams_14", "cci_20",
    "atr_14_pct", "atr_ratio", "bb_width", "bb_position", "keltner_position", "donchian_position", "donchian_width",
    "vwma_20_ratio", "mfi_14", "obv_change", "cmf_20", "volume_z_20",
    "flow_imbalance", "close_location", "upper_wick", "lower_wick",
    "hour_sin", "hour_cos",
)  # fmt: skip
assert len(set(BASE_40)) == len(BASE_40) == len(set(BASE_40) & set(CATALOG)) == 40, "BASE_40 is 40 known features"
