"""Every part teaches, nothing unknown does, and a batch can be learned by heart (LOS-1, LOS-2, LOS-6)."""

import math

import pytest
import torch
from torch.nn import functional as F

from nn.data.targets import FORECAST_COLUMNS, TARGETS
from nn.models.losses import LossConfig, Scales, direction_loss, unified_loss, weighted_cross_entropy
from nn.models.unified import HEADS, PatchTSTConfig, UnifiedPatchTST

CONFIG = PatchTSTConfig(
    n_features=4, context_length=16, patch_length=8, stride=4, d_model=16, n_heads=2, n_layers=1, d_ff=32, dropout=0.0,
    return_scale=(0.004, 0.008, 0.016, 0.03), risk_log_mean=(-5.0, -4.5, -5.0, -4.5),
)  # fmt: skip


@pytest.fixture
def model():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    return UnifiedPatchTST(CONFIG)


def make_batch(n=32, seed=5):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 16, 4, generator=draw)
    targets = torch.empty(n, 24)
    targets[:, 0:4] = torch.randn(n, 4, generator=draw) * torch.tensor(CONFIG.return_scale)
    targets[:, 4:8] = torch.randint(0, 3, (n, 4), generator=draw).float()
    targets[:, 8:16] = torch.randint(0, 2, (n, 8), generator=draw).float()
    targets[:, 16:20] = torch.randn(n, 4, generator=draw) * 0.01  # excursions may be below 0
    targets[:, 20] = torch.randint(0, 3, (n,), generator=draw).float()
    targets[:, 21:24] = torch.rand(n, 3, generator=draw) * torch.tensor([1.0, 10.0, 1.0])
    return x, targets, torch.ones(n, 24, dtype=torch.bool)


def test_columns_are_those_of_the_targets():
    """The slices of the loss and the heads of the model follow the order in which nn.data makes and names targets."""
    kinds = [target.kind for target in TARGETS]
    assert kinds == ["return"] * 4 + ["direction"] * 4 + ["reach"] * 8 + ["risk"] * 4 + ["action"] + ["unit"] * 3
    columns = iter(FORECAST_COLUMNS)
    starts = {
        "returns": "future_return_", "direction": "direction_", "long_reach": "long_will_reach_",
        "short_reach": "short_will_reach_", "risk": "max_", "best_action": "best_action_", "trade": "",
        "confidence": "confidence_",
    }  # fmt: skip
    for head, size in HEADS.items():
        assert all(next(columns).startswith(starts[head]) for _ in range(size)), head
    assert list(columns) == []


def test_every_part_moves_its_head_and_the_encoder(model):
    """LOS-6."""
    x, targets, mask = make_batch()
    _, parts = unified_loss(model(x), targets, mask, Scales.of(model), LossConfig())
    assert set(parts) == set(model.heads)
    for name, part in parts.items():
        model.zero_grad()
        part.backward(retain_graph=True)
        assert model.heads[name].weight.grad.abs().min() > 0, name
        assert model.encoder.embed.weight.grad.abs().max() > 0, name
        others = [head.weight.grad for other, head in model.heads.items() if other != name]
        assert all(grad is None or not grad.any() for grad in others), name


def test_the_price_of_collapse_has_a_gradient(model):
    """LOS-2: it pushes a batch that always says UP away from it, and costs nothing when classes are named equally."""
    only_collapse = LossConfig(class_weights=(0.0, 0.0, 0.0), anti_collapse=1.0)
    labels, mask = torch.zeros(6, 4, dtype=torch.long), torch.ones(6, 4, dtype=torch.bool)
    logits = torch.tensor([3.0, 0.0, 0.0]).expand(6, 4, 3).clone().requires_grad_(True)
    collapsed = direction_loss(logits, labels, mask, only_collapse)
    collapsed.backward()
    assert collapsed > 0.4
    assert (logits.grad[..., 0] > 0).all()
    even = torch.eye(3).repeat(2, 1).unsqueeze(1).expand(6, 4, 3) * 50
    assert direction_loss(even, labels, mask, only_collapse).abs() < 1e-6


