"""What a request to POST /action says, in both forms. From: a body that the guard let in. To: `action`.

The schema is configs/contracts/action_request.v1.json. Strict as `wire` is: unknown keys, NaN and wrong types get 400
with the reason, and so does a number that its slot cannot have (LIM-5): who sends one built the observation wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, StrictInt
from tradekernels.observation import Slot

from ..arrow import metadata_of, read_stream
from ..errors import bad_request, too_large
from ..wire import DIGEST, LAST_TIME_MS, PAIR, TIMEFRAME, Number, Strict, validated

MAX_ROWS = 4096
MAX_SLOTS = 1024  # of a row; far beyond any layout
ARROW_TYPE = pa.float32()


class ActionParameters(Strict):
    """Everything in a request but its rows."""

    schema_version: int = Field(ge=1, le=1)
    timeframe: str = Field(pattern=TIMEFRAME)
    pair: str = Field(pattern=PAIR)
    observation_digest: str = Field(pattern=DIGEST)
    close_time: StrictInt | None = Field(None, ge=0, le=LAST_TIME_MS)


class JsonAction(ActionParameters):
    observations: list[list[Number]]


@dataclass(frozen=True)
class Observations:
    """A checked request, but for what only the policy knows: how many slots there are and what they may hold.

    `names` has the names of the columns where they came with names.
    """

    parameters: ActionParameters
    rows: NDArray[np.float32]  # (n, slots), 1 to 4096 of them, finite
    names: tuple[str, ...] | None

    def check_slots(self, slots: Sequence[Slot], names: tuple[str, ...]) -> None:
        """Refuse rows of another width, columns of other names, and a number outside the range of its slot."""
        if self.names is not None and self.names != names:
            raise bad_request(
                f"columns are not the {len(names)} slots in order: {_first_difference(self.names, names)}"
            )
        if self.rows.shape[1] != len(names):
            raise bad_request(f"observations have {self.rows.shape[1]} slots, expected {len(names)}")
        low, high = np.array([slot.range for slot in slots], dtype=np.float32).T
        outside = (self.rows < low) | (self.rows > high)
        if outside.any():
            row, slot = np.argwhere(outside)[0]
            expected = f"{low[slot]:g} to {high[slot]:g}"
            raise bad_request(f"{names[slot]} of observation {row} is {self.rows[row, slot]:g}, expected {expected}")


def read_json(body: bytes) -> Observations:
    """Return the request in a JSON body; `Refused` with 400 or 413 and the reason if it is not one."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is no JSON: {error.msg}") from None
    request = validated(JsonAction, values)
    widths = {len(row) for row in request.observations}
    if len(widths) > 1:
        raise bad_request(f"observations have {min(widths)} to {max(widths)} slots, expected one number of them")
    return observations(request, np.array(request.observations, dtype=np.float64, ndmin=2), None)


def read_arrow(body: bytes) -> Observations:
    """Return the request in an Arrow stream; `Refused` with 400 or 413 and the reason if it is not one."""
    parameters, table = read_stream(body, parameters_of, MAX_ROWS)
    rows = np.empty((table.num_rows, table.num_columns), dtype=np.float32)
    for k, column in enumerate(table.columns):
        rows[:, k] = column.to_numpy()
    return observations(parameters, rows, tuple(table.column_names))


def parameters_of(schema: pa.Schema) -> ActionParameters:
    """Return the parameters in a schema; refuse all but plain columns of float32 (LIM-3)."""
    if not 0 < len(schema) <= MAX_SLOTS:
        raise bad_request(f"the stream has {len(schema)} columns, expected one per slot")
    for field in schema:
        if field.type != ARROW_TYPE or field.metadata:
            kind = "an extension type" if field.metadata or isinstance(field.type, pa.BaseExtensionType) else field.type
            raise bad_request(f"column {field.name[:60]} has type {kind}, expected {ARROW_TYPE}")
    return validated(ActionParameters, metadata_of(schema))


def observations(
    parameters: ActionParameters, rows: NDArray[np.floating], names: tuple[str, ...] | None
) -> Observations:
    """Return the request after checking that there are rows, not too many, and finite ones."""
    if rows.size == 0:
        raise bad_request("observations are empty, expected at least one row")
    if len(rows) > MAX_ROWS:
        raise too_large(f"{len(rows)} observations, expected at most {MAX_ROWS}; split the work")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and is refused
        numbers = rows.astype(np.float32, copy=False)
    finite = np.isfinite(numbers)
    if not finite.all():
        row, slot = np.argwhere(~finite)[0]
        raise bad_request(f"slot {slot} of observation {row} is {rows[row, slot]:g}, expected a finite float32")
    return Observations(parameters, numbers, names)


def _first_difference(found: tuple[str, ...], expected: tuple[str, ...]) -> str:
    """Return what is wrong with names, for a message."""
    for k, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"column {k} is {one[:60]!r}, expected {other!r}"
    return f"there are {len(found)}"
