"""The loop stops, repeats itself bit for bit, and keeps its best weights (TRN-3, TRN-4)."""

from datetime import timedelta

import pytest
import torch

from nn.forecast import fit as fit_module
from nn.forecast.config import load_config
from nn.forecast.dataset import make_training_data
from nn.forecast.fit import TrainingFailed, fit, warmup_then_cosine
from nn.forecast.recipe import recipe_of
from nn.forecast.version import train_version
from nn.models.ensemble import members_of

from .conftest import BEGIN

UNTIL = (BEGIN + timedelta(days=24)).to_pydatetime()


def quiet(*_):
    return None


@pytest.fixture(scope="module")
def data(frames, config):
    return make_training_data(frames, "15m", UNTIL, config.data, config.model.context_length)


def train(config, data, seed=7):
    return train_version("unified_patchtst", config, data, seed, quiet, quiet)


def with_fit(tmp_path, **settings):
    path = tmp_path / "more.yaml"
    path.write_text("fit:\n" + "".join(f"  {name}: {value}\n" for name, value in settings.items()))
    return load_config(["base", "test", path])


def test_the_same_seed_gives_the_same_weights_bit_for_bit(config, data):
    first, second, other = train(config, data), train(config, data), train(config, data, seed=8)
    for name, weight in first.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name]), name
    assert first.metrics == second.metrics
    assert not torch.equal(first.model.encoder.embed.weight, other.model.encoder.embed.weight)


def test_every_epoch_reports_what_was_promised(config, data):
    """TRN-5: loss per task, accuracy, win rate and profit factor after costs."""
    epochs = train(config, data).history.epochs
    assert len(epochs) == config.fit.epochs
    for task in ("returns", "direction", "long_reach", "short_reach", "risk", "best_action", "trade", "confidence"):
        assert {f"train_loss_{task}", f"val_loss_{task}"} <= epochs[0].keys()
    assert {"train_loss", "val_loss", "val_accuracy", "val_accuracy_1h", "val_trades", "learning_rate"} <= set(
        epochs[0]
    )
    if epochs[0]["val_trades"]:
        assert {"val_win_rate", "val_profit_factor"} <= epochs[0].keys()


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best(config, data, monkeypatch, tmp_path):
    losses, weights = iter([3.0, 2.0, 2.5, 2.5, 2.5, 1.0]), []

    def judged(model, *_):
        weights.append(model.encoder.embed.weight.clone())
        return {"loss": next(losses)}

    monkeypatch.setattr(fit_module, "judge", judged)
    config = with_fit(tmp_path, epochs=6, patience=2)
    torch.manual_seed(1)
    recipe = recipe_of("unified_patchtst", config)
    model = recipe.network(data)
    history = fit(model, recipe, data, config.fit, 7, quiet, quiet)
    assert len(history.epochs) == 4
    assert history.best_epoch == 1
    assert torch.equal(model.encoder.embed.weight, weights[1])
    assert not model.training


def test_a_loss_that_is_no_number_is_an_error(config, data, tmp_path):
    broken = with_fit(tmp_path, learning_rate=1e30, max_grad_norm=1e30)
    with pytest.raises(TrainingFailed, match="loss"):
        train(broken, data)


def test_the_learning_rate_rises_then_falls_to_zero():
    factor = warmup_then_cosine(100, 0.1)
    values = [factor(step) for step in range(101)]
    assert values[:10] == sorted(values[:10])
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[10] == pytest.approx(1.0)
    assert values[100] == pytest.approx(0.0)


def test_a_pattern_in_the_market_is_found(data, tmp_path):
    """The walk leans on its last step: returns of the next bar are ranked well out of sample."""
    trained = train(with_fit(tmp_path, epochs=8, patience=8, train_stride=2, learning_rate=0.003), data)
    assert trained.metrics["val_ic_15m"] > 0.15
    losses = [epoch["train_loss"] for epoch in trained.history.epochs]
    assert losses[-1] < losses[0]


def test_the_direction_model_learns_by_the_same_loop(config, data, tmp_path):
    """LOS-3, TRN-5: its own loss, the same story per epoch, probabilities that add up."""
    config = with_fit(tmp_path, epochs=4, patience=4, train_stride=2)
    trained = train_version("direction", config, data, 7, quiet, quiet)
    epochs = trained.history.epochs
    assert {
        f"{part}_loss_{task}" for part in ("train", "val") for task in ("cross_entropy", "penalty", "profit")
    } <= set(epochs[0])
    assert {"val_accuracy", "val_ic_1h", "val_trades", "val_macro_f1_4h"} <= set(epochs[0])
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert trained.metrics["val_ic_15m"] > 0.1  # p(up) - p(down) ranks the next bar of a walk that leans on its last
    assert all(temperature > 0 for temperature in trained.model.config.temperature)
    x = torch.randn(3, 32, len(data.features.names))
    torch.testing.assert_close(trained.model.forecast(x).unflatten(1, (4, 3)).sum(-1), torch.ones(3, 4))


def test_several_seeds_make_one_version_that_answers_with_their_mean(config, data, tmp_path):
    """MOD-9."""
    trained = train_version("direction", with_fit(tmp_path, seeds=2), data, 7, quiet, quiet)
    alone = [train_version("direction", config, data, seed, quiet, quiet) for seed in (7, 8)]
    assert [history.epochs for history in trained.histories] == [each.history.epochs for each in alone]
    assert len(members_of(trained.model)) == 2
    assert len(trained.epochs) == 2 * config.fit.epochs


def test_gradients_of_several_batches_add_up_to_one_large_batch(data, tmp_path):
    """TRN-4."""
    settings = {"epochs": 1, "patience": 1, "learning_rate": 0.001}
    layers = {"direction": {"dropout": 0.0}}
    weights = []
    for batch_size, accumulate in ((128, 1), (64, 2)):
        config = with_fit(tmp_path, batch_size=batch_size, accumulate=accumulate, **settings).with_layer(layers)
        trained = train_version("direction", config, data, 7, quiet, quiet)
        weights.append(trained.model.layers[0].project.weight)
    torch.testing.assert_close(weights[0], weights[1], atol=1e-4, rtol=0)
