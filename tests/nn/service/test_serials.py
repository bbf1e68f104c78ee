"""The highest serial survives a restart: an old alias file, rightly signed, does not come back (REG-6, THR-4)."""

import json

from nn.service.serials import FILE, Serials


def test_what_was_seen_is_known_after_a_restart(tmp_path):
    registry = tmp_path / "registry"
    first = Serials.beside(registry)
    assert first.highest("unified-15m", None) is None
    first.saw("unified-15m", 4)
    again = Serials.beside(registry)
    assert again.highest("unified-15m", None) == 4
    assert again.highest("unified-15m", 6) == 6
    assert again.highest("other", None) is None
    assert json.loads((tmp_path / FILE).read_text()) == {"registry/unified-15m": 4}
    assert Serials.beside(tmp_path / "another").highest("unified-15m", None) is None


def test_a_broken_file_is_said_and_stops_nothing(tmp_path, caplog):
    for content in ("", "[]", '{"a": "b"}', "{"):
        (tmp_path / FILE).write_text(content)
        assert Serials.beside(tmp_path / "registry").highest("a", 2) == 2
        assert "cannot be read" in caplog.text
        caplog.clear()


def test_a_disk_that_refuses_is_said_and_stops_nothing(tmp_path, caplog):
    serials = Serials(tmp_path / "missing" / FILE, "registry")
    serials.saw("a", 1)
    assert serials.highest("a", None) == 1
    assert "cannot be written" in caplog.text
