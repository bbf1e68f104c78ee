"""Strategies and the real service together: signed models, a socket, unmodified Freqtrade, nothing from the future."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest
import torch
from freqtrade_process import PAIRS, ROOT, Freqtrade, exchange, write_candles
from harness import assert_past_is_unchanged
from known_policy import sign_known_policy
from stub_service import KEY
from tradekernels.features import BASE_40, feature_set

from nn.data.targets import TARGET_NAMES
from nn.models.build import empty_model
from nn.models.direction import DirectionConfig
from nn.models.unified import PatchTSTConfig
from nn.registry.manifest import Keys, ManifestDraft, write_aliases, write_version
from strategies.engines.weights import Account
from strategies.shared.forecasts import ForecastSource
from strategies.shared.forms import AGENT_SLOTS
from strategies.shared.policies import PolicySource
from strategies.shared.replies import AGE
from strategies.shared.settings import Settings
from tools.report.parity import main as parity

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FEATURES = feature_set(BASE_40, "15m")
CONFIG = PatchTSTConfig(
    n_features=len(FEATURES.names), context_length=96, patch_length=16, stride=8, d_model=16, n_heads=2, n_layers=1,
    d_ff=16, return_scale=(0.02, 0.04, 0.08, 0.16),
)  # fmt: skip
MODEL_KEY = "6d" * 32
DIRECTION = DirectionConfig(
    n_features=len(FEATURES.names),
    patch_lengths=(8, 24),
    d_model=16,
    n_heads=2,
    n_layers=1,
    d_ff=16,
    context_length=168,
)
LINES = {  # kind, architecture and the times from which its two versions are valid
    "unified-15m": ("unified_patchtst", CONFIG, (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 20, tzinfo=UTC))),
    "direction-15m": ("direction", DIRECTION, (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 22, tzinfo=UTC))),
}
MODEL_KEY = "6d" * 32
EAGER = {"horizon": "4h", "edge": 1.0, "min_confidence": 0.5, "combine": "nn_only"}  # random weights are rarely sure


def write_registry(folder):
    """Write two signed versions of random weights for each line; return their names by line."""
    keys, names = Keys(bytes.fromhex(MODEL_KEY)), {}
    for line, (kind, config, times) in LINES.items():
        names[line] = []
        for seed, valid_from in enumerate(times):
            generator = torch.Generator().manual_seed(seed)
            model = empty_model(kind, config.to_dict())
            state = model.state_dict()
            weights = {name: torch.randn(tensor.shape, generator=generator) * 0.2 for name, tensor in state.items()}
            fields = {
                "name": line, "kind": kind, "architecture": config.to_dict(), "timeframe": "15m",
                "pairs": ("BTC/USDT:USDT",), "feature_names": FEATURES.names, "feature_digest": FEATURES.digest,
                "warmup": FEATURES.warmup, "target_names": TARGET_NAMES, "forecast_columns": model.columns,
                "scaler": {"median": [0.0] * config.n_features, "iqr": [0.05] * config.n_features},
                "class_codes": {"UP": 0, "DOWN": 1, "FLAT": 2}, "cost_model": {"round_trip": 0.0022},
                "trained_from": valid_from - timedelta(days=30), "trained_until": valid_from - timedelta(hours=12),
                "embargo_bars": 48, "valid_from": valid_from, "data_fingerprint": f"{seed:064x}", "metrics": {},
                "libraries": {}, "git_commit": "0" * 40, "config_hash": "c" * 64,
            }  # fmt: skip
            names[line].append(write_version(folder / line, ManifestDraft(**fields), weights, keys).name)
        write_aliases(folder / line, keys, {"champion": names[line][-1]}, names[line])
    policy = sign_known_policy(folder / "policy-15m", keys, PAIRS["futures"], 0.0005, can_short=True)
    write_aliases(folder / "policy-15m", keys, {"champion": policy}, [policy])
    return names | {"policy-15m": [policy]}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The real service; yields its URL and the names of its versions."""
    folder = tmp_path_factory.mktemp("service")
    names = write_registry(folder / "registry")
    # these candles are of the past, and a busy machine may take its time
    (folder / "service.yaml").write_text("stale_after_bars: null\nlive_timeout_s: 60\nbody_timeout_s: 60\n")
    own = {"REGISTRY": folder / "registry", "MODEL_KEY": MODEL_KEY, "API_KEY": KEY}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT_")}
    environment |= {f"CANDLEWRIGHT_{name}": str(value) for name, value in own.items()}
    command = [sys.executable, "-m", "nn.service", "--port", "0", "--config", str(folder / "service.yaml")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while not ((at := re.search(r" starts on (\S+)", (folder / "log").read_text())) and answers(f"{at[1]}/readyz")):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield at[1], names
    finally:
        process.terminate()
        process.wait(120)


def answers(url):
    try:
        return httpx.get(url, timeout=60, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class DataProvider:
    """Freqtrade's, as far as a prefetch reads it: the newest candles of every pair."""

    def __init__(self, frames):
        self.frames = frames

    def current_whitelist(self):
        return list(self.frames)

    def get_pair_dataframe(self, pair, timeframe):
        return self.frames[pair]


def test_history_and_live_decide_alike(service, make_candles):
    """ASO-1, ASO-6: a newest candle, asked about alone or with other pairs, gets the very row of the whole range."""
    url, names = service
    frames = {pair: make_candles(1400, start="2025-01-12", seed=seed) for seed, pair in enumerate(PAIRS["futures"])}
    source = ForecastSource(Settings(service_url=url))
    history = {pair: source.columns(pair, "15m", frame) for pair, frame in frames.items()}
    first = FEATURES.warmup + DIRECTION.context_length - 1
    for pair, frame in frames.items():
        close_time = frame["date"] + pd.Timedelta("15min")
        for line, column in (("unified-15m", "model_version"), ("direction-15m", "direction_version")):
            versions = history[pair][column]
            assert versions.iloc[:first].isna().all()
            assert set(versions.iloc[first:]) == set(names[line])
            assert ((versions == names[line][1]) == (close_time >= LINES[line][2][1]))[first:].all()
    alone, together = (ForecastSource(Settings(service_url=url), live=True) for _ in range(2))
    for rows in (1398, 1399, 1400):
        together.prefetch(DataProvider({pair: frame.iloc[:rows] for pair, frame in frames.items()}), "15m")
        for pair, frame in frames.items():
            for live in (alone, together):
                newest = live.columns(pair, "15m", frame.iloc[:rows]).iloc[-1:].drop(columns=AGE)
                expected = history[pair].iloc[rows - 1 : rows].drop(columns=AGE)
                assert expected["model_version"].notna().all()
                pd.testing.assert_frame_equal(newest, expected, rtol=0, atol=1e-6)


def test_live_decisions_are_repeated_from_later_downloads(service, make_candles, tmp_path, monkeypatch, capsys):
    """ASO-6, EVA-7: written down as they come, scored again; what differs is told with its cause."""
    url, names = service
    log, pair, other = tmp_path / "decisions.jsonl", *PAIRS["futures"][:2]
    monkeypatch.setenv("CANDLEWRIGHT_DECISION_LOG", str(log))
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", KEY)
    frames = {each: make_candles(1400, start="2025-01-12", seed=seed) for seed, each in enumerate((pair, other))}
    live = ForecastSource(Settings(service_url=url), live=True)
    for rows in range(1390, 1401):
        for each, frame in frames.items():
            live.columns(each, "15m", frame.iloc[:rows])
    folder = tmp_path / "data" / "futures"
    folder.mkdir(parents=True)

    def report(changed, written=None):
        for each, frame in {**frames, pair: changed}.items():
            frame.to_feather(folder / f"{each.replace('/', '_').replace(':', '_')}-15m-futures.feather")
        (tmp_path / "log").write_text(log.read_text() if written is None else written)
        code = parity([str(tmp_path / "log"), "--datadir", str(folder.parent), "--url", url, "--last", "20"])
        return code, capsys.readouterr().out.splitlines()

    whole = frames[pair]
    assert report(whole) == (0, ["20 of 20 decisions agree"])
    later = whole.copy()
    later.loc[1399, "volume"] *= 2
    code, said = report(later)
    assert (code, said[-1]) == (1, "19 of 20 decisions agree; 1 late candle")
    assert said[0].startswith(f"2025-01-26T13:45:00+00:00 {pair} 15m: late candle (volume was ")
    later.loc[1398, "close"] = later.loc[1398, "low"]
    code, said = report(later)
    assert (code, said[-1]) == (1, "18 of 20 decisions agree; 2 late candle")
    code, said = report(whole.drop(index=1398).reset_index(drop=True))
    assert (code, said[-1]) == (1, "18 of 20 decisions agree; 2 gap")
    older, newer = names["unified-15m"]
    code, said = report(whole, log.read_text().replace(newer, older))
    assert (code, said[-1]) == (1, "0 of 20 decisions agree; 20 other version")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[-1]["numbers"]["stop_long"] += 2e-6
    lines[-2]["texts"]["signal"] = "another"
    code, said = report(whole, "\n".join(map(json.dumps, lines)))
    assert (code, said[-1]) == (1, "18 of 20 decisions agree; 2 unexplained")


def test_noise_after_a_candle_changes_no_decision_up_to_it(service, make_candles):
    """LEK-1 end to end: candles, features, two networks, the decision, the columns of a strategy."""

    def decisions(frame):
        columns = ForecastSource(Settings(service_url=service[0])).columns("BTC/USDT:USDT", "15m", frame)
        assert columns["stake_multiplier"].notna().sum() > 300
        return columns.drop(columns=AGE)

    assert_past_is_unchanged(decisions, make_candles(1400, start="2025-01-12"), 1100, seed=1100)


def test_freqtrade_finds_no_bias_with_the_real_service(service, tmp_path):
    """LEK-1 end to end: backtest, lookahead-analysis and recursive-analysis of NNPredictor on served models."""
    strategies = tmp_path / "strategies"
    strategies.mkdir()
    (strategies / "nn_predictor.py").write_text((ROOT / "strategies" / "nn_predictor.py").read_text())
    parameters = {"strategy_name": "NNPredictor", "params": {"buy": EAGER}}
    (strategies / "nn_predictor.json").write_text(json.dumps(parameters))
    log = tmp_path / "forecasts.jsonl"
    with exchange() as port:
        freqtrade = Freqtrade(tmp_path / "ft", port, "futures", service[0])
        write_candles(freqtrade.datadir, "futures", "15m", 4000, "2024-12-20")
        common = ("--strategy-path", strategies, "--timeframe", "15m", "--timerange", "20250102-20250130")
        result, _ = freqtrade.backtest("NNPredictor", *common, CANDLEWRIGHT_FORECAST_LOG=log)
        assert len(result["trades"]) > 10
        for line in map(json.loads, Path(log).read_text().splitlines()):
            seen = {name: {part[name] for part in line["segments"]} for name in ("model_version", "direction_version")}
            assert seen["model_version"] == set(service[1]["unified-15m"])
            assert seen["direction_version"] == set(service[1]["direction-15m"])
        one_pair = ("--strategy", "NNPredictor", *common, "--pairs", "BTC/USDT:USDT")
        amounts = ("--minimum-trade-amount", "3", "--targeted-trade-amount", "4", "--allow-limit-orders")
        done = freqtrade.run("lookahead-analysis", *one_pair, *amounts)
        assert "NNPredictor: no bias detected" in done.stdout, done.stdout[-3000:]
        done = freqtrade.run("recursive-analysis", *one_pair, "--startup-candle", "800", "1600")
        assert "No lookahead bias on indicators found" in done.stdout, done.stdout[-3000:]
        assert "No variance on indicator(s) found due to recursive formula" in done.stdout
        assert "found lookahead" not in done.stdout


class Flat:
    """An account that has done nothing yet."""

    def fields(self, pair, frame):
        return Account(3300.0, 0.0, float(frame["close"].iloc[-1])), (3300.0, *[0.0] * 8)


def test_a_rollout_and_an_action_agree_to_the_bit(service, make_candles):
    """PPA-3, PPO-4: on the first candle of a rollout its account is flat; a live bot that is flat decides the same."""
    url, names = service
    for seed, pair in enumerate(PAIRS["futures"]):
        frame = make_candles(3000, start="2025-01-12", seed=seed)
        history = PolicySource(Settings(service_url=url), Flat()).columns(pair, "15m", frame)
        assert history["model_version"].iloc[2880:].eq(names["policy-15m"][0]).all()
        assert history["target_weight"].iloc[:2880].isna().all()
        live = PolicySource(Settings(service_url=url), Flat(), live=True).columns(pair, "15m", frame.iloc[:2881])
        columns = ["target_weight", "value", "cvar", "held_weight", *AGENT_SLOTS, "model_version"]
        pd.testing.assert_frame_equal(live[columns].iloc[-1:], history[columns].iloc[2880:2881], check_exact=True)


def test_freqtrade_finds_no_bias_in_an_agent_with_the_real_service(service, tmp_path):
    """LEK-7: backtest, lookahead-analysis and recursive-analysis of PPOAgent on a served policy.

    Its account begins flat where a range begins, so with another start-up the policy sees another account for a while;
    with two days more it sees the same, and nothing differs.
    """
    with exchange() as port:
        freqtrade = Freqtrade(tmp_path / "ft", port, "futures", service[0])
        write_candles(freqtrade.datadir, "futures", "15m", 3800, "2024-12-10")
        common = ("--timeframe", "15m", "--timerange", "20250110-20250113")
        result, output = freqtrade.backtest("PPOAgent", *common)
        assert "No forecast" not in output
        assert {trade["is_short"] for trade in result["trades"]} == {True, False}
        one_pair = ("--strategy", "PPOAgent", *common, "--pairs", "BTC/USDT:USDT")
        amounts = ("--minimum-trade-amount", "3", "--targeted-trade-amount", "4", "--allow-limit-orders")
        done = freqtrade.run("lookahead-analysis", *one_pair, *amounts)
        assert "PPOAgent: no bias detected" in done.stdout, done.stdout[-3000:]
        done = freqtrade.run("recursive-analysis", *one_pair, "--startup-candle", "3100", "3300")
        assert "No lookahead bias on indicators found" in done.stdout, done.stdout[-3000:]
        assert "found lookahead" not in done.stdout
        cells = [line.split("│") for line in done.stdout.splitlines() if line.count("│") == 5]
        differences = {cell[1].strip(): [abs(float(each.strip(" %-") or 0)) for each in cell[3:5]] for cell in cells}
        assert "target_weight" in differences  # with its account at its beginning it does differ
        assert max(max(each) for each in differences.values()) < 0.01, done.stdout[-3000:]
