"""The alias file only moves forward (REG-6)."""

import pytest

from nn.registry import signature
from nn.registry.manifest import ModelRefused, load_aliases, write_aliases


def test_every_change_raises_the_serial_and_keeps_the_chain(version_folder, keys):
    line, version = version_folder.parent, version_folder.name
    first = write_aliases(line, keys, {"champion": version}, [version])
    second = write_aliases(line, keys, {"champion": version, "challenger": version})
    assert (first.serial, second.serial) == (1, 2)
    assert load_aliases(line, keys) == second
    assert second.chain == (version,)


def test_an_old_file_that_comes_back_is_refused(version_folder, keys):
    line, version = version_folder.parent, version_folder.name
    write_aliases(line, keys, {"champion": version}, [version])
    old = {name: (line / name).read_bytes() for name in ("aliases.json", "aliases.sig")}
    held = write_aliases(line, keys, {"champion": version}).serial
    assert load_aliases(line, keys, newer_than=held).serial == held
    for name, content in old.items():
        (line / name).write_bytes(content)
    with pytest.raises(ModelRefused, match=r"aliases\.json has serial 1, but 2 was seen before"):
        load_aliases(line, keys, newer_than=held)


@pytest.mark.parametrize("name", ["aliases.json", "aliases.sig"])
def test_a_changed_byte_is_refused_by_the_name_of_its_file(version_folder, keys, name):
    line, version = version_folder.parent, version_folder.name
    write_aliases(line, keys, {"champion": version}, [version])
    original = (line / name).read_bytes()
    for position in range(len(original)):
        changed = bytearray(original)
        changed[position] ^= 0x20
        (line / name).write_bytes(changed)
        with pytest.raises(ModelRefused, match=name):
            load_aliases(line, keys)


def test_a_writer_killed_between_its_steps_leaves_a_file_that_verifies(version_folder, keys, monkeypatch):
    line, version = version_folder.parent, version_folder.name
    write_aliases(line, keys, {"champion": version}, [version])
    whole = signature.write_whole
    for steps in range(3):
        left = [steps]

        def write_some(path, content, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            whole(path, content)

        monkeypatch.setattr(signature, "write_whole", write_some)
        with pytest.raises(KeyboardInterrupt):
            write_aliases(line, keys, {"challenger": version})
        monkeypatch.setattr(signature, "write_whole", whole)
        assert load_aliases(line, keys).chain == (version,)


def test_an_alias_must_name_a_version_that_is_there(version_folder, keys):
    with pytest.raises(ModelRefused, match="no version 'nothing'"):
        write_aliases(version_folder.parent, keys, {"champion": "nothing"})
    with pytest.raises(ModelRefused, match=r"no version '\.\./x'"):
        write_aliases(version_folder.parent, keys, {"champion": "../x"})


def test_a_file_of_another_line_is_refused(version_folder, keys, tmp_path):
    line, version = version_folder.parent, version_folder.name
    write_aliases(line, keys, {"champion": version}, [version])
    other = tmp_path / "unified-1h"
    other.mkdir()
    for name in ("aliases.json", "aliases.sig"):
        (other / name).write_bytes((line / name).read_bytes())
    with pytest.raises(ModelRefused, match="is of line unified-15m"):
        load_aliases(other, keys)
