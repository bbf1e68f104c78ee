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
PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    user_data = tmp_path_factory.mktemp("real") / "user_data"
    datadir = Path(MARKET) / "binance"
    options = ["--datadir", datadir, "--pairs", *PAIRS, "--timeframe", "15m"]
    done = verb(user_data, "train", *options, "--walk-forward", "2", "--config", "base", "test")
    assert done.returncode == 0, done.stderr[-6000:]
    return user_data, datadir


def test_a_backtest_on_real_candles_is_scored_by_versions_that_existed(trained):
    user_data, datadir = trained
    assert len(valid_from(user_data)) == 2
    options = ["--datadir", datadir, "--pairs", *PAIRS, "--timerange", "20250815-20250930"]
    done = verb(user_data, "backtest", "--strategy", "NNPredictor", *options)
    assert done.returncode == 0, done.stderr[-6000:]
    assert assert_scored_by_versions_that_existed(user_data) == set(valid_from(user_data))
    report = Path(done.stdout.strip())
    assert "<html" in report.read_text()[:2000]
    assert json.loads(report.with_suffix(".json").read_text())
