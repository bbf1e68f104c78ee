"""What a forecast request says, and its JSON form. From: a body that the guard let in. To: `scoring`; answers back.

A question is about blocks of candles, one per pair: JSON holds one, an Arrow stream for the newest candles several.

The schemas are configs/contracts/forecast_request.v1.json and forecast_reply.v1.json; a test holds this file to them.
Strict: unknown keys at any depth, NaN, Infinity and wrong types are refused with the reason (LIM-5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from ..data.quality import OHLCV, PRICES, BadCandles, check_prices, check_volume, open_times
from ..data.timeframe import timeframe_ms
from .errors import bad_request, too_large
from .reply import Reply, Words

MAX_ROWS = 500_000
MAX_PAIRS = 200
PAIR = r"^[A-Z0-9]{1,20}/[A-Z0-9]{1,10}(:[A-Z0-9]{1,10})?$"
TIMEFRAME = r"^[1-9][0-9]{0,3}[mhd]$"
DIGEST = r"^[0-9a-f]{64}$"
LAST_TIME_MS = 4_102_444_800_000  # 2100-01-01: later times are nanoseconds or mistakes
AsOf = Literal["each", "latest"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Model = TypeVar("Model", bound="Strict")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Parameters(Strict):
    """Everything in a request but its pairs and candles."""

    schema_version: int = Field(ge=1, le=1)
    timeframe: str = Field(pattern=TIMEFRAME)
    as_of: AsOf = "each"
    feature_digest: str | None = Field(None, pattern=DIGEST)


class OnePair(Parameters):
    pair: str = Field(pattern=PAIR)


class Candles(Strict):
    date: list[StrictInt]  # open time, milliseconds since 1970, UTC
    open: list[Number]
    high: list[Number]
    low: list[Number]
    close: list[Number]
    volume: list[Number]


class JsonRequest(OnePair):
    candles: Candles


@dataclass(frozen=True)
class Block:
    """Checked closed candles of one pair, oldest first: date (open time, int64 milliseconds) and OHLCV."""

    pair: str
    candles: Mapping[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.candles["date"])


@dataclass(frozen=True)
class Question:
    """A checked request: the parameters and at least one block of candles."""

    blocks: tuple[Block, ...]
    timeframe: str
    as_of: AsOf
    feature_digest: str | None
    by_pair: bool = False  # candles came with a column `pair`, and so do the answers

    @property
    def live(self) -> bool:
        return self.as_of == "latest"

    @property
    def candles(self) -> tuple[Mapping[str, NDArray[np.generic]], ...]:
        return tuple(block.candles for block in self.blocks)


def read_json(body: bytes) -> Question:
    """Return the question in a JSON body; `Refused` with 400 and the reason if it is not one."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is no JSON: {error.msg}") from None
    request = validated(JsonRequest, values)
    columns = {name: getattr(request.candles, name) for name in ("date", *OHLCV)}
    return question(request, columns, {request.pair: slice(None)})


def validated(model: type[Model], values: object) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"]) or "the body"
        raise bad_request(f"{place}: {first['msg']}") from None


def question(
    parameters: Parameters, columns: Mapping[str, object], rows: Mapping[str, slice], by_pair: bool = False
) -> Question:
    """Return the question after checking that its candles are candles: whole, ascending, on the grid, priced.

    Parameters
    ----------
    columns : mapping of str to array-like
        date (milliseconds) and OHLCV of all pairs, of one length.
    rows : mapping of str to slice
        The rows of each pair.
    by_pair : bool
        The candles came with a column `pair`.
    """
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
    whole = {"date": date, **numbers}
    blocks = tuple(Block(pair, {name: column[part] for name, column in whole.items()}) for pair, part in rows.items())
    if not flawless(date, numbers, [part.start or 0 for part in rows.values()], timeframe_ms(parameters.timeframe)):
        blocks = tuple(checked(block, parameters) for block in blocks)
    return Question(blocks, parameters.timeframe, parameters.as_of, parameters.feature_digest, by_pair)


def flawless(
    date: NDArray[np.int64], numbers: Mapping[str, NDArray[np.float64]], starts: Sequence[int], step: int
) -> bool:
    """Tell of all pairs at one go whether their candles are candles; where they are not, `checked` says which and why.

    `starts` are the rows at which pairs begin.
    """
    opened, high, low, close, volume = (numbers[name] for name in OHLCV)
    priced = (low > 0) & (high < np.inf) & (opened <= high) & (opened >= low) & (close <= high) & (close >= low)
    counted = (volume >= 0) & (volume < np.inf)
    ascending = np.diff(date, prepend=-1) > 0
    ascending[list(starts)] = True
    return bool((priced & counted & ascending).all() and not (date % step).any())


def checked(block: Block, parameters: Parameters) -> Block:
    """Return the block if its candles are candles."""
    source = f"{block.pair} {parameters.timeframe}"
    try:
        times = open_times({"date": pd.Series(block.candles["date"], copy=False)}, source, parameters.timeframe)
        numbers = {name: np.asarray(block.candles[name], dtype=np.float64) for name in OHLCV}
        check_prices({name: numbers[name] for name in PRICES}, times, source)
        check_volume(numbers["volume"], times, source)
    except BadCandles as error:
        raise bad_request(str(error)) from None
    return block


def write_json(asked: Question, reply: Reply) -> bytes:
    """Return the answer as JSON: one row per candle, numbers in the shortest form that reads back to the same bits."""
    times = {"date": reply.open_ms, "close_time": reply.open_ms + timeframe_ms(asked.timeframe)}
    columns = times | {
        name: each.to_list() if isinstance(each, Words) else each for name, each in reply.columns.items()
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    head = {"schema_version": 1, "pair": asked.blocks[0].pair, "timeframe": asked.timeframe}
    return orjson.dumps(
        head | {"versions": reply.versions, "rows": rows}, option=orjson.OPT_SERIALIZE_NUMPY
    )  # which writes NaN as null
