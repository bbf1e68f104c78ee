"""The newest alias file survives a restart: an old or a second one, rightly signed, does not come in (REG-6, THR-4)."""

import json

import pytest

from nn.registry.manifest import ModelRefused
from nn.service.serials import FILE, Serials

A, B = "a" * 64, "b" * 64


def test_what_was_seen_is_known_after_a_restart(tmp_path):
    registry = tmp_path / "registry"
    first = Serials.beside(registry)
    assert first.highest("unified-15m", None) is None
    first.saw("unified-15m", 4, A)
    again = Serials.beside(registry)
    assert again.highest("unified-15m", None) == 4
    assert again.highest("unified-15m", 6) == 6
    assert again.highest("other", None) is None
    assert json.loads((tmp_path / FILE).read_text()) == {"registry/unified-15m": {"serial": 4, "digest": A}}
    assert Serials.beside(tmp_path / "another").highest("unified-15m", None) is None


def test_the_same_serial_with_other_content_is_refused_after_a_restart_too(tmp_path):
    Serials.beside(tmp_path / "registry").saw("unified-15m", 4, A)
    again = Serials.beside(tmp_path / "registry")
    again.check("unified-15m", 4, A)
    again.check("unified-15m", 5, B)
    with pytest.raises(ModelRefused, match="has serial 4 like the last one, and says something else"):
        again.check("unified-15m", 4, B)


def test_a_file_from_before_digests_is_read(tmp_path):
    (tmp_path / FILE).write_text('{"registry/unified-15m": 4}')
    serials = Serials.beside(tmp_path / "registry")
    assert serials.highest("unified-15m", None) == 4
    serials.check("unified-15m", 4, A)
    serials.saw("unified-15m", 4, A)
    with pytest.raises(ModelRefused):
        Serials.beside(tmp_path / "registry").check("unified-15m", 4, B)


def test_two_services_beside_one_registry_never_lower_a_serial(tmp_path):
    first, second = (Serials.beside(tmp_path / "registry") for _ in range(2))
    first.saw("unified-15m", 9, A)
    second.saw("direction-15m", 2, B)
    again = Serials.beside(tmp_path / "registry")
    assert (again.highest("unified-15m", None), again.highest("direction-15m", None)) == (9, 2)


@pytest.mark.parametrize("content", ["", "[]", '{"a": "b"}', "{", '{"a": {}}', '{"a": null}'])
def test_a_broken_file_is_said_and_stops_nothing(tmp_path, caplog, content):
    (tmp_path / FILE).write_text(content)
    assert Serials.beside(tmp_path / "registry").highest("a", 2) == 2
    assert "cannot be read" in caplog.text


def test_a_disk_that_refuses_is_said_and_stops_nothing(tmp_path, caplog):
    serials = Serials(tmp_path / "missing" / FILE, "registry")
    serials.saw("a", 1, A)
    assert serials.highest("a", None) == 1
    assert "cannot be written" in caplog.text
