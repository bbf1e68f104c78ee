"""Features of `tradekernels` as columns of a Freqtrade frame, in one line.

From: candles and names of the catalogue. To: `populate_indicators`.
"""

import logging
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd
from tradekernels.features import FeatureSet, feature_set

logger = logging.getLogger(__name__)


def add_features(dataframe: pd.DataFrame, names: Iterable[str], timeframe: str) -> pd.DataFrame:
    """Return the frame with one float32 column per feature, NaN before its warm-up.

    Candles that no feature can be computed from give NaN columns and a warning: an exception in `populate_indicators`
    would leave the previous candle's signals tradable.

    Raises
    ------
    ValueError
        If a name is not in the catalogue, or the frame has a column of that name already: an author's mistakes.
    """
    features = _compiled(tuple(names), timeframe)
    if taken := [name for name in features.names if name in dataframe.columns]:
        raise ValueError(f"frame has a column {taken[0]!r} already, expected it to be free for the feature")
    try:
        values = features.compute(dataframe)
    except ValueError as error:
        logger.warning("No features %s: %s. No entries will be made on them.", ", ".join(features.names), error)
        values = np.full((len(dataframe), len(features.names)), np.nan, dtype=np.float32)
    columns = pd.DataFrame(values, columns=list(features.names), index=dataframe.index, copy=False)
    return pd.concat([dataframe, columns], axis=1)


@lru_cache(maxsize=32)
def _compiled(names: tuple[str, ...], timeframe: str) -> FeatureSet:
    return feature_set(names, timeframe)
