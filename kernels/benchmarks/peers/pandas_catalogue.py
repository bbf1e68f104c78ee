"""The whole catalogue with pandas, as an experienced user writes it. From: candles of 15m without gaps. To: a frame.

Intermediate results are computed once; a recursion or a statistic that pandas has no word for is `rolling.apply` on
raw arrays or NumPy. Features of columns that the frame lacks, and of pairs that are not given, are NaN.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from peers import pandas_futures, pandas_quality, pandas_statistics, pandas_technical, pandas_windows
from peers.market import Market

FAMILIES = (pandas_technical, pandas_quality, pandas_futures, pandas_statistics, pandas_windows)
ALONE = SimpleNamespace(frames={}, sector=())


def with_pandas(frame, references=None):
    """Return a frame with a float64 column per feature of the catalogue."""
    market, columns = Market(frame), {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for family in FAMILIES:
            for part in family.PARTS:
                columns.update(part(market))
        columns.update(pandas_statistics.others(market, references or ALONE))
    return pd.DataFrame(columns)
