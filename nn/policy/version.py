"""A policy as a signed version: written after training, read back to act, and played over history (PPO-4, PPO-5).

From: `walk_forward` (write_policy), `nn.registry.manifest` (LoadedVersion). To: `nn.service`, `judge`.

Serving runs in NumPy, row by row: a row's answer has the same bits alone and in a batch of any size, because the very
same products are made for it. A row takes some 12 microseconds, less than one call of a deep learning framework.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tradekernels.environment import Costs, Reward, Risk, Settings
from tradekernels.execution import Fees, Latency, Quantiser, Slippage
from tradekernels.observation import ObservationSet, Statistics, observation_set

from ..models.actor_critic import ACTOR, CRITIC, ActorCritic, rested
from ..models.build import ACTOR_CRITIC, MOMENTS, POLICY_COLUMNS, build_actor_critic
from ..registry.files import ModelRefused
from ..registry.keys import Keys
from ..registry.manifest import LoadedVersion, Manifest, ManifestDraft, write_version
from ..registry.policy_fields import PolicyEnvironment, PolicyObservation
from .normalise import CLIP, SMALLEST, Moments

Floats = NDArray[np.float32]


def write_policy(
    line_folder: str | Path,
    model: ActorCritic,
    moments: Moments,
    reward_deviation: float,
    observations: ObservationSet,
    keys: Keys,
    **fields: object,
) -> Path:
    """Sign a policy and put it under `line_folder`; return its folder.

    Parameters
    ----------
    moments : Moments
        Of the observations, as the network was trained with them.
    reward_deviation : float
        What rewards were divided by: it gives the quantiles their unit back, log growth of the worth.
    observations : ObservationSet
        With statistics of train rows only.
    **fields
        The rest of the manifest: name, pairs, environment, objective, cost_model, trained_from, trained_until,
        embargo_bars, valid_from, data_fingerprint, metrics, libraries, git_commit, config_hash.

    Raises
    ------
    ModelRefused
        If the weights are not finite or do not fit the manifest, or the same weights lie there with another meaning.
    OSError
        If the disk does not take it; nothing is left of it then.
    """
    draft = draft_policy(model, observations, **fields)
    return write_version(line_folder, draft, policy_tensors(model, moments, reward_deviation), keys)


def draft_policy(model: ActorCritic, observations: ObservationSet, **fields: object) -> ManifestDraft:
    """Return the manifest of a policy before it has a name; `fields` as in `write_policy`."""
    return ManifestDraft(
        kind=ACTOR_CRITIC,
        architecture=model.config.to_dict(),
        timeframe=observations.timeframe,
        feature_names=observations.names,
        feature_parameters=observations.statistics.parameters,
        feature_digest=observations.digest,
        warmup=observations.warmup,
        scaler={},
        target_names=(),
        forecast_columns=POLICY_COLUMNS,
        class_codes={},
        observation=PolicyObservation(
            statistics=observations.statistics.to_json(),
            tokens=observations.tokens,
            max_num_tokens=len(observations.slots) - 55,
            layout_digest=observations.statistics.layout,
        ),
        **fields,  # type: ignore[arg-type]
    )


def policy_tensors(model: ActorCritic, moments: Moments, reward_deviation: float) -> dict[str, Tensor]:
    """Return all numbers of a policy by name: the network's weights and what it calls 0 and 1."""
    numbers = {"mean": moments.mean, "variance": moments.variance, "count": moments.count}
    numbers |= {"reward_deviation": reward_deviation}
    extra = {f"{MOMENTS}{name}": torch.tensor(np.asarray(value, dtype=np.float64)) for name, value in numbers.items()}
    return {name: tensor.detach() for name, tensor in model.state_dict().items()} | extra


