"""A small market of random candles, its environment, and a learner on it: what tests of training walk on.

`python -m tests.nn.policy.trading FILE` learns with a checkpoint at FILE after every round, to be killed on the way.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tradekernels.environment import Market, Settings, TradingEnvironment, market

from nn.forecast.checkpoint import Checkpoint
from nn.models.actor_critic import ActorCriticConfig
from nn.policy.config import PPOConfig
from nn.policy.gym import TradingVectorEnv
from nn.policy.ppo import PPO
from nn.policy.resume import fingerprint

N_ROWS, N_SLOTS = 400, 56
ROUND = 8 * 16  # steps


def random_market(pair: str = "BTC/USDT") -> Market:
    draws = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(draws.normal(0, 0.02, N_ROWS)))
    frame = {
        "date": 1_600_000_200_000 + 900_000 * np.arange(N_ROWS),
        "open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": np.full(N_ROWS, 1e4),
    }  # fmt: skip
    return market(pair, frame, draws.uniform(0, 1, (N_ROWS, N_SLOTS)).astype(np.float32), "15m")


def learner(n_rounds: int, one: Market | None = None, seed: int = 3) -> PPO:
    """Return a learner whose episodes end within its rounds, so that every part of its state matters."""
    environment = TradingEnvironment(one or random_market(), 16, Settings(episode_length=30), seed=1)
    config = PPOConfig(n_steps=8, batch_size=32, epochs=2, learning_rate=1e-3)
    network = ActorCriticConfig(N_SLOTS, 1, low=(0.0,), high=(1.0,), hidden=(16,), n_quantiles=8)
    return PPO(TradingVectorEnv(environment, copy=False), network, config, seed, n_rounds * ROUND)


def checkpoint(file: Path, of: PPO) -> Checkpoint:
    return Checkpoint(file, fingerprint(of, "random market"))


if __name__ == "__main__":
    ours = learner(int(sys.argv[2]))

    def said(figures: dict[str, float]) -> None:
        print(int(figures["steps"]), flush=True)

    ours.learn(said, checkpoint(Path(sys.argv[1]), ours), save_every_s=0)
