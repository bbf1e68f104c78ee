"""Causal trading features from candles. From: open, high, low, close, volume. To: float32 rows, in batch or bar by bar.

>>> from tradekernels.features import CATALOG, BASE_40, feature_set
>>> feature_set(BASE_40, timeframe="15m").names == BASE_40
True
"""

from .catalog import BASE_40, CATALOG
from .feature import DEFAULTS, Feature
from .feature_set import FeatureSet, feature_set
from .many import compute_many
from .primitives import COLUMNS, OPTIONAL
from .reader import Reader
from .references import References
from .stream import Stream

__all__ = [
    "BASE_40", "CATALOG", "COLUMNS", "DEFAULTS", "OPTIONAL", "Feature", "FeatureSet", "Reader", "References",
    "Stream", "compute_many", "feature_set",
]  # fmt: skip
