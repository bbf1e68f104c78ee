"""The state of an unfinished training on disk, so that a killed run goes on from its last epoch (TRN-11).

From: `fit`, after every epoch. To: `fit`, when the same run is started again; it ends with the same bits.

One safetensors file: weights, best weights, moments of AdamW and the state of torch's generator as tensors; epochs,
schedule and numpy's generator as JSON in its header. It is written aside and then takes the old one's place, so a kill
leaves the epoch before. Nothing in it is ever executed, and nothing that is served is ever read from it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

SCHEMA = 3  # 3: training begins at linear models of the newest row; what began otherwise would end as another network
HEADER = "state"  # one entry only: safetensors writes several in any order, and equal states are equal files


class CheckpointRefused(ValueError):
    """The file cannot be gone on from; the sentence says why."""


@dataclass(frozen=True)
class State:
    """Everything that the next epoch depends on."""

    tensors: dict[str, Tensor]  # by "weights.NAME", "best.NAME", "moments.NUMBER.NAME", "generator.DEVICE"
    story: dict[str, Any]  # epochs, best_epoch, best_loss, numpy's generator: what JSON can hold

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors below a name."""
        return {
            key.removeprefix(f"{name}."): tensor for key, tensor in self.tensors.items() if key.startswith(name + ".")
        }


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training.

    Parameters
    ----------
    path : Path
    fingerprint : str
        SHA-256 of all that the training depends on: config, candles, seed, libraries. Another run's file is refused.
    """

    path: Path
    fingerprint: str

    def save(self, state: State) -> None:
        """Put the state in the place of the older one, all of it or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        header = {"schema": SCHEMA, "fingerprint": self.fingerprint, "story": state.story}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with aside.open("wb") as file:
                file.write(safetensors.torch.save(tensors, {HEADER: json.dumps(header)}))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)

    def load(self) -> State | None:
        """Return the state, None where there is none yet; CheckpointRefused for a broken or foreign file."""
        if not self.path.exists():
            return None
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            found, fingerprint, story = (header.get(name) for name in ("schema", "fingerprint", "story"))
        except Exception as error:  # whatever the parser says, the file is refused and the reason kept
            raise CheckpointRefused(f"{self.path} is broken: {' '.join(str(error).split())}") from error
        if found != SCHEMA or not isinstance(story, dict):
            raise CheckpointRefused(f"{self.path} has schema {found!r}, expected {SCHEMA!r}")
        if fingerprint != self.fingerprint:
            raise CheckpointRefused(
                f"{self.path} is of another config, seed, library or candles: its fingerprint is"
                f" {str(fingerprint)[:12]}, expected {self.fingerprint[:12]}"
            )
        return State(tensors, story)


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators that training draws from."""
    states = {"generator.cpu": torch.get_rng_state()}
    return states | ({"generator.cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def restore_generators(state: State, device: torch.device) -> None:
    """Put torch's generators back to where they were."""
    states = state.part("generator")
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
