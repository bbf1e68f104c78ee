"""A chain of versions, the future it must not have seen, and what MLflow keeps of it (TRN-6, TRN-12, REG-5, REG-6)."""

import io
import json
import shutil
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient
from rich.console import Console

from nn.forecast import provenance, version, walk_forward
from nn.forecast.dataset import TooLittleData
from nn.forecast.evaluate import forecast_rows, last_direction, table
from nn.forecast.progress import TrainingProgress
from nn.forecast.walk_forward import Plan, data_end, schedule, train_chain
from nn.models.build import build_model
from nn.registry.manifest import Keys, load_aliases, load_version
from nn.registry.store import Store, StoreProblem

from .conftest import BEGIN, PAIRS, make_candles

KEYS = Keys(b"k" * 32)
BAR = pd.Timedelta(minutes=15)
END = (BEGIN + timedelta(days=27)).to_pydatetime()


def make_plan(folder, config, **changes):
    return Plan(**({"line": "unified-15m", "timeframe": "15m", "config": config, "seed": 7,
                    "registry": folder / "registry", "keys": KEYS} | changes))  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_commit():
    """Manifests and names hold the commit: somebody's commit between two trainings is no difference between them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (version, provenance):
            patch.setattr(module, "git_commit", lambda: "c" * 40)
        yield


@pytest.fixture
def folder(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


def run_chain(folder, config, frames, n=2, period=timedelta(hours=36), **changes):
    torch.set_num_threads(1)
    plan, folds = make_plan(folder, config, **changes), schedule(END, n, period, "15m")
    store = Store(f"sqlite:///{folder / 'mlflow.db'}", plan.line)
    with TrainingProgress(n, config.fit.epochs) as progress:
        return train_chain(plan, frames, folds, store, progress), store


@pytest.fixture(scope="module")
def chain(tmp_path_factory, empty_database, config, frames, one_commit):
    folder = tmp_path_factory.mktemp("chain")
    shutil.copy(empty_database, folder / "mlflow.db")
    folders, store = run_chain(folder, config, frames)
    return folders, store


def test_each_version_is_valid_for_the_period_after_what_it_knew(chain):
    """REG-5: valid_from is the end of everything that influenced it plus the embargo."""
    manifests = [load_version(folder, KEYS).manifest for folder in chain[0]]
    assert [END - manifest.valid_from for manifest in manifests] == [timedelta(hours=72), timedelta(hours=36)]
    for manifest in manifests:
        assert manifest.valid_from - manifest.trained_until == 48 * BAR
        assert manifest.trained_from == BEGIN
        assert manifest.pairs == PAIRS
        assert manifest.metrics["val_loss"] > 0


def test_the_newest_waits_as_challenger_and_the_chain_holds_all_in_order(chain):
    folders, store = chain
    found = load_aliases(folders[0].parent, KEYS)
    assert found.serial == 1
    assert found.chain == tuple(folder.name for folder in folders)
    assert found.aliases == {"challenger": folders[-1].name}
    registered = store.client.get_model_version_by_alias("unified-15m", "challenger")
    assert registered.tags["candlewright_version"] == folders[-1].name


def test_an_exported_version_answers_like_the_trained_one(chain, frames):
    """REG-8: through file, signature and rebuilding, every forecast stays as it was."""
    loaded = load_version(chain[0][-1], KEYS)
    frame = frames[PAIRS[0]]
    ends, rows = forecast_rows(loaded, frame, loaded.manifest.valid_from, END)
    assert len(ends) == 36 * 4
    assert np.isfinite(rows).all()
    model = build_model(loaded.manifest.kind, loaded.manifest.architecture, loaded.tensors)
    assert model.config.return_scale == tuple(loaded.manifest.architecture["return_scale"])
    assert frame["date"].iloc[ends[0]] + BAR == loaded.manifest.valid_from


def test_the_future_moves_no_weight(folder, chain, config, frames):
    """LEK-1, LEK-3: with noise for every candle after trained_until the manifest is the same file, weights and all."""
    folders, _ = chain
    first = load_version(folders[0], KEYS).manifest
    noisy = {
        pair: frame.where(frame["date"] + BAR <= first.trained_until, make_candles(len(frame), seed=50))
        for pair, frame in frames.items()
    }
    again, _ = run_chain(folder, config, noisy, n=1, period=timedelta(hours=72))
    assert again[0].name == folders[0].name
    for name in ("manifest.json", "weights.safetensors"):
        assert (again[0] / name).read_bytes() == (folders[0] / name).read_bytes()


def test_a_planted_leak_is_caught_by_the_same_test(folder, chain, config, frames, monkeypatch):
    """The test above must be able to fail: a version that reads two days too many is another version."""
    honest = walk_forward.make_training_data

    def leaking(frames, timeframe, until, *rest):
        return honest(frames, timeframe, until + timedelta(days=2), *rest)

    monkeypatch.setattr(walk_forward, "make_training_data", leaking)
    folders, _ = run_chain(folder, config, frames, n=1, period=timedelta(hours=72))
    assert folders[0].name != chain[0][0].name


def test_mlflow_holds_what_makes_its_pages_worth_opening(chain, config):
    """TRN-5, TRN-6, TRN-8: parameters, metrics of every epoch, tags, files, pictures, a registered version."""
    folders, store = chain
    client = MlflowClient(store.uri, registry_uri=store.uri)
    runs = client.search_runs([store.experiment], order_by=["attributes.start_time ASC"])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    run, manifest = runs[0], load_version(folders[0], KEYS).manifest
    assert run.data.params["fit.learning_rate"] == str(config.fit.learning_rate)
    assert run.data.params["pairs"] == " ".join(PAIRS)
    assert run.data.params["valid_from"] == manifest.valid_from.isoformat()
    for name in ("train_loss", "val_loss", "val_loss_direction", "val_accuracy", "val_accuracy_4h", "val_trades"):
        steps = {metric.step for metric in client.get_metric_history(run.info.run_id, name)}
        assert {1, 2} <= steps, name
    for name in ("oos_accuracy_1h", "oos_macro_f1_1h", "oos_ic_1h", "oos_ece_1h", "oos_brier_1h",
                 "oos_rows"):  # fmt: skip
        assert np.isfinite(run.data.metrics[name]), name
    assert run.data.metrics["oos_rows"] == 2 * 36 * 4
    assert "oos" not in json.dumps(manifest.metrics)
    for name, value in (("data_fingerprint", manifest.data_fingerprint), ("feature_digest", manifest.feature_digest),
                        ("config_hash", config.hash), ("seed", "7")):  # fmt: skip
        assert run.data.tags[name] == value
    assert run.data.tags["library.torch"] == torch.__version__
    assert len(run.data.tags["git_commit"]) >= 7

    def listed(path=None):
        return {file.path for file in client.list_artifacts(run.info.run_id, path)}

    assert listed() == {"config.yaml", "evaluation", "metrics.json", "norm_stats.json", "model", "plots"}
    assert listed("plots") == {f"plots/{n}.png" for n in ("calibration", "confusion", "loss_curves", "loss_per_task")}
    assert listed("model") == {f"model/{n}" for n in ("manifest.json", "manifest.sig", "weights.safetensors")}
    registered = client.get_model_version("unified-15m", "1")
    assert registered.run_id == run.info.run_id
    assert registered.tags["candlewright_version"] == folders[0].name
    assert pd.Timestamp(registered.tags["valid_from"]) == manifest.valid_from
    assert pd.Timestamp(registered.tags["trained_until"]) == manifest.trained_until
    assert registered.tags["feature_digest"] == manifest.feature_digest


@pytest.mark.slow
def test_a_new_chain_takes_over_and_the_old_versions_stay(folder, config, frames):
    first, _ = run_chain(folder, config, frames, n=1)
    second, _ = run_chain(folder, config, frames, n=1, seed=8)
    found = load_aliases(folder / "registry" / "unified-15m", KEYS)
    assert (found.serial, found.chain) == (2, (second[0].name,))
    assert first[0] != second[0]
    load_version(first[0], KEYS)


@pytest.mark.slow
def test_a_chain_that_breaks_leaves_the_old_one_in_charge_and_goes_on_where_it_was(
    folder, config, frames, monkeypatch, capsys
):
    """TRN-11: a version that was finished before the break is neither trained nor logged again."""
    first, _ = run_chain(folder, config, frames, n=1)
    real, calls = walk_forward.train_version, []

    def breaks_on_the_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(walk_forward, "train_version", breaks_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_chain(folder, config, frames, n=2, seed=9, checkpoints=folder / "checkpoints")
    assert load_aliases(folder / "registry" / "unified-15m", KEYS).chain == (first[0].name,)
    store = Store(f"sqlite:///{folder / 'mlflow.db'}", "unified-15m")
    statuses = [run.info.status for run in store.client.search_runs([store.experiment])]
    assert sorted(statuses) == ["FINISHED", "FINISHED", "KILLED"]
    made = {path.name for path in first[0].parent.iterdir() if path.is_dir()} - {first[0].name}
    capsys.readouterr()

    folders, _ = run_chain(folder, config, frames, n=2, seed=9, checkpoints=folder / "checkpoints")
    assert len(calls) == 3  # only the broken one was begun again
    assert {folders[0].name} == made
    assert f"{folders[0].name} is there already" in capsys.readouterr().err
    assert load_aliases(folder / "registry" / "unified-15m", KEYS).chain == tuple(each.name for each in folders)
    statuses = [run.info.status for run in store.client.search_runs([store.experiment])]
    assert sorted(statuses) == ["FINISHED", "FINISHED", "FINISHED", "KILLED"]
    assert list((folder / "checkpoints").iterdir()) == []  # the chain is published: nothing to go on from


def test_the_schedule_ends_with_the_data():
    folds = schedule(END, 3, timedelta(days=2), "15m")
    assert [fold.valid_from for fold in folds] == [END - timedelta(days=days) for days in (6, 4, 2)]
    assert [fold.end for fold in folds] == [*(fold.valid_from for fold in folds[1:]), END]
    assert schedule(END, 1, timedelta(days=1), "5m")[0].trained_until == END - timedelta(days=1.5)  # 12h are 144 bars
    with pytest.raises(ValueError, match="expected at least 1 version"):
        schedule(END, 0, timedelta(days=2), "15m")
    with pytest.raises(ValueError, match="whole number of 15m candles"):
        schedule(END, 1, timedelta(minutes=20), "15m")


def test_the_end_is_where_every_pair_still_has_candles(frames):
    short = dict(zip(PAIRS, (frames[PAIRS[0]], frames[PAIRS[1]].iloc[:-4]), strict=True))
    assert data_end(short, "15m", None) == frames[PAIRS[0]]["date"].iloc[-5] + BAR
    assert data_end(short, "15m", END) == END
    with pytest.raises(TooLittleData, match="candles begin at 2025-01-01"):
        data_end(short, "15m", BEGIN.to_pydatetime())


def test_the_naive_answer_repeats_what_just_happened():
    frame = make_candles(40).assign(close=np.r_[np.full(20, 100.0), np.full(20, 101.0)])
    answer = last_direction(frame, "15m")
    assert answer[19].tolist() == [2, 2, 2, 2]
    assert answer[20].tolist() == [0, 0, 0, 2]  # up by 1%: above the bands of 15m, 1h and 4h; 12h have not passed
    assert answer[21].tolist() == [2, 0, 0, 2]


def test_a_store_that_cannot_be_opened_is_one_sentence(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(StoreProblem, match=r"MLflow at sqlite:///.*mlflow\.db cannot be opened"):
        Store(f"sqlite:///{tmp_path / 'mlflow.db'}", "unified-15m")


def test_the_table_fits_a_terminal_of_80_characters(chain):
    """Every number of the out-of-sample table is readable, not cut off."""
    client = chain[1].client
    metrics = client.search_runs([chain[1].experiment])[0].data.metrics
    out = {name.removeprefix("oos_"): value for name, value in metrics.items() if name.startswith("oos_")}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table({BEGIN.to_pydatetime(): out}))
    text = console.export_text()
    assert "…" not in text
    assert f"{out['accuracy_12h']:.3f}" in text
    assert "01-01 00:00" in text
