"""`python -m nn.policy.planted NAME`: learn a planted market, and hold what that earns elsewhere against the best.

stdout: a table, one line a policy: growth a bar (bp), what is traded a bar (share of worth), share of the optimum.
stderr: the story. Exit code 0, 2 for a user's slip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .config import PolicyConfig, load_policy_config
from .environments import network_for
from .gym import TradingVectorEnv
from .optimum import free_weight, plan
from .planted_markets import MARKETS, SEEN, Planted, planted
from .ppo import PPO

CONFIG = "planted"
LEARNED, UNSEEN = 1, 2  # seeds of the histories
N_EPISODES = 64  # that are judged
Act = Callable[[NDArray[np.float32], NDArray[np.float64]], NDArray]  # observations, weights held -> targets


@dataclass(frozen=True)
class Earned:
    """What a policy came to."""

    growth: float  # log growth of the worth, bp a bar
    traded: float  # notional, share of the first worth a bar


def earn(market: Planted, act: Act, market_seed: int = UNSEEN, seed: int = 99, n_episodes: int = N_EPISODES) -> Earned:
    """Return what these targets earn on a history; equal seeds, equal episodes, so that policies can be compared."""
    environment = market.environment(n_episodes, market_seed, seed)
    observation, total = environment.reset(), 0.0
    for _ in range(market.episode_length):
        targets = np.ascontiguousarray(act(observation, environment.weight()), dtype=np.float32)
        step = environment.step(targets)
        observation, total = step.observation, total + float(step.reward.mean())
    copies = environment.copies
    traded = float((copies["turnover"] / copies["start_worth"]).mean())
    return Earned(1e4 * total / market.episode_length, traded / market.episode_length)


def learn(
    market: Planted, config: PolicyConfig, seed: int, on_round: Callable[[dict[str, float]], None] = lambda _: None
) -> PPO:
    """Return a learner that has played all its steps on one history."""
    envs = TradingVectorEnv(market.environment(config.n_copies, LEARNED, seed), copy=False)
    learner = PPO(envs, network_for(envs, config.network), config.ppo, seed, config.total_steps)
    learner.learn(on_round)
    return learner


def acting(learner: PPO) -> Act:
    """Return the deterministic policy of a learner (PPO-4)."""

    def act(observation: NDArray[np.float32], held: NDArray[np.float64]) -> NDArray:
        seen = observation if learner.moments is None else learner.moments.normalised(observation)
        with torch.inference_mode():
            return learner.model.act(torch.from_numpy(seen))[:, 0].numpy()

    return act


def best(market: Planted) -> Act:
    """Return the policy of value iteration."""
    found = plan(market)
    return lambda observation, held: found.act(observation[:, SEEN].astype(np.float64), held)


def peers(market: Planted) -> dict[str, Act]:
    """Return what anybody could do without learning."""
    return {
        "optimum": best(market),
        "optimum were it free": lambda observation, held: free_weight(market, observation[:, SEEN]),
        "hold": lambda observation, held: np.ones(len(held)),
        "flat": lambda observation, held: np.zeros(len(held)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        config = load_policy_config(options.config)
        if options.steps:
            config = config.for_steps(options.steps)
        changes = {name: value for name in NUMBERS if (value := getattr(options, name)) is not None}
        market = planted(options.market, can_short=options.can_short, **changes)
    except ValueError as error:  # PolicyConfigProblem is one
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{market}\n{config.total_steps:,} steps, seed {options.seed}", file=sys.stderr, flush=True)
    learner = learn(market, config, options.seed)
    rows = {"policy": earn(market, acting(learner))} | {name: earn(market, act) for name, act in peers(market).items()}
    print(f"{'':22}{'bp a bar':>10}{'traded a bar':>14}{'of optimum':>12}")
    for name, row in rows.items():
        share = row.growth / rows["optimum"].growth if rows["optimum"].growth > 0 else float("nan")
        print(f"{name:22}{row.growth:10.3f}{row.traded:14.4f}{share:12.1%}")
    return 0


NUMBERS = {"edge": float, "half_life": float, "volatility": float, "fee_bps": float, "n_rows": int}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m nn.policy.planted", description=(__doc__ or "").splitlines()[0])
    made.add_argument("market", metavar="NAME", help=", ".join(MARKETS))
    made.add_argument("--config", default=CONFIG, metavar="NAME|FILE", help=f"of configs/nn/policy [{CONFIG}]")
    made.add_argument("--steps", type=int, help="instead of the config's total_steps")
    made.add_argument("--seed", type=int, default=7, help="of weights and draws [7]")
    made.add_argument("--can-short", action="store_true", help="targets in [-1, 1]")
    for name, kind in NUMBERS.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=kind, help="instead of the market's own")
    return made


if __name__ == "__main__":
    sys.exit(main())
