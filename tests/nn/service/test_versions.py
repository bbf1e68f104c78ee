"""What may serve: verified whole or not at all (REG-2, REG-3, REG-5), and exchanged without a pause (SRV-9)."""

import logging
import shutil

import numpy as np
import pytest
import torch
from tradekernels.features import feature_set

from nn.registry.manifest import ModelRefused
from nn.service import versions
from nn.service.shelf import Shelf
from nn.service.versions import LayoutMismatch, load_line


@pytest.fixture
def line(registry):
    """A registry with a chain of two, and the line's folder."""
    registry.publish(registry.add(120, 0), registry.add(160, 1))
    return registry


def folder_of(registry):
    return registry.folder / "unified-15m"


def test_a_line_is_loaded_with_its_chain_and_champion(line):
    loaded = load_line(folder_of(line), line.keys)
    assert (loaded.timeframe, len(loaded.chain), loaded.champion) == ("15m", 2, loaded.chain[-1])
    assert len(loaded.chain_digest) == 64
    assert not any(weight.requires_grad for version in loaded.chain for weight in version.model.parameters())


def test_the_chain_digest_names_what_decides_a_score(registry):
    """Aliases alone do not change it; another version, or another order of time, does."""
    first, second = registry.add(120, 0), registry.add(160, 1)
    digests = []
    for chain, champion in (
        ((first, second), second),
        ((first, second), first),
        ((first,), first),
        ((second,), second),
    ):
        registry.publish(*chain, champion=champion)
        digests.append(load_line(folder_of(registry), registry.keys).chain_digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_chain_digest_names_the_threads_of_a_sum(line):
    """A library may add up in another order where it shares the work out among more threads."""
    count = torch.get_num_threads()
    digests = []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            digests.append(load_line(folder_of(line), line.keys).chain_digest)
    finally:
        torch.set_num_threads(count)
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json", "manifest.sig"])
@pytest.mark.parametrize("which", [0, 1])
def test_one_changed_byte_and_nothing_of_the_line_is_served(line, serve, kit, caplog, name, which):
    """REG-2, THR-3: 503 and not ready, the file is named in the log and in no answer."""
    version = sorted(path for path in folder_of(line).iterdir() if path.is_dir())[which]
    content = bytearray((version / name).read_bytes())
    content[len(content) // 2] ^= 1
    (version / name).write_bytes(content)
    ask = serve(line)
    assert ask.json(kit.candles(170)).status_code == 503
    assert ask("GET", "/models").json() == {"lines": []}
    ready = ask("GET", "/readyz", key=None)
    assert (ready.status_code, ready.json()["error"]) == (503, "not_ready")
    assert ask("GET", "/livez", key=None).status_code == 200
    assert name in caplog.text
    assert str(line.folder) not in ready.text


@pytest.mark.parametrize("name", ["aliases.json", "aliases.sig"])
def test_a_changed_alias_file_is_refused(line, serve, caplog, name):
    """REG-6."""
    path = folder_of(line) / name
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    assert serve(line)("GET", "/readyz", key=None).status_code == 503
    assert name in caplog.text


def test_features_that_tradekernels_no_longer_computes_are_409(registry, serve, kit, caplog):
    """SRV-9, LIM: layout_mismatch, and not ready."""
    registry.publish(registry.add(120, feature_digest="0" * 64))
    ask = serve(registry)
    response = ask.json(kit.candles(170))
    assert (response.status_code, response.json()["error"]) == (409, "layout_mismatch")
    assert ask("GET", "/readyz", key=None).status_code == 503
    assert "feature digest" in caplog.text


def test_fitted_parameters_of_features_travel_in_the_manifest(registry, kit, caplog):
    """CAT-9: a version computes GARCH with the weights of its own training, or not at all."""
    names = ("log_return", "volume_ratio", "range_pct", "ema_9_ratio", "roc_10", "garch_24h")
    fitted = feature_set(names, "15m", {"garch_alpha": 0.11, "garch_beta": 0.8})
    changes = {"feature_names": names, "feature_digest": fitted.digest, "warmup": fitted.warmup}
    registry.publish(registry.add(120, feature_parameters=fitted.parameters, **changes))
    (line,) = registry.shelf().lines
    (version,) = line.chain
    frame = kit.candles(170)
    np.testing.assert_array_equal(version.features(frame), fitted.compute(frame))
    assert version.features(frame)[-1, -1] != feature_set(names, "15m").compute(frame)[-1, -1]
    registry.publish(registry.add(120, line="other-15m", **changes), line="other-15m")
    assert [line.name for line in registry.shelf().lines] == ["unified-15m"]
    assert "feature digest" in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"feature_names": ("log_return", "no_such_feature", "range_pct", "roc_10", "hour_sin", "upper_wick")},
            "no_such",
        ),
        ({"warmup": 3}, "warm-up 3"),
    ],
)
def test_another_layout_is_told_apart(registry, changes, said):
    registry.publish(registry.add(120, **changes))
    with pytest.raises(LayoutMismatch, match=said):
        load_line(folder_of(registry), registry.keys)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"embargo_bars": 49}, "before data and embargo end"),
        ({"forecast_columns": ("future_return_15m",)}, "other forecast columns"),
        ({"scaler": {"median": [0.0], "iqr": [1.0]}}, "scaler has 1 features"),
        ({"scaler": {"median": [0.0] * 6}}, "median and iqr"),
    ],
)
def test_a_version_that_does_not_fit_together_is_refused(registry, changes, said):
    """REG-3, REG-5."""
    registry.publish(registry.add(120, **changes))
    with pytest.raises(ModelRefused, match=said):
        load_line(folder_of(registry), registry.keys)


