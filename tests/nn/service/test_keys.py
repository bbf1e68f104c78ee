"""The service's own keys: none by default, long enough, readable by their owner only (LIM-1, LIM-2, SEC-8)."""

from functools import partial

import pytest

from nn.service.keys import LOOK_S, OVERLAP_S, ApiKeys, KeyProblem, Keyring, read_api_keys

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


@pytest.fixture
def ring(tmp_path):
    """A keyring on a file, a clock that stands still, and a way to write the file."""
    path, time = tmp_path / "some.key", [0.0]

    def write(text: str, mode: int = 0o600, later: float = 2 * LOOK_S) -> None:
        path.write_text(text)
        path.chmod(mode)
        time[0] += later

    write(KEY)
    environ = {"CANDLEWRIGHT_API_KEY_FILE": str(path), "CANDLEWRIGHT_API_KEY_PREVIOUS": OLD}
    return Keyring(partial(read_api_keys, environ), lambda: time[0]), time, write


def opens(keys, *offered: str) -> list[bool]:
    return [keys.find(key.encode()) is not None for key in offered]


def test_a_replaced_key_file_opens_at_once_and_the_old_key_for_a_while(ring):
    """LIM-1: no restart; each key keeps the place that its rate is counted in."""
    keys, time, write = ring
    assert opens(keys, KEY, OLD, "n" * 32) == [True, True, False]
    write("n" * 32)
    assert opens(keys, KEY, OLD, "n" * 32) == [True, True, True]
    assert [keys.find(key.encode()) for key in (KEY, OLD, "n" * 32)] == [0, 1, 2]
    time[0] += OVERLAP_S - 2 * LOOK_S  # looked at again, and the end does not move
    assert opens(keys, KEY, "n" * 32) == [True, True]
    time[0] += 3 * LOOK_S
    assert opens(keys, KEY, OLD, "n" * 32) == [False, True, True]
    write(KEY)
    assert opens(keys, KEY, "n" * 32) == [True, True]


def test_a_new_key_waits_for_no_look(ring):
    """LIM-1: a bot reads the file before each request, and has one request a candle."""
    keys, _, write = ring
    assert opens(keys, KEY) == [True]
    write("n" * 32, later=LOOK_S / 4)
    assert opens(keys, "n" * 32, KEY, "m" * 32) == [True, True, False]


@pytest.mark.parametrize(("text", "mode"), [("", 0o600), ("short", 0o600), ("n" * 40, 0o644), ("é" * 40, 0o600)])
def test_a_rotation_that_went_wrong_shuts_nobody_out(ring, caplog, text, mode):
    """LIM-2 holds while it runs too: no key that a start would refuse; and it is said once."""
    keys, time, write = ring
    write(text, mode)
    for _ in range(3):
        assert opens(keys, KEY, OLD, "n" * 40, text) == [True, True, False, False]
        time[0] += 2 * OVERLAP_S
    assert caplog.text.count("cannot be read again") == 1
    assert KEY not in caplog.text
    write("n" * 40)
    assert opens(keys, "n" * 40) == [True]
