"""The trading environment, spoken in Gymnasium. From: `tradekernels.environment`. To: any learner that knows Gymnasium.

`TradingVectorEnv` is for learning: N copies in one compiled step, next-step autoreset. `TradingEnv` is one copy, for
tools that want a plain `Env`. Both walk the same paths as the environment they wrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from tradekernels.environment import Market, Settings, TradingEnvironment, Transition
from tradekernels.observation import BLOCKS, slots_of

ENDED = ("worth", "fees", "slippage", "turnover", "n_trades", "reward")  # of an episode that has just ended
OPTIONS = ("pairs", "rows")


class TradingVectorEnv(gym.vector.VectorEnv):
    """N copies of an account behind Gymnasium's vector interface.

    An action is a target weight, shape (N, 1); one beyond the action space counts as its bound. A copy whose episode
    ended returns its final observation, and begins the next episode at the following step with reward 0
    (`AutoresetMode.NEXT_STEP`): mask that transition.

    Parameters
    ----------
    environment : TradingEnvironment
        Its arrays, seeds and threads are used as they are.
    copy : bool
        Return new arrays at each step. Without it the same arrays are written again, as they are by
        `SyncVectorEnv(copy=False)`: faster, for who has read them by the next step.
    """

    metadata = {"render_modes": [], "autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, environment: TradingEnvironment, copy: bool = True) -> None:
        self.environment, self.num_envs = environment, environment.n_copies
        self.single_observation_space = observation_space(environment)
        self.single_action_space = action_space(environment)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._out = None if copy else environment.empty()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in every copy.

        Parameters
        ----------
        seed : int, optional
            Of all copies: each has its own stream of it. Without it the streams go on.
        options : dict, optional
            pairs and rows, where the episodes shall begin: see `TradingEnvironment.reset`.
        """
        super().reset(seed=seed)
        out = None if self._out is None else self._out.observation
        return self.environment.reset(seed, **read_options(options), out=out), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Carry every copy one bar on; the info holds what the episodes that ended came to.

        Raises
        ------
        ValueError
            If an account comes to no number; the message names pair and candle.
        """
        out = self.environment.step(as_weights(actions, self.num_envs), self._out)
        finite = np.isfinite(self.environment.copies["worth"])
        if not finite.all():  # the reward is held within bounds and would not show it
            copy = int(finite.argmin())
            worth = self.environment.copies["worth"][copy]
            raise ValueError(f"the worth of copy {copy} is {worth} ({self.tell(copy, None)}), expected a finite number")
        return *out, ended(self.environment, out)

    def snapshot(self) -> np.ndarray:
        """Return the seed and the state of all copies as bytes."""
        seed = np.array([self.environment.__getstate__()["seed"]], np.uint64)
        return np.concatenate([seed.view(np.uint8), self.environment.state()])

    def restore(self, snapshot: np.ndarray) -> None:
        """Go on from a `snapshot`, bit for bit."""
        seed = int(np.ascontiguousarray(snapshot[:8]).view(np.uint64)[0])
        self.environment.restore(np.ascontiguousarray(snapshot[8:]), seed)

    def tell(self, copy: int, slot: int | None) -> str:
        """Return pair and candle that a copy is at, and what the slot of its observation is called."""
        state = self.environment.copies[copy]
        one = self.environment.markets[state["pair"]]
        opened = (one.rows["close_time"][state["row"]] - one.bar_ms).astype("datetime64[ms]").astype("datetime64[s]")
        where = f"{one.pair}, candle {opened}Z"
        if slot is None or self.environment.n_slots < 56:
            return where
        return f"{slots_of(self.environment.n_slots - 55)[slot].name} of {where}"


class TradingEnv(gym.Env):
    """One copy of an account. After an episode has ended, `reset` begins the next.

    Parameters
    ----------
    markets : Market or sequence of Market
    settings : Settings, optional
    seed : int
        Used until `reset` is given one.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, markets: Market | Sequence[Market], settings: Settings | None = None, seed: int = 0) -> None:
        if isinstance(markets, TradingEnvironment):
            raise TypeError("markets is a TradingEnvironment, expected a market: TradingVectorEnv takes environments")
        self.environment = TradingEnvironment(markets, 1, settings, seed=seed)
        self.observation_space = observation_space(self.environment)
        self.action_space = action_space(self.environment)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; see `TradingVectorEnv.reset`."""
        super().reset(seed=seed)
        return self.environment.reset(seed, **read_options(options))[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Carry the copy one bar on."""
        out = self.environment.step(as_weights(action, 1))
        info = {name: value[0] for name, value in ended(self.environment, out).items() if not name.startswith("_")}
        return out.observation[0], float(out.reward[0]), bool(out.terminated[0]), bool(out.truncated[0]), info


def observation_space(environment: TradingEnvironment) -> gym.spaces.Box:
    """Return the range of each slot: that of OBS-0..55 where the rows keep to it, else every number."""
    n_slots = environment.n_slots
    if n_slots >= 56:
        low, high = np.array([slot.range for slot in slots_of(n_slots - 55)], dtype=np.float32).T
        rows = [one.observation[one.first : one.last + 1] for one in environment.markets]
        agent = np.isin(np.arange(n_slots), np.r_[BLOCKS["agent"]])  # filled by the environment itself
        if all((agent | ((part >= low) & (part <= high))).all() for part in rows):
            return gym.spaces.Box(low, high, dtype=np.float32)
    return gym.spaces.Box(-np.inf, np.inf, (n_slots,), dtype=np.float32)


def action_space(environment: TradingEnvironment) -> gym.spaces.Box:
    """Return the range of target weights."""
    return gym.spaces.Box(-1.0 if environment.settings.can_short else 0.0, 1.0, (1,), dtype=np.float32)


def as_weights(actions: Any, n_copies: int) -> np.ndarray:
    """Return actions of shape (n, 1) or (n,) as a contiguous vector, the caller's own memory where it is float32."""
    weights = np.asarray(actions)
    if weights.shape not in ((n_copies, 1), (n_copies,)):
        raise ValueError(f"actions have shape {weights.shape}, expected {(n_copies, 1)}")
    if weights.dtype.kind not in "fiu":
        raise ValueError(f"actions have dtype {weights.dtype}, expected real numbers")
    if weights.dtype != np.float64:
        weights = weights.astype(np.float32, copy=False)
    return np.ascontiguousarray(weights.reshape(n_copies))


def read_options(options: dict[str, Any] | None) -> dict[str, Any]:
    """Return the options of a reset, checked."""
    unknown = sorted(set(options or {}) - set(OPTIONS))
    if unknown:
        raise ValueError(f"options has {unknown[0]!r}, expected {', '.join(OPTIONS)}")
    return dict(options or {})


def ended(environment: TradingEnvironment, out: Transition) -> dict[str, np.ndarray]:
    """Return what the episodes that ended at this step came to, with Gymnasium's masks; nothing if none did."""
    over = out.terminated | out.truncated
    if not over.any():
        return {}
    info = {name: np.where(over, environment.copies[name], 0) for name in ENDED}
    return info | {f"_{name}": over for name in ENDED}
