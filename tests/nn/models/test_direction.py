"""The direction model and its loss: values worked out by hand, every term with a gradient, and a toy market learned."""

import math
from dataclasses import replace

import pytest
import torch

from nn.models.direction import DirectionConfig, DirectionPredictor
from nn.models.direction_loss import TradingLossConfig, directional_trading_loss, expected_profit

SMALL = DirectionConfig(
    n_features=3, context_length=20, patch_lengths=(4, 8), d_model=16, n_heads=2, n_layers=2, d_ff=32
)
UP, DOWN, FLAT = 0, 1, 2
ONE = TradingLossConfig(horizon_weights=(1.0,), cost=0.01)


@pytest.fixture
def model():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return DirectionPredictor(SMALL).eval()


def test_the_defaults_are_those_of_the_specification():
    """MOD-3."""
    config = DirectionConfig(n_features=40)
    assert (config.context_length, config.patch_lengths, config.d_model) == (168, (4, 16, 64), 512)
    assert (config.n_layers, config.n_heads, config.d_ff) == (4, 8, 2048)


def test_it_answers_three_classes_at_four_horizons_and_reads_every_bar(model):
    x = torch.randn(5, 20, 3, requires_grad=True)
    logits = model(x)
    assert logits.shape == (5, 4, 3)
    logits.square().sum().backward()
    assert (x.grad.abs().amax(0) > 0).all()


def test_lengths_that_do_not_divide_the_window_end_with_the_newest_bar(model):
    """20 bars hold two patches of 8: bars 4 to 19. Bars 0 to 3 are read by the patches of 4 alone."""
    x = torch.randn(1, 20, 3)
    changed = x.clone()
    changed[:, :4] += 1
    with torch.inference_mode():
        assert not torch.equal(model(x), model(changed))
        model.embed[0].weight.zero_()
        model.head.weight[:, 16:].zero_()
        assert torch.equal(model(x), model(changed))


def test_a_config_survives_its_dictionary(model):
    assert DirectionConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match="no field 'surprise'"):
        DirectionConfig.from_dict({**SMALL.to_dict(), "surprise": 1})
    with pytest.raises(ValueError, match="patch_lengths has 64, context_length is 20"):
        DirectionConfig(n_features=3, context_length=20)
    with pytest.raises(ValueError, match=r"x has shape \(2, 19, 3\), expected \(B, 20, 3\)"):
        model(torch.zeros(2, 19, 3))


def loss_of(probability, r, label, config=ONE):
    logits = torch.tensor([[probability]]).log()
    return directional_trading_loss(
        logits, torch.tensor([[r]]), torch.tensor([[label]]), torch.tensor([[True]]), config
    )


def test_expected_profit_by_hand():
    """LOS-4: 0.5 x (0.03 - 0.01) + 0.2 x (-0.03 - 0.01) = 0.002."""
    p = torch.tensor([0.5, 0.2, 0.3])
    assert expected_profit(p, torch.tensor(0.03), 0.01).item() == pytest.approx(0.002)


def test_the_loss_of_a_row_by_hand():
    """LOS-3 to LOS-5, return 0.03 and true UP, then true FLAT."""
    total, parts = loss_of([0.5, 0.2, 0.3], 0.03, UP)
    assert parts["cross_entropy"].item() == pytest.approx(-math.log(0.5) * 1.3, rel=1e-5)
    assert parts["penalty"].item() == pytest.approx(2 * 0.03 * 0.2, rel=1e-5)
    assert parts["profit"].item() == pytest.approx(-0.002, rel=1e-4)
    assert total.item() == pytest.approx(sum(part.item() for part in parts.values()), rel=1e-6)
    _, parts = loss_of([0.5, 0.2, 0.3], 0.001, FLAT)
    assert parts["cross_entropy"].item() == pytest.approx(-0.5 * math.log(0.3) * 1.01, rel=1e-5)
    assert parts["penalty"].item() == pytest.approx(0.5 * 0.7, rel=1e-5)
    _, parts = loss_of([0.5, 0.2, 0.3], -0.03, DOWN)
    assert parts["penalty"].item() == pytest.approx(2 * 0.03 * 0.5, rel=1e-5)


def test_horizons_are_weighed_and_averaged_over_what_is_known():
    """LOS-3: 0.2, 0.3, 0.35, 0.15."""
    config = TradingLossConfig()
    logits = torch.zeros(2, 4, 3)
    mask = torch.tensor([[True] * 4, [False] * 4])
    returns = torch.tensor([[0.0] * 4, [float("nan")] * 4])
    _, parts = directional_trading_loss(logits, returns, torch.full((2, 4), FLAT), mask, config)
    assert parts["cross_entropy"].item() == pytest.approx(0.5 * math.log(3), rel=1e-6)
    for horizon, weight in enumerate((0.2, 0.3, 0.35, 0.15)):
        only = torch.zeros(2, 4, dtype=torch.bool)
        only[0, horizon] = True
        _, alone = directional_trading_loss(logits, returns, torch.full((2, 4), FLAT), only, config)
        assert alone["cross_entropy"].item() == pytest.approx(weight * 0.5 * math.log(3), rel=1e-6)


@pytest.mark.parametrize("label", [UP, DOWN, FLAT])
def test_every_term_has_a_gradient(label):
    """LOS-6: a profit computed from the most probable class would have none."""
    for name in ("cross_entropy", "penalty", "profit"):
        logits = torch.tensor([[[0.3, -0.2, 0.1]]], requires_grad=True)
        given = torch.tensor([[0.02]]), torch.tensor([[label]]), torch.tensor([[True]])
        directional_trading_loss(logits, *given, ONE)[1][name].backward()
        assert (logits.grad.abs() > 1e-6).sum() >= 2


def test_what_is_not_known_contributes_nothing():
    logits = torch.randn(3, 4, 3, requires_grad=True)
    mask = torch.zeros(3, 4, dtype=torch.bool)
    total, _ = directional_trading_loss(
        logits, torch.full((3, 4), float("nan")), torch.zeros(3, 4), mask, TradingLossConfig()
    )
    total.backward()
    assert total.item() == 0
    assert (logits.grad == 0).all()


def test_it_learns_the_best_policy_of_a_toy_market():
    """LOS-6: the newest bar tells the side; the best policy names it, and earns the return less the cost."""
    torch.manual_seed(0)
    model = DirectionPredictor(replace(SMALL, dropout=0.0))
    random = torch.Generator().manual_seed(1)
    x = torch.randn(192, 20, 3, generator=random)
    side = torch.where(x[:, -1, 0] > 0.4, 1, torch.where(x[:, -1, 0] < -0.4, -1, 0))
    label = torch.where(side > 0, UP, torch.where(side < 0, DOWN, FLAT))[:, None].expand(-1, 4)
    returns = (0.02 * side)[:, None].expand(-1, 4).float()
    mask, config = torch.ones(192, 4, dtype=torch.bool), TradingLossConfig()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    first = None
    for _ in range(60):
        loss, _ = directional_trading_loss(model(x), returns, label, mask, config)
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        p = model.eval()(x).softmax(-1)
    assert directional_trading_loss(p.log(), returns, label, mask, config)[0] < 0.35 * first
    earned = expected_profit(p, returns, config.cost).mean()
    best = (side.abs() * (0.02 - config.cost)).float().mean()
    assert earned > 0.8 * best
