"""Our PPO beside Stable-Baselines3, in one run on one thread: `python benchmarks/policy.py --peers`.

From: public tasks with each side's tuned settings, and our trading environment with equal settings for both. To: tables
of steps per second and of what the policies earn. The sides take turns, seed by seed. Compare processor time: wall time
is that on a quiet machine. A Stable-Baselines3 that is not installed is put aside (`--peers`, 1 MB, once).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tradekernels.environment import Settings, TradingEnvironment, market

from nn.models.actor_critic import ActorCriticConfig
from nn.policy.config import PPOConfig, load_policy_config
from nn.policy.environments import make_envs, network_for
from nn.policy.evaluate import episode_returns
from nn.policy.gym import TradingVectorEnv
from nn.policy.ppo import PPO

SITE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "candlewright-peers" / "sb3"
PEER = "stable_baselines3==2.9.0"  # all it needs is here already: torch, gymnasium, pandas, cloudpickle, matplotlib
JUDGED = 20  # episodes
COPIES, SLOTS, EPISODE = 256, 56, 256  # of the trading environment
# Equal on both sides, but for the critic: quantiles of the return here, its mean there.
TRADING = {"n_steps": 64, "batch_size": 1024, "n_epochs": 4, "learning_rate": 1e-4, "gamma": 0.99, "gae_lambda": 0.95}


def falling(start: float) -> Callable[[float], float]:
    return lambda left: start * left


TUNED: dict[str, dict[str, Any]] = {  # DLR-RM/rl-baselines3-zoo, hyperparams/ppo.yml
    "CartPole-v1": {
        "n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20,
        "ent_coef": 0.0, "learning_rate": falling(1e-3), "clip_range": falling(0.2),
    },
    "Pendulum-v1": {
        "n_envs": 4, "n_steps": 1024, "gae_lambda": 0.95, "gamma": 0.9, "n_epochs": 10, "ent_coef": 0.0,
        "learning_rate": 1e-3, "clip_range": 0.2, "use_sde": True, "sde_sample_freq": 4,
    },
}  # fmt: skip


@dataclass
class Side:
    """What one contender did, training by training."""

    cpu: list[float] = field(default_factory=list)  # seconds
    wall: list[float] = field(default_factory=list)
    updating: list[float] = field(default_factory=list)  # seconds of processor time
    steps: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    def learn(self, learner: Any, update: str, learn: Callable[[], Any], steps: Callable[[], int]) -> None:
        """Run a training and count its time, that of the method `update` apart."""
        inner, spent = getattr(learner, update), [0.0]

        def timed(*arguments: Any) -> Any:
            begun = time.process_time()
            found = inner(*arguments)
            spent[0] += time.process_time() - begun
            return found

        setattr(learner, update, timed)
        cpu, wall = time.process_time(), time.perf_counter()
        learn()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        self.updating.append(spent[0])
        self.steps.append(steps())

    @property
    def speed(self) -> float:
        """Steps per second of processor time, of the fastest training."""
        return max(np.divide(self.steps, self.cpu))

    def row(self, name: str, beside: Side) -> list[str]:
        speeds = [f"{self.speed:,.0f}", f"{max(np.divide(self.steps, self.wall)):,.0f}"]
        share = f"{sum(self.updating) / sum(self.cpu):.0%}"
        earned = [" ".join(f"{each:.0f}" for each in self.returns)] if self.returns else [""]
        return [name, *speeds, f"{self.speed / beside.speed:.1f}x", share, *earned]


def our_task(name: str, seed: int, side: Side) -> None:
    config = load_policy_config(name)
    envs, judged = make_envs(name, config.n_copies), make_envs(name, JUDGED)
    learner = PPO(envs, network_for(envs, config.network), config.ppo, seed, config.total_steps)
    side.learn(learner, "improve", learner.learn, lambda: learner.steps)
    side.returns.append(float(episode_returns(learner.model, learner.moments, judged, seed + 1000).mean()))


def their_task(name: str, seed: int, side: Side) -> None:
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    settings = dict(TUNED[name])
    envs = make_vec_env(name, settings.pop("n_envs"), seed=seed)
    learner = sb3.PPO("MlpPolicy", envs, seed=seed, device="cpu", **settings)
    side.learn(
        learner, "train", lambda: learner.learn(load_policy_config(name).total_steps), lambda: learner.num_timesteps
    )
    side.returns.append(float(evaluate_policy(learner, make_vec_env(name, 1, seed=seed + 1000), JUDGED)[0]))


def trading() -> TradingVectorEnv:
    """Return copies on a random walk with random rows: what they cost does not depend on what they say."""
    draws, n = np.random.default_rng(1), 20_000
    close = 30_000 * np.exp(np.cumsum(draws.normal(0, 0.002, n)))
    opened = np.r_[close[0], close[:-1]]
    frame = {
        "date": 1_600_000_200_000 + 900_000 * np.arange(n), "open": opened, "high": np.maximum(opened, close),
        "low": np.minimum(opened, close), "close": close, "volume": np.full(n, 1e4),
    }  # fmt: skip
    rows = draws.uniform(0, 1, (n, SLOTS)).astype(np.float32)
    one = market("BTC/USDT", frame, rows, "15m")
    return TradingVectorEnv(TradingEnvironment(one, COPIES, Settings(episode_length=EPISODE), seed=1), copy=False)


def our_trader(total_steps: int) -> PPO:
    names = {"n_epochs": "epochs"}
    config = PPOConfig(**{names.get(name, name): value for name, value in TRADING.items()}, target_kl=None)
    return PPO(trading(), ActorCriticConfig(SLOTS, 1, low=(0.0,), high=(1.0,)), config, 1, total_steps)


def their_trader() -> Any:
    import stable_baselines3 as sb3
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

    class Trading(VecEnv):
        """Our environment in their interface. The step that only begins an episode is learned from, too."""

        def __init__(self) -> None:
            self.envs = trading()
            super().__init__(COPIES, self.envs.single_observation_space, self.envs.single_action_space)

        def reset(self) -> np.ndarray:
            return self.envs.reset(seed=1)[0].copy()

        def step_async(self, actions: np.ndarray) -> None:
            self.actions = actions

        def step_wait(self) -> Any:
            seen, reward, terminated, truncated, _ = self.envs.step(self.actions)
            infos: list[dict[str, Any]] = [{} for _ in range(COPIES)]
            for copy in np.flatnonzero(terminated | truncated):
                infos[copy] = {"terminal_observation": seen[copy].copy(), "TimeLimit.truncated": not terminated[copy]}
            return seen.copy(), reward.copy(), terminated | truncated, infos

        def close(self) -> None: ...
        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [None] * COPIES

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...
        def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
            return []

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return [False] * COPIES

    return sb3.PPO("MlpPolicy", VecNormalize(Trading()), seed=1, device="cpu", **TRADING)


def rollout_speed() -> float:
    """Return steps per second of playing alone, the best of some rounds."""
    learner = our_trader(1)
    best = np.inf
    for _ in range(20):
        begun = time.process_time()
        learner.player.play(learner.rollout)
        best = min(best, time.process_time() - begun)
    return learner.rollout.rewards.size / best


def peak_mb() -> float:
    """Return the most megabytes that this process has held (Linux)."""
    said = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in said.splitlines() if line.startswith("VmHWM"))) / 1024


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--peers", action="store_true", help="install Stable-Baselines3 aside if it is not there")
    command.add_argument("--seeds", type=int, default=5, help="trainings of each public task and side [5]")
    command.add_argument("--only", nargs="+", choices=[*TUNED, "trading"], default=[*TUNED, "trading"])
    options = command.parse_args()
    if options.peers and not (SITE / "stable_baselines3").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--target", str(SITE), PEER], check=True)
    sys.path.append(str(SITE))
    torch.set_num_threads(1)
    threadpool_limits(1)
    head = ("", "steps/s, CPU", "steps/s, wall", "beside", "update loop", f"mean return of {JUDGED} episodes, by seed")
    table = Table(*head, title="One thread; the fastest training of each side")
    for name in options.only:
        ours, theirs = Side(), Side()
        if name == "trading":
            for _ in range(3):
                learner = our_trader(200_000)
                ours.learn(learner, "improve", learner.learn, lambda learner=learner: learner.steps)
                peer = their_trader()
                theirs.learn(peer, "train", lambda peer=peer: peer.learn(60_000), lambda peer=peer: peer.num_timesteps)
        else:
            for seed in range(1, options.seeds + 1):
                our_task(name, seed, ours)
                their_task(name, seed, theirs)
        table.add_row(*ours.row(f"{name}, ours", theirs))
        table.add_row(*theirs.row(f"{name}, Stable-Baselines3", theirs))
    console = Console(width=140)
    console.print(table)
    if "trading" not in options.only:
        return
    console.print(f"Playing alone, {COPIES} copies of {SLOTS} slots: {rollout_speed():,.0f} steps/s of processor time")
    growth = Table("steps", "CPU, s", "us a step", "wall, s", "peak, MB", title="One training, ever longer")
    for steps in (250_000, 500_000, 1_000_000, 2_000_000):
        side, learner = Side(), our_trader(steps)
        side.learn(learner, "improve", learner.learn, lambda learner=learner: learner.steps)
        pace = 1e6 * side.cpu[0] / side.steps[0]
        growth.add_row(
            f"{side.steps[0]:,}", f"{side.cpu[0]:.1f}", f"{pace:.2f}", f"{side.wall[0]:.1f}", f"{peak_mb():.0f}"
        )
    console.print(growth)


if __name__ == "__main__":
    main()
