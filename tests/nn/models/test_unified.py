"""What the network promises: shapes, ranges, order of columns, and answers that depend on nothing but the window."""

import pytest
import torch

from nn.models.build import build_model, weight_shapes
from nn.models.unified import N_COLUMNS, PatchTSTConfig, UnifiedPatchTST, log_volatility

CONFIG = PatchTSTConfig(
    n_features=5, context_length=32, patch_length=8, stride=4, d_model=16, n_heads=2, n_layers=2, d_ff=32,
    return_scale=(0.001, 0.002, 0.004, 0.008),
    risk_log_mean=(-6.0, -5.0, -6.0, -5.0), risk_log_scale=(1.5, 1.2, 1.5, 1.2),
)  # fmt: skip


@pytest.fixture
def model():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    return UnifiedPatchTST(CONFIG).eval()


@pytest.fixture
def windows():
    return torch.randn(6, 32, 5, generator=torch.Generator().manual_seed(5))


def test_heads_have_the_shapes_of_the_targets(model, windows):
    """MOD-2."""
    shapes = {name: tuple(head.shape[1:]) for name, head in model(windows).items()}
    assert shapes == {
        "returns": (4,), "direction": (4, 3), "long_reach": (4,), "short_reach": (4,),
        "risk": (4,), "best_action": (3,), "trade": (3,), "confidence": (4,),
        "log_volatility": (1,),  # no head: the unit of returns and risks, read off the window
    }  # fmt: skip


def test_a_forecast_has_38_columns_inside_their_ranges(model, windows):
    with torch.inference_mode():
        forecast = model.forecast(windows * 10)
    assert forecast.shape == (6, N_COLUMNS) == (6, 38)
    assert torch.isfinite(forecast).all()
    direction, reach, risk, action = forecast[:, 4:16], forecast[:, 16:24], forecast[:, 24:28], forecast[:, 28:31]
    torch.testing.assert_close(direction.reshape(6, 4, 3).sum(-1), torch.ones(6, 4))
    torch.testing.assert_close(action.sum(-1), torch.ones(6))
    for part, low, high in ((direction, 0, 1), (reach, 0, 1), (risk, 0, 21), (forecast[:, 31], 0, 1),
                            (forecast[:, 32], 0, 10), (forecast[:, 33:], 0, 1)):  # fmt: skip
        assert part.min() >= low
        assert part.max() <= high


def test_returns_and_risks_are_scaled_back(model, windows):
    """MOD-9."""
    with torch.inference_mode():
        raw, forecast = model(windows), model.forecast(windows)
    torch.testing.assert_close(forecast[:, :4], raw["returns"] * torch.tensor(CONFIG.return_scale))
    log_risk = raw["risk"] * torch.tensor(CONFIG.risk_log_scale) + torch.tensor(CONFIG.risk_log_mean)
    torch.testing.assert_close(forecast[:, 24:28].log(), log_risk)


def test_risks_stay_finite_whatever_the_head_says(model, windows):
    with torch.no_grad():
        model.heads["risk"].bias.fill_(1e6)
        assert torch.isfinite(model.forecast(windows)).all()


def test_an_answer_is_repeatable_and_a_window_never_moves_another(model, windows):
    with torch.inference_mode():
        whole = model.forecast(windows)
        assert torch.equal(whole, model.forecast(windows))
        noisy = windows.clone()
        noisy[3] = 1e3
        others = [0, 1, 2, 4, 5]
        assert torch.equal(model.forecast(noisy)[others], whole[others])


def test_every_bar_and_every_channel_of_the_window_counts(model, windows):
    """MOD-1: patches over all channels, the newest bar included."""
    windows.requires_grad_(True)
    model.forecast(windows)[:, :4].sum().backward()
    assert (windows.grad.abs().amax(dim=0) > 0).all()


def test_level_and_volatility_of_a_window_are_seen(model, windows):
    """MOD-1: no per-window normalisation on the way in."""
    with torch.inference_mode():
        assert not torch.allclose(model.forecast(windows), model.forecast(windows * 3 + 1), atol=1e-4)


