"""The core in its two forms: equal to the paper's equations under the authors' weights, and usable alone (MOD-1)."""

import copy
import io

import numpy as np
import pytest
import torch

from nn.models.patchtst import PatchTST
from nn.models.patchtst_weights import from_authors, from_transformers

from .slow_patchtst import authors_weights, forecast

SIZES = {"patch_length": 8, "stride": 4, "d_model": 12, "n_heads": 3, "n_layers": 3, "d_ff": 20}


@pytest.mark.parametrize(("individual", "subtract_last"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("context_length", [32, 35])
def test_with_the_authors_weights_it_answers_as_the_papers_equations(context_length, individual, subtract_last):
    """MOD-1: RevIN, patches with the end padded, residual attention, BatchNorm after each step, a flat head."""
    random = np.random.default_rng(11)
    n_patches = (context_length - 8) // 4 + 2
    weights = authors_weights(random, 2, n_patches, 5, 8, 12, 3, 20, individual)
    model = PatchTST(
        2, context_length, 5, **SIZES, revin_affine=True, subtract_last=subtract_last, individual_head=individual
    ).double()
    model.load_state_dict(from_authors({name: torch.as_tensor(value) for name, value in weights.items()}))
    model.eval()
    x = random.normal(50, 9, (3, context_length, 2))
    expected = np.stack([forecast(weights, row, 8, 4, 3, 3, individual, subtract_last) for row in x])
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(x)).numpy(), expected, rtol=1e-9)
    answered = model(torch.from_numpy(x))  # with gradients attention takes another way
    np.testing.assert_allclose(answered.detach().numpy(), expected, rtol=1e-9)


def test_hugging_faces_weights_are_read_by_name_and_layout():
    """Their head flattens patch by patch, the paper's number by number; everything else is a matter of names."""
    torch.manual_seed(0)
    ours = PatchTST(2, 32, 5, **SIZES, residual_attention=False, padding=None).eval()
    theirs = {}
    for name, tensor in ours.state_dict().items():
        name = name.replace("embed.", "encoder.embedder.input_embedding.")
        name = name.replace("position", "encoder.positional_encoder.position_enc")
        name = name.replace("layers.", "encoder.layers.").replace("project.", "self_attn.out_proj.")
        name = name.replace("norm_attention.", "norm_sublayer1.batchnorm.")
        name = name.replace("norm_dense.", "norm_sublayer3.batchnorm.").replace("dense.", "ff.")
        if "query_key_value" in name:
            for part, rows in zip("qkv", tensor.split(12), strict=True):
                theirs[f"model.{name.replace('query_key_value', f'self_attn.{part}_proj')}"] = rows
        elif name == "heads.0.weight":
            theirs["head.projection.weight"] = torch.stack(
                [tensor[:, d * 7 + patch] for patch in range(7) for d in range(12)], dim=1
            )
        elif name == "heads.0.bias":
            theirs["head.projection.bias"] = tensor
        else:
            theirs[f"model.{name}"] = tensor
    again = PatchTST(2, 32, 5, **SIZES, residual_attention=False, padding=None).eval()
    again.load_state_dict(from_transformers(theirs))
    x = torch.randn(4, 32, 2)
    assert torch.equal(again(x), ours(x))


