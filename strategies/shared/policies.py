"""Columns of a policy for a Freqtrade frame: a row per candle, NaN where it did not act, and never an exception.

From: `history` in backtests (POST /rollout: an account simulated over the whole frame), `actions` in live and dry-run
(POST /action: the bot's own account). To: `ppo_agent`. An exception would leave the previous candle's signals tradable,
so every fault ends as NaN, which opens nothing, and as one warning that says why and what to do.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from strategies.shared import metrics
from strategies.shared.accounts import Accounts
from strategies.shared.actions import Actions, Habits
from strategies.shared.cache import ForecastCache
from strategies.shared.client import ForecastUnavailable
from strategies.shared.complaints import Complaints
from strategies.shared.forecasts import LIVE_MODES, WAIT_SECONDS
from strategies.shared.forms import ROLLOUT
from strategies.shared.history import History
from strategies.shared.model_lines import ModelLines
from strategies.shared.replies import AGE, empty_columns
from strategies.shared.settings import Settings, cache_folder, short_allowed

logger = logging.getLogger(__name__)

COLUMNS = (*ROLLOUT.numbers, AGE, *ROLLOUT.texts)


def policy_source(config: Mapping[str, Any], accounts: Accounts, dead_band: Callable[[], float]) -> "PolicySource":
    """Return the source that a Freqtrade config asks for; a wrong `candlewright` section is a ValueError."""
    settings, live = Settings.from_config(config), str(config.get("runmode") or "") in LIVE_MODES
    metrics.export(settings.metrics_port if live else 0)
    return PolicySource(settings, accounts, live, Habits(dead_band, short_allowed(config)))


class PolicySource:
    """Ask for a rollout over all candles (backtests), or for the action at the newest one (live and dry-run).

    Parameters
    ----------
    settings : Settings
        Where the service is, how much may be cached.
    accounts : Accounts
        What the policy sees of itself, live.
    live : bool
        Whether `columns` asks for the newest candle only.
    habits : Habits, optional
        Live: how the bot trades, to warn where its policy was trained otherwise.
    clock : callable
        Monotonic seconds, for the warnings and the age of what the service told.
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        live: bool = False,
        habits: Habits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._complaints = Complaints(clock)
        folder, url = cache_folder(), settings.service_url
        lines = ModelLines(url, None if live else folder, clock, ROLLOUT)
        cache = ForecastCache(folder, settings.cache_megabytes * 2**20)
        self._source: History | Actions = History(url, lines, cache, self._complaints, ROLLOUT)
        if live:
            self._source = Actions(url, accounts, self._complaints, WAIT_SECONDS, habits, clock)

    def columns(self, pair: str, timeframe: str, dataframe: pd.DataFrame) -> pd.DataFrame:
        """Return `COLUMNS` on the frame's index."""
        try:
            answer = self._source.columns(pair, timeframe, dataframe)
            answer.index = dataframe.index
            return answer
        except ForecastUnavailable as error:
            self._complaints.tell(error.cause, pair, timeframe, str(error))
        except Exception as error:  # the promise of this module, whatever is wrong
            logger.debug("actions on %s", pair, exc_info=True)
            self._complaints.tell("bug", pair, timeframe, f"{type(error).__name__}: {error}")
        return empty_columns(dataframe.index, ROLLOUT)

    def begin_loop(self) -> None:
        """Live: the questions of this loop may take their whole time again."""
        if isinstance(self._source, Actions):
            self._source.patience.renew()