def test_cross_entropy_is_the_library_s_without_focus_and_weights():
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(1))
    labels, mask = torch.arange(9) % 3, torch.ones(9, dtype=torch.bool)
    weights = torch.tensor([1.3, 1.3, 0.7])
    torch.testing.assert_close(
        weighted_cross_entropy(logits, labels, mask, weights), F.cross_entropy(logits, labels, weight=weights)
    )
    torch.testing.assert_close(
        weighted_cross_entropy(logits, labels, mask, torch.ones(3), smoothing=0.05),
        F.cross_entropy(logits, labels, label_smoothing=0.05),
    )


def test_focus_by_hand():
    """One row, p = 1/3 for the true class: (1 - 1/3)^2 x ln 3."""
    value = weighted_cross_entropy(torch.zeros(1, 3), torch.tensor([0]), torch.tensor([True]), torch.ones(3), gamma=2.0)
    assert value.item() == pytest.approx(4 / 9 * math.log(3), rel=1e-6)


def test_unknown_targets_contribute_exactly_nothing(model):
    """LOS-1: neither their value nor the prediction beside them matters, to the last bit."""
    x, targets, mask = make_batch()
    draw = torch.Generator().manual_seed(9)
    mask &= torch.rand(mask.shape, generator=draw) > 0.3
    mask[4] = False
    heads = {name: value.detach().requires_grad_(True) for name, value in model(x).items()}
    loss, _ = unified_loss(heads, targets, mask, Scales.of(model), LossConfig())
    loss.backward()
    for name, columns in {"returns": slice(0, 4), "direction": slice(4, 8), "long_reach": slice(8, 12),
                          "short_reach": slice(12, 16), "risk": slice(16, 20), "trade": slice(21, 24),
                          "confidence": slice(4, 8)}.items():  # fmt: skip
        assert not heads[name].grad[~mask[:, columns]].any(), name
    assert not heads["best_action"].grad[~mask[:, 20]].any()

    hidden = torch.where(mask, targets, torch.nan)
    garbage = torch.where(mask, targets, 2.0)
    for other in (hidden, garbage):
        again, _ = unified_loss(heads, other, mask, Scales.of(model), LossConfig())
        assert torch.equal(again, loss)


def test_a_masked_row_gives_the_loss_of_the_batch_without_it(model):
    x, targets, mask = make_batch()
    mask[20:] = False
    targets[20:] = torch.nan
    heads = model(x)
    whole, _ = unified_loss(heads, targets, mask, Scales.of(model), LossConfig())
    short, _ = unified_loss(
        {name: value[:20] for name, value in heads.items()}, targets[:20], mask[:20], Scales.of(model), LossConfig()
    )
    torch.testing.assert_close(whole, short)


def test_nothing_known_is_a_loss_of_zero_with_finite_gradients(model):
    x, targets, mask = make_batch(4)
    loss, _ = unified_loss(model(x), targets * torch.nan, ~mask, Scales.of(model), LossConfig())
    loss.backward()
    assert loss.item() == 0.0
    assert all(not parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


def test_extreme_heads_keep_the_loss_and_its_gradients_finite(model):
    x, targets, mask = make_batch(6)
    heads = {name: (value.detach() * 1e4).requires_grad_(True) for name, value in model(x).items()}
    loss, _ = unified_loss(heads, targets, mask, Scales.of(model), LossConfig())
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value.grad).all() for value in heads.values())


def test_a_batch_is_learned_by_heart_in_50_steps(model):
    """LOS-6: the loss falls, and the classes of the batch are the answer."""
    x, targets, mask = make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
    plain = LossConfig(anti_collapse=0.0, label_smoothing=0.0)
    losses = []
    for _ in range(50):
        loss, _ = unified_loss(model(x), targets, mask, Scales.of(model), plain)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    assert (model(x)["direction"].argmax(-1) == targets[:, 4:8]).float().mean() > 0.9


def test_a_wrong_shape_is_refused(model):
    x, targets, mask = make_batch(2)
    with pytest.raises(ValueError, match=r"expected both \(B, 24\)"):
        unified_loss(model(x), targets[:, :23], mask, Scales.of(model), LossConfig())
