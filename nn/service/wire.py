"""What a forecast request says, and its JSON form. From: a body that the guard let in. To: `scoring`; answers back.

The schemas are configs/contracts/forecast_request.v1.json and forecast_reply.v1.json; a test holds this file to them.
Strict: unknown keys at any depth, NaN, Infinity and wrong types are refused with the reason (LIM-5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from ..data.quality import OHLCV, PRICES, BadCandles, check_prices, check_volume, open_times
from ..data.targets import FORECAST_COLUMNS
from ..data.timeframe import timeframe_ms
from .errors import bad_request, too_large
from .scoring import Forecasts

MAX_ROWS = 500_000
PAIR = r"^[A-Z0-9]{1,20}/[A-Z0-9]{1,10}(:[A-Z0-9]{1,10})?$"
TIMEFRAME = r"^[1-9][0-9]{0,3}[mhd]$"
DIGEST = r"^[0-9a-f]{64}$"
LAST_TIME_MS = 4_102_444_800_000  # 2100-01-01: later times are nanoseconds or mistakes
AsOf = Literal["each", "latest"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Model = TypeVar("Model", bound="Parameters")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Parameters(Strict):
    """Everything in a request but its candles."""

    schema_version: int = Field(ge=1, le=1)
    pair: str = Field(pattern=PAIR)
    timeframe: str = Field(pattern=TIMEFRAME)
    as_of: AsOf = "each"
    feature_digest: str | None = Field(None, pattern=DIGEST)


class Candles(Strict):
    date: list[StrictInt]  # open time, milliseconds since 1970, UTC
    open: list[Number]
    high: list[Number]
    low: list[Number]
    close: list[Number]
    volume: list[Number]


class JsonRequest(Parameters):
    candles: Candles


@dataclass(frozen=True)
class Question:
    """A checked request: the parameters, and closed candles as a frame with date (int64 milliseconds) and OHLCV."""

    pair: str
    timeframe: str
    as_of: AsOf
    feature_digest: str | None
    frame: pd.DataFrame

    @property
    def live(self) -> bool:
        return self.as_of == "latest"

    @property
    def open_ms(self) -> NDArray[np.int64]:
        return self.frame["date"].to_numpy()


def read_json(body: bytes) -> Question:
    """Return the question in a JSON body; `Refused` with 400 and the reason if it is not one."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is no JSON: {error.msg}") from None
    request = validated(JsonRequest, values)
    return question(request, {name: getattr(request.candles, name) for name in ("date", *OHLCV)})


def validated(model: type[Model], values: object) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"]) or "the body"
        raise bad_request(f"{place}: {first['msg']}") from None


def question(parameters: Parameters, columns: Mapping[str, object]) -> Question:
    """Return the question after checking that its candles are candles: whole, ascending, on the grid, priced."""
    try:
        date = np.asarray(columns["date"], dtype=np.int64)
    except OverflowError:
        raise bad_request("candles.date has a value that is no time in milliseconds") from None
    numbers = {name: np.asarray(columns[name], dtype=np.float64) for name in OHLCV}
    for name, column in numbers.items():
        if len(column) != len(date):
            raise bad_request(f"candles.{name} has {len(column)} values, candles.date has {len(date)}")
    if len(date) == 0:
        raise bad_request("candles are empty, expected at least one row")
    if len(date) > MAX_ROWS:
        raise too_large(f"{len(date)} rows, expected at most {MAX_ROWS}; split the work")
    if date.min() < 0 or date.max() > LAST_TIME_MS:
        raise bad_request("candles.date has values outside 1970..2100, expected milliseconds since 1970")
    source = f"{parameters.pair} {parameters.timeframe}"
    frame = pd.DataFrame({"date": date, **numbers})
    try:
        times = open_times(frame, source, parameters.timeframe)
        check_prices({name: numbers[name] for name in PRICES}, times, source)
        check_volume(numbers["volume"], times, source)
    except BadCandles as error:
        raise bad_request(str(error)) from None
    return Question(parameters.pair, parameters.timeframe, parameters.as_of, parameters.feature_digest, frame)


def write_json(asked: Question, answer: Forecasts) -> bytes:
    """Return the answer as JSON: one row per candle, numbers in the shortest form that reads back to the same bits."""
    rows, reasons = [], answer.reasons
    close_ms = answer.open_ms + timeframe_ms(asked.timeframe)
    for row, opened in enumerate(answer.open_ms):
        version = int(answer.version[row])
        head = {
            "date": opened,
            "close_time": close_ms[row],
            "model_version": answer.versions[version] if version >= 0 else None,
            "reason": reasons[row],
        }
        scored = answer.values[row] if version >= 0 else [None] * len(FORECAST_COLUMNS)
        rows.append(head | dict(zip(FORECAST_COLUMNS, scored, strict=True)))
    reply = {"schema_version": 1, "pair": asked.pair, "timeframe": asked.timeframe, "rows": rows}
    return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)
