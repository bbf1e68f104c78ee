"""Freqtrade itself, on the simulated exchange: what it says it earned is what the report says, to the cent (EVA-4)."""

import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.report.__main__ import main

ROOT = Path(__file__).parents[3]
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
STRATEGY = '''
from freqtrade.strategy import IStrategy


class Crossing(IStrategy):
    """Long and short, leverage 2, one more entry below, half an exit above: every kind of fill."""

    timeframe = "15m"
    can_short = True
    minimal_roi = {"0": 0.03}
    stoploss = -0.05
    startup_candle_count = 48
    position_adjustment_enable = True

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = dataframe["close"].rolling(8).mean()
        dataframe["slow"] = dataframe["close"].rolling(32).mean()
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        above = dataframe["fast"] > dataframe["slow"]
        dataframe.loc[above & ~above.shift(fill_value=False), ["enter_long", "enter_tag"]] = (1, "<b>up</b>")
        dataframe.loc[~above & above.shift(fill_value=False), ["enter_short", "enter_tag"]] = (1, "down")
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["fast"] < dataframe["slow"], "exit_long"] = 1
        dataframe.loc[dataframe["fast"] > dataframe["slow"], "exit_short"] = 1
        return dataframe

    def leverage(self, pair, current_time, current_rate, proposed_leverage, max_leverage, *args, **kwargs):
        return 2.0

    def custom_stake_amount(self, pair, current_time, current_rate, proposed_stake, *args, **kwargs):
        return proposed_stake / 3

    def adjust_trade_position(self, trade, current_time, current_rate, current_profit, *args, **kwargs):
        if current_profit < -0.005 and trade.nr_of_successful_entries == 1:
            return trade.stake_amount
        if current_profit > 0.005 and trade.nr_of_successful_exits == 0:
            return -trade.stake_amount / 2
        return None
'''


@pytest.fixture
def exchange(tmp_path):
    """Start a synthetic exchange on a free port and end it; return the port."""
    command = [sys.executable, "-m", "tools.exchange", "--port", "0", "--days", "30", "--end", "2025-10-01"]
    log = tmp_path / "exchange.log"
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--pairs", *PAIRS], cwd=ROOT, stdout=file, stderr=file)
    try:
        while not (ready := re.search(r"exchange ready at http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield int(ready[1])
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(find_spec("freqtrade") is None, reason="freqtrade is not installed")
def test_the_report_of_a_real_backtest_ends_on_freqtrades_balance(exchange, tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "crossing.py").write_text(STRATEGY)
    layers = []
    for name in ("base", "sim", "futures"):
        layer = tmp_path / f"{name}.json"
        layer.write_text((ROOT / "configs" / "freqtrade" / f"{name}.json").read_text().replace(":8086", f":{exchange}"))
        layers += ["--config", str(layer)]
    datadir = tmp_path / "data"
    common = [*layers, "--userdir", str(tmp_path), "--datadir", str(datadir), "--pairs", *PAIRS]
    _freqtrade(tmp_path, "download-data", *common, "--timeframes", "15m", "--timerange", "20250910-20251001")
    strategy = ["--strategy-path", str(tmp_path / "strategies"), "--strategy", "Crossing", "--cache", "none"]
    _freqtrade(tmp_path, "backtesting", *common, *strategy, "--timerange", "20250912-20250930", "--export", "trades")

    out = tmp_path / "report.json"
    arguments = ["--datadir", str(datadir), "--out", str(tmp_path / "report.html"), "--json", str(out)]
    assert main([str(tmp_path / "backtest_results"), *arguments]) == 0
    document = json.loads(out.read_text())
    account, summary = document["reconciliation"], document["summary"]
    own = account["freqtrade"]
    assert account["to_the_cent"]
    assert account["largest_trade_gap"] < 1e-6
    assert summary["trades"] == own["total_trades"] > 20
    assert summary["long"] > 0
    assert summary["short"] > 0
    assert summary["net_profit"] == pytest.approx(own["profit_total_abs"], abs=0.005)
    assert summary["win_rate"] == pytest.approx(own["winrate"])
    assert summary["profit_factor"] == pytest.approx(own["profit_factor"])
    assert summary["max_drawdown"]["ratio"] >= own["max_drawdown_account"] - 1e-9  # closed trades see less of it
    assert summary["funding_paid"] + summary["funding_received"] > 0
    assert document["run"]["without_candles"] == {}
    assert document["lineage"]["strategy_sha256"]


def _freqtrade(folder, *arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "freqtrade", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
