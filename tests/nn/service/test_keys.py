"""The service's own keys: none by default, long enough, readable by their owner only (LIM-1, LIM-2, SEC-8)."""

import pytest

from nn.service.keys import ApiKeys, KeyProblem, read_api_keys

KEY, OLD = "k" * 32, "o" * 40


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_key_comes_from_the_environment():
    keys = read_api_keys({"CANDLEWRIGHT_API_KEY": KEY, "CANDLEWRIGHT_API_KEY_PREVIOUS": OLD})
    assert [keys.find(offered) for offered in (KEY.encode(), OLD.encode(), b"", b"k" * 31)] == [0, 1, None, None]


@pytest.mark.parametrize("variable", ["CANDLEWRIGHT_API_KEY_FILE", None])
def test_a_key_comes_from_a_private_file(tmp_path, variable):
    path = tmp_path / ("some.key" if variable else "user_data/secrets/service.key")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    assert read_api_keys({variable: str(path)} if variable else {}).find(KEY.encode()) == 0


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    path = tmp_path / "some.key"
    path.write_text(KEY)
    path.chmod(mode)
    with pytest.raises(KeyProblem, match="chmod 600"):
        read_api_keys({"CANDLEWRIGHT_API_KEY_FILE": str(path)})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "no API key"),
        ({"CANDLEWRIGHT_API_KEY": "short"}, "5 characters, expected at least 32"),
        ({"CANDLEWRIGHT_API_KEY": KEY, "CANDLEWRIGHT_API_KEY_PREVIOUS": "short"}, "PREVIOUS has 5"),
        ({"CANDLEWRIGHT_API_KEY": "é" * 40}, "printable ASCII"),
        ({"CANDLEWRIGHT_API_KEY_FILE": "nowhere.key"}, r"nowhere\.key"),
    ],
)
def test_a_missing_or_short_key_stops_the_start(environ, said):
    with pytest.raises(KeyProblem, match=said):
        read_api_keys(environ)


def test_a_key_is_in_no_message_and_no_repr():
    with pytest.raises(KeyProblem) as problem:
        read_api_keys({"CANDLEWRIGHT_API_KEY": "sesame"})
    assert "sesame" not in str(problem.value)
    assert "digests" not in repr(ApiKeys.of(KEY))
