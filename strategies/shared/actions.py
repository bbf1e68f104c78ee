"""What the policy wants at each newest candle, live: one observation, asked about once, kept with its candle (PPA-2).

From: GET /observation, `observe`, the pair's account. To: `policies`, for live and dry-run bots.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pandas as pd
from tradekernels.observation import BLOCKS, ObservationSet, Statistics, observation_set

from strategies.shared import metrics, wire
from strategies.shared.accounts import Accounts
from strategies.shared.client import JSON, ForecastUnavailable, client_for
from strategies.shared.complaints import Complaints
from strategies.shared.forms import ACTION, ROLLOUT
from strategies.shared.live import newest
from strategies.shared.model_lines import milliseconds
from strategies.shared.observe import observe
from strategies.shared.patience import Patience
from strategies.shared.replies import LiveAnswer, candle_ms, own_columns

logger = logging.getLogger(__name__)

FRESH_SECONDS = 30.0  # SRV-9: a moved alias is picked up within 30 s


@dataclass(frozen=True)
class Champion:
    """What GET /observation says of the acting version, made ready."""

    version: str
    observations: ObservationSet
    told_at: float  # monotonic seconds


@dataclass(frozen=True)
class Habits:
    """How this bot trades: where the policy was trained otherwise, the account it sees is not the one it learned with.

    Attributes
    ----------
    dead_band : callable
        Returns the least difference of weights that is traded.
    can_short : bool
        Whether a weight below 0 is.
    """

    dead_band: Callable[[], float]
    can_short: bool

    def differ(self, told: Mapping[str, Any]) -> list[str]:
        """Return in what a policy that GET /observation tells about was trained otherwise, and what to do."""
        words, band = [], self.dead_band()
        if abs(told["dead_band"] - band) > 0.005:  # a parameter has two decimals
            words.append(f"with a dead band of {told['dead_band']:g}, this bot trades from {band:g} on: set dead_band")
        if told["can_short"] and not self.can_short:
            words.append("with shorts, which this bot may not open: train one without, or trade futures")
        return words


class Actions:
    """Ask about newest candles.

    Parameters
    ----------
    url : str
        Of the service.
    accounts : Accounts
        The bot's own state.
    complaints : Complaints
        Who is told what was wrong.
    wait_seconds : float
        That all questions of one loop may take.
    habits : Habits, optional
        What a new champion's training is compared with.
    clock, now : callable
        Monotonic seconds and the wall clock, parameters so that tests need not wait.
    """

    def __init__(
        self,
        url: str,
        accounts: Accounts,
        complaints: Complaints,
        wait_seconds: float,
        habits: Habits | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url, self._accounts, self._complaints, self._clock, self._now = url, accounts, complaints, clock, now
        self._habits = habits
        self.patience = Patience(wait_seconds)
        self._answered: dict[tuple[str, str], dict[int, LiveAnswer]] = {}
        self._champions: dict[str, Champion] = {}  # by timeframe

    def columns(self, pair: str, timeframe: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the answers so far, the newest candle's among them if there is one."""
        if not len(frame):
            raise ForecastUnavailable("unscored", "the frame has no candles")
        dates, (date, candle) = wire.open_times(frame), newest(frame)
        answered = self._answered.setdefault((pair, timeframe), {})
        if (found := answered.get(date)) is None or found.candle != candle:  # a repeated candle costs no request
            answered.pop(date, None)
            try:
                answered[date] = self._ask(pair, timeframe, frame, date, candle)
            except ForecastUnavailable as error:  # the newest candle stays NaN, the earlier ones keep their answers
                self._complaints.tell(error.cause, pair, timeframe, str(error))
        for old in [each for each in answered if each < dates[0]]:
            del answered[old]
        return own_columns(dates, answered, ROLLOUT)

    def _ask(self, pair: str, timeframe: str, frame: pd.DataFrame, date: int, candle: tuple[float, ...]) -> LiveAnswer:
        account, fields = self._accounts.fields(pair, frame)
        for attempt in (1, 2):
            champion = self._champion(timeframe)
            row = observe(champion.observations, pair, frame, fields)
            question = {
                "schema_version": wire.SCHEMA_VERSION,
                "pair": pair,
                "timeframe": timeframe,
                "observation_digest": champion.observations.digest,
                "close_time": date + candle_ms(timeframe),
                "observations": [row.tolist()],  # float32 as float64: the very same numbers
            }
            try:
                body = self._client().post("/action", orjson.dumps(question), bulk=False, media=JSON)
                break
            except ForecastUnavailable as error:
                self._champions.pop(timeframe, None)
                if error.cause != "layout" or attempt == 2:  # a promotion between the two requests is followed once
                    raise _about_policies(error) from error
        action, version = read_action(body, pair, timeframe, date + candle_ms(timeframe))
        agent = row[BLOCKS["agent"]]
        numbers = np.array([*action, account.weight, *agent], dtype=np.float32)
        age = self._now() - (date + candle_ms(timeframe)) / 1000
        metrics.decided(age)
        return LiveAnswer(candle, numbers, (version,), age)

    def _champion(self, timeframe: str) -> Champion:
        """Return what acts now; asked for again when it is older than 30 s."""
        known = self._champions.get(timeframe)
        if known and self._clock() - known.told_at <= FRESH_SECONDS:
            return known
        try:
            told = orjson.loads(self._client().get(f"/observation?timeframe={timeframe}"))
            version, digest = str(told["model_version"]), str(told["observation_digest"])
            if known and (known.version, known.observations.digest) == (version, digest):
                observations = known.observations
            else:
                observations = observation_set(
                    Statistics.from_json(told["statistics"]), tuple(told["tokens"]), told["max_num_tokens"]
                )
                logger.info(
                    "%s acts on %s: trained with a dead band of %s on %s.",
                    version, timeframe, told.get("dead_band"), ", ".join(observations.tokens),
                )  # fmt: skip
                for words in self._habits.differ(told) if self._habits else ():
                    logger.warning("%s was trained %s (docs/strategies.md).", version, words)
        except ForecastUnavailable as error:
            raise _about_policies(error) from error
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ForecastUnavailable("mismatch", f"{self._url}/observation is not usable: {error}") from error
        if observations.digest != digest or observations.timeframe != timeframe:
            words = f"{version} reads {digest[:12]}, this bot's tradekernels makes {observations.digest[:12]}"
            raise ForecastUnavailable("layout", f"observations differ: {words} of {observations.timeframe}")
        self._champions[timeframe] = Champion(version, observations, self._clock())
        return self._champions[timeframe]

    def _client(self) -> Any:
        client = client_for(self._url)
        client.patience = self.patience
        return client


