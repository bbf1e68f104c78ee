"""Keys are long, private and never printed (REG-7)."""

import pytest

from nn.registry.keys import KeyProblem, Keys, read_keys


def test_hex_and_text_keys_are_read_from_the_environment():
    assert read_keys({"CANDLEWRIGHT_MODEL_KEY": "ab" * 32}).signing == b"\xab" * 32
    assert read_keys({"CANDLEWRIGHT_MODEL_KEY": "z" * 32 + "\n"}).signing == b"z" * 32


@pytest.mark.parametrize("text", ["short", "ab" * 31, "z" * 31])
def test_a_key_below_32_bytes_is_refused_without_showing_it(text):
    with pytest.raises(KeyProblem, match="expected at least 32") as caught:
        read_keys({"CANDLEWRIGHT_MODEL_KEY": text})
    assert text not in str(caught.value)


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "model.key"
    path.write_text("z" * 40)
    path.chmod(0o640)
    with pytest.raises(KeyProblem, match="mode 0640, expected 0600"):
        read_keys({"CANDLEWRIGHT_MODEL_KEY_FILE": str(path)})
    path.chmod(0o600)
    assert read_keys({"CANDLEWRIGHT_MODEL_KEY_FILE": str(path)}).signing == b"z" * 40


def test_a_previous_key_is_accepted_but_never_signs():
    keys = read_keys({"CANDLEWRIGHT_MODEL_KEY": "n" * 32, "CANDLEWRIGHT_MODEL_KEY_PREVIOUS": "o" * 32})
    assert keys.signing == b"n" * 32
    assert keys.accepted == (b"n" * 32, b"o" * 32)


def test_no_key_at_all_says_where_one_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyProblem, match=r"user_data/secrets/model\.key does not exist"):
        read_keys({})


def test_a_key_is_never_shown():
    assert "kkkk" not in repr(Keys(b"k" * 32))
