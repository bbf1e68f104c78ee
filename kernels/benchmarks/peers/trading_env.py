"""Steps of gym-trading-env, as its documentation vectorises it. From: a seed. To: seconds a step, on stdout.

Run by environment.py in the virtual environment that has it: `python trading_env.py 256`.
"""

import sys
import time
import warnings

import gym_trading_env  # noqa: F401  (registers TradingEnv)
import gymnasium as gym
import numpy as np
import pandas as pd

N_ROWS, N_STEPS = 3000, 60


def main() -> None:
    warnings.simplefilter("ignore")
    n_copies = int(sys.argv[1])
    random = np.random.default_rng(0)
    close = 30_000 * np.exp(np.cumsum(random.normal(0, 0.003, N_ROWS)))
    frame = pd.DataFrame(
        {"open": close, "high": close * 1.001, "low": close * 0.999, "close": close, "volume": 1.0}
        | {f"feature_{k}": random.random(N_ROWS, dtype=np.float32) for k in range(54)},  # it adds two of its own
        index=pd.date_range("2024-01-01", periods=N_ROWS, freq="15min"),
    )
    positions = [k / 10 for k in range(11)]
    envs = gym.vector.SyncVectorEnv(
        [lambda: gym.make("TradingEnv", df=frame, positions=positions, trading_fees=0.001, verbose=0)] * n_copies
    )
    envs.reset(seed=0)
    actions = random.integers(0, len(positions), (N_STEPS, n_copies))
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for action in actions:
            envs.step(action)
        best = min(best, time.perf_counter() - start)
    print(best / N_STEPS / n_copies)


if __name__ == "__main__":
    main()
