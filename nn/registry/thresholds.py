"""What a version must reach to trade: `configs/nn/gates.yaml`, unknown keys refused (CFG-2). To: `gates`, and the
verdict of `nn.evaluation`, so that both measure by the same numbers.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

DEFAULT = Path(__file__).resolve().parents[2] / "configs" / "nn" / "gates.yaml"


class GateConfigProblem(ValueError):
    """The file of thresholds is missing, is not YAML, or says something that is not known or not possible."""


class Thresholds(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    horizons: tuple[str, ...] = Field(min_length=1)
    baselines: tuple[str, ...] = Field(min_length=1)
    macro_f1_margin: float = Field(ge=0)
    volatility_baseline: str
    volatility_horizons: tuple[str, ...] = Field(min_length=1)
    leak_horizons: tuple[str, ...] = Field(min_length=1)
    leak_accuracy: float = Field(gt=0, le=1)
    leak_over_majority: float = Field(gt=0, le=1)
    min_trades: PositiveInt
    min_net_return: float
    calibration_horizons: tuple[str, ...] = Field(min_length=1)
    max_calibration_error: float = Field(gt=0, le=1)
    max_regime_drawdown: float = Field(gt=0, le=1)
    max_candles: PositiveInt
    policy_baselines: tuple[str, ...] = Field(min_length=1)
    policy_max_cvar: float = Field(gt=0, le=1)
    policy_max_drawdown: float = Field(gt=0, le=1)
    policy_min_deflated_sharpe: float = Field(ge=0, lt=1)


def load_thresholds(path: Path = DEFAULT) -> Thresholds:
    """Return the thresholds of a YAML file; `GateConfigProblem` names the key and the nearest known one."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise GateConfigProblem(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise GateConfigProblem(f"{path}: expected settings such as `min_trades: 10`")
    for name in values:
        if name not in Thresholds.model_fields:
            near = difflib.get_close_matches(str(name), list(Thresholds.model_fields), n=1, cutoff=0.0)[0]
            raise GateConfigProblem(f"{path}: unknown key {name!r}; did you mean {near!r}?")
    try:
        return Thresholds(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise GateConfigProblem(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
