"""Tells on stderr how a chain of trainings goes, and how long it will take. From: figures of rounds. To: a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rich.console import Console

from .ppo import PPO

EVERY_S = 5.0  # between two lines
TOLD = ("reward", "episode_return", "kl", "entropy", "explained_variance")


class PolicyProgress:
    """Counts the steps of all trainings of a chain; one line every few seconds."""

    def __init__(self, n_trainings: int, total_steps: int) -> None:
        self.n_trainings, self.total_steps = n_trainings, total_steps
        self.console = Console(stderr=True, highlight=False)
        self.begun, self.said = 0, 0.0
        self.played, self.seconds = 0.0, 0.0  # by this run of the program

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)

    def of(self, seed: int) -> Callable[[PPO, dict[str, float]], None]:
        """Turn to the next training; return what to call after each of its rounds."""
        self.begun += 1
        last = time.monotonic()

        def heard(learner: PPO, figures: dict[str, float]) -> None:
            nonlocal last
            now = time.monotonic()
            self.seconds, self.played, last = self.seconds + now - last, self.played + learner.rollout.rewards.size, now
            if now - self.said < EVERY_S and figures["steps"] < self.total_steps:
                return
            self.said = now
            to_come = (self.n_trainings - self.begun + 1) * self.total_steps - figures["steps"]
            left = max(to_come, 0.0) * self.seconds / self.played
            words = ", ".join(f"{name.replace('_', ' ')} {figures[name]:.3g}" for name in TOLD if name in figures)
            self.say(
                f"  training {self.begun}/{self.n_trainings} (seed {seed}): {figures['steps']:,.0f} of"
                f" {self.total_steps:,} steps: {words}; about {left:.0f} s left"
            )

        return heard
