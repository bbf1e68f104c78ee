"""Versions judged on candles they never saw, baselines beside them; leaks are planted and must be caught (LEK-8)."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch

from nn.baselines.linear import fit_logistic
from nn.baselines.rows import log_volatility, rows_of, training_rows
from nn.data.target_table import DIRECTION_COLUMNS, FORECAST_COLUMNS
from nn.data.targets import make_targets
from nn.data.windows import WindowSet
from nn.evaluation.figures import Outcomes
from nn.evaluation.judged import NETWORK, Judged
from nn.evaluation.permutation import permutation_test, turned
from nn.evaluation.verdict import evaluate
from nn.forecast import judge_line
from nn.forecast.dataset import Samples, make_training_data
from nn.forecast.evaluate import evaluate_version, forecast_rows, judge_version, scored_period
from nn.forecast.permute import permute
from nn.forecast.record import record
from nn.models.build import DIRECTION, UNIFIED_PATCHTST, empty_model
from nn.registry.evaluations import read_evaluation
from nn.registry.keys import Keys
from nn.registry.manifest import ManifestDraft, load_version, write_aliases, write_version

from .conftest import BEGIN, write_market

KEYS = Keys(b"k" * 32)
UNTIL = (BEGIN + timedelta(days=24)).to_pydatetime()
VALID_FROM = UNTIL + timedelta(hours=12)
END = (BEGIN + timedelta(days=27)).to_pydatetime()
SIZES = {"context_length": 32, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 32}
ARCHITECTURES = {
    UNIFIED_PATCHTST: {"n_features": 40, "patch_length": 8, "stride": 8, **SIZES},
    DIRECTION: {"n_features": 40, "patch_lengths": [4, 16], **SIZES},
}


@pytest.fixture(scope="module")
def data(frames, config):
    plain = config.data.model_copy(update={"volatility": None})
    return make_training_data(frames, "15m", UNTIL, plain, 32)


def signed(folder, data, kind=UNIFIED_PATCHTST, valid_from=VALID_FROM, seed=0):
    """Return the folder of a signed version that has learned nothing."""
    torch.manual_seed(seed)
    model = empty_model(kind, ARCHITECTURES[kind])
    name = {UNIFIED_PATCHTST: "unified-15m", DIRECTION: "direction-15m"}[kind]
    draft = ManifestDraft(
        name=name, kind=kind, architecture=model.config.to_dict(), timeframe="15m", pairs=data.pairs,
        feature_names=data.features.names, feature_parameters=data.features.parameters,
        feature_digest=data.features.digest, warmup=data.features.warmup, scaler=data.scaler.to_dict(),
        target_names=(), forecast_columns=model.columns, class_codes={}, cost_model={}, trained_from=data.trained_from,
        trained_until=data.trained_until, embargo_bars=48, valid_from=valid_from, data_fingerprint=data.fingerprint,
        metrics={}, libraries={}, git_commit="", config_hash="",
    )  # fmt: skip
    return write_version(folder / name, draft, model.state_dict(), KEYS)


@pytest.mark.parametrize("kind", [UNIFIED_PATCHTST, DIRECTION])
def test_both_kinds_are_judged_on_the_same_candles_as_the_baselines(kind, tmp_path, data, frames):
    loaded = load_version(signed(tmp_path, data, kind), KEYS)
    said = []
    found = evaluate_version(loaded, data, frames, VALID_FROM, END, say=said.append)
    assert found.rows == 2 * (END - VALID_FROM) // timedelta(minutes=15)
    assert {"ic_1h", "accuracy_4h", "macro_f1_12h", "ece_15m", "brier_1h"} <= set(found.metrics)
    heads = {"volatility_r2_1h", "mae_future_return_1h", "brier_short_3pct_12h", "mae_max_rally_4h"}  # EVA-2
    assert heads & set(found.metrics) == (heads if kind == UNIFIED_PATCHTST else set())
    assert found.baselines["last_value"]["mae_future_return_1h"].value > 0
    assert {"logistic", "lightgbm", "nlinear", "ema", "last_value", "last_direction", "ridge"} <= set(found.baselines)
    assert not found.beats_baselines  # the market leans on its last step: whoever learned finds it, random weights not
    assert found.best["ic_15m"][1] > 0.3
    assert len(said) == 8
    assert set(found.inputs) == set(data.features.names)


def test_the_network_is_read_column_by_column(tmp_path, data, frames):
    loaded = load_version(signed(tmp_path, data), KEYS)
    judged = judge_version(loaded, data, frames, VALID_FROM, END, baselines=("last_value",))
    _, rows = forecast_rows(loaded, next(iter(frames.values())), VALID_FROM, END)
    network = judged.forecasts[NETWORK]
    np.testing.assert_allclose(network.score[: len(rows)], rows[:, :4])
    columns = [FORECAST_COLUMNS.index(name) for name in DIRECTION_COLUMNS]
    np.testing.assert_allclose(network.probability[: len(rows)].reshape(-1, 12), rows[:, columns])
    risk = [FORECAST_COLUMNS.index(name) for name in ("max_drawdown_4h", "max_rally_4h")]
    assert abs(np.corrcoef(np.log(rows[:, risk].sum(1)), network.log_volatility[: len(rows), 1])[0, 1]) > 0.999


@pytest.mark.parametrize("begin", [VALID_FROM, (BEGIN + timedelta(days=4)).to_pydatetime()])
def test_rows_of_a_period_are_those_of_all_candles_to_the_bit(begin, data, frames):
    """Features and labels are made of the period and what it looks back on; the second begins after the warm-up."""
    end = begin + timedelta(days=1)

    def ask(frame):
        closes = frame["date"] + timedelta(minutes=15)
        ends = np.flatnonzero(((closes >= begin) & (closes < end)).to_numpy())
        return ends, np.zeros((len(ends), 2))

    found = scored_period(data, frames, ask)
    whole = [make_targets(frame, "15m") for frame in frames.values()]
    matrices = [data.scaler.transform(data.features.compute(frame)) for frame in frames.values()]
    ends = [ask(frame)[0] for frame in frames.values()]
    samples = Samples(np.repeat(np.arange(len(ends)), [len(each) for each in ends]), np.concatenate(ends))
    expected = rows_of(matrices, [labels.values for labels in whole], samples, "15m")
    assert len(found.rows) == len(expected) == 2 * 96
    np.testing.assert_array_equal(found.rows.features, expected.features)
    np.testing.assert_array_equal(found.rows.past, expected.past)
    came = [labels.values[each] for labels, each in zip(whole, ends, strict=True)]
    np.testing.assert_array_equal(found.outcomes.labels, np.concatenate(came))
    volatility = [log_volatility(x.values, x.mask, "15m")[each] for x, each in zip(whole, ends, strict=True)]
    np.testing.assert_array_equal(found.outcomes.log_volatility, np.concatenate(volatility))


def test_candles_from_before_valid_from_are_refused(tmp_path, data, frames):
    loaded = load_version(signed(tmp_path, data), KEYS)
    with pytest.raises(ValueError, match="cannot be judged from 2025-01-25 11:45"):
        evaluate_version(loaded, data, frames, VALID_FROM - timedelta(minutes=15), END)
    with pytest.raises(ValueError, match="the version learned from BTC"):
        evaluate_version(loaded, data, dict(list(frames.items())[:1]), VALID_FROM, END)


def noisy(frames, first, last, seed=9):
    """Return the frames with other candles where they open in [first, last): other prices, ranges and volumes."""
    draw, other = np.random.default_rng(seed), {}
    for pair, frame in frames.items():
        chosen = ((frame["date"] >= first) & (frame["date"] < last)).to_numpy()
        changed = frame.copy()
        factor = np.exp(draw.normal(0, 0.05, len(frame)))
        for name in ("open", "high", "low", "close"):
            changed.loc[chosen, name] = (frame[name] * factor)[chosen]
        changed.loc[chosen, "volume"] = (frame["volume"] * 3)[chosen]
        assert not chosen.any() or not changed.equals(frame)
        other[pair] = changed
    return other


def same_answers(one, other, rows=slice(None)):
    """Tell whether two judged periods have the same answers, regimes and strengths in these rows, bit for bit."""
    pairs = [(one.regimes, other.regimes), *((one.buckets[name], other.buckets[name]) for name in one.buckets)]
    for name, forecast in one.forecasts.items():
        pairs += [(a, b) for a, b in zip(forecast.parts, other.forecasts[name].parts, strict=True) if a is not None]
    return all(np.array_equal(a[rows], b[rows]) for a, b in pairs)


MIDDLE = (BEGIN + timedelta(days=26)).to_pydatetime()
QUARTER = timedelta(minutes=15)


def test_candles_after_the_end_change_nothing_of_a_judgement(tmp_path, data, frames):
    """LEK-1, EVA-2: neither answers nor what came; a range that is sealed later is not looked into."""
    loaded = load_version(signed(tmp_path, data), KEYS)
    judged = judge_version(loaded, data, frames, VALID_FROM, MIDDLE)
    later = judge_version(loaded, data, noisy(frames, MIDDLE, END + QUARTER * 99), VALID_FROM, MIDDLE)
    np.testing.assert_array_equal(judged.outcomes.labels, later.outcomes.labels)
    np.testing.assert_array_equal(judged.outcomes.log_volatility, later.outcomes.log_volatility)
    assert same_answers(judged, later)
    assert judged.stability == later.stability
    one, other = (evaluate(each, VALID_FROM, MIDDLE, 96) for each in (judged, later))
    assert json.dumps(one.document()) == json.dumps(other.document())


def test_candles_of_the_period_change_no_baseline_and_no_answer_before_them(tmp_path, data, frames, config):
    """LEK-3, LEK-5: learners, lines of volatility, strengths and regime limits are of before; answers are causal."""
    loaded = load_version(signed(tmp_path, data), KEYS)
    changed = noisy(frames, MIDDLE, END + QUARTER * 99)
    plain = config.data.model_copy(update={"volatility": None})
    again = make_training_data(changed, "15m", UNTIL, plain, 32)  # from the other candles, as if they had always been
    judged = judge_version(loaded, data, frames, VALID_FROM, END)
    other = judge_version(loaded, again, changed, VALID_FROM, END)
    before = judged.outcomes.times <= int(MIDDLE.timestamp() * 1000)
    assert 0 < before.sum() < len(before)
    assert same_answers(judged, other, before)
    assert not same_answers(judged, other, ~before)  # it can fail: later answers do differ


def test_baselines_that_would_learn_from_other_candles_are_refused(tmp_path, data, frames, config):
    """A mistake of the caller: training data that reach into the judged period."""
    loaded = load_version(signed(tmp_path, data), KEYS)
    reaching = make_training_data(frames, "15m", MIDDLE, config.data.model_copy(update={"volatility": None}), 32)
    with pytest.raises(ValueError, match="the baselines would from others"):
        judge_version(loaded, reaching, frames, VALID_FROM, END)


def test_classes_are_balanced_by_the_train_labels_alone_for_all_alike(tmp_path, data, frames):
    """The prior is a share of train labels: not of validation, not of the period; one for network and baselines."""
    train, _ = data.labels(data.train)
    for k, shares in enumerate(data.class_shares):
        np.testing.assert_allclose(shares, [(train[:, 4 + k] == code).mean() for code in range(3)])
    loaded = load_version(signed(tmp_path, data), KEYS)
    judged = judge_version(loaded, data, frames, VALID_FROM, END, baselines=("logistic", "ema"))
    for name in (NETWORK, "logistic"):
        said = judged.forecasts[name]
        np.testing.assert_array_equal(said.balanced, (said.probability / data.class_shares).argmax(-1))
    assert judged.forecasts["ema"].balanced is None  # it names a class, and no probability that could be weighed


class Kept:
    """A run that keeps what it is told."""

    def __init__(self):
        self.metrics, self.texts, self.figures = {}, {}, {}

    def log_metrics(self, metrics, step=0):
        self.metrics |= metrics

    def log_text(self, text, path):
        self.texts[path] = text

    def log_figure(self, figure, path):
        self.figures[path] = figure


def test_the_judgement_is_signed_beside_the_version_and_kept_in_the_run(tmp_path, data, frames):
    folder = signed(tmp_path, data)
    found = evaluate_version(load_version(folder, KEYS), data, frames, VALID_FROM, END, baselines=("logistic", "ema"))
    run = Kept()
    figures = record(run, found, folder, KEYS)
    read = read_evaluation(folder.parent, folder.name, KEYS)
    assert read["metrics"]["ic_1h"] == found.metrics["ic_1h"].value == run.metrics["oos_ic_1h"] == figures["ic_1h"]
    assert read["baselines"]["logistic"]["macro_f1_4h_low"] == found.baselines["logistic"]["macro_f1_4h"].low
    assert read["verdict"]["beats_baselines"] is False
    document = json.loads(run.texts["evaluation/evaluation.json"])
    assert document["verdict"]["suspected_leak"] is found.suspected_leak
    assert {"evaluation/overview.png", "evaluation/confusion.png"} == set(run.figures)


def with_feature(data, column, planted):
    """Return the data with one feature of every pair replaced."""
    matrices = []
    for matrix, values in zip(data.windows.matrices, planted, strict=True):
        other = matrix.copy()
        other[:, column] = values
        matrices.append(other)
    return replace(data, windows=WindowSet(matrices, data.windows.context_length))


def judged_on_validation(data, fit):
    """Return what a learner says of validation rows, judged as a network is."""
    values, masks = data.labels(data.validation)
    rows = training_rows(data, data.validation)
    came = np.where(masks, values, np.nan).astype(np.float64)
    outcomes = Outcomes(data.validation.ends * 900_000, data.validation.pairs, came, np.full((len(rows), 2), np.nan))
    said = {NETWORK: fit(data, 7).forecast(rows)}
    none = np.zeros(len(rows), dtype=int)
    return evaluate(Judged(outcomes, none, said, {NETWORK: none}, {}), VALID_FROM, END, 96), rows, outcomes


def test_a_feature_that_holds_the_future_is_caught(data):
    """A planted leak: the return of the next hour, with noise, as a feature. Nothing else is changed."""
    draw = np.random.default_rng(0)
    planted = []
    for values in data.values:
        future = np.nan_to_num(np.asarray(values)[:, 1])
        planted.append((future + draw.normal(0, 2 * future.std(), len(future))) / future.std())
    plain, *_ = judged_on_validation(data, fit_logistic)
    found, *_ = judged_on_validation(with_feature(data, 5, planted), fit_logistic)
    assert found.suspected_leak
    assert any(reason.startswith("SuspectedLeak") for reason in found.reasons)
    assert found.metrics["accuracy_1h"].value > plain.metrics["accuracy_1h"].value + 0.03


def test_permuted_labels_are_forecast_by_chance(data):
    """LEK-8, on a market that has something to find: with the right labels it is found."""
    _, rows, outcomes = judged_on_validation(data, fit_logistic)
    done = []

    def learn(data, seed):
        return fit_logistic(data, seed).forecast(rows)

    found = permutation_test(learn, data, outcomes, 12, 3, done.append)
    assert found.at_chance
    assert found.p_value == pytest.approx(1 / 13)
    assert found.ic > 0.2 > np.abs(found.null_ic).max()
    assert done == list(range(1, 13))
    with pytest.raises(ValueError, match="at least 5 permutations"):
        permutation_test(learn, data, outcomes, 1, 3, done.append)


def test_the_permutation_test_catches_a_learner_that_has_seen_its_test_rows(data):
    """It must be able to fail: a learner that remembers the outcomes wins on permuted labels, too."""
    _, rows, outcomes = judged_on_validation(data, fit_logistic)

    def cheat(data, seed):
        said = fit_logistic(data, seed).forecast(rows)
        return replace(said, score=said.score + 5 * np.nan_to_num(outcomes.returns))

    assert not permutation_test(cheat, data, outcomes, 6, 3, lambda _: None).at_chance


def test_a_lean_to_the_side_that_the_market_went_is_no_leak(data):
    """Permuted labels keep their shares of up and down; a learner that repeats them is right in a market like it."""
    _, rows, outcomes = judged_on_validation(data, fit_logistic)
    rising = outcomes.labels.copy()
    rising[:, :4] += np.nanstd(rising[:, :4], axis=0) / 2
    draw = np.random.default_rng(8)

    def lean(data, seed):
        said = fit_logistic(data, seed).forecast(rows)
        return replace(said, score=draw.normal(1.0, 1.0, said.score.shape))

    found = permutation_test(lean, data, replace(outcomes, labels=rising), 8, 3, lambda _: None)
    assert found.null_accuracy.mean() > 0.55
    assert found.at_chance


@pytest.mark.slow
@pytest.mark.parametrize("kind", [UNIFIED_PATCHTST, DIRECTION])
def test_permuted_labels_are_forecast_by_chance_by_the_networks_too(kind, tmp_path, data, frames, config):
    """LEK-8 of what trades: whole trainings, early stopping and calibration among them, judged on later candles."""
    loaded = load_version(signed(tmp_path, data, kind), KEYS)
    fit = config.fit.model_copy(update={"epochs": 5, "patience": 5, "train_stride": 4, "learning_rate": 5e-3})
    keen = config.model_copy(update={"fit": fit})
    found = permute(loaded, data, frames, VALID_FROM, END, 5, 3, keen, lambda _: None)
    assert found.at_chance
    assert found.ic > 0.1 > np.abs(found.null_ic.mean())
    assert found.p_value == pytest.approx(1 / 6)


def test_a_network_of_other_windows_is_no_test_of_this_version(tmp_path, data, frames, config):
    loaded = load_version(signed(tmp_path, data), KEYS)
    longer = config.model_copy(update={"model": config.model.model_copy(update={"context_length": 64})})
    with pytest.raises(ValueError, match="the training profile reads 64 bars"):
        permute(loaded, data, frames, VALID_FROM, END, 6, 3, longer, lambda _: None)


def test_turned_labels_are_the_same_labels_elsewhere(data):
    other = turned(data, np.random.default_rng(0))
    for before, after in zip(data.values, other.values, strict=True):
        assert not np.array_equal(before, after, equal_nan=True)
        np.testing.assert_array_equal(*(np.sort(np.asarray(each)[:, 1]) for each in (before, after)))


@pytest.fixture(scope="module")
def market(tmp_path_factory, frames):
    return write_market(tmp_path_factory.mktemp("market"), frames)


@pytest.fixture
def ask(tmp_path, data, market, monkeypatch):
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", "6b" * 32)
    folder = signed(tmp_path, data)
    write_aliases(folder.parent, KEYS, {}, [folder.name])

    def ask(*more):
        arguments = ["--line", "unified-15m", "--registry", str(tmp_path), "--datadir", str(market), *more]
        return judge_line.main(arguments)

    ask.folder = folder
    return ask


def test_a_chain_is_judged_from_the_command_line(ask, tmp_path, capsys):
    """EVA-7: table and verdict on stdout, files where they are asked for."""
    assert ask("--out", str(tmp_path / "out"), "--until", END.isoformat()) in (0, 3)
    said = capsys.readouterr()
    assert "verdict: unified-15m does NOT beat the best baselines on 480 rows" in said.out
    assert "baseline 8/8: lightgbm_returns" in said.err
    assert all(len(line) <= 80 for line in said.out.splitlines() if not line.startswith("- "))
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert document["rows"] == 480


def test_only_signed_versions_are_read(ask, capsys):
    weights = ask.folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert ask() == 1
    assert "is not the file that was signed" in capsys.readouterr().err


def test_other_candles_than_it_learned_from_are_refused(ask, tmp_path, frames, capsys):
    changed = {pair: frame.assign(volume=frame["volume"] + 1) for pair, frame in frames.items()}
    assert ask("--datadir", str(write_market(tmp_path / "other", changed))) == 1
    assert "baselines would learn from others" in capsys.readouterr().err


def test_the_permutation_test_runs_from_the_command_line(ask, capsys):
    assert ask("--permutation-test", "6") in (0, 3)
    assert "over 6" in capsys.readouterr().out
    assert ask("--permutation-test", "2") == 1
    assert "expected at least 5 permutations" in capsys.readouterr().err
