"""Settings are data: an unknown one is answered with the nearest known one (CFG-2)."""

import pytest

from nn.service.settings import BadSettings, ServiceSettings, read_settings


def test_the_file_that_ships_says_what_the_code_says(monkeypatch):
    monkeypatch.delenv("CANDLEWRIGHT_SERVICE_CONFIG", raising=False)
    assert read_settings() == ServiceSettings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_concurency: 3", "nearest known is 'max_concurrency'"),
        ("live_timeout_s: -1", "live_timeout_s is -1"),
        ("stale_after_bars: 0", "stale_after_bars is 0"),
        ("- 1", "holds list"),
        ("a: [", "cannot read"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path, text, said):
    path = tmp_path / "service.yaml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=said):
        read_settings(path)


def test_the_environment_names_another_file(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text("stale_after_bars: null\nbulk_timeout_s: 90")
    monkeypatch.setenv("CANDLEWRIGHT_SERVICE_CONFIG", str(path))
    assert (read_settings().stale_after_bars, read_settings().bulk_timeout_s) == (None, 90.0)
