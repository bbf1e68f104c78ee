"""Learns one trading policy and looks at what it does on candles that taught it nothing.

From: `trading.TradingData`, a `TradingConfig`, a seed. To: `walk_forward`, which signs it. The last weights are taken,
not the best ones: the validation run is there to be looked at, and nothing is chosen by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..forecast.checkpoint import Checkpoint
from ..forecast.provenance import git_commit, library_versions
from ..forecast.schedule import Fold
from ..forecast.version import usable
from ..models.actor_critic import ActorCriticConfig
from ..registry.keys import Keys
from .account import Account, account_of, figures_of
from .normalise import SMALLEST, Moments
from .ppo import PPO
from .resume import fingerprint
from .trading import TradingData
from .trading_config import TradingConfig
from .version import Policy, write_policy

Figures = dict[str, float]


@dataclass(frozen=True, eq=False)
class Learned:
    """A policy that is not signed yet, and its story."""

    policy: Policy
    learner: PPO
    rounds: list[Figures]  # figures of every round of this run of the program
    validation: Account
    fields: dict[str, object]  # of its manifest

    def write(self, line_folder: Path, keys: Keys) -> Path:
        """Sign the policy and put it under `line_folder`; return its folder."""
        own = self.policy
        return write_policy(
            line_folder, own.model, own.moments, own.reward_deviation, own.observations, keys, **self.fields
        )


def learn(
    data: TradingData,
    config: TradingConfig,
    seed: int,
    line: str,
    fold: Fold,
    on_round: Callable[[PPO, Figures], None] = lambda learner, figures: None,
    resume: Path | None = None,
) -> Learned:
    """Return the policy that these candles teach; the same seed, candles and config give the same weights.

    Parameters
    ----------
    resume : Path, optional
        File in which the learner is kept while it learns, to go on from after a kill.
    """
    learner = new_learner(data, config, seed)
    rounds: list[Figures] = []

    def heard(figures: Figures) -> None:
        rounds.append(figures)
        on_round(learner, figures)

    checkpoint = None if resume is None else usable(Checkpoint(resume, fingerprint(learner, world_of(data))))
    learner.learn(heard, checkpoint)
    deviation = 1.0 if learner.scale is None else float(np.sqrt(learner.scale.moments.variance + SMALLEST))
    fields = manifest_fields(data, config, line, fold)
    moments = learner.moments or Moments((len(data.observations.names),))  # 0 and 1: as they come
    policy = Policy.unsigned(learner.model, moments, deviation, data.observations, metrics={}, **fields)
    validation, _ = account_of(policy, data.frames, data.border, data.trained_until)
    metrics = {f"val_{name}": value for name, value in figures_of(validation).items()}
    last = rounds[-1] if rounds else {}
    metrics |= {f"last_{name}": value for name, value in last.items() if name != "steps_per_second"}
    return Learned(policy, learner, rounds, validation, fields | {"metrics": metrics})


def new_learner(data: TradingData, config: TradingConfig, seed: int) -> PPO:
    """Return a learner that has played nothing yet."""
    learning = config.learning
    low = -1.0 if data.account.can_short else 0.0
    network = ActorCriticConfig(
        len(data.observations.names), 1, low=(low,), high=(1.0,), **learning.network.model_dump()
    )
    return PPO(data.environments(learning.n_copies, seed), network, learning.ppo, seed, learning.total_steps)


def world_of(data: TradingData) -> str:
    """Return what the environment is made of, for the fingerprint of an unfinished training."""
    account, digest = data.account.model_dump_json(), data.observations.digest
    return " ".join([data.fingerprint, digest, data.border.isoformat(), str(data.episode_length), account])


def manifest_fields(data: TradingData, config: TradingConfig, line: str, fold: Fold) -> dict[str, object]:
    """Return what the manifest says besides the network and its metrics. No time of training: equal in, equal out."""
    bar_ms = data.observations.bar_ms
    fees = config.costs.fees
    return {
        "name": line,
        "pairs": data.pairs,
        "environment": data.account,
        "objective": config.objective(),
        "cost_model": {"maker_bps": fees.maker_bps, "taker_bps": fees.taker_bps},
        "trained_from": data.trained_from,
        "trained_until": fold.trained_until,
        "embargo_bars": round((fold.valid_from - fold.trained_until).total_seconds() * 1000 / bar_ms),
        "valid_from": fold.valid_from,
        "data_fingerprint": data.fingerprint,
        "libraries": library_versions(),
        "git_commit": git_commit(),
        "config_hash": config.hash,
    }
