"""The config section: defaults, the nearest key for an unknown one, values refused by name."""

import pytest

from strategies.shared.settings import Settings, read_api_key, short_allowed


def test_without_a_section_everything_has_its_default():
    settings = Settings.from_config({})
    assert settings.service_url == "http://127.0.0.1:3000"
    assert settings.round_trip_cost == pytest.approx(2 * (0.0006 + 0.0005))  # TGT-21


def test_the_url_of_the_environment_wins_and_freqtrades_fee_is_not_read(monkeypatch):
    monkeypatch.setenv("CANDLEWRIGHT_SERVICE_URL", "https://models.internal:3000")
    settings = Settings.from_config(
        {"fee": 0.001, "candlewright": {"fee": 0.002, "service_url": "http://x", "slippage": 0}}
    )
    assert settings == Settings("https://models.internal:3000", 0.002, 0)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"servce_url": "x"}, "servce_url is not a key.*service_url"),
        ({"service_url": "ftp://x"}, r"'ftp://x', expected http"),
        ({"service_url": "http://user:word@x"}, "expected http"),
        ({"service_url": "file:///etc/passwd"}, "expected http"),
        ({"service_url": 7}, "expected http"),
        ({"fee": "0.1%"}, "fee is '0.1%'"),
        ({"slippage": -0.1}, "slippage is -0.1"),
        ({"fee": float("nan")}, "fee is nan"),
        ({"can_short": 1}, "can_short is 1"),
        ({"cache_megabytes": 1.5}, "cache_megabytes is 1.5"),
        ({"replay_file": 7}, "replay_file is 7"),
    ],
)
def test_a_wrong_section_is_refused_by_name(section, words):
    with pytest.raises(ValueError, match=words):
        Settings.from_config({"candlewright": section})


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        ({}, False),
        ({"trading_mode": "spot"}, False),
        ({"trading_mode": "futures"}, True),
        ({"trading_mode": "futures", "candlewright": {"can_short": False}}, False),
    ],
)
def test_shorts_need_futures_and_the_config(config, allowed):
    """STR-7, DAT-11."""
    assert short_allowed(config) is allowed


@pytest.mark.parametrize("key", ["", "short", "ü" * 40, "a" * 31, "a" * 20 + "\n" + "b" * 20])
def test_a_key_that_is_no_key_counts_as_none(monkeypatch, tmp_path, key):
    """LIM-2."""
    monkeypatch.delenv("CANDLEWRIGHT_API_KEY")
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY_FILE", str(tmp_path / "key"))
    assert read_api_key() is None
    (tmp_path / "key").write_text(key)
    assert read_api_key() is None
