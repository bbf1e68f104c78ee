"""`python -m nn.policy.train --env NAME`: learn a policy for a Gymnasium environment and say what it earns.

stdout: the return of every judged episode, one a line. stderr: the story. Exit code 0, 2 for a user's slip.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import torch

from .config import PolicyConfigProblem, load_policy_config
from .environments import UnknownEnvironment, make_envs, network_for
from .evaluate import episode_returns
from .ppo import PPO

JUDGED = 20  # episodes
EVERY_S = 5.0  # between two lines of the story


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)  # networks this small lose more than they win by a second
    try:
        config = load_policy_config(options.config or options.env)
        envs = make_envs(options.env, config.n_copies)
        network = network_for(envs, config.network)
    except (PolicyConfigProblem, UnknownEnvironment) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    learner = PPO(envs, network, config.ppo, options.seed, options.steps or config.total_steps)
    story = Story(learner)
    learner.learn(story)
    envs.close()
    judged = make_envs(options.env, JUDGED)
    returns = episode_returns(learner.model, learner.moments, judged, options.seed + 1)
    judged.close()
    story.end(f"mean return of {JUDGED} episodes {returns.mean():.1f}, worst {returns.min():.1f}")
    for each in returns:
        print(f"{each:.3f}")
    return 0


class Story:
    """Says every few seconds how far the training is, what episodes return and how long it will take."""

    def __init__(self, learner: PPO) -> None:
        self.learner, self.started, self.said = learner, time.monotonic(), time.monotonic()

    def __call__(self, figures: dict[str, float]) -> None:
        now = time.monotonic()
        if now - self.said < EVERY_S:
            return
        self.said = now
        done, total = figures["steps"], self.learner.total_steps
        left = (now - self.started) * (total - done) / done
        words = ", ".join(
            f"{name.replace('_', ' ')} {figures[name]:.3g}"
            for name in ("episode_return", "kl", "entropy", "explained_variance")
            if name in figures
        )
        print(f"{done:,.0f} of {total:,} steps: {words}; {left:.0f} s left", file=sys.stderr, flush=True)

    def end(self, words: str) -> None:
        took = time.monotonic() - self.started
        print(f"{self.learner.steps:,} steps in {took:.1f} s; {words}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m nn.policy.train", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--env", required=True, metavar="NAME", help="Gymnasium id, such as CartPole-v1")
    made.add_argument("--config", metavar="NAME|FILE", help="of configs/nn/policy [that of the environment's name]")
    made.add_argument("--steps", type=int, help="instead of the config's total_steps")
    made.add_argument("--seed", type=int, default=7, help="of weights, draws and the environment [7]")
    return made


if __name__ == "__main__":
    sys.exit(main())
