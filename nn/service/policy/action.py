"""What the champion of a policy line holds for right, now: one row of numbers per observation. From: `question`.

To: `endpoints`, as JSON or an Arrow stream. All rows are of one pair and moment, so one reason withholds them all: of a
pair that the policy does not know nothing is said, nor of a candle that it may not judge (ASO-1, DQ-2, DQ-6).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from ...data.timeframe import timeframe_ms
from ...models.build import POLICY_COLUMNS
from ..arrow import REPLY_TIME, REPLY_WORD
from ..errors import Refused
from ..scoring import NO_VERSION, NONE, NOT_FINITE, REASONS, STALE, UNCLOSED
from .question import ActionParameters, Observations
from .served import ServedPolicy

WORDS = (*REASONS, "unknown_pair")
UNKNOWN_PAIR = WORDS.index("unknown_pair")
CLOCK_TOLERANCE_MS = 2000  # a candle may close by the exchange's clock a little before it does by ours


@dataclass(frozen=True)
class Actions:
    """One row per observation; NaN where there is a reason."""

    columns: NDArray[np.float32]  # (n, 3) in POLICY_COLUMNS order
    quantiles: NDArray[np.float32]  # (n, Q)
    reason_codes: NDArray[np.int32]  # (n,), index into WORDS, or NONE


def act(asked: Observations, champion: ServedPolicy, now_ms: float, stale_after_bars: int | None) -> Actions:
    """Return what the champion answers; `Refused` with 409 or 400 where the rows are not what it reads.

    Parameters
    ----------
    now_ms : float
        By the service's clock.
    stale_after_bars : int or None
        None: candles are replayed and keep another clock than ours.
    """
    policy, parameters = champion.policy, asked.parameters
    if parameters.observation_digest != champion.feature_digest:
        raise Refused(409, "layout_mismatch", "observation_digest is not the one that the champion reads")
    asked.check_slots(policy.observations.slots, policy.observations.names)
    n = len(asked.rows)
    reason = withheld(parameters, champion, now_ms, stale_after_bars)
    if reason != NONE:
        columns = np.full((n, len(POLICY_COLUMNS)), np.nan, dtype=np.float32)
        quantiles = np.full((n, policy.n_quantiles), np.nan, dtype=np.float32)
        return Actions(columns, quantiles, np.full(n, reason, dtype=np.int32))
    with np.errstate(all="ignore"):  # weights are finite, but their products may be beyond float32: told as not_finite
        columns, quantiles = policy.columns(asked.rows)
    finite = np.isfinite(columns).all(1) & np.isfinite(quantiles).all(1)
    columns[~finite] = quantiles[~finite] = np.nan
    return Actions(columns, quantiles, np.where(finite, NONE, NOT_FINITE).astype(np.int32))


def withheld(parameters: ActionParameters, champion: ServedPolicy, now_ms: float, stale_after_bars: int | None) -> int:
    """Return why nothing may be answered, an index into WORDS, or NONE."""
    if parameters.pair not in champion.policy.observations.tokens:
        return UNKNOWN_PAIR
    close_ms = parameters.close_time
    replayed = stale_after_bars is None
    if close_ms is None:
        return NO_VERSION if not replayed and champion.valid_from_ms > now_ms + CLOCK_TOLERANCE_MS else NONE
    if champion.valid_from_ms > close_ms:
        return NO_VERSION
    if stale_after_bars is None:
        return NONE
    if now_ms > close_ms + stale_after_bars * timeframe_ms(parameters.timeframe):
        return STALE
    return UNCLOSED if close_ms > now_ms + CLOCK_TOLERANCE_MS else NONE


def write_json(parameters: ActionParameters, champion: ServedPolicy, found: Actions) -> bytes:
    """Return the answer as JSON; numbers in the shortest form that reads back to the same bits."""
    valid_from = f"{champion.manifest.valid_from:%Y-%m-%dT%H:%M:%SZ}"
    rows = []
    for numbers, quantiles, code in zip(found.columns, found.quantiles, found.reason_codes.tolist(), strict=True):
        known = code == NONE
        row: dict[str, object] = dict(zip(POLICY_COLUMNS, numbers, strict=True))  # NaN is written as null
        row["quantiles"] = quantiles if known else None
        row["model_version"] = champion.version if known else None
        row["valid_from"] = valid_from if known else None
        row["reason"] = None if known else WORDS[code]
        rows.append(row)
    head = {"schema_version": 1, "pair": parameters.pair, "timeframe": parameters.timeframe}
    return orjson.dumps(head | {"rows": rows}, option=orjson.OPT_SERIALIZE_NUMPY)


def write_arrow(parameters: ActionParameters, champion: ServedPolicy, found: Actions) -> bytes:
    """Return the answer as an Arrow stream: a row per observation, null where there is no number or word."""
    known = found.reason_codes == NONE
    arrays = {
        name: pa.array(np.ascontiguousarray(found.columns[:, k]), type=pa.float32(), from_pandas=True)
        for k, name in enumerate(POLICY_COLUMNS)
    }
    arrays["model_version"] = _words(np.where(known, 0, NONE), (champion.version,))
    arrays["valid_from"] = pa.array(np.full(len(known), champion.valid_from_ms), pa.int64(), mask=~known).cast(
        REPLY_TIME
    )
    arrays["reason"] = _words(found.reason_codes, WORDS)
    metadata = {"schema_version": "1", "timeframe": parameters.timeframe, "pair": parameters.pair}
    table = pa.table(arrays, metadata=metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _words(codes: NDArray[np.integer], words: tuple[str, ...]) -> pa.Array:
    indices = pa.array(codes.astype(np.int32), type=pa.int32(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, type=pa.string())).cast(REPLY_WORD)
