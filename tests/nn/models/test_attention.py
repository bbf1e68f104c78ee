"""Attention in parts and dropout from bits, against the plain formulas and against what chance must give."""

import pytest
import torch

from nn.models import attention as module
from nn.models.attention import attention
from nn.models.dropout import Dropout


def plain(q, k, v, scores):
    inside = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    inside = inside if scores is None else inside + scores
    return inside.softmax(-1) @ v, inside


def arguments(with_scores, tokens=5, n=7):
    torch.manual_seed(0)
    made = [torch.randn(n, tokens, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    return [*made, torch.randn(n, tokens, tokens, dtype=torch.float64, requires_grad=True) if with_scores else None]


@pytest.mark.parametrize("tokens", [5, 20])  # by our own softmax, and by torch's
@pytest.mark.parametrize("with_scores", [False, True])
@pytest.mark.parametrize("numbers", [1, 60, 1 << 17])
def test_it_equals_the_formula_however_it_is_cut(monkeypatch, numbers, with_scores, tokens):
    """Vaswani et al. (2017), equation 1; parts of one sequence, of two, and all at once."""
    monkeypatch.setattr(module, "CACHE_NUMBERS", numbers)
    given = arguments(with_scores, tokens)
    for ours, theirs in zip(attention(*given), plain(*given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("with_scores", [False, True])
@pytest.mark.parametrize("used", [(1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("tokens", [5, 20])
def test_its_gradients_are_those_of_the_formula(with_scores, used, tokens):
    given = arguments(with_scores, tokens)
    known = [each for each in given if each is not None]
    weight = [torch.randn(7, tokens, size, dtype=torch.float64) for size in (4, tokens)]

    def gradients(function):
        mixed, scores = function(*given)
        total = used[0] * (mixed * weight[0]).sum() + used[1] * (scores * weight[1]).sum()
        return torch.autograd.grad(total, known, materialize_grads=True)

    for ours, theirs in zip(gradients(attention), gradients(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_scores_of_any_size_stay_finite():
    scores = torch.full((2, 5, 5), 1e4).diagonal_scatter(torch.full((2, 5), -1e4), dim1=1, dim2=2)
    q = torch.zeros(2, 5, 4, requires_grad=True)
    mixed, _ = attention(q, q.detach(), torch.ones(2, 5, 4), scores)
    torch.testing.assert_close(mixed, torch.ones(2, 5, 4))
    mixed.sum().backward()
    assert q.grad.isfinite().all()


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    torch.manual_seed(1)
    x = torch.ones(1_000_003)
    y = Dropout(p)(x)
    dropped = (y == 0).float().mean().item()
    assert dropped == pytest.approx(p, abs=5 * (p * (1 - p) / len(x)) ** 0.5)
    assert y.max().item() == pytest.approx(1 / (1 - p), rel=1e-4)
    neighbours = (y[1:] == 0) & (y[:-1] == 0)  # numbers of one draw are independent
    assert neighbours.float().mean().item() == pytest.approx(p * p, abs=0.002)


def test_dropout_is_repeatable_passes_gradients_where_it_kept_and_rests_in_evaluation():
    layer, x = Dropout(0.5), torch.randn(100, 3, requires_grad=True)
    torch.manual_seed(2)
    y = layer(x)
    torch.manual_seed(2)
    assert torch.equal(layer(x), y)
    y.sum().backward()
    assert torch.equal(x.grad != 0, y != 0)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
