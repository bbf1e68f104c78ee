"""Causal trading features from candles. From: open, high, low, close, volume. To: float32 rows, in batch or bar by bar.

>>> from tradekernels.features import CATALOG, BASE_40, feature_set
>>> feature_set(BASE_40, timeframe="15m").names == BASE_40
True
"""

from .catalog import BASE_40, CATALOG
from .feature import Feature
from .feature_set import FeatureSet, feature_set
from .stream import Stream

__all__ = ["BASE_40", "CATALOG", "Feature", "FeatureSet", "Stream", "feature_set"]
