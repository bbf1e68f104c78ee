"""The numbers that the specification names stand in the code and in the profiles, written down here once more."""

import pytest
from tradekernels.environment import Reward, Risk
from tradekernels.execution import Fees, Latency, Slippage

from nn.forecast.config import load_config
from nn.models.actor_critic import ActorCriticConfig
from nn.models.direction import DirectionConfig
from nn.models.direction_loss import TradingLossConfig
from nn.models.losses import LossConfig
from nn.models.patchtst import PatchTST
from nn.models.unified import PatchTSTConfig
from nn.policy.config import NetworkConfig, PPOConfig

UNIFIED = {
    "context_length": 96, "patch_length": 16, "stride": 8, "n_layers": 3, "n_heads": 8, "dropout": 0.3,
    "direction_temperature": 2.0, "d_model": 128, "d_ff": 256,
}  # fmt: skip
DIRECTION = {
    "context_length": 168, "patch_lengths": (4, 16, 64), "d_model": 512, "n_layers": 4, "n_heads": 8, "d_ff": 2048,
}  # fmt: skip
LOSS = {
    "returns": 0.7, "direction": 1.0, "long_reach": 0.5, "short_reach": 0.5, "risk": 0.4, "group_f": 0.3,
    "class_weights": (1.3, 1.3, 0.7), "focal_gamma": 2.0, "label_smoothing": 0.05, "anti_collapse": 0.6,
}  # fmt: skip
TRADING_LOSS = {
    "horizon_weights": (0.2, 0.3, 0.35, 0.15), "class_weights": (1.0, 1.0, 0.5), "return_weight": 10.0,
    "wrong_side": 2.0, "on_flat": 0.5,
}  # fmt: skip
PPO = {
    "gamma": 0.99, "gae_lambda": 0.95, "clip": 0.10, "learning_rate": 1e-4, "n_steps": 2048, "batch_size": 64,
    "epochs": 4, "entropy_weight": 0.001, "value_weight": 1.8, "cvar_alpha": 0.05, "cvar_weight": 0.15,
    "cvar_cap": 0.5,
}  # fmt: skip
PRODUCTION = load_config(["base", "production"])


@pytest.mark.parametrize(
    ("rows", "where", "numbers"),
    [
        ("MOD-1, MOD-2", PatchTSTConfig(n_features=4), UNIFIED),
        ("MOD-1, MOD-2", load_config(["base"]).model, UNIFIED),
        ("MOD-1", PRODUCTION.model, UNIFIED | {"d_model": 256, "d_ff": 512}),
        ("MOD-3", DirectionConfig(n_features=4), DIRECTION),
        ("MOD-3", PRODUCTION.direction, DIRECTION),
        ("MOD-4", load_config(["base", "mtst"]).direction, {"d_model": 64, "n_layers": 2, "n_heads": 4}),
        ("MOD-5", ActorCriticConfig(4, 1, True), {"n_quantiles": 32, "sigma_range": (0.2, 1.5)}),
        ("MOD-5", NetworkConfig(), {"n_quantiles": 32, "sigma_range": (0.2, 1.5)}),
        ("MOD-9, TRN-3", PRODUCTION.fit, {"seeds": 3, "learning_rate": 5e-5, "patience": 10}),
        ("LOS-1, LOS-2", LossConfig(), LOSS),
        ("LOS-1, LOS-2", load_config(["base"]).loss, LOSS),
        ("LOS-3, LOS-5", TradingLossConfig(), TRADING_LOSS),
        ("LOS-3, LOS-5", load_config(["base"]).trading_loss, TRADING_LOSS),
        ("PPO-2, PPO-3", PPOConfig(), PPO),
        ("ENV-5, ENV-7", Reward(), {"turnover": 0.0005, "taker_bps": 10.0, "half_spread_bps": 5.0, "shaping": 0.0}),
        ("ENV-8", Risk(), {"max_intrabar_drawdown": 0.30, "pause_s": 300.0}),
        ("EXE-1", Fees(), {"maker_bps": 10, "taker_bps": 10}),
        ("EXE-2", Slippage(), {"k": 0.8, "spread_bps": 2.0}),
        (
            "EXE-3",
            Latency(),
            {"base_ms": 250.0, "jitter_ms": 50.0, "spike_probability": 0.01, "spike_multiple": 5.0,
             "timeout_ms": 2500.0, "retries": 1, "hour_of_week": (1.0,) * 168},
        ),
    ],
)  # fmt: skip
def test_defaults_are_those_of_the_specification(rows, where, numbers):
    assert {name: getattr(where, name) for name in numbers} == numbers, rows


def test_the_two_forms_are_built_as_named():
    """MOD-1: the paper's form by default, the trading form by its name."""
    paper, trading = PatchTST(3, 96, 8), PatchTST.trading(3)
    assert paper.channel_independent
    assert paper.revin is not None
    assert paper.padding == "end"
    assert not trading.channel_independent
    assert trading.revin is None
    assert trading.n_patches == (96 - 16) // 8 + 1
    for model, pre_norm, residual, norm in (
        (paper, False, True, "TokenBatchNorm"),
        (trading, True, False, "LayerNorm"),
    ):
        assert len(model.layers) == 3
        for layer in model.layers:
            assert (layer.pre_norm, layer.residual_attention) == (pre_norm, residual)
            assert type(layer.norm_attention).__name__ == type(layer.norm_dense).__name__ == norm
    assert {layer.n_heads for layer in trading.layers} == {8}
