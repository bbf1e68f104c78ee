"""The configuration layers: what they merge to, no secrets, and with `sim` no address outside this machine."""

import json
from pathlib import Path

import ccxt.pro
import pytest
from freqtrade.configuration.load_config import load_from_files

LAYERS = Path(__file__).resolve().parents[3] / "configs" / "freqtrade"
MODES = {"spot": ("spot", "", "BTC/USDT"), "futures": ("futures", "isolated", "BTC/USDT:USDT")}
SECRETS = {"key", "secret", "password", "uid", "token", "ws_token", "jwt_secret_key"}


def merged(*names):
    """Return the layers as Freqtrade merges its repeated --config."""
    return load_from_files([str(LAYERS / f"{name}.json") for name in names])


def addresses(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from addresses(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("exchange", ["sim", "binance"])
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_over_an_exchange_is_one_whole_configuration_in_either_order(mode, exchange):
    trading_mode, margin_mode, first_pair = MODES[mode]
    config = merged("base", exchange, mode)
    assert (config["trading_mode"], config["margin_mode"]) == (trading_mode, margin_mode)
    assert config["exchange"]["pair_whitelist"][0] == first_pair
    assert config["dry_run"] is True
    assert config["api_server"]["enabled"] is False
    assert config["candlewright"]["service_url"] == "http://127.0.0.1:3000"
    other = merged("base", mode, exchange)
    del config["config_files"], other["config_files"]
    assert config == other


@pytest.mark.parametrize("path", sorted(LAYERS.glob("*.json")), ids=lambda path: path.name)
def test_a_layer_holds_no_secret(path):
    def secrets(value):
        if isinstance(value, dict):
            for key, item in value.items():
                if key in SECRETS and item:
                    yield key
                yield from secrets(item)

    assert list(secrets(json.loads(path.read_text()))) == []


@pytest.mark.parametrize("mode", MODES)
def test_with_the_simulated_exchange_ccxt_knows_no_other_address(mode):
    """SIM-1: no network at all. A new address of ccxt makes this fail, which is its purpose."""
    exchange = ccxt.pro.binance(merged("base", "sim", mode)["exchange"]["ccxt_config"])
    here = ("http://127.0.0.1:8086/", "ws://127.0.0.1:8086/")
    assert [address for address in addresses(exchange.urls["api"]) if not address.startswith(here)] == []
    assert exchange.options["fetchMarkets"]["types"] == [{"spot": "spot", "futures": "linear"}[mode]]


def test_the_simulated_exchange_keeps_downloads_off_the_public_archive():
    assert merged("base", "sim")["exchange"]["only_from_ccxt"] is True
    assert "only_from_ccxt" not in merged("base", "binance")["exchange"]
