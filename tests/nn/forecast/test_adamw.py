"""The optimizer takes PyTorch's own steps, and training brings nothing into memory that it has no use for."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nn.forecast.adamw import AdamW

ROOT = Path(__file__).resolve().parents[3]
RATES = (3e-3, 1e-2, 0.0, 1e-3)
ALONE = """
import sys
import torch
import nn.forecast.walk_forward
from nn.forecast.adamw import AdamW
torch.set_deterministic_debug_mode("error")
assert torch.are_deterministic_algorithms_enabled()
layer = torch.nn.Linear(3, 2)
optimizer = AdamW(layer.parameters(), 1e-3, 0.01)
layer(torch.ones(4, 3)).sum().backward()
optimizer.step()
others = ("torch._dynamo", "torch._inductor", "arch", "sklearn", "scipy.stats", "optuna", "ray", "bentoml")
print(*(name for name in others if name in sys.modules))
"""


def network() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.Linear(7, 3), torch.nn.Linear(3, 3))


def learn(model: torch.nn.Sequential, turn: int) -> None:
    """Make gradients; the last layer has none in the first turn."""
    x = torch.randn(16, 5, generator=torch.Generator().manual_seed(turn))
    y = model[:3](x) if turn == 0 else model(x)
    y.square().mean().backward()


def test_steps_are_those_of_torch_to_the_bit() -> None:
    ours, theirs = network(), network()
    mine = AdamW(ours.parameters(), RATES[0], 0.1)
    other = torch.optim.AdamW(theirs.parameters(), lr=RATES[0], weight_decay=0.1, fused=True)
    for turn, rate in enumerate(RATES):
        mine.learning_rate = other.param_groups[0]["lr"] = rate
        mine.zero_grad()
        other.zero_grad()
        learn(ours, turn)
        learn(theirs, turn)
        mine.step()
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert not torch.equal(next(ours.parameters()), next(network().parameters()))
    kept = other.state_dict()["state"]
    assert mine.moments.keys() == kept.keys()
    for number, moments in mine.moments.items():
        assert moments.keys() == kept[number].keys()
        assert all(torch.equal(tensor, kept[number][name]) for name, tensor in moments.items())


def test_goes_on_from_kept_moments_to_the_same_bits() -> None:
    whole, begun = network(), network()
    first, second = AdamW(whole.parameters(), 1e-2, 0.1), AdamW(begun.parameters(), 1e-2, 0.1)
    for turn in range(2):
        for model, optimizer in ((whole, first), (begun, second)):
            optimizer.zero_grad()
            learn(model, turn)
            optimizer.step()
    later = network()
    later.load_state_dict(begun.state_dict())
    third = AdamW(later.parameters(), 1e-2, 0.1)
    third.restore(second.moments)
    for model, optimizer in ((whole, first), (later, third)):
        optimizer.zero_grad()
        learn(model, 2)
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), later.parameters(), strict=True))
    assert second.moments[0]["step"].item() == 2, "the kept moments were changed by who went on from them"


@pytest.mark.slow
def test_training_loads_no_compiler_and_no_library_of_other_work() -> None:
    said = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == []
