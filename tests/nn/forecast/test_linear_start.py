"""A network begins as the linear models of train rows, and goes back to them as far as validation rows ask for it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from nn.baselines import linear
from nn.baselines.linear import fit_logistic
from nn.baselines.rows import training_rows
from nn.forecast.dataset import make_training_data
from nn.forecast.linear_start import (
    RETURN_CLIP,
    Linear,
    Start,
    blend_numbers,
    head_of,
    linear_start,
    newest_rows,
    number_targets,
    read_by,
)
from nn.forecast.probability_calibration import calibrate_predictor, slopes_and_offset
from nn.forecast.recipe import recipe_of

from .conftest import make_candles


@pytest.fixture(scope="module")
def data(frames, config):
    end = min(frame["date"].iloc[-1] for frame in frames.values()).to_pydatetime()
    return make_training_data(frames, "15m", end, config.data, config.model.context_length)


def fresh(kind, config, data):
    torch.manual_seed(3)
    return recipe_of(kind, config).network(data).eval()


@pytest.mark.parametrize("kind", ["unified_patchtst", "direction"])
def test_a_network_begins_as_the_logistic_regression_that_judges_it(kind, config, data, monkeypatch):
    """MOD-6."""
    monkeypatch.setattr(linear, "STRIDE", 1)  # the baseline else reads every other row
    network = fresh(kind, config, data)
    linear_start(network, data).put(network)
    some = data.validation.every(7)
    x = torch.from_numpy(data.windows.batch(some.pairs, some.ends))
    with torch.no_grad():
        rows = recipe_of(kind, config).wide(network.forecast(x).numpy())
    ours = rows[:, 4:16].reshape(-1, 4, 3)
    theirs = fit_logistic(data, 7).forecast(training_rows(data, some)).probability
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert np.abs(ours - ours.mean(0)).mean() > 0.02  # and it does say something


def test_returns_and_risks_begin_at_the_least_squares_of_train_rows(config, data):
    network = fresh("unified_patchtst", config, data)
    begun = linear_start(network, data).raw(network, torch.from_numpy(newest_rows(data, data.train)))
    targets = number_targets(network, newest_rows(data, data.train), *data.labels(data.train))
    assert np.nanmax(np.abs(targets["returns"])) <= RETURN_CLIP
    for name, outcome in targets.items():
        said = begun[name].numpy()
        mean = np.nanmean(outcome, 0)
        assert (np.nanmean((outcome - said) ** 2, 0) < np.nanmean((outcome - mean) ** 2, 0)).all(), name
        # Returns lean to no side over all train rows, whichever way these went.
        np.testing.assert_allclose(said.mean(0), 0.0 if name == "returns" else mean, atol=1e-3)


def test_risks_that_peak_twice_a_day_are_found_by_products_of_the_calendar(config):
    """No line in the sine and the cosine of the hour draws two peaks; that of twice the hour is their product."""
    frame = make_candles(2600, seed=5)
    hour = 2 * np.pi * (np.arange(len(frame)) % 96) / 96
    steps = np.random.default_rng(5).normal(0, 0.002, len(frame)) * np.exp(np.sin(2 * hour))
    close = 100 * np.exp(np.cumsum(steps))
    opened = np.concatenate([[100.0], close[:-1]])
    frame = frame.assign(open=opened, close=close, high=np.maximum(opened, close), low=np.minimum(opened, close))
    found = {}
    for calendar in (False, True):
        told = config.with_layer({"data": {"features": ("hour_sin", "hour_cos", "atr_14_pct"), "calendar": calendar}})
        data = make_training_data(
            {"A/USDT:USDT": frame}, "15m", frame["date"].iloc[-1].to_pydatetime(), told.data, told.model.context_length
        )
        network = fresh("unified_patchtst", told, data)
        newest = newest_rows(data, data.validation)
        said = linear_start(network, data).raw(network, torch.from_numpy(newest))["risk"].numpy()
        came = number_targets(network, newest, *data.labels(data.validation))["risk"]
        known = np.isfinite(came).all(axis=1)
        found[calendar] = np.corrcoef((said[:, 0] + said[:, 2])[known], (came[:, 0] + came[:, 2])[known])[0, 1] ** 2
    assert found[True] > found[False] + 0.1, found


def test_the_calendar_is_of_hours_and_weekdays_alone(frames, config):
    """A month or a quarter is seen once or twice: products of it ran away in the next one, and stops with them."""
    names = ("hour_sin", "month_sin", "is_weekend", "to_quarter_end", "is_month_turn", "monthday_cos", "atr_14_pct")
    told = config.with_layer({"data": {"features": names, "calendar": True}})
    until = next(iter(frames.values()))["date"].iloc[-1].to_pydatetime()
    data = make_training_data(frames, "15m", until, told.data, told.model.context_length)
    assert fresh("unified_patchtst", told, data).config.calendar == (0, 2)


@pytest.mark.parametrize("kind", ["unified_patchtst", "direction"])
def test_a_feature_that_hardly_moved_in_train_rows_does_not_decide_alone_later(kind, config, data):
    """`liquidation_risk` moved by 1e-7 in two months of SOL, and by more than 1 later: millions of deviations."""
    still = [matrix.copy() for matrix in data.windows.matrices]
    for matrix in still:
        matrix[:, 5] *= 1e-7
    windows = type(data.windows)(still, data.windows.context_length)
    start = linear_start(fresh(kind, config, data), replace(data, windows=windows))
    for name, head in start.heads.items():
        assert head.weight[:, 5].abs().max() < 1e-3, name


def test_nothing_but_train_rows_moves_the_start(config, data):
    """LEK-3."""
    values = [np.array(np.asarray(each)) for each in data.values]
    for pair, each in enumerate(values):
        learned = data.train.ends[data.train.pairs == pair]
        rest = np.setdiff1d(np.arange(len(each)), learned)
        each[rest] = each[rest[::-1]]
    network = fresh("unified_patchtst", config, data)
    ours, theirs = linear_start(network, data), linear_start(network, replace(data, values=tuple(values)))
    for name, head in ours.heads.items():
        assert torch.equal(head.weight, theirs.heads[name].weight), name


def test_the_start_and_what_is_kept_do_not_depend_on_the_number_of_threads(config, data):
    """A fold in a process of its own has one thread, and must end as it does in the command's own process."""
    draw = torch.Generator().manual_seed(1)
    shapes = {"returns": (4,), "risk": (4,), "confidence": (4,), "direction": (4, 3)}
    raw = {name: torch.randn(len(data.validation), *shape, generator=draw) for name, shape in shapes.items()}
    found = []
    for n_threads in (1, 2):
        network = fresh("unified_patchtst", config, data)
        with threadpool_limits(n_threads, "blas"):
            start = linear_start(network, data)
            recipe_of("unified_patchtst", config).calibrate([network], [raw], start, data)
        found.append([*(head.weight for head in start.heads.values()), *network.state_dict().values()])
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("truth", "share"), [(0.0, 0.0), (0.6, 0.6), (1.3, 1.3), (9.0, 2.0)])
def test_what_was_learned_of_numbers_counts_as_far_as_validation_rows_bear_it_out(config, data, truth, share):
    """The rows' outcomes are `truth` x what was learned, from a start that says nothing."""
    network = fresh("unified_patchtst", config, data)
    sizes = {"returns": 4, "risk": 4, "direction": 12}
    row = torch.zeros(1, len(data.features.names))
    widths = {name: read_by(network, name, row).shape[1] for name in sizes}
    nothing = Start({name: Linear(torch.zeros(n, widths[name]), torch.zeros(n)) for name, n in sizes.items()})
    newest = newest_rows(data, data.validation)
    learned = torch.randn(len(newest), 4) / 8
    unit = network(torch.from_numpy(data.windows.batch(data.validation.pairs, data.validation.ends)))["log_volatility"]
    came = truth * learned * network.return_scale * unit.exp().detach()
    every = [np.array(np.asarray(each)) for each in data.values]
    for pair, each in enumerate(every):
        chosen = data.validation.pairs == pair
        each[data.validation.ends[chosen], :4] = came.numpy()[chosen]
    before = copy.deepcopy(head_of(network, "returns"))
    raws = [{"returns": learned, "risk": torch.zeros(len(newest), 4)}]
    blend_numbers([network], raws, nothing, replace(data, values=tuple(every)))
    torch.testing.assert_close(head_of(network, "returns").weight, share * before.weight, atol=2e-3, rtol=0.01)


def classes_of(logits, seed=0):
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return (np.random.default_rng(seed).uniform(size=(len(p), 1)) > p.cumsum(1)).sum(1)


def test_two_sets_of_logits_are_weighed_by_what_each_knows():
    draw = np.random.default_rng(5)
    known, noise = draw.normal(0, 1, (30_000, 3)), draw.normal(0, 1, (30_000, 3))
    label = classes_of(0.8 * known + [0, 0, 0.5])
    found = slopes_and_offset([noise, known], label)
    assert found == pytest.approx((0.0, 0.8, 0.5), abs=0.05)
    found = slopes_and_offset([-known + noise, noise], label)  # worse than nothing: its slope would be negative
    assert found[0] == 0
    assert found[2] > 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(value):
    """Newton's steps would be halved for ever."""
    with pytest.raises(ValueError, match="logits of validation rows are not finite"):
        slopes_and_offset([np.full((60, 3), value), np.zeros((60, 3))], np.zeros(60, dtype=np.int64))


def test_a_direction_model_that_learned_noise_answers_as_it_began(config, data):
    network = fresh("direction", config, data)
    draw = np.random.default_rng(6)
    n_rows = 20_000
    weight = torch.from_numpy(draw.normal(0, 0.5, (12, len(data.features.names))).astype(np.float32))
    start = Linear(weight, torch.zeros(12))
    newest = torch.randn(n_rows, weight.shape[1])
    begun = start(newest).unflatten(1, (4, 3))
    labels = torch.full((n_rows, 24), float("nan"))
    for horizon in range(4):
        labels[:, 4 + horizon] = torch.from_numpy(classes_of(begun[:, horizon].double().numpy(), horizon))
    calibrate_predictor([network], [torch.randn(n_rows, 4, 3)], labels, ~labels.isnan(), start, begun)
    x = torch.randn(200, network.config.context_length, weight.shape[1])
    with torch.no_grad():
        said = network.forecast(x).unflatten(1, (4, 3))
    expected = start(x[:, -1]).unflatten(1, (4, 3)).softmax(-1)
    assert (said - expected).abs().mean() < 0.02
