"""Forecast columns for a Freqtrade frame: a row per candle, NaN where there is no forecast, and never an exception.

From: the inference service (`client`), or earlier answers to the very same question (`cache`).
To: the strategies' `populate_indicators`. An exception there would leave the previous candle's signals tradable, so
every fault ends as NaN, which opens nothing, and as one warning that says why and what to do.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared import wire
from strategies.shared.cache import ForecastCache, cache_key
from strategies.shared.client import ForecastUnavailable, client_for
from strategies.shared.forecast_log import log_versions
from strategies.shared.replies import Answered, empty_columns, own_columns, scored_columns
from strategies.shared.settings import Settings, cache_folder
from strategies.shared.wire import FORECAST_COLUMNS

logger = logging.getLogger(__name__)

LINE_KEYS = ("chain_digest", "versions", "warmup", "context_length")
KIND = "unified_patchtst"  # of the line that is asked
LIVE_MODES = ("live", "dry_run")
LIVE_MARGIN = 8  # rows more than the newest score reads, so that a late candle at the front costs nothing
MODELS_SECONDS = 30.0  # SRV-9: a moved alias is picked up within 30 s
WARNING_SECONDS = 300.0  # the same cause is told again after this long
REMEDIES = {
    "unreachable": "start it with `tools/start.sh serve`, or set candlewright.service_url to where it runs",
    "paused": "see the warning before this one; `tools/start.sh status` shows whether the service runs",
    "slow": "see the service's log under user_data/logs; the machine may be too busy",
    "key": "set CANDLEWRIGHT_API_KEY (or CANDLEWRIGHT_API_KEY_FILE) to the key that the service was started with",
    "busy": "the service is at its limit; it is asked again with the next candle",
    "not_ready": "the service has no model to serve: run `tools/start.sh train`, then `tools/start.sh serve`",
    "no_line": "train a model for this timeframe, or run the strategy on a timeframe that has one",
    "unscored": "choose a range after the first version's valid_from and after the warm-up, or train earlier versions",
    "leak": "the service broke the as-of rule; do not trade on it and look into its log",
    "fault": "see the service's log under user_data/logs",
}
DEFAULT_REMEDY = "check that the service and this strategy are of the same release"


def forecast_source(config: Mapping[str, Any]) -> "ForecastSource":
    """Return the source that a Freqtrade config asks for; a wrong `candlewright` section is a ValueError."""
    return ForecastSource(Settings.from_config(config), live=str(config.get("runmode") or "") in LIVE_MODES)


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
    """

    def __init__(self, settings: Settings, live: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.live = live
        self._clock = clock
        self._cache = ForecastCache(cache_folder(), settings.cache_megabytes * 2**20)
        self._answered: dict[tuple[str, str], Answered] = {}
        self._lines: tuple[float, list[dict[str, Any]]] | None = None
        self._warned: dict[str, float] = {}

    def columns(self, pair: str, timeframe: str, dataframe: pd.DataFrame, as_of: str | None = None) -> pd.DataFrame:
        """Return the 38 forecast columns and `model_version`, on the frame's index.

        Parameters
        ----------
        pair, timeframe : str
            As Freqtrade writes them.
        dataframe : DataFrame
            Freqtrade's candles, oldest first.
        as_of : {"each", "latest"}, optional
            Every candle by the version of its time, or the newest by the champion; by default as the run mode wants.
        """
        as_of = as_of or ("latest" if self.live else "each")
        try:
            answer = (self._latest if as_of == "latest" else self._each)(pair, timeframe, dataframe)
            answer.index = dataframe.index
            return answer
        except ForecastUnavailable as error:
            self._warn(error.cause, pair, timeframe, str(error))
        except Exception as error:  # the promise of this module, whatever is wrong
            logger.debug("forecasts of %s", pair, exc_info=True)
            self._warn("bug", pair, timeframe, f"{type(error).__name__}: {error}")
        return empty_columns(dataframe.index)

    def _each(self, pair: str, timeframe: str, frame: pd.DataFrame) -> pd.DataFrame:
        line = self._line(timeframe, fresh=True)
        candles = wire.candle_table(frame)
        dates = wire.open_times(frame)
        key = cache_key(line["chain_digest"], pair, timeframe, "each", candles)
        table, source = self._cache.get(key), "cache"
        if table is not None and not np.array_equal(table["date"].to_numpy(), dates):
            table = None
        if table is None:
            table, source = self._ask_each(pair, timeframe, candles, dates, overlap_rows(line)), "service"
            chain_digest = table.schema.metadata[b"chain_digest"].decode()
            if chain_digest != line["chain_digest"]:  # a promotion between the two requests: judge by the new list
                line = self._line(timeframe, fresh=True)
                key = cache_key(chain_digest, pair, timeframe, "each", candles)
            if chain_digest != line["chain_digest"]:
                raise ForecastUnavailable("mismatch", "reply and /models name different chains")
        answer, sound = self._checked(table, dates, line, pair, timeframe)
        if source == "service" and sound:
            self._cache.put(key, table)
        reasons = table["reason"].to_numpy(zero_copy_only=False)
        log_versions(pair, timeframe, line["chain_digest"], dates, answer, reasons, source)
        if sound and answer["model_version"].isna().all():
            first = min((version["valid_from"] for version in line["versions"]), default="never")
            words = ", ".join(sorted({str(reason) for reason in reasons}))
            detail = f"none of {len(frame)} candles is scored ({words}; first valid_from {first})"
            self._warn("unscored", pair, timeframe, detail)
        return answer

    def _ask_each(self, pair: str, timeframe: str, candles: pa.Table, dates: np.ndarray, overlap: int) -> pa.Table:
        parts = []
        for start, keep, end in wire.split_ranges(candles.num_rows, overlap):
            request = wire.encode(candles.slice(start, end - start), pair, timeframe, "each")
            table = wire.decode(client_for(self.settings.service_url).forecast(request, bulk=True), pair, timeframe)
            wire.check_dates(table, dates[start:end])
            parts.append(table.slice(keep - start))
        if not parts:
            raise ForecastUnavailable("unscored", "the frame has no candles")
        if len({table.schema.metadata[b"chain_digest"] for table in parts}) > 1:
            raise ForecastUnavailable("mismatch", "the models changed between the parts of one request")
        return pa.concat_tables(parts).combine_chunks()

    def _latest(self, pair: str, timeframe: str, frame: pd.DataFrame) -> pd.DataFrame:
        if not len(frame):
            raise ForecastUnavailable("unscored", "the frame has no candles")
        dates = wire.open_times(frame)
        newest, candle = int(dates[-1]), tuple(float(frame[name].iloc[-1]) for name in wire.PRICES)
        answered = self._answered.setdefault((pair, timeframe), {})
        if newest not in answered or answered[newest][0] != candle:  # a repeated candle costs no request (CLT-3)
            answered.pop(newest, None)
            try:
                scored = self._ask_latest(pair, timeframe, frame, dates)
                if scored is not None:
                    answered[newest] = (candle, *scored)
            except ForecastUnavailable as error:  # the newest candle stays NaN, the earlier ones keep their answers
                self._warn(error.cause, pair, timeframe, str(error))
        for date in [date for date in answered if date < dates[0]]:
            del answered[date]
        return own_columns(dates, answered)

    def _ask_latest(
        self, pair: str, timeframe: str, frame: pd.DataFrame, dates: np.ndarray
    ) -> tuple[np.ndarray, str] | None:
        line = self._line(timeframe)
        recent = frame.iloc[-(overlap_rows(line) + LIVE_MARGIN) :]
        request = wire.encode(wire.candle_table(recent), pair, timeframe, "latest")
        table = wire.decode(client_for(self.settings.service_url).forecast(request, bulk=False), pair, timeframe)
        if table.schema.metadata[b"chain_digest"].decode() != line["chain_digest"]:
            line = self._line(timeframe, fresh=True)
        wire.check_dates(table, dates[-table.num_rows :] if table.num_rows == len(recent) else dates[-1:])
        answer, sound = self._checked(table.slice(table.num_rows - 1), dates[-1:], line, pair, timeframe)
        version = answer["model_version"].iloc[0]
        if pd.isna(version):
            if sound:
                reason = table["reason"][-1].as_py()
                self._warn("unscored", pair, timeframe, f"the newest candle is not scored ({reason})")
            return None
        return answer[list(FORECAST_COLUMNS)].to_numpy(dtype=np.float32)[0], str(version)

    def _line(self, timeframe: str, fresh: bool = False) -> dict[str, Any]:
        """Return the model line of a timeframe; live a list younger than 30 s serves."""
        if fresh or self._lines is None or self._clock() - self._lines[0] > MODELS_SECONDS:
            self._lines = (self._clock(), client_for(self.settings.service_url).models())
        for line in self._lines[1]:
            if line.get("timeframe") == timeframe and line.get("kind") == KIND:
                lacking = [key for key in LINE_KEYS if line.get(key) is None]
                if lacking:
                    words = f"/models does not tell {', '.join(lacking)} of {line.get('name')}"
                    raise ForecastUnavailable("mismatch", words)
                return line
        raise ForecastUnavailable("no_line", f"{self.settings.service_url} serves no model for timeframe {timeframe}")

    def _checked(
        self, table: pa.Table, dates: np.ndarray, line: dict[str, Any], pair: str, timeframe: str
    ) -> tuple[pd.DataFrame, bool]:
        """Return the columns of a reply, and whether nothing was wrong with it; what was wrong is told."""
        answer, faults = scored_columns(table, dates, line["versions"], timeframe)
        for cause, detail in faults:
            self._warn(cause, pair, timeframe, detail)
        return answer, not faults

    def _warn(self, cause: str, pair: str, timeframe: str, detail: str) -> None:
        """Say once per cause and five minutes what is wrong, what follows and what to do."""
        now = self._clock()
        if cause in self._warned and now - self._warned[cause] < WARNING_SECONDS:
            logger.debug("no forecast for %s %s: %s", pair, timeframe, detail)
            return
        self._warned[cause] = now
        logger.warning(
            "No forecast for %s %s: %s. No entries will be made where forecasts are missing; exits and stops "
            "still work. What to do: %s.",
            pair, timeframe, detail, REMEDIES.get(cause, DEFAULT_REMEDY),
        )  # fmt: skip


def overlap_rows(line: Mapping[str, Any]) -> int:
    """Return how many rows a score reads, its own candle included."""
    return int(line["warmup"]) + int(line["context_length"])
