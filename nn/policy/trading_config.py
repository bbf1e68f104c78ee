"""What a trading policy is told: data, costs and execution, and how it learns (PPO-6, TRN-2). Unknown keys are refused.

From: `configs/nn/policy_train.yaml`, `policy_sim.yaml` and `policy_live.yaml`, or files of one's own. To: `trading`,
`walk_forward`, `judge`. Files lie one over the other, the later one wins, as the profiles of forecasters do.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from ..forecast.config import SearchSection
from ..registry.policy_fields import (
    FeeFields,
    GridFields,
    LatencyFields,
    PolicyEnvironment,
    PolicyObjective,
    RiskFields,
    SlippageFields,
)
from .config import NetworkConfig, PolicyConfigProblem, PPOConfig, Section

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "nn"


class DataSection(Section):
    """Which candles are read, and which part of them teaches."""

    timeframe: str = "15m"
    pairs: tuple[str, ...] | None = None  # null: all with this timeframe
    max_num_tokens: PositiveInt | None = None  # length of the observation's one-hot block; null: the number of pairs
    history_days: PositiveInt | None = None  # before the end of what a version may see; null: all
    validation_share: float = Field(default=0.15, gt=0, lt=1)  # newest part of it: shown, and teaches nothing
    episode_days: PositiveFloat = 7.0


class CostSection(Section):
    """What trading costs: EXE-1 to EXE-3."""

    fees: FeeFields = FeeFields()
    slippage: SlippageFields = SlippageFields()
    latency: LatencyFields = LatencyFields()


class ExecutionSection(Section):
    """The account: EXE-4, ENV-2, ENV-8."""

    cash: PositiveFloat = 10_000.0
    can_short: bool = False
    dead_band: NonNegativeFloat = 0.05
    risk: RiskFields = RiskFields()
    grids: dict[str, GridFields] = Field(default_factory=dict)  # by pair; of others `default_grid`
    default_grid: GridFields = GridFields(tick_size=0.0001, lot_size=0.001, min_notional=5.0)


class LearningSection(Section):
    """How the network learns; of no use to a simulation."""

    total_steps: PositiveInt = 2_000_000
    n_copies: PositiveInt = 64  # of the environment
    network: NetworkConfig = NetworkConfig()
    ppo: PPOConfig = PPOConfig()


class SearchedSection(SearchSection):
    """And how far its trials lie apart, without which their number says nothing."""

    sharpe_deviation: NonNegativeFloat | None = None  # of the trials' daily Sharpe ratios; null: not known
    pbo: float | None = Field(default=None, ge=0, le=1)  # probability of backtest overfitting; null: not known


class TradingConfig(Section):
    """One training or simulation, whole."""

    data: DataSection = DataSection()
    costs: CostSection = CostSection()
    execution: ExecutionSection = ExecutionSection()
    learning: LearningSection = LearningSection()
    search: SearchedSection = SearchedSection()

    @property
    def hash(self) -> str:
        """SHA-256 of every value: the same settings have the same hash."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def account(self, pairs: Sequence[str]) -> PolicyEnvironment:
        """Return the simulated account of these pairs, as the manifest states it."""
        execution, costs = self.execution, self.costs
        return PolicyEnvironment(
            cash=execution.cash, can_short=execution.can_short, dead_band=execution.dead_band, risk=execution.risk,
            fees=costs.fees, slippage=costs.slippage, latency=costs.latency,
            grids={pair: execution.grids.get(pair, execution.default_grid) for pair in pairs},
        )  # fmt: skip

    def objective(self) -> PolicyObjective:
        """Return what the quantiles of the return are of."""
        return PolicyObjective(gamma=self.learning.ppo.gamma, cvar_alpha=self.learning.ppo.cvar_alpha)

    def flat(self) -> dict[str, str]:
        """Return every setting by its dotted name, as the run's parameters."""
        return dict(_flat(self.model_dump(mode="json", exclude={"execution": {"grids"}})))


def load_trading_config(names: Sequence[str]) -> TradingConfig:
    """Return the files laid one over the other: names of `configs/nn/policy_NAME.yaml`, or paths that end in .yaml.

    Raises
    ------
    PolicyConfigProblem
        If a file is missing or no YAML, or a key is unknown or a value impossible; the message names file and key.
    """
    merged: dict = {}
    for name in names:
        path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"policy_{name}.yaml"
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            known = ", ".join(sorted(each.stem.removeprefix("policy_") for each in FOLDER.glob("policy_*.yaml")))
            raise PolicyConfigProblem(f"{path} is missing; configs by name: {known}, or give a .yaml file") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise PolicyConfigProblem(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise PolicyConfigProblem(f"{path}: expected sections such as data, costs and execution")
        _refuse_unknown(path, TradingConfig, values)
        merged = _laid_over(merged, values)
        try:  # after every file, so that the message names the one that is wrong
            found = TradingConfig.model_validate(merged)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "config"
            raise PolicyConfigProblem(f"{path}: {key} is {first['input']!r}: {first['msg']}") from error
    return found


def _laid_over(below: dict, above: Mapping) -> dict:
    """Return nested settings with those of `above` in place of those below."""
    out = dict(below)
    for name, value in above.items():
        under = out.get(name)
        out[name] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return out


def _refuse_unknown(path: Path, model: type[BaseModel], values: Mapping, place: str = "") -> None:
    """Refuse a key that no section has, with the nearest one that it has."""
    for name, value in values.items():
        if name not in model.model_fields:
            near = difflib.get_close_matches(str(name), list(model.model_fields), n=1, cutoff=0.0)[0]
            raise PolicyConfigProblem(f"{path}: unknown key {place}{name}; did you mean {place}{near}?")
        below = model.model_fields[name].annotation
        if isinstance(below, type) and issubclass(below, BaseModel) and isinstance(value, Mapping):
            _refuse_unknown(path, below, value, f"{place}{name}.")


def _flat(values: Mapping, place: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in values.items():
        found += _flat(value, f"{place}{name}.") if isinstance(value, dict) else [(f"{place}{name}", str(value))]
    return found