@dataclass(frozen=True, eq=False)
class Policy:
    """A version that acts. Immutable; threads may share it.

    Attributes
    ----------
    observations : ObservationSet
        Makes the rows that `act` reads.
    settings : Settings
        Of the account that is simulated where no real one is at hand.
    grids : dict of str to Quantiser
        Steps of every token's market.
    model, moments : ActorCritic, Moments
        As they were trained.
    reward_deviation : float
        What the quantiles are multiplied by.
    """

    manifest: Manifest
    observations: ObservationSet
    settings: Settings
    grids: dict[str, Quantiser]
    model: ActorCritic
    moments: Moments
    reward_deviation: float

    @classmethod
    def unsigned(
        cls,
        model: ActorCritic,
        moments: Moments,
        reward_deviation: float,
        observations: ObservationSet,
        **fields: object,
    ) -> Policy:
        """Return a policy that was not signed, to look at it before it is; parameters as in `write_policy`."""
        draft = draft_policy(model, observations, **fields)
        tensors = policy_tensors(model, moments, reward_deviation)
        return cls.from_loaded(LoadedVersion(Manifest(**dict(draft), version="unsigned", files={}), tensors))

    @classmethod
    def from_loaded(cls, loaded: LoadedVersion) -> Policy:
        """Return the policy of a verified version; `ModelRefused` names the version and what does not fit."""
        manifest, tensors = loaded.manifest, loaded.tensors
        if manifest.kind != ACTOR_CRITIC:
            raise ModelRefused(f"{manifest.version} is of kind {manifest.kind!r}, expected {ACTOR_CRITIC!r}")
        said, account, objective = manifest.observation, manifest.environment, manifest.objective
        if said is None or account is None or objective is None:
            raise ModelRefused(f"{manifest.version}: manifest has no observation, environment or objective")
        try:
            statistics = Statistics.from_json(said.statistics)
            observations = observation_set(statistics, said.tokens, said.max_num_tokens)
            settings, grids = settings_of(account), grids_of(account)
            model = build_actor_critic(manifest.architecture, tensors)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ModelRefused(f"{manifest.version}: {error}") from error
        if observations.digest != manifest.feature_digest or observations.names != manifest.feature_names:
            raise ModelRefused(
                f"{manifest.version} has observation digest {manifest.feature_digest[:12]}, tradekernels now gives "
                f"{observations.digest[:12]}"
            )
        if statistics.timeframe != manifest.timeframe:
            raise ModelRefused(
                f"{manifest.version} is of {manifest.timeframe}, its statistics of {statistics.timeframe}"
            )
        bounds = (-1.0 if settings.can_short else 0.0,), (1.0,)
        if model.config.discrete or (model.config.low, model.config.high) != bounds:
            raise ModelRefused(
                f"{manifest.version}: actions are {model.config.low}..{model.config.high}, expected one target weight "
                f"of {bounds[0][0]:g}..1"
            )
        if set(grids) != set(observations.tokens):
            raise ModelRefused(
                f"{manifest.version}: grids are of {sorted(grids)}, expected {list(observations.tokens)}"
            )
        numbers = {name: tensors[f"{MOMENTS}{name}"].double().numpy() for name in ("mean", "variance", "count")}
        if (numbers["variance"] < 0).any():
            raise ModelRefused(f"{manifest.version}: moments.variance has a number below 0")
        deviation = float(tensors[f"{MOMENTS}reward_deviation"])
        return cls(manifest, observations, settings, grids, model, Moments.from_dict(numbers), deviation)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_forward", Forward(self))

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def valid_from_ms(self) -> int:
        return round(self.manifest.valid_from.timestamp() * 1000)

    def act(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return target weights (n,) and quantiles of the return (n, Q), ascending, of observations (n, slots).

        Raises
        ------
        ValueError
            If the shape is another or a value is not finite; the message names row and slot.
        """
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        names = self.observations.names
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise ValueError(f"observations have shape {rows.shape}, expected (n, {len(names)})")
        if not np.isfinite(rows).all():
            row, slot = np.argwhere(~np.isfinite(rows))[0]
            raise ValueError(f"{names[slot]} of observation {row} is {rows[row, slot]}, expected a finite number")
        weights, quantiles = np.empty(len(rows), np.float32), np.empty((len(rows), self.n_quantiles), np.float32)
        for k, row in enumerate(rows):
            weights[k], quantiles[k] = self.forward(row)
        return weights, quantiles

    def columns(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return `POLICY_COLUMNS` (n, 3) of observations, and the quantiles (n, Q)."""
        weights, quantiles = self.act(rows)
        out = np.empty((len(rows), len(POLICY_COLUMNS)), np.float32)
        out[:, 0] = weights
        for k, each in enumerate(quantiles):
            out[k, 1:] = self.forward.value_and_cvar(each)
        return out, quantiles

    @property
    def n_quantiles(self) -> int:
        return self.model.config.n_quantiles

    @property
    def forward(self) -> Forward:
        return self._forward  # type: ignore[attr-defined]


class Forward:
    """The network in NumPy, one observation a call; agrees with the trained module to float tolerance."""

    def __init__(self, policy: Policy) -> None:
        state = {name: tensor.numpy().copy() for name, tensor in policy.model.state_dict().items()}
        depth = len(policy.model.config.hidden)
        weights = [state[f"weights.{k}"] for k in range(depth)]
        self.first = np.ascontiguousarray(np.concatenate(weights[0], axis=1))  # both bodies side by side
        self.first_bias = state["biases.0"].reshape(-1)
        self.more = [(weights[k], state[f"biases.{k}"]) for k in range(1, depth)]
        self.actor, self.actor_bias = state["actor"], state["actor_bias"]
        self.critic, self.critic_bias = state["critic"], state["critic_bias"]
        self.low, self.reach = (np.float32(x) for x in _stretch(policy.model))
        self.rest = np.float32(policy.model.config.rest)
        self.mean, self.deviation = policy.moments.mean, np.sqrt(policy.moments.variance + SMALLEST)
        self.unit = np.float32(policy.reward_deviation)
        n, alpha = policy.n_quantiles, policy.manifest.objective.cvar_alpha  # type: ignore[union-attr]
        worst = np.clip(alpha * n - np.arange(n), 0, 1) / (alpha * n)  # share of each quantile in the worst alpha
        self.summary = np.stack([np.full(n, 1 / n), worst], axis=1).astype(np.float32)

    def __call__(self, row: Floats) -> tuple[np.float32, Floats]:
        """Return the target weight and the ascending quantiles (Q,) of one observation (slots,)."""
        seen = np.clip((row - self.mean) / self.deviation, -CLIP, CLIP).astype(np.float32)
        h = np.tanh(seen @ self.first + self.first_bias).reshape(2, 1, -1)
        for weight, bias in self.more:
            h = np.tanh(h @ weight + bias)
        u = (h[ACTOR, 0] @ self.actor + self.actor_bias)[0]
        quantiles = (h[CRITIC, 0] @ self.critic + self.critic_bias) * self.unit
        quantiles.sort()
        action = self.low + self.reach * ((np.tanh(u) + np.float32(1)) / np.float32(2))
        return rested(action, self.low, self.low + self.reach, self.rest), quantiles

    def value_and_cvar(self, quantiles: Floats) -> Floats:
        """Return the mean of quantiles (Q,) and the mean of their worst part."""
        return quantiles @ self.summary


def settings_of(account: PolicyEnvironment) -> Settings:
    """Return the account as the environment kernel takes it; its reward is the log growth of the worth (ENV-4)."""
    risk = account.risk.model_dump()
    risk |= {name: math.inf for name in ("position_limit", "notional_limit") if risk[name] is None}
    return Settings(
        costs=Costs(
            Fees(**account.fees.model_dump()),
            Slippage(**account.slippage.model_dump()),
            Latency(**account.latency.model_dump()),
        ),
        reward=Reward.growth("log"),
        risk=Risk(**risk),
        cash=account.cash,
        can_short=account.can_short,
        dead_band=account.dead_band,
        random_start=False,
    )


def grids_of(account: PolicyEnvironment) -> dict[str, Quantiser]:
    """Return the steps of every pair."""
    return {pair: Quantiser(**grid.model_dump()) for pair, grid in account.grids.items()}


def _stretch(model: ActorCritic) -> tuple[float, float]:
    return model.config.low[0], model.config.high[0] - model.config.low[0]
