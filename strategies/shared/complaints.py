"""What is wrong with forecasts, said once and with what to do about it.

From: the forecast source, which knows why a forecast is missing. To: Freqtrade's log.
"""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

QUIET_SECONDS = 300.0  # the same cause is told again after this long
REMEDIES = {
    "unreachable": "start it with `tools/start.sh serve`, or set candlewright.service_url to where it runs",
    "paused": "see the warning before this one; `tools/start.sh status` shows whether the service runs",
    "slow": "see the service's log under user_data/logs; the machine may be too busy",
    "waited": "see the service's log under user_data/logs; trade fewer pairs, or give the service more cores",
    "key": "set CANDLEWRIGHT_API_KEY (or CANDLEWRIGHT_API_KEY_FILE) to the key that the service was started with",
    "busy": "the service is at its limit; it is asked again with the next candle",
    "not_ready": "the service has no model to serve: run `tools/start.sh train`, then `tools/start.sh serve`; "
    "live trading needs a champion of both lines, unified and direction",
    "no_unified": "train the unified line of this timeframe (`tools/start.sh train`), or choose one that has it",
    "no_direction": "train the direction line of this timeframe (`tools/start.sh train`): a decision takes both",
    "no_policy": "train a policy of this timeframe and make it champion (`tools/start.sh train-policy`), then "
    "`tools/start.sh serve`; a backtest needs a version, live trading a champion",
    "unknown_pair": "trade the pairs that the policy was trained on, or train one that knows this pair",
    "layout": "service and bot must run the same release of tradekernels: update the older one, then restart it",
    "short": "let Freqtrade load more candles: startup_candle_count of the strategy, and for 15m futures of Binance "
    '"_ft_has_params": {"ohlcv_candle_limit": 1000} in the exchange section (docs/strategies.md)',
    "unobservable": "train a policy of candles alone, or add what it reads to the frame: Freqtrade's candles have "
    "neither taker volume nor the book (docs/policy.md)",
    "refused": "the service says why in the words before these; asking again cures nothing",
    "unscored": "choose a range after the first version's valid_from and after the warm-up, or train earlier versions",
    "replay": "make the file again with `python -m nn.service.replay`, on this installation, or leave replay_file out",
    "replay_part": "make the file again from the candles of this range; one that the exchange left out has no row",
    "leak": "the service broke the as-of rule; do not trade on it and look into its log",
    "fault": "see the service's log under user_data/logs",
}
DEFAULT_REMEDY = "check that the service and this strategy are of the same release"


class Complaints:
    """Tells each cause once per five minutes; `clock` counts monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def tell(self, cause: str, pair: str, timeframe: str, detail: str) -> None:
        """Say what is wrong, what follows and what to do."""
        now = self._clock()
        if cause in self._told and now - self._told[cause] < QUIET_SECONDS:
            logger.debug("no forecast for %s %s: %s", pair, timeframe, detail)
            return
        self._told[cause] = now
        logger.warning(
            "No forecast for %s %s: %s. No entries will be made where forecasts are missing; exits and stops "
            "still work. What to do: %s.",
            pair, timeframe, detail, REMEDIES.get(cause, DEFAULT_REMEDY),
        )  # fmt: skip
