"""What serves goes on serving when what is beside it breaks: the model key, two alias files of one serial (SRV-9)."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from nn.registry.aliases import ALIASES, SIGNATURE
from nn.service import shelf as shelf_module
from nn.service.errors import Refused
from nn.service.shelf import Shelf
from nn.service.versions import load_line


def test_a_key_file_that_is_removed_stops_reloads_and_no_answer(registry, kit, tmp_path):
    key = tmp_path / "model.key"
    key.write_text(kit.model_key)
    key.chmod(0o600)
    shelf = Shelf(registry.folder, environ={"CANDLEWRIGHT_MODEL_KEY_FILE": str(key)})
    first = registry.add(150)
    registry.publish(first)
    shelf.look()
    key.unlink()
    second = registry.add(160, 1)
    registry.publish(first, second)
    shelf.look()
    assert shelf.line_of("15m").aliases["champion"] == first
    with pytest.raises(Refused, match="the key that checks model signatures is missing"):
        shelf.check_ready()  # an operator sees it
    key.write_text(kit.model_key)
    key.chmod(0o600)
    shelf.look()
    shelf.check_ready()
    assert shelf.line_of("15m").aliases["champion"] == second


def test_a_second_alias_file_of_one_serial_is_refused_even_after_a_restart(registry, kit, caplog):
    """REG-6: both are rightly signed; the one that was served stays."""
    first, second = registry.add(150), registry.add(160, 1)
    folder = registry.folder / "unified-15m"
    registry.publish(first)
    kept = {name: (folder / name).read_bytes() for name in (ALIASES, SIGNATURE)}
    registry.publish(first, second)
    shelf = registry.shelf()
    assert shelf.line_of("15m").aliases["champion"] == second
    for name, content in kept.items():  # back to serial 1, from which another serial 2 is made
        (folder / name).write_bytes(content)
    registry.publish(second, champion=second)
    shelf.look()
    assert len(shelf.line_of("15m").chain) == 2
    assert "has serial 2 like the last one, and says something else" in caplog.text
    with pytest.raises(Refused) as refused:
        registry.shelf().line_of("15m")
    assert (refused.value.status, refused.value.error) == (503, "no_model")


def test_readiness_with_two_lines_needs_a_champion_and_no_refused_line(both_lines, registry, kit):
    """SRV-3: a line that waits for its first promotion keeps nobody from being served by the others."""
    both_lines.shelf().check_ready()
    champion, waits = registry.add(150), registry.add(150, line="direction-15m")
    registry.publish_aliases({"challenger": waits}, waits, line="direction-15m")
    with pytest.raises(Refused, match="no model line has a champion"):
        registry.shelf().check_ready()
    registry.publish(champion)
    registry.shelf().check_ready()
    (registry.folder / "direction-15m" / waits / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(Refused, match="direction-15m was refused"):
        registry.shelf().check_ready()


def test_a_line_is_loaded_anew_only_for_files_that_it_is_made_of(registry, kit, monkeypatch):
    """SRV-9: not for judgements, moves, or a version that no alias names yet; for the alias file and what it names."""
    loads = []
    monkeypatch.setattr(shelf_module, "load_line", lambda *a, **k: loads.append(a) or load_line(*a, **k))
    first = registry.add(150)
    registry.publish(first)
    shelf = registry.shelf()
    folder = registry.folder / "unified-15m"
    assert len(loads) == 1
    for name in (f"{first}.evaluation.json", f"{first}.evaluation.sig", "moves.jsonl", ".lock"):
        (folder / name).write_text("something new")
        shelf.look()
    second = registry.add(160, 1)
    shelf.look()
    assert len(loads) == 1
    registry.publish(first, second)
    shelf.look()
    assert (len(loads), shelf.line_of("15m").aliases["champion"]) == (2, second)
    weights = folder / second / "weights.safetensors"
    content = weights.read_bytes()
    for attempt, written in ((3, b"x" + content), (4, content)):  # broken, which is refused; and mended
        weights.write_bytes(written)
        shelf.look()
        assert (len(loads), len(shelf.refusals())) == (attempt, 0)  # what serves goes on
    shelf.look()
    assert len(loads) == 4


@contextmanager
def unprivileged():
    """Be somebody who owns nothing, where the tests run as root: to root every file is open."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_registry(tmp_path, chain):
    """A registry that anybody may read, in folders that anybody may pass."""
    with tempfile.TemporaryDirectory() as folder:
        registry = type(chain)(Path(folder) / "registry")
        registry.publish(registry.add(150))
        Path(folder).chmod(0o755)
        for path in (registry.folder, *registry.folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield registry


@pytest.mark.parametrize("where", [".", "unified-15m", "unified-15m/aliases.json", "unified-15m/*/weights.safetensors"])
def test_a_registry_that_this_user_must_not_read_is_told_and_served_once_it_may(open_registry, kit, caplog, where):
    """An installation slip: it must not look like an empty registry, and mending it must need no restart."""
    (path,) = open_registry.folder.glob(where) if "*" in where else [open_registry.folder / where]
    mode = path.stat().st_mode & 0o777
    open_registry.shelf()  # what is imported late is imported now
    path.chmod(0)
    shelf = Shelf(open_registry.folder, environ={"CANDLEWRIGHT_MODEL_KEY": kit.model_key})
    with unprivileged():
        for _ in range(3):
            shelf.look()
    for question in (shelf.check_ready, lambda: shelf.line_of("15m")):
        with pytest.raises(Refused, match="log of the service says why") as refused:
            question()
        assert refused.value.status == 503
    assert sum("ermission" in record.getMessage() for record in caplog.records) == 1, caplog.text
    path.chmod(mode)
    for place in shelf.places.values():
        place.try_again = 0.0  # half a minute later
    with unprivileged():
        shelf.look()
    shelf.check_ready()
    served = shelf.line_of("15m")
    path.chmod(0)
    with unprivileged():
        shelf.look()
    path.chmod(mode)
    assert shelf.line_of("15m") is served
