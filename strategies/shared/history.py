"""Decisions over history, every candle as of its own time: one question per pair and range, kept on disk.

From: the service, or earlier answers to the very same question (`cache`). To: `forecasts`, for backtests and hyperopt.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared import wire
from strategies.shared.cache import ForecastCache, cache_key
from strategies.shared.client import ForecastUnavailable, client_for
from strategies.shared.complaints import Complaints
from strategies.shared.forecast_log import iso, log_versions
from strategies.shared.forms import DECISION, Form
from strategies.shared.model_lines import ModelLines
from strategies.shared.replies import scored_columns


class History:
    """Ask `as_of: each`, once per content of the question (CLT-3, SRV-6).

    Parameters
    ----------
    url : str
        Of the service.
    lines : ModelLines
        What the service says about its models; without it nothing can be judged.
    cache : ForecastCache
        Where answers are kept.
    complaints : Complaints
        Who is told what was wrong.
    form : Form
        What is asked.
    """

    def __init__(
        self, url: str, lines: ModelLines, cache: ForecastCache, complaints: Complaints, form: Form = DECISION
    ) -> None:
        self._url, self._lines, self._cache, self._complaints, self._form = url, lines, cache, complaints, form

    def columns(self, pair: str, timeframe: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a row per candle; `ForecastUnavailable` if there is no usable answer."""
        form, lines = self._form, self._lines.of(timeframe, fresh=True)
        candles, dates = wire.candle_table(frame), wire.open_times(frame)
        key = cache_key(form.path, lines.chain, pair, timeframe, "each", candles)
        table, source = self._cache.get(key), "cache"
        if table is not None and not self._answers(table, lines.chain, dates):
            table = None
        if table is None:
            table, source = self._ask(pair, timeframe, candles, dates, lines.overlap), "service"
            chain = wire.chain_of(table, form)
            if chain != lines.chain:  # a promotion between the two requests: judge by the new list
                lines = self._lines.of(timeframe, fresh=True)
                key = cache_key(form.path, chain, pair, timeframe, "each", candles)
            if chain != lines.chain:
                raise ForecastUnavailable("mismatch", "reply and /models name different chains")
        answer, faults = scored_columns(table, dates, lines, timeframe, form)
        for cause, detail in faults:
            self._complaints.tell(cause, pair, timeframe, detail)
        if source == "service" and not faults:
            self._cache.put(key, table)
        reasons = table["reason"].to_numpy(zero_copy_only=False)
        log_versions(pair, timeframe, lines.chain, dates, answer, reasons, source, form.versions)
        if not faults and answer["model_version"].isna().all():
            words = ", ".join(sorted({str(reason) for reason in reasons}))
            first = "never" if lines.first is None else iso(lines.first)
            detail = f"none of {len(frame)} candles is scored ({words}; {form.subject} from {first} on)"
            self._complaints.tell("unscored", pair, timeframe, detail)
        return answer

    def _ask(self, pair: str, timeframe: str, candles: pa.Table, dates: np.ndarray, overlap: int) -> pa.Table:
        parts = []
        rows = candles.num_rows
        for start, keep, end in wire.split_ranges(rows, overlap) if self._form.divisible else [(0, 0, rows)][:rows]:
            request = wire.encode(candles.slice(start, end - start), timeframe, "each", pair)
            body = client_for(self._url).post(self._form.path, request, bulk=True)
            table = wire.decode(body, timeframe, pair, self._form)
            wire.check_dates(table, dates[start:end])
            parts.append(table.slice(keep - start))
        if not parts:
            raise ForecastUnavailable("unscored", "the frame has no candles")
        if len({wire.chain_of(table, self._form) for table in parts}) > 1:
            raise ForecastUnavailable("mismatch", "the models changed between the parts of one request")
        return pa.concat_tables(parts).combine_chunks()

    def _answers(self, table: pa.Table, chain: str, dates: np.ndarray) -> bool:
        """Tell whether a kept answer says of itself that these chains made it, and is about these candles."""
        return wire.chain_of(table, self._form) == chain and np.array_equal(table["date"].to_numpy(), dates)
