"""Features of `tradekernels` as columns of a Freqtrade frame, in one line.

From: candles, other pairs' candles and names of the catalogue. To: `populate_indicators`.
"""

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from tradekernels.features import FeatureSet, References, feature_set
from tradekernels.features.frame import read_times
from tradekernels.features.span import milliseconds

logger = logging.getLogger(__name__)

SAME_AS_INPUT = (
    "funding_rate",
)  # features that are a column of the frame: where it has the column, it has the feature


def add_features(
    dataframe: pd.DataFrame,
    names: Iterable[str],
    timeframe: str,
    references: References | Mapping[Any, pd.DataFrame] | None = None,
    parameters: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the frame with one float32 column per feature, NaN before its warm-up.

    Candles that no feature can be computed from give NaN columns and a warning: an exception in `populate_indicators`
    would leave the previous candle's signals tradable. A feature whose data are not there (`docs/features.md` says what
    each needs) is NaN too, and said once.

    Parameters
    ----------
    dataframe : DataFrame
        Freqtrade's candles, and optional columns of the catalogue where there are any.
    names : iterable of str
        Features of the catalogue.
    timeframe : str
        Of the candles.
    references : References or Mapping of pair to DataFrame, optional
        Other pairs, such as `pairs_of(self.dp, [...])` gives.
    parameters : Mapping of str to float, optional
        Of the set, such as leverage.

    Raises
    ------
    ValueError
        If a name is not in the catalogue, a parameter is wrong, or the frame has a column of that name already: an
        author's mistakes.
    """
    if isinstance(names, str):
        raise ValueError(f"names is {names!r}, expected a list of names")
    names = tuple(name for name in names if not (name in SAME_AS_INPUT and name in dataframe.columns))
    if not names:
        return dataframe
    features = _compiled(names, timeframe, tuple(sorted((parameters or {}).items())))
    if taken := [name for name in features.names if name in dataframe.columns]:
        raise ValueError(f"frame has a column {taken[0]!r} already, expected it to be free for the feature")
    return pd.concat([dataframe, _columns(features, dataframe, references, features.names)], axis=1)


def add_slower_features(
    dataframe: pd.DataFrame,
    timeframe: str,
    slower: pd.DataFrame,
    slower_timeframe: str,
    names: Iterable[str],
    prefix: str = "",
) -> pd.DataFrame:
    """Return the frame with features of other candles, each seen only from the close of its own candle on.

    Parameters
    ----------
    dataframe, timeframe
        The candles that are traded on.
    slower, slower_timeframe
        Candles of the same or another pair, such as `self.dp.get_pair_dataframe(pair, "1h")`.
    names : iterable of str
        Features of the catalogue; the columns are called `{prefix}{name}_{slower_timeframe}`, as Freqtrade's own.
    prefix : str
        Such as "btc_", for another pair.

    Notes
    -----
    A candle older than two of its own lengths says nothing any more: NaN.
    """
    features = _compiled(tuple(names), slower_timeframe, ())
    titles = [f"{prefix}{name}_{slower_timeframe}" for name in features.names]
    if taken := [name for name in titles if name in dataframe.columns]:
        raise ValueError(f"frame has a column {taken[0]!r} already, expected it to be free for the feature")
    aligned = np.full((len(dataframe), len(titles)), np.nan, dtype=np.float32)
    if slower is not None and len(slower):
        rows = _columns(features, slower, None, titles).to_numpy()
        try:
            length = milliseconds(slower_timeframe)
            known = read_times(slower["date"]) + length
            now = read_times(dataframe["date"]) + milliseconds(timeframe)
            newest = known.searchsorted(now, side="right") - 1
            seen = (newest >= 0) & (now - known[newest] < 2 * length)
            aligned[seen] = rows[newest[seen]]
        except (KeyError, ValueError) as error:
            logger.warning("No features %s: %s. No entries will be made on them.", ", ".join(titles), error)
    return pd.concat([dataframe, pd.DataFrame(aligned, columns=titles, index=dataframe.index)], axis=1)


def pairs_of(
    dataprovider: Any, pair: str, pairs: Iterable[str], timeframe: str, sector: Iterable[str] | None = None
) -> References:
    """Return other pairs' candles for the cross-asset features of `pair`; one that has none is left out.

    Name the same pairs in the strategy's `informative_pairs`, so that Freqtrade loads them. `sector` are the peers
    among them, by default all but bitcoin; a pair is never its own peer.
    """
    frames = {}
    for other in pairs:
        frame = dataprovider.get_pair_dataframe(other, timeframe)
        if frame is None or frame.empty:
            logger.warning("No %s candles of %s: features that look at it do without.", timeframe, other)
        else:
            frames[other] = frame
    peers = [other for other in frames if not other.startswith("BTC/")] if sector is None else sector
    return References(frames, tuple(other for other in peers if other in frames and other != pair))


def _columns(
    features: FeatureSet,
    frame: pd.DataFrame,
    references: References | Mapping[Any, pd.DataFrame] | None,
    titles: Iterable[str],
) -> pd.DataFrame:
    try:
        values = features.compute(frame, references)
        lacking = tuple(name for name, valid in features.validity(frame, references).items() if not valid)
        if lacking and len(frame):
            _say_once(features, lacking)
    except ValueError as error:
        logger.warning("No features %s: %s. No entries will be made on them.", ", ".join(features.names), error)
        values = np.full((len(frame), len(features.names)), np.nan, dtype=np.float32)
    return pd.DataFrame(values, columns=list(titles), index=frame.index, copy=False)


@lru_cache(maxsize=128)
def _say_once(features: FeatureSet, lacking: tuple[str, ...]) -> None:
    needs = {feature.name: " and ".join(feature.needs) for feature in features.features}
    words = ", ".join(f"{name} needs {needs[name]}" for name in lacking)
    logger.warning("Features without their data are NaN: %s.", words)


@lru_cache(maxsize=32)
def _compiled(names: tuple[str, ...], timeframe: str, parameters: tuple[tuple[str, float], ...]) -> FeatureSet:
    return feature_set(names, timeframe, dict(parameters))
