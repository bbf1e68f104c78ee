"""A learner's state on disk, so that a killed training goes on from its last checkpoint.

From: `ppo`, after a round. To: `ppo`, when the same training is started again. On one thread it ends with the same
bits, if the environment can give its state away. One that cannot begins its episodes anew: each such run has its own
end, which follows from seed and step alone.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from ..forecast.checkpoint import CheckpointRefused, State
from ..forecast.provenance import library_versions

if TYPE_CHECKING:
    from .normalise import Moments
    from .ppo import PPO

PLAYER = ("observation", "begins", "returns")  # what the next step depends on


@runtime_checkable
class Restorable(Protocol):
    """An environment that goes on from where it was."""

    def snapshot(self) -> NDArray[np.uint8]: ...

    def restore(self, snapshot: NDArray[np.uint8]) -> None: ...


def fingerprint(learner: PPO, world: str) -> str:
    """Return the SHA-256 of all that a training depends on; another training's checkpoint is refused.

    Parameters
    ----------
    world : str
        What the environment is: its name, or the fingerprint of its candles and settings.
    """
    parts = {
        "network": learner.model.config.to_dict(),
        "ppo": learner.config.model_dump(mode="json"),
        "seed": learner.seed,
        "total_steps": learner.total_steps,
        "copies": learner.player.envs.num_envs,
        "world": world,
        "libraries": library_versions(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def state_of(learner: PPO) -> State:
    """Return everything that the next round depends on."""
    flat, adam, player = learner.network.flat, learner.adam, learner.player
    arrays: dict[str, NDArray] = {"weights": flat.values, "adam.mean": adam.mean, "adam.square": adam.square}
    arrays |= {f"player.{name}": getattr(player, name) for name in PLAYER}
    for name, moments in _all_moments(learner):
        arrays |= {f"{name}.mean": moments.mean, f"{name}.variance": moments.variance}
    if learner.scale is not None:
        arrays["scale.sums"] = learner.scale.sums
    if isinstance(player.envs, Restorable):
        arrays["environment"] = player.envs.snapshot()
    story: dict[str, Any] = {
        "steps": learner.steps,
        "adam": adam.count,
        "moments": {name: moments.count for name, moments in _all_moments(learner)},
        "draws": player.draws.bit_generator.state,
        "shuffles": learner.shuffles.bit_generator.state,
    }
    return State({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, story)


def restore(learner: PPO, state: State) -> None:
    """Put a learner that has played nothing yet to where the state was taken."""
    arrays, story, player = {name: each.numpy() for name, each in state.tensors.items()}, state.story, learner.player
    places = {
        "weights": learner.network.flat.values,
        "adam.mean": learner.adam.mean,
        "adam.square": learner.adam.square,
    }
    places |= {f"player.{name}": getattr(player, name) for name in PLAYER}
    for name, place in places.items():
        if name not in arrays or arrays[name].shape != place.shape or arrays[name].dtype != place.dtype:
            raise CheckpointRefused(f"{name} is not there as {place.dtype} of shape {place.shape}")
        place[...] = arrays[name]
    learner.steps, learner.adam.count = story["steps"], story["adam"]
    for name, moments in _all_moments(learner):
        moments.mean, moments.variance = arrays[f"{name}.mean"], arrays[f"{name}.variance"]
        moments.count = story["moments"][name]
    if learner.scale is not None:
        learner.scale.sums = arrays["scale.sums"]
    player.draws.bit_generator.state, learner.shuffles.bit_generator.state = story["draws"], story["shuffles"]
    if isinstance(player.envs, Restorable):
        player.envs.restore(arrays["environment"])
    else:
        if learner.scale is not None:
            learner.scale.sums[:] = 0
        player.begin(int(np.random.SeedSequence([learner.seed, learner.steps]).generate_state(1)[0]))


def _all_moments(learner: PPO) -> list[tuple[str, Moments]]:
    found = [] if learner.moments is None else [("moments", learner.moments)]
    return found if learner.scale is None else [*found, ("scale", learner.scale.moments)]
