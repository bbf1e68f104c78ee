"""Learns a policy for any Gymnasium environment and says what it earns: how the learner is held to public tasks.

From: `train` (`--env NAME`). To: stdout, the return of every judged episode, one a line; stderr, the story.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch

from ..forecast.checkpoint import Checkpoint, CheckpointRefused
from .config import DEFAULT, PolicyConfigProblem, load_policy_config, own_config
from .environments import UnknownEnvironment, make_envs, network_for
from .evaluate import episode_returns
from .ppo import PPO, Figures, NotFinite
from .resume import Restorable, fingerprint
from .rollout import NotFiniteStep

JUDGED = 20  # episodes
EVERY_S = 5.0  # between two lines of the story
FILE = "policy.safetensors"  # in the folder of --checkpoint


def run(options: argparse.Namespace) -> int:
    """Learn and judge; return the exit code."""
    torch.set_num_threads(1)  # networks this small lose more than they win by a second
    try:
        name = options.config or own_config(options.env) or DEFAULT
        config = load_policy_config(name)
        if options.steps is not None:
            config = config.for_steps(options.steps)
        envs = make_envs(options.env, config.n_copies)
        if name == DEFAULT:
            say(
                f"no config is made for {options.env}: configs/nn/policy/{DEFAULT}.yaml is taken (--config for another)"
            )
        learner = PPO(envs, network_for(envs, config.network), config.ppo, options.seed, config.total_steps)
        checkpoint = checkpoint_of(options, learner)
    except (PolicyConfigProblem, UnknownEnvironment, CheckpointRefused) as error:
        return slip(str(error))
    story = Story(learner)
    try:
        learner.learn(story, checkpoint)
    except (NotFinite, NotFiniteStep) as error:
        return slip(str(error), code=1)
    except OSError as error:
        return slip(f"the checkpoint cannot be written: {error}; the one before it is whole", code=1)
    envs.close()
    judged = make_envs(options.env, JUDGED)
    returns = episode_returns(learner.model, learner.moments, judged, options.seed + 1)
    judged.close()
    story.end(f"mean return of {JUDGED} episodes {returns.mean():.1f}, worst {returns.min():.1f}")
    for each in returns:
        print(f"{each:.3f}")
    return 0


def checkpoint_of(options: argparse.Namespace, learner: PPO) -> Checkpoint | None:
    """Return the file to keep the learner in, and say what is gone on from."""
    if options.checkpoint is None:
        if options.resume:
            raise PolicyConfigProblem("--resume needs --checkpoint FOLDER: what to go on from")
        return None
    checkpoint = Checkpoint(options.checkpoint / FILE, fingerprint(learner, options.env))
    if checkpoint.path.exists() and not options.resume:
        raise PolicyConfigProblem(f"{checkpoint.path} is there: --resume goes on from it; else name another folder")
    if options.resume:
        saved = checkpoint.load()
        steps = 0 if saved is None else saved.story["steps"]
        say(f"goes on after {steps:,} steps" if saved else f"nothing in {options.checkpoint} yet: begins at step 0")
        if saved and not isinstance(learner.player.envs, Restorable):
            say(f"{options.env} cannot give its state away: its episodes begin anew, seeded by --seed and step")
    return checkpoint


class Story:
    """Says every few seconds how far the training is, what episodes return and how long it will take."""

    def __init__(self, learner: PPO) -> None:
        self.learner, self.started, self.said = learner, time.monotonic(), time.monotonic()
        self.begun: float | None = None  # steps before this run

    def __call__(self, figures: Figures) -> None:
        now, done, total = time.monotonic(), figures["steps"], self.learner.total_steps
        if self.begun is None:
            self.begun = done - self.learner.rollout.rewards.size
        if now - self.said < EVERY_S:
            return
        self.said = now
        left = (now - self.started) * max(total - done, 0) / (done - self.begun)
        words = ", ".join(
            f"{name.replace('_', ' ')} {figures[name]:.3g}"
            for name in ("episode_return", "kl", "entropy", "explained_variance")
            if name in figures
        )
        say(f"{done:,.0f} of {total:,} steps: {words}; {left:.0f} s left")

    def end(self, words: str) -> None:
        say(f"{self.learner.steps:,} steps in {time.monotonic() - self.started:.1f} s; {words}")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def slip(words: str, code: int = 2) -> int:
    """Say what cannot be, and return the exit code: 2 for a user's slip, 1 for a training that broke."""
    say(f"error: {words}")
    return code
