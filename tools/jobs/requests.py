"""What POST /train may ask for (JOB-1): names of data and settings that are here already, or a small table inline.

From: bytes of a stranger. To: `queue`, as plain values. No path, no address, no code: nothing in a request is opened.
"""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nn.service.errors import bad_request

PERIOD = re.compile(r"([1-9][0-9]{0,2})([hdw])")


def hours_of(period: str) -> int:
    """Return the hours of a period such as 31d; ValueError if it is none."""
    match = PERIOD.fullmatch(period)
    hours = 0 if match is None else int(match[1]) * {"h": 1, "d": 24, "w": 168}[match[2]]
    if not 1 <= hours <= timedelta(days=366) / timedelta(hours=1):
        raise ValueError("expected hours, days or weeks such as 31d, at most 366d")
    return hours


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Training(Strict):
    """Train a chain on a dataset of this machine with a profile of `configs/nn`."""

    dataset: str = Field(pattern=r"^[0-9a-f]{64}$")  # fingerprint, of GET /datasets
    config: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")  # name of a profile
    model: Literal["unified", "direction", "mtst"] = "unified"
    timeframe: str = Field(default="15m", pattern=r"^[1-9][0-9]{0,2}[mhd]$")
    walk_forward: int = Field(default=1, ge=1, le=24)
    period: str = "31d"
    seed: int = Field(default=7, ge=0, lt=2**31)
    extend: bool = False  # the line's chain by these versions, instead of beginning a new one

    @field_validator("period")
    @classmethod
    def _is_period(cls, value: str) -> str:
        hours_of(value)
        return value

    @property
    def summary(self) -> dict[str, Any]:
        return {"kind": "training", **self.model_dump()}


class Optimisation(Training):
    """Search first, then train the winner (SEA-6); of the schedule alone, no request can ask for it."""

    trials: int = Field(ge=1, le=1000)
    inner_folds: int = Field(default=2, ge=1, le=12)

    @property
    def summary(self) -> dict[str, Any]:
        return super().summary | {"kind": "optimisation"}


class Inline(Strict):
    """Fit the logistic baseline to a table, oldest row first; labels are 0 (UP), 1 (DOWN), 2 (FLAT)."""

    features: list[list[float]] = Field(min_length=50)
    labels: list[int]

    @model_validator(mode="after")
    def _is_a_table(self) -> Inline:
        width = len(self.features[0])
        if not 1 <= width <= 500 or any(len(row) != width for row in self.features):
            raise ValueError("features: expected rows of one length, 1 to 500 numbers each")
        if len(self.labels) != len(self.features):
            raise ValueError(f"labels has {len(self.labels)} rows, features {len(self.features)}")
        if not set(self.labels) <= {0, 1, 2}:
            raise ValueError("labels: expected 0 (UP), 1 (DOWN) or 2 (FLAT)")
        if any(abs(value) > 1e9 for row in self.features for value in row):
            raise ValueError("features: expected numbers between -1e9 and 1e9")
        return self

    @property
    def summary(self) -> dict[str, Any]:
        return {"kind": "logistic", "rows": len(self.labels), "columns": len(self.features[0])}


Request = Training | Optimisation | Inline


def parse(body: bytes) -> Request:
    """Return what a body asks for; `Refused` with 400 names the field that is wrong."""
    try:
        content = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise bad_request("the body is no JSON with finite numbers") from None
    if not isinstance(content, dict):
        raise bad_request("the body is no JSON object")
    kind = Inline if {"features", "labels"} & content.keys() else Training
    try:
        return kind.model_validate(_as_floats(content) if kind is Inline else content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise bad_request(f"{place}: {first['msg']}" if place else str(first["msg"])) from None


def _as_floats(content: dict[str, Any]) -> dict[str, Any]:
    """Return the table with whole numbers as floats: JSON writes 1.0 as 1; true stays what it is, and is refused."""
    rows = content.get("features")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return content
    floats = [[float(v) if type(v) is int and abs(v) < 2**53 else v for v in row] for row in rows]
    return {**content, "features": floats}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not finite: {math.nan}")