def read_action(body: bytes, pair: str, timeframe: str, closed: int) -> tuple[list[float], str]:
    """Return the three numbers of a reply with one row, and its version; `ForecastUnavailable` if it is none."""
    try:
        reply = orjson.loads(body)
        (row,) = reply["rows"]
        if (reply["pair"], reply["timeframe"]) != (pair, timeframe):
            answered = f"{reply['pair']!r} {reply['timeframe']!r}"
            raise ForecastUnavailable("mismatch", f"reply is about {answered}, asked was {pair!r} {timeframe!r}")
        if row["model_version"] is None:
            cause = "unknown_pair" if row["reason"] == "unknown_pair" else "unscored"
            raise ForecastUnavailable(cause, f"the newest candle is not acted on ({row['reason']})")
        numbers, version = [float(row[name]) for name in ACTION], str(row["model_version"])
        if not np.isfinite(numbers).all() or abs(numbers[0]) > 1:
            raise ForecastUnavailable("mismatch", f"{version} answers {numbers}, expected finite ones, a weight first")
        if milliseconds(row["valid_from"]) > closed:
            words = f"{version} acted on a candle from before its valid_from {row['valid_from']}"
            raise ForecastUnavailable("leak", words)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ForecastUnavailable("mismatch", f"reply is not that of the contract: {error}") from error
    return numbers, version


def _about_policies(error: ForecastUnavailable) -> ForecastUnavailable:
    """Return the error with the remedy of a policy: a service without one is ready for other questions."""
    return ForecastUnavailable("no_policy", str(error)) if error.cause == "not_ready" else error
