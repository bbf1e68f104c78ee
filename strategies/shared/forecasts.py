"""Decision columns for a Freqtrade frame: a row per candle, NaN where there is no forecast, and never an exception.

From: `history` or `replay` in backtests, `live` in live and dry-run. To: the strategies' `populate_indicators`. An
exception there would leave the previous candle's signals tradable, so every fault ends as NaN, which opens nothing, and
as one warning that says why and what to do.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from strategies.shared import metrics
from strategies.shared.cache import ForecastCache
from strategies.shared.client import ForecastUnavailable
from strategies.shared.complaints import Complaints
from strategies.shared.history import History
from strategies.shared.live import Live
from strategies.shared.model_lines import ModelLines
from strategies.shared.replay import Replay
from strategies.shared.replies import empty_columns
from strategies.shared.settings import Settings, cache_folder

logger = logging.getLogger(__name__)

LIVE_MODES = ("live", "dry_run")
WAIT_SECONDS = 3.0  # for all questions of one loop together: with one that overruns, below Freqtrade's loop of 5 s


def forecast_source(config: Mapping[str, Any]) -> "ForecastSource":
    """Return the source that a Freqtrade config asks for; a wrong `candlewright` section is a ValueError."""
    settings, live = Settings.from_config(config), str(config.get("runmode") or "") in LIVE_MODES
    if settings.replay_file and live:
        raise ValueError("candlewright.replay_file is for backtests and hyperopt, expected none in live and dry-run")
    metrics.export(settings.metrics_port if live else 0)
    return ForecastSource(settings, live)


class ForecastSource:
    """Ask for every candle as of its own time (backtests), or for the newest one (live and dry-run).

    Parameters
    ----------
    settings : Settings
        Where the service is, how much may be cached.
    live : bool
        Whether `columns` asks for the newest candle only, unless told otherwise.
    clock : callable
        Monotonic seconds, for the warnings and the age of the model list.
    wait_seconds : float
        That all questions of one turn of a live loop may take.
    """

    def __init__(
        self,
        settings: Settings,
        live: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.live = live
        self._complaints = Complaints(clock)
        folder = cache_folder()
        lines = ModelLines(settings.service_url, None if live else folder, clock)
        cache = ForecastCache(folder, settings.cache_megabytes * 2**20)
        self._history: History | Replay = History(settings.service_url, lines, cache, self._complaints)
        if settings.replay_file:
            self._history = Replay(Path(settings.replay_file), self._complaints)
        self._live = Live(settings.service_url, lines, self._complaints, wait_seconds)

    def columns(self, pair: str, timeframe: str, dataframe: pd.DataFrame, as_of: str | None = None) -> pd.DataFrame:
        """Return the columns of `replies.COLUMNS`, on the frame's index.

        Parameters
        ----------
        pair, timeframe : str
            As Freqtrade writes them.
        dataframe : DataFrame
            Freqtrade's candles, oldest first.
        as_of : {"each", "latest"}, optional
            Every candle by the versions of its time, or the newest by the champions; by default as the run mode wants.
        """
        as_of = as_of or ("latest" if self.live else "each")
        try:
            answer = (self._live if as_of == "latest" else self._history).columns(pair, timeframe, dataframe)
            answer.index = dataframe.index
            return answer
        except ForecastUnavailable as error:
            self._complaints.tell(error.cause, pair, timeframe, str(error))
        except Exception as error:  # the promise of this module, whatever is wrong
            logger.debug("forecasts of %s", pair, exc_info=True)
            self._complaints.tell("bug", pair, timeframe, f"{type(error).__name__}: {error}")
        return empty_columns(dataframe.index)

    def prefetch(self, dataprovider: Any, timeframe: str) -> None:
        """Live, once per loop and before the analysis: ask about all pairs with a new candle in one request."""
        if not self.live:
            return
        try:
            pairs = dataprovider.current_whitelist()
            self._live.prefetch(timeframe, {pair: dataprovider.get_pair_dataframe(pair, timeframe) for pair in pairs})
        except Exception as error:  # each pair is asked about on its own, then
            logger.debug("pairs in one request", exc_info=True)
            self._complaints.tell("bug", "all pairs", timeframe, f"{type(error).__name__}: {error}")
