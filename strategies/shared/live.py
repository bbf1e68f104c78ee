"""The decision on each newest candle, live: asked once, kept with its candle, never spread over others (ASO-4).

From: the service, `as_of: latest`. To: `forecasts`, for live and dry-run bots.
"""

import logging
import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared import metrics, wire
from strategies.shared.client import ForecastUnavailable, client_for
from strategies.shared.complaints import Complaints
from strategies.shared.decision_log import log_decision
from strategies.shared.forms import DECISION
from strategies.shared.model_lines import Ensemble, ModelLines
from strategies.shared.patience import Patience
from strategies.shared.replies import LiveAnswer, candle_ms, own_columns, scored_columns

logger = logging.getLogger(__name__)

MARGIN = 8  # rows more than the newest score reads, so that a late candle at the front costs nothing
PAIRS_AT_ONCE = 32  # in one question, so that many pairs do not make one that is too slow for its time limit
SERVICE_WIDE = (
    "unreachable",
    "slow",
    "paused",
    "waited",
    "key",
    "busy",
    "not_ready",
)  # other pairs meet them too
Key = tuple[str, str]  # pair, timeframe


class Live:
    """Ask for newest candles.

    Parameters
    ----------
    url : str
        Of the service.
    lines : ModelLines
        What the service says about its models.
    complaints : Complaints
        Who is told what was wrong.
    wait_seconds : float
        That all questions of one loop may take.
    now : callable
        The wall clock in seconds, a parameter so that tests need none.
    """

    def __init__(
        self,
        url: str,
        lines: ModelLines,
        complaints: Complaints,
        wait_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._patience = Patience(wait_seconds)
        self._seen: dict[str, int] = {}  # by timeframe, the newest candle of any pair
        self._url, self._lines, self._complaints, self._now = url, lines, complaints, now
        self._answered: dict[Key, dict[int, LiveAnswer]] = {}
        self._prefetched: dict[Key, tuple[int, tuple[float, ...]]] = {}

    def columns(self, pair: str, timeframe: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the answers so far, the newest candle's among them if there is one."""
        if not len(frame):
            raise ForecastUnavailable("unscored", "the frame has no candles")
        dates = wire.open_times(frame)
        self._notice(timeframe, int(dates[-1]), int(dates[0]))
        answered = self._answered.setdefault((pair, timeframe), {})
        if not self._known((pair, timeframe), *newest(frame)):  # a repeated candle costs no request (CLT-3)
            answered.pop(int(dates[-1]), None)
            try:
                self._ask(timeframe, {pair: frame}, several=False)
            except ForecastUnavailable as error:  # the newest candle stays NaN, the earlier ones keep their answers
                self._complaints.tell(error.cause, pair, timeframe, str(error))
        for date in [date for date in answered if date < dates[0]]:
            del answered[date]
        return own_columns(dates, answered)

    def prefetch(self, timeframe: str, frames: Mapping[str, pd.DataFrame]) -> None:
        """Begin a loop: ask about all pairs with a new candle together; what fails is asked pair by pair later."""
        self._patience.renew()
        wanted = {}
        for pair, frame in frames.items():
            if frame is None or not len(frame):
                continue
            head = newest(frame)
            if not self._known((pair, timeframe), *head) and self._prefetched.get((pair, timeframe)) != head:
                self._prefetched[pair, timeframe] = head
                self._notice(timeframe, head[0], int(wire.open_times(frame.iloc[:1])[0]))
                wanted[pair] = frame
        pairs = list(wanted)
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[first : first + PAIRS_AT_ONCE]
            if len(some) < 2:
                return
            try:
                self._ask(timeframe, {pair: wanted[pair] for pair in some}, several=True)
            except ForecastUnavailable as error:
                logger.debug("%d pairs in one request: %s", len(some), error)
                if error.cause in SERVICE_WIDE:
                    return

    def _notice(self, timeframe: str, newest: int, oldest: int) -> None:
        """With the first pair that has a new candle, a turn begins, and pairs that are gone are forgotten."""
        if newest <= self._seen.get(timeframe, -1):
            return
        self._seen[timeframe] = newest
        self._patience.renew()
        for key in [key for key in self._answered if key[1] == timeframe]:
            if next(reversed(self._answered[key]), -1) < oldest:  # the last answer is the newest
                del self._answered[key]
        for key in [key for key, head in self._prefetched.items() if key[1] == timeframe and head[0] < oldest]:
            del self._prefetched[key]

    def _known(self, key: Key, date: int, candle: tuple[float, ...]) -> bool:
        found = self._answered.get(key, {}).get(date)
        return found is not None and found.candle == candle

    def _ask(self, timeframe: str, frames: Mapping[str, pd.DataFrame], several: bool) -> None:
        """Put one request and keep what it answers; rows without a decision are not kept."""
        client = client_for(self._url)
        client.patience = self._patience
        lines = self._lines.of(timeframe)
        recent = {pair: frame.iloc[-(lines.overlap + MARGIN) :] for pair, frame in frames.items()}
        candles = {pair: wire.candle_table(frame) for pair, frame in recent.items()}
        if several:
            table = wire.decode(
                client.post(DECISION.path, wire.encode_pairs(candles, timeframe), bulk=False), timeframe, None
            )
        else:
            ((pair, only),) = candles.items()
            body = client.post(DECISION.path, wire.encode(only, timeframe, "latest", pair), bulk=False)
            table = wire.decode(body, timeframe, pair)
        if wire.chain_of(table) != lines.chain:
            lines = self._lines.of(timeframe, fresh=True)
        for pair, rows in _rows_of(table, list(frames), several).items():
            self._keep(pair, timeframe, frames[pair], rows, lines)

    def _keep(self, pair: str, timeframe: str, frame: pd.DataFrame, row: pa.Table, lines: Ensemble) -> None:
        date, candle = newest(frame)
        wire.check_dates(row, np.array([date]))
        answer, faults = scored_columns(row, np.array([date]), lines, timeframe)
        for cause, detail in faults:
            self._complaints.tell(cause, pair, timeframe, detail)
        if pd.isna(answer["model_version"].iloc[0]):
            if not faults:
                reason = row["reason"][0].as_py()
                self._complaints.tell("unscored", pair, timeframe, f"the newest candle is not scored ({reason})")
            return
        numbers = answer[list(DECISION.numbers)].to_numpy(dtype=np.float32)[0]
        texts = tuple(str(answer[name].iloc[0]) for name in DECISION.texts)
        age = self._now() - (date + candle_ms(timeframe)) / 1000
        metrics.decided(age)
        self._answered.setdefault((pair, timeframe), {})[date] = LiveAnswer(candle, numbers, texts, age)
        log_decision(pair, timeframe, date, candle, numbers, dict(zip(DECISION.texts, texts, strict=True)))


def newest(frame: pd.DataFrame) -> tuple[int, tuple[float, ...]]:
    """Return open time in ms and prices of the last candle."""
    return int(wire.open_times(frame.iloc[-1:])[0]), tuple(float(frame[name].iloc[-1]) for name in wire.PRICES)


def _rows_of(table: pa.Table, pairs: list[str], several: bool) -> dict[str, pa.Table]:
    """Return each pair's one row; a reply about other pairs, or with another number of rows, is none (CLT-4)."""
    answered = table["pair"].to_pylist() if several else pairs * table.num_rows
    if answered != pairs:
        raise ForecastUnavailable(
            "mismatch", f"reply has {len(answered)} rows of {answered[:3]}, asked were {pairs[:3]}"
        )
    return {pair: table.slice(row, 1) for row, pair in enumerate(pairs)}
