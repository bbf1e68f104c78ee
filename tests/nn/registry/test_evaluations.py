"""A version's judgement is signed, whole, of that version, and has no figure that is not one."""

import json

import pytest

from nn.registry.evaluations import read_evaluation, write_evaluation
from nn.registry.manifest import Keys, ModelRefused
from nn.registry.signature import sign


def make_payload(folder, **changes):
    payload = {
        "schema_version": 1,
        "line": folder.parent.name,
        "version": folder.name,
        "begin": "2025-07-01T00:00:00Z",
        "end": "2025-08-01T00:00:00Z",
        "rows": 2976,
        "metrics": {"ic_1h": 0.045, "macro_f1_1h": 0.41},
        "baselines": {"logistic": {"ic_1h": 0.04}},
        "trading": {"trades": 12, "net_return": 0.01},
        "verdict": {"beats_baselines": True, "reasons": ["ic_1h 0.045 is above logistic 0.040"]},
    }
    return payload | changes


def test_it_comes_back_as_it_went_in_and_a_later_one_replaces_it(version_folder, keys):
    line, version = version_folder.parent, version_folder.name
    payload = make_payload(version_folder)
    path = write_evaluation(line, version, payload, keys)
    assert path == line / f"{version}.evaluation.json"
    assert read_evaluation(line, version, keys) == payload
    write_evaluation(line, version, payload | {"rows": 3}, keys)
    assert read_evaluation(line, version, keys)["rows"] == 3


def test_a_judgement_that_nobody_could_read_is_not_written(version_folder, keys):
    """What is read is bounded, so what is written is, too."""
    line, version = version_folder.parent, version_folder.name
    reasons = ["x" * 1000] * 1100
    payload = make_payload(version_folder, verdict={"beats_baselines": False, "reasons": reasons})
    with pytest.raises(ModelRefused, match="expected at most 1048576"):
        write_evaluation(line, version, payload, keys)
    assert not (line / f"{version}.evaluation.json").exists()


@pytest.mark.parametrize("suffix", ["json", "sig"])
def test_any_changed_byte_is_refused_by_the_name_of_its_file(version_folder, keys, suffix):
    line, version = version_folder.parent, version_folder.name
    path = write_evaluation(line, version, make_payload(version_folder), keys).with_suffix(f".{suffix}")
    original = path.read_bytes()
    for position in range(len(original)):
        changed = bytearray(original)
        changed[position] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(ModelRefused, match=path.name):
            read_evaluation(line, version, keys)


def test_a_changed_one_is_replaced_but_never_signed_again(version_folder, keys, monkeypatch):
    line, version = version_folder.parent, version_folder.name
    path = write_evaluation(line, version, make_payload(version_folder), keys)
    forged = path.read_bytes().replace(b"0.045", b"0.945")
    path.write_bytes(forged)
    seen = []
    monkeypatch.setattr("nn.registry.signature.write_whole", lambda path, content: seen.append(content))
    write_evaluation(line, version, make_payload(version_folder), keys)
    assert not any(sign(forged, keys.signing) in content for content in seen)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": "other"}, "version is 'other'"),
        ({"line": "unified-1h"}, "line is 'unified-1h'"),
        ({"metrics": {"ic_1h": float("nan")}}, "metrics.ic_1h"),
        ({"trading": {"net_return": float("inf")}}, "trading.net_return"),
        ({"metrics": {"ic_1h": None}}, "metrics.ic_1h"),
        ({"surprise": 1}, "surprise"),
        ({"schema_version": 2}, "schema_version"),
        ({"end": "2025-07-01T00:00:00Z"}, "expected before end"),
        ({"begin": "2025-07-01T00:00:00"}, "begin"),
    ],
)
def test_what_is_not_as_it_must_be_is_neither_written_nor_read(version_folder, keys, changes, sentence):
    line, version = version_folder.parent, version_folder.name
    payload = make_payload(version_folder, **changes)
    with pytest.raises(ModelRefused, match=sentence):
        write_evaluation(line, version, payload, keys)
    path = line / f"{version}.evaluation.json"
    assert not path.exists()
    content = json.dumps(payload).encode()
    path.write_bytes(content)
    path.with_suffix(".sig").write_bytes(sign(content, keys.signing))
    with pytest.raises(ModelRefused, match=sentence):
        read_evaluation(line, version, keys)


def test_signature_first_then_content(version_folder, keys):
    """REG-2: what is not signed by an accepted key is not parsed at all."""
    line, version = version_folder.parent, version_folder.name
    write_evaluation(line, version, make_payload(version_folder), keys).write_bytes(b"{ no json")
    with pytest.raises(ModelRefused, match=r"evaluation\.sig does not sign"):
        read_evaluation(line, version, keys)


def test_a_rotated_key_reads_what_the_old_one_signed_and_afterwards_does_not(version_folder, keys):
    line, version = version_folder.parent, version_folder.name
    write_evaluation(line, version, make_payload(version_folder), keys)
    new = b"n" * 32
    assert read_evaluation(line, version, Keys(new, previous=keys.signing))["rows"] == 2976
    with pytest.raises(ModelRefused, match="does not sign"):
        read_evaluation(line, version, Keys(new))


@pytest.mark.parametrize("version", ["nothing", "../x", "", ".hidden"])
def test_it_must_be_of_a_version_that_is_there(version_folder, keys, version):
    with pytest.raises(ModelRefused, match=r"no name of a version|has no version"):
        write_evaluation(version_folder.parent, version, make_payload(version_folder, version=version), keys)
