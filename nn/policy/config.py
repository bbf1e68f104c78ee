"""What a training of a policy is told: one YAML file in `configs/nn/policy`, unknown keys refused.

From: a name, which is that of the environment, or the path of a file. To: `train`.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

DEFAULT = "default"  # for environments that nobody has made a config for
FOLDER = Path(__file__).resolve().parents[2] / "configs" / "nn" / "policy"


class PolicyConfigProblem(ValueError):
    """A file is missing, is not YAML, or says something that is not known or not possible."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PPOConfig(Section):
    """How the loop learns; PPO-2 and PPO-3 by default."""

    n_steps: int = Field(default=2048, ge=2)  # of each copy in a round; one alone may only begin an episode
    batch_size: PositiveInt = 64
    epochs: PositiveInt = 4
    gamma: float = Field(default=0.99, ge=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    clip: PositiveFloat = 0.10  # of the probability ratio
    learning_rate: PositiveFloat = 1e-4
    final_learning_rate: float = Field(default=0.0, ge=0)  # at the last step; linear between
    final_clip: float | None = Field(default=None, ge=0)  # at the last step; null keeps `clip`
    entropy_weight: float = Field(default=0.001, ge=0)
    value_weight: float = Field(default=1.8, ge=0)
    max_grad_norm: PositiveFloat = 0.5
    target_kl: PositiveFloat | None = 0.03  # a round ends early when the policy has moved this far
    kappa: float = Field(default=0.05, ge=0)  # of the quantile Huber loss, in deviations of the returns (LOS-8)
    n_draws: int = Field(default=4, ge=0)  # of each return, for the quantiles; 0: its mean alone, whose tails are thin
    cvar_alpha: float = Field(default=0.05, gt=0, le=1)
    cvar_weight: float = Field(default=0.15, ge=0, le=1)  # share of the advantage that is about the tail
    cvar_cap: PositiveFloat = 0.5  # the tail's part is scaled down to this many deviations of the rest; .inf: never
    normalise_observations: bool = True
    normalise_rewards: bool = True


class NetworkConfig(Section):
    hidden: tuple[PositiveInt, ...] = (64, 64)  # widths of actor and critic
    n_quantiles: PositiveInt = 32
    sigma_range: tuple[PositiveFloat, PositiveFloat] = (0.2, 1.5)  # of a continuous action before it is squashed
    rest: float = Field(default=0.0, ge=0, lt=1)  # share of each side of 0 that is 0, where shorts are allowed


class PolicyConfig(Section):
    total_steps: PositiveInt
    n_copies: PositiveInt  # of the environment
    network: NetworkConfig = NetworkConfig()
    ppo: PPOConfig = PPOConfig()

    @model_validator(mode="after")
    def _a_round_fits(self) -> PolicyConfig:
        if self.ppo.n_steps * self.n_copies > self.total_steps:
            raise ValueError(
                f"total_steps is {self.total_steps}, fewer than one round of {self.n_copies} x {self.ppo.n_steps} steps"
            )
        return self

    def for_steps(self, total_steps: int) -> PolicyConfig:
        """Return this config for another length of training."""
        try:
            return PolicyConfig.model_validate(self.model_dump() | {"total_steps": total_steps})
        except ValidationError as error:
            raise PolicyConfigProblem(f"{total_steps} steps: {error.errors()[0]['msg']}") from error


def own_config(environment: str) -> str | None:
    """Return the name of the config made for this environment, None where there is none."""
    return environment if (FOLDER / f"{environment}.yaml").is_file() else None


def load_policy_config(name: str) -> PolicyConfig:
    """Return the config of this name in `configs/nn/policy`, or of a path that ends in .yaml."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    else:
        path = FOLDER / f"{name}.yaml"
        if not path.is_file():
            known = sorted(each.stem for each in FOLDER.glob("*.yaml"))
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise PolicyConfigProblem(f"no config {name!r} in {FOLDER}; did you mean {near[0]!r}?")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return PolicyConfig.model_validate(values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PolicyConfigProblem(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "config"
        raise PolicyConfigProblem(f"{path}: {key} is {first['input']!r}: {first['msg']}") from error
