"""A version is what was signed, to the last byte, or it is refused with the file's name (REG-1..3, REG-8)."""

import json
import os
import shutil
from hashlib import sha256

import pytest
import safetensors.torch
import torch

from nn.models.build import build_model
from nn.registry import files
from nn.registry.manifest import Keys, ModelRefused, load_version, write_version
from nn.registry.signature import sign

from .conftest import make_draft


def resign(folder, keys, change):
    """Change the manifest and sign it again, as only the holder of the key can."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    content = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "manifest.sig").write_bytes(sign(content, keys.signing))


def test_a_version_comes_back_as_it_went_in(version_folder, keys, model):
    """REG-8: the exported model answers bit for bit like the one that was trained."""
    loaded = load_version(version_folder, keys)
    again = build_model(loaded.manifest.kind, loaded.manifest.architecture, loaded.tensors)
    window = torch.randn(5, 16, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(again.forecast(window), model.forecast(window))
    assert loaded.manifest.version == version_folder.name
    assert version_folder.name.startswith("unified-15m-20250701T0000-")
    assert loaded.manifest.valid_from.isoformat() == "2025-07-01T00:00:00+00:00"


def test_any_changed_byte_is_refused_by_the_name_of_its_file(version_folder, keys):
    names = sorted(path.name for path in version_folder.iterdir())
    assert names == ["manifest.json", "manifest.sig", "weights.safetensors"]
    for name in names:
        path = version_folder / name
        original = path.read_bytes()
        positions = {0, len(original) - 1, *range(0, len(original), max(1, len(original) // 50))}
        for position in positions:
            for mask in (0x01, 0x20, 0x80):
                changed = bytearray(original)
                changed[position] ^= mask
                path.write_bytes(changed)
                with pytest.raises(ModelRefused, match=name):
                    load_version(version_folder, keys)
        path.write_bytes(original[:-1])
        with pytest.raises(ModelRefused, match=name):
            load_version(version_folder, keys)
        path.unlink()
        with pytest.raises(ModelRefused, match=name):
            load_version(version_folder, keys)
        path.write_bytes(original)
    load_version(version_folder, keys)


def test_the_wrong_key_is_refused_and_the_previous_key_is_accepted_for_checking(version_folder, keys):
    with pytest.raises(ModelRefused, match=r"manifest\.sig does not sign"):
        load_version(version_folder, Keys(b"x" * 32))
    load_version(version_folder, Keys(b"x" * 32, previous=keys.signing))


def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path, version_folder, keys, model):
    tensors = dict(model.state_dict())
    tensors["heads.returns.bias"] = torch.tensor([0.0, float("nan"), 0.0, 0.0])
    with pytest.raises(ModelRefused, match=r"heads\.returns\.bias has values that are not finite"):
        write_version(tmp_path / "unified-15m", make_draft(), tensors, keys)
    weights = version_folder / "weights.safetensors"
    weights.write_bytes(safetensors.torch.save(tensors))
    resign(version_folder, keys, lambda m: m["files"].update({weights.name: sha256(weights.read_bytes()).hexdigest()}))
    with pytest.raises(ModelRefused, match=r"weights\.safetensors: heads\.returns\.bias .* not finite"):
        load_version(version_folder, keys)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(schema_version=2), "schema_version"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m.update(kind="pickled"), "kind is 'pickled'"),
        (lambda m: m["architecture"].update(d_model=16), "shape"),
        (lambda m: m["architecture"].update(surprise=1), "surprise"),
        (lambda m: m["architecture"].pop("n_features"), "n_features"),
        (lambda m: m["files"].update({"../evil": "0" * 64}), r"'\.\./evil'"),
        (lambda m: m["files"].update({"/etc/passwd": "0" * 64}), "/etc/passwd"),
        (lambda m: m["files"].update({"absent.bin": "0" * 64}), r"absent\.bin is missing"),
        (lambda m: m["files"].clear(), r"weights\.safetensors"),
        (lambda m: m.update(version="other"), "folder"),
        (lambda m: m.update(valid_from="2025-07-01T00:00:00"), "valid_from"),
    ],
)
def test_a_signed_but_unusable_manifest_is_refused_with_its_reason(version_folder, keys, change, sentence):
    resign(version_folder, keys, change)
    with pytest.raises(ModelRefused, match=sentence):
        load_version(version_folder, keys)


def test_a_link_is_not_followed(version_folder, keys, tmp_path):
    weights = version_folder / "weights.safetensors"
    shutil.move(weights, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", weights)
    with pytest.raises(ModelRefused, match=r"weights\.safetensors cannot be opened"):
        load_version(version_folder, keys)


def test_an_export_that_dies_leaves_nothing_that_looks_like_a_version(tmp_path, keys, model, monkeypatch):
    def die(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_version(tmp_path / "unified-15m", make_draft(), model.state_dict(), keys)
    assert list((tmp_path / "unified-15m").iterdir()) == []


def test_writing_the_same_version_twice_keeps_the_first(version_folder, tmp_path, keys, model):
    before = (version_folder / "manifest.json").read_bytes()
    again = write_version(tmp_path / "unified-15m", make_draft(git_commit="1" * 40), model.state_dict(), keys)
    assert again == version_folder
    assert (version_folder / "manifest.json").read_bytes() == before
    with pytest.raises(ModelRefused, match="another feature_digest"):
        write_version(tmp_path / "unified-15m", make_draft(feature_digest="e" * 64), model.state_dict(), keys)
