"""Gymnasium environments by their id, many copies of each, and the network that fits them. From: `train`. To: `ppo`."""

from __future__ import annotations

import gymnasium as gym

from ..models.actor_critic import ActorCriticConfig
from .config import NetworkConfig
from .planted_markets import register

register()


class UnknownEnvironment(ValueError):
    """There is no such environment, or its spaces are not ones that a policy can be learned for."""


def make_envs(name: str, n_copies: int) -> gym.vector.VectorEnv:
    """Return copies with next-step autoreset: the environment's own vector form if it has one, else one by one.

    An observation that is a choice, or several values, or an array, is laid out as one vector; choices are one-hot.
    """
    try:
        own = gym.spec(name).vector_entry_point is not None
        envs = gym.make_vec(name, n_copies, "vector_entry_point" if own else "sync")
    except (gym.error.Error, ImportError) as error:
        raise UnknownEnvironment(f"environment {name!r}: {' '.join(str(error).split())}") from error
    mode = envs.metadata.get("autoreset_mode")
    if mode != gym.vector.AutoresetMode.NEXT_STEP:
        raise UnknownEnvironment(f"environment {name!r}: its vector form has autoreset_mode {mode}, expected NEXT_STEP")
    seen = envs.single_observation_space
    plain = (isinstance(seen, gym.spaces.Box) and len(seen.shape) == 1) or not seen.is_np_flattenable
    return envs if plain else gym.wrappers.vector.FlattenObservation(envs)


def network_for(envs: gym.vector.VectorEnv, settings: NetworkConfig) -> ActorCriticConfig:
    """Return the network that reads these observations and gives these actions; an array's numbers in row order."""
    seen, acted = envs.single_observation_space, envs.single_action_space
    if not isinstance(seen, gym.spaces.Box) or len(seen.shape) != 1:
        raise UnknownEnvironment(f"observations are {seen}, expected a Box of one axis: a vector of numbers")
    common = {"n_observations": seen.shape[0], **settings.model_dump()}
    if isinstance(acted, gym.spaces.Discrete):
        return ActorCriticConfig(n_actions=int(acted.n), discrete=True, **common)
    if isinstance(acted, gym.spaces.Box) and acted.dtype.kind == "f":
        if not acted.is_bounded():
            raise UnknownEnvironment(f"actions are {acted}, expected finite bounds for every number")
        low, high = (tuple(map(float, bound.ravel())) for bound in (acted.low, acted.high))
        return ActorCriticConfig(n_actions=len(low), low=low, high=high, **common)
    raise UnknownEnvironment(f"actions are {acted}, expected Discrete or a Box of real numbers")
