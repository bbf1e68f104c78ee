"""What a search may change: ranges and choices by name, as data in `configs/nn/search` (SEA-1, SEA-2).

From: YAML. To: `study`, whose samplers draw from it, and `objective`, which lays a draw over the training profile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

SPELLS = ("normal", "choppy", "trending")  # kinds of market; see `spells`
SPACES = Path(__file__).resolve().parents[2] / "configs" / "nn" / "search"


class SpaceProblem(ValueError):
    """A search space is missing, is not YAML, or says something that is not known or not possible."""


class Parameter(BaseModel):
    """Either `choices`, or a range from `low` to `high`, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = Field(default=None, gt=0)
    log: bool = False  # drawn evenly by its logarithm
    integer: bool = False

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Parameter:
        if self.choices:
            if (self.low, self.high, self.step, self.log, self.integer) != (None, None, None, False, False):
                raise ValueError("choices stand alone, without low, high, step, log or integer")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"expected choices, or low below high; low is {self.low}, high is {self.high}")
        elif self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range begins above 0 and has no step")
        elif self.integer and any(each is not None and each % 1 for each in (self.low, self.high, self.step)):
            raise ValueError(
                f"integer: expected whole numbers; low is {self.low}, high is {self.high}, step is {self.step}"
            )
        elif self.step is not None and abs((n := (self.high - self.low) / self.step) - round(n)) > 1e-9:
            raise ValueError(
                f"expected whole steps from low to high; low is {self.low}, high is {self.high}, step is {self.step}"
            )
        return self

    def draw(self, rng: np.random.Generator) -> Any:
        """Return a value drawn evenly."""
        if self.choices:
            return self.choices[int(rng.integers(len(self.choices)))]
        low, high = float(self.low), float(self.high)  # type: ignore[arg-type]
        if self.log:
            value = math.exp(rng.uniform(math.log(low), math.log(high)))
        elif step := self.step or (1.0 if self.integer else None):
            value = low + step * int(rng.integers(round((high - low) / step) + 1))
        else:
            value = rng.uniform(low, high)
        return round(value) if self.integer else min(max(value, low), high)


class Space(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    prune_by: str | None = None  # a validation figure of each epoch, higher is better; null lets every trial finish
    spells: dict[str, float] | None = None  # of policies: weights of what they earn in each kind of spell (SEA-3)
    parameters: dict[str, Parameter] = Field(min_length=1)

    @field_validator("parameters")
    @classmethod
    def _have_a_section(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        for name in parameters:
            if "." not in name:
                raise ValueError(f"parameter {name!r}, expected `section.name` of a profile")
        return parameters

    @field_validator("spells")
    @classmethod
    def _are_weights_of_spells(cls, spells: dict[str, float] | None) -> dict[str, float] | None:
        if spells is not None and (set(spells) != set(SPELLS) or min(spells.values()) < 0 or not sum(spells.values())):
            raise ValueError(f"spells are {spells}, expected a weight of at least 0 for each of {', '.join(SPELLS)}")
        return spells

    def draw(self, seed: int, number: int) -> dict[str, Any]:
        """Return the parameters of one trial; they depend on its number and nothing that happened before."""
        rng = np.random.default_rng([seed, number])
        return {name: parameter.draw(rng) for name, parameter in self.parameters.items()}


def layer_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as sections of a profile, one in the other where names have more than one dot."""
    layer: dict[str, Any] = {}
    for name, value in parameters.items():
        *sections, key = name.split(".")
        place = layer
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = json.loads(json.dumps(value))
    return layer


def load_space(name: str) -> Space:
    """Return a space by its name in `configs/nn/search` or the path of a YAML file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else SPACES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in SPACES.glob("*.yaml")))
        raise SpaceProblem(f"{path}: no such search space; known are {known}")
    try:
        return Space(**(yaml.safe_load(path.read_text(encoding="utf-8")) or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise SpaceProblem(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise SpaceProblem(f"{path}: not a mapping in YAML: {' '.join(str(error).split())}") from error
