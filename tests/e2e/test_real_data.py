"""The same path on recorded candles, shortened: train a chain on real data, then a Freqtrade backtest that asks it."""

import json
import os
from pathlib import Path

import pytest
from paths import assert_scored_by_versions_that_existed, valid_from, verb

MARKET = os.environ.get("CANDLEWRIGHT_MARKET_DATA")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.real_data,
    pytest.mark.skipif(not MARKET, reason="CANDLEWRIGHT_MARKET_DATA is not set: no recorded candles here"),
]
LINES = ("unified-15m", "direction-15m")
PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    user_data = tmp_path_factory.mktemp("real") / "user_data"
    datadir = Path(MARKET) / "binance"
    options = ["--datadir", datadir, "--pairs", *PAIRS, "--timeframe", "15m"]
    done = verb(user_data, "train", *options, "--walk-forward", "2", "--config", "base", "test")
    assert done.returncode == 0, done.stderr[-6000:]
    return user_data, datadir


def test_what_was_trained_waits_until_somebody_lets_it_trade(trained):
    """PRM-8: a backtest needs the chains alone; the champion comes by gates or by a name."""
    user_data, _ = trained
    for line in LINES:
        aliases = json.loads((user_data / "registry" / line / "aliases.json").read_text())
        assert aliases["aliases"] == {"challenger": versions(user_data, line)[-1]}
        assert aliases["chain"] == versions(user_data, line)


def test_a_backtest_on_real_candles_is_scored_by_versions_that_existed(trained):
    user_data, datadir = trained
    assert [len(versions(user_data, line)) for line in LINES] == [2, 2]
    options = ["--datadir", datadir, "--pairs", *PAIRS, "--timerange", "20250815-20250930"]
    done = verb(user_data, "backtest", "--strategy", "NNPredictor", *options)
    assert done.returncode == 0, done.stderr[-6000:]
    assert assert_scored_by_versions_that_existed(user_data) == set(versions(user_data, "unified-15m"))
    report = Path(done.stdout.strip())
    assert "<html" in report.read_text()[:2000]
    assert json.loads(report.with_suffix(".json").read_text())


def versions(user_data, line):
    """Return the versions of a line by `valid_from`, which their names begin with."""
    return sorted(version for version in valid_from(user_data) if version.startswith(f"{line}-"))


def test_a_policy_is_trained_and_its_weights_are_traded(tmp_path_factory):
    """PPA-1, PPO-1: train-policy, then a backtest of PPOAgent that starts exchange and service by itself."""
    user_data, datadir = tmp_path_factory.mktemp("policy") / "user_data", Path(MARKET) / "binance"
    options = ["--datadir", datadir, "--pairs", "BTC/USDT:USDT", "--config", "train", "--config", "test"]
    done = verb(user_data, "train-policy", *options, "--until", "2024-06-01")
    assert done.returncode == 0, done.stderr[-6000:]
    options = ["--datadir", datadir, "--pairs", "BTC/USDT:USDT", "--timerange", "20240605-20240620"]
    done = verb(user_data, "backtest", "--strategy", "PPOAgent", *options)
    assert done.returncode == 0, done.stderr[-6000:]
    assert assert_scored_by_versions_that_existed(user_data) == set(versions(user_data, "policy-15m"))
    assert "<html" in Path(done.stdout.strip()).read_text()[:2000]