def test_a_weight_that_is_not_known_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'backbone\.W_Q' of shape \(3,\) is no tensor of a PatchTST"):
        from_authors({"backbone.W_Q": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"layers\.0\.query_key_value\.bias needs query, key and value, found 1"):
        from_authors({"backbone.encoder.layers.0.self_attn.W_Q.bias": torch.zeros(3)})


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_channels_that_are_independent_never_meet(norm, pre_norm):
    torch.manual_seed(1)
    model = PatchTST(3, 32, 4, **SIZES, norm=norm, pre_norm=pre_norm, activation="relu").eval()
    x = torch.randn(2, 32, 3)
    noisy = x.clone()
    noisy[:, :, 1] = 100 * torch.randn(2, 32)
    with torch.inference_mode():
        before, after = model(x), model(noisy)
    assert torch.equal(before[:, :, [0, 2]], after[:, :, [0, 2]])
    assert not torch.equal(before[:, :, 1], after[:, :, 1])


def test_revin_answers_in_the_units_of_the_window():
    """Kim et al. (2022): a window shifted and scaled has its forecast shifted and scaled."""
    torch.manual_seed(2)
    model = PatchTST(2, 32, 4, **SIZES).double().eval()
    x = torch.randn(3, 32, 2, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(model(1000 * x + 70), 1000 * model(x) + 70, rtol=1e-4, atol=1e-2)


def test_the_trading_form_gives_a_token_per_patch_and_sees_level_and_every_step():
    """MOD-1: one token per patch over all channels, and no normalisation of the window."""
    torch.manual_seed(3)
    model = PatchTST.trading(7, 24, patch_length=8, stride=8, d_model=12, n_heads=3, n_layers=1, d_ff=16).eval()
    x = torch.randn(2, 24, 7, requires_grad=True)
    tokens = model(x)
    assert tokens.shape == (2, 3, 12)
    tokens.square().sum().backward()
    assert (x.grad.abs().amax(0) > 0).all()
    with torch.inference_mode():
        assert not torch.allclose(model(x + 1), tokens, atol=1e-3)


def test_without_a_head_and_with_independent_channels_tokens_come_by_channel():
    assert PatchTST(3, 32, **SIZES)(torch.randn(2, 32, 3)).shape == (2, 3, 8, 12)


def test_without_padding_patches_reach_the_newest_step():
    """35 steps in patches of 8 every 4 leave 3 over: the oldest."""
    model = PatchTST(1, 35, 2, **SIZES, padding=None, revin=False)
    x = torch.randn(1, 35, 1, requires_grad=True)
    model.eval()(x).sum().backward()
    assert (x.grad[0, :3] == 0).all()
    assert (x.grad[0, 3:] != 0).all()


def test_it_learns_a_wave_far_better_than_the_last_value():
    torch.manual_seed(4)
    torch.set_num_threads(1)
    model = PatchTST(1, 32, 8, **SIZES, dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    start = torch.Generator().manual_seed(5)

    def waves(n):
        t = torch.rand(n, 1, generator=start) * 20 + torch.arange(40)
        return torch.sin(t * 0.6).unsqueeze(-1).split([32, 8], dim=1)

    for _ in range(150):
        x, y = waves(32)
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    x, y = waves(200)
    with torch.inference_mode():
        error = (model.eval()(x) - y).square().mean()
    assert error < 0.1 * (x[:, -1:] - y).square().mean()


TINY = {"patch_length": 4, "stride": 3, "d_model": 4, "n_heads": 2, "n_layers": 2, "d_ff": 4}


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_gradients_in_training_are_those_of_finite_differences(norm):
    """MOD-1: of the module as it is, residual attention, padding and BatchNorm by the batch's own moments included."""
    torch.manual_seed(5)
    model = PatchTST(2, 12, 3, **TINY, dropout=0.0, revin=False, norm=norm).double().train()
    x = torch.randn(3, 12, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, x)
    gradient = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="differentiate twice"):
        gradient.sum().backward()


def test_copies_saved_weights_and_other_precisions_answer_alike():
    torch.manual_seed(6)
    model, x = PatchTST(3, 35, 5, **SIZES).eval(), torch.randn(4, 35, 3)
    answer = model(x)
    assert torch.equal(copy.deepcopy(model)(x), answer)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    again = PatchTST(3, 35, 5, **SIZES).eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(x), answer)
    torch.testing.assert_close(copy.deepcopy(model).double()(x.double()).float(), answer)
    torch.testing.assert_close(copy.deepcopy(model).bfloat16()(x.bfloat16()).float(), answer, rtol=0.05, atol=0.05)


@pytest.mark.filterwarnings("ignore")  # of torch, about its own tracing
def test_a_graph_taken_of_it_answers_any_number_of_windows():
    """Of torch.export, and of the older trace: neither has the batch it was taken with in it."""
    torch.manual_seed(7)
    model, x = PatchTST(2, 12, 3, **TINY).eval(), torch.randn(5, 12, 2)
    traced = torch.jit.trace(model, x[:2])
    exported = torch.export.export(model, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    for graph in (traced, exported):
        torch.testing.assert_close(graph(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n_heads": 5}, "d_model is 12, not a multiple of n_heads 5"),
        ({"patch_length": 40}, "patch_length is 40, context_length only 32"),
        ({"dropout": 1.0}, "dropout is 1.0, expected 0 <= dropout < 1"),
        ({"stride": 0}, "stride is 0, expected a whole number of at least 1"),
        ({"norm": "instance"}, "norm is 'instance', expected 'batch' or 'layer'"),
        ({"padding": "start"}, "padding is 'start', expected 'end' or None"),
        ({"channel_independent": False}, "prediction_length needs channel_independent=True"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        PatchTST(2, 32, 5, **(SIZES | arguments))


def test_a_series_of_another_shape_is_refused_with_both():
    with pytest.raises(ValueError, match=r"x has shape \(2, 3, 32\), expected \(batch, context_length 32, "):
        PatchTST(3, 32, 5, **SIZES)(torch.zeros(2, 3, 32))