def test_a_config_survives_its_dictionary_and_builds_the_same_answers(model, windows):
    again = build_model("unified_patchtst", model.config.to_dict(), model.state_dict())
    assert again.config == model.config
    with torch.inference_mode():
        assert torch.equal(again.forecast(windows), model.forecast(windows))
    assert weight_shapes("unified_patchtst", model.config.to_dict()) == {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stride": 5}, "stride 5 does not divide"),
        ({"n_heads": 3}, "d_model is 16, not a multiple of n_heads 3"),
        ({"patch_length": 64}, "patch_length is 64, context_length only 32"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"d_ff": 0}, "d_ff is 0"),
        ({"return_scale": (1.0, 1.0)}, "return_scale"),
        ({"return_scale": (1.0, 1.0, 0.0, 1.0)}, "return_scale"),
        ({"surprise": 1}, "no field 'surprise'"),
    ],
)
def test_an_impossible_config_is_refused_with_the_reason(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        PatchTSTConfig.from_dict(CONFIG.to_dict() | change)


def test_a_window_of_the_wrong_shape_is_refused(model):
    with pytest.raises(ValueError, match=r"shape \(1, 31, 5\), expected \(B, 32, 5\)"):
        model(torch.zeros(1, 31, 5))


def test_returns_and_risks_are_in_units_of_the_volatility_in_the_newest_row(model, windows):
    """MOD-9: twice the volatility now, twice the returns and risks for the same heads; older bars have no say in it."""
    config = PatchTSTConfig.from_dict(
        CONFIG.to_dict() | {"volatility_index": 2, "volatility_median": 0.004, "volatility_iqr": 0.002}
    )
    scaled = UnifiedPatchTST(config).eval()
    scaled.load_state_dict(model.state_dict())
    windows[:, -1, 2] = torch.tensor(
        [-1.0, 0.0, 1.0, 10.0, -2.0, -10.0]
    )  # the last two: still, and clipped by the scaler
    volatility = torch.tensor([0.002, 0.004, 0.006, 0.024, 1e-4, 1e-4]).unsqueeze(1)
    with torch.inference_mode():
        torch.testing.assert_close(scaled(windows)["log_volatility"].exp(), volatility)
        plain, answer = model.forecast(windows), scaled.forecast(windows)
    torch.testing.assert_close(answer[:, :4], plain[:, :4] * volatility)
    torch.testing.assert_close(answer[:, 24:28], plain[:, 24:28] * volatility)
    others = [k for k in range(38) if not (k < 4 or 24 <= k < 28)]
    assert torch.equal(answer[:, others], plain[:, others])


def test_the_risk_head_alone_reads_products_of_the_calendar(windows):
    """MOD-2: a curve in the hour of the day is drawn by products of two channels, squares too, in the newest row."""
    torch.manual_seed(3)
    network = UnifiedPatchTST(PatchTSTConfig.from_dict(CONFIG.to_dict() | {"calendar": [1, 3]})).eval()
    tokens = 2 * CONFIG.d_model
    assert network.heads["risk"].in_features == tokens + 5 + 3
    assert network.heads["returns"].in_features == tokens + 5
    with torch.no_grad():
        network.heads["risk"].weight.zero_()
        network.heads["risk"].bias.zero_()
        network.heads["risk"].weight[0, -3:] = torch.tensor([1.0, 2.0, 4.0])
    newest = windows[:, -1]
    expected = newest[:, 1] ** 2 + 2 * newest[:, 1] * newest[:, 3] + 4 * newest[:, 3] ** 2
    with torch.inference_mode():
        torch.testing.assert_close(network(windows)["risk"][:, 0], expected)
        older = windows.clone()
        older[:, :-1] += 1.0
        torch.testing.assert_close(network(older)["risk"][:, 0], expected)


def test_a_channel_of_log_volatility_gives_the_same_answers_as_one_of_volatility(model, windows):
    """MOD-9 with `data.logs`."""
    plain = {"volatility_index": 2, "volatility_median": 0.004, "volatility_iqr": 0.002}
    logs = {"volatility_index": 2, "volatility_median": -6.0, "volatility_iqr": 0.5, "volatility_is_log": True}
    volatility = torch.tensor([0.002, 0.004, 0.006, 0.024, 1e-4, 1e-4])
    answers = []
    for change, channel in (
        (plain, (volatility - 0.004) / 0.002),
        (logs, (volatility.log() + 6.0) / 0.5),
    ):
        scaled = UnifiedPatchTST(PatchTSTConfig.from_dict(CONFIG.to_dict() | change)).eval()
        scaled.load_state_dict(model.state_dict())
        newest = windows[:, -1].clone()
        newest[:, 2] = channel
        newest[-1, 2] -= 10.0  # stiller still: both count it as a basis point
        with torch.inference_mode():
            raw = model(windows) | {"log_volatility": log_volatility(scaled.config, newest)}
            answers.append(scaled.to_columns(raw))
    torch.testing.assert_close(answers[1], answers[0])


@pytest.mark.parametrize(
    "change",
    [{"volatility_index": 5}, {"volatility_index": -1}, {"volatility_index": True}, {"volatility_iqr": 0.0},
     {"volatility_median": float("nan")}, {"volatility_is_log": 1}, {"calendar": (5,)}, {"calendar": (-1,)},
     {"calendar": (1, 0)}, {"calendar": (1, 1)}, {"calendar": (True,)}, {"calendar": ("0",)}],
)  # fmt: skip
def test_an_impossible_volatility_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        PatchTSTConfig.from_dict(CONFIG.to_dict() | change)