def test_a_chain_that_does_not_ascend_is_refused(registry):
    """ASO-1: the as-of rule searches an ascending chain."""
    late, early = registry.add(160, 1), registry.add(120, 0)
    registry.publish(late, early)
    with pytest.raises(ModelRefused, match="not valid after"):
        load_line(folder_of(registry), registry.keys)


def test_a_model_whose_answer_is_not_finite_does_not_serve(line, monkeypatch):
    """SRV-3: a dummy inference must be finite."""
    broken = versions.ServedVersion.forecast
    monkeypatch.setattr(versions.ServedVersion, "forecast", lambda self, rows, ends: broken(self, rows, ends) * np.inf)
    with pytest.raises(ModelRefused, match="finite"):
        load_line(folder_of(line), line.keys)


def test_an_empty_registry_is_alive_and_not_ready(registry, serve, kit):
    """SRV-2."""
    ask = serve(registry)
    assert ask("GET", "/livez", key=None).status_code == 200
    assert ask("GET", "/readyz", key=None).status_code == 503
    response = ask.json(kit.candles(20))
    assert (response.status_code, response.json()["error"]) == (503, "no_model")


def test_a_line_without_champion_serves_history_and_is_not_ready(registry, serve, kit):
    registry.publish(registry.add(120))
    from nn.registry.manifest import write_aliases

    write_aliases(folder_of(registry), registry.keys, {}, None)
    ask = serve(registry)
    assert ask("GET", "/readyz", key=None).status_code == 503
    assert ask.json(kit.candles(170)).status_code == 200
    assert ask.json(kit.candles(170), as_of="latest").status_code == 503


def test_without_a_model_key_nothing_is_served_until_there_is_one(line, kit, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {}
    shelf = Shelf(line.folder, environ=environ)
    shelf.look()
    shelf.look()
    assert shelf.lines == ()
    assert len([record for record in caplog.records if "no model key" in record.getMessage()]) == 1
    environ["CANDLEWRIGHT_MODEL_KEY"] = kit.model_key
    shelf.look()
    assert len(shelf.lines) == 1


def test_of_two_lines_of_one_timeframe_the_default_name_serves(line):
    line.publish(line.add(100, line="another-15m"), line="another-15m")
    shelf = line.shelf()
    assert [each.name for each in shelf.lines] == ["unified-15m", "another-15m"]
    assert shelf.line_of("15m").name == "unified-15m"


def test_a_moved_alias_is_picked_up_and_a_failing_candidate_is_not(line, caplog):
    """SRV-9, REG-6: what serves keeps serving until the next one has passed every check."""
    caplog.set_level(logging.INFO)
    shelf = line.shelf()
    old = shelf.line_of("15m")
    shelf.look()
    assert shelf.line_of("15m") is old

    third = line.add(200, 2)
    line.publish(*(version.version for version in old.chain), third)
    shelf.look()
    assert (shelf.line_of("15m").serial, shelf.line_of("15m").champion.version) == (old.serial + 1, third)

    served = shelf.line_of("15m")
    weights = folder_of(line) / third / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    line_two = [version.version for version in old.chain]
    line.publish(*line_two, third, champion=line_two[0])
    shelf.look()
    shelf.look()
    assert shelf.line_of("15m") is served
    assert len([r for r in caplog.records if "keeps serving" in r.getMessage()]) == 1
    shelf.check_ready()

    weights.write_bytes(content)
    shelf.look()
    assert shelf.line_of("15m").champion.version == line_two[0]


def test_an_old_alias_file_that_comes_back_is_refused(line, tmp_path, caplog):
    """REG-6: the serial may not fall, however good the signature."""
    shelf = line.shelf()
    kept = tmp_path / "kept"
    shutil.copytree(folder_of(line), kept)
    champion = shelf.line_of("15m").chain[0].version
    line.publish(*(version.version for version in shelf.line_of("15m").chain), champion=champion)
    shelf.look()
    now = shelf.line_of("15m")
    for name in ("aliases.json", "aliases.sig"):
        shutil.copy(kept / name, folder_of(line) / name)
    shelf.look()
    assert shelf.line_of("15m") is now
    assert "old file came back" in caplog.text


def test_the_thread_that_looks_survives_a_fault(line, monkeypatch):
    import threading

    looked = threading.Event()
    calls = []
    shelf = line.shelf()

    def look():
        calls.append(1)
        if len(calls) == 1:
            raise OSError("disk on fire")
        looked.set()

    monkeypatch.setattr(shelf, "look", look)
    shelf.watch(0.01)
    assert looked.wait(5)
    shelf.close()
