"""What the command refuses before it listens: one line, exit code 2."""

import pytest
from hubs import KEY

from tools.datahub.__main__ import main


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        ([], {"CANDLEWRIGHT_API_KEY": "k" * 31}, "expected at least 32"),
        (["--exchange", "binanse"], {}, "exchange is binanse"),
        (["--exchange", "none"], {}, "no source"),
        (["--exchange", "../../etc"], {}, "exchange is ../../etc"),
        (["--datadir", "/nowhere"], {}, "no such data directory"),
        (["--pairs", "../x"], {}, "the symbol is no pair"),
        (["--bot", "http://a:b@127.0.0.1:1"], {}, "holds a login"),
        (["--bot", "file:///etc/passwd"], {}, "is no address"),
        (["--bot", "http://10.0.0.1:1"], {"OFFLINE_MODE": "1"}, "keeps to this machine"),
        (["--stream"], {}, "--stream needs --bot"),
        (["--port", "70000"], {}, "port is 70000"),
    ],
)
def test_a_start_that_cannot_be_right_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys, options, environment, words
):
    for name in ("CANDLEWRIGHT_API_KEY_FILE", "CANDLEWRIGHT_API_KEY_PREVIOUS", "FREQTRADE__API_SERVER__WS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    own = {"CANDLEWRIGHT_USER_DATA": str(tmp_path), "CANDLEWRIGHT_API_KEY": KEY, "OFFLINE_MODE": "0", **environment}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert main(options) == 2
    told = capsys.readouterr().err
    assert words in told
    assert len(told.splitlines()) == 1
    assert KEY not in told
