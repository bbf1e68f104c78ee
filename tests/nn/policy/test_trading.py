"""A policy learns from the past alone: nothing after a moment reaches it, by whatever way (LEK-1, LEK-3, ENV-2)."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nn.data.candles import read_candles
from nn.data.quality import BadCandles
from nn.forecast.dataset import TooLittleData
from nn.forecast.schedule import Fold
from nn.policy.account import account_of_weights
from nn.policy.config import PolicyConfigProblem
from nn.policy.learn import learn, new_learner
from nn.policy.trading import make_trading_data
from nn.policy.trading_config import TradingConfig, load_trading_config

from ..forecast.conftest import BEGIN, PAIRS, make_candles

BAR = timedelta(minutes=15)
UNTIL = (BEGIN + 3600 * BAR).to_pydatetime()
N_ROWS = 3900


@pytest.fixture(scope="module")
def config():
    found = load_trading_config(["train", "test"])
    learning = found.learning.model_copy(update={"total_steps": 2048})
    return found.model_copy(update={"learning": learning})


@pytest.fixture(scope="module")
def frames():
    return {pair: make_candles(N_ROWS, seed=number) for number, pair in enumerate(PAIRS)}


@pytest.fixture(scope="module")
def data(config, frames):
    return make_trading_data(frames, UNTIL, config)


def test_markets_end_at_the_border_and_statistics_come_from_before_it(data, config):
    assert data.border < data.trained_until
    assert data.observations.statistics.last_ms == round(data.border.timestamp() * 1000)
    assert all(each.rows["close_time"][-1] <= data.border.timestamp() * 1000 for each in data.markets)
    assert [each.pair for each in data.markets] == list(PAIRS)
    assert data.episode_length == 96
    assert data.n_train == 2 * (3240 - 2880 - 1)


def test_what_comes_after_changes_nothing_of_what_is_learned(config, frames, data):
    """Statistics, GARCH weights, markets and weights are those of candles up to the moment, bit for bit."""
    noise = {
        pair: pd.concat([frame[:3600], make_candles(N_ROWS, seed=88)[3600:]], ignore_index=True)
        for pair, frame in frames.items()
    }
    fold = Fold(UNTIL, UNTIL + 48 * BAR, UNTIL + 96 * BAR)
    found = [learn(each, config, 3, "policy-15m", fold) for each in (data, make_trading_data(noise, UNTIL, config))]
    one, other = (each.policy for each in found)
    assert one.observations.digest == other.observations.digest
    assert one.manifest == other.manifest
    for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()
    assert found[0].fields["metrics"].keys() == found[1].fields["metrics"].keys()
    assert found[0].validation.equity.tobytes() == found[1].validation.equity.tobytes()


def test_validation_rows_change_no_statistic_and_no_weight(config, frames, data):
    """They are shown and teach nothing; the fingerprint alone tells that they are others."""
    border = int((data.border - BEGIN.to_pydatetime()) / BAR)
    noise = {
        pair: pd.concat([frame[:border], make_candles(N_ROWS, seed=88)[border:]], ignore_index=True)
        for pair, frame in frames.items()
    }
    other = make_trading_data(noise, UNTIL, config)
    assert other.observations.digest == data.observations.digest
    assert other.fingerprint != data.fingerprint
    for a, b in zip(data.markets, other.markets, strict=True):
        assert a.rows.tobytes() == b.rows.tobytes()
        assert a.observation.tobytes() == b.observation.tobytes()


def test_a_gap_ends_a_market_and_the_next_begins_after_its_own_warmup(config):
    frame = make_candles(7000, seed=4)
    holed = pd.concat([frame[:3100], frame[3110:6500], frame[6510:]], ignore_index=True)
    data = make_trading_data({"BTC/USDT:USDT": holed}, (BEGIN + 7000 * BAR).to_pydatetime(), config)
    assert [(each.first, len(each.rows)) for each in data.markets] == [(2880, 3100), (2880, 3190)]
    assert len(data.notes) == 0
    short = pd.concat([frame[:400], frame[410:]], ignore_index=True)
    data = make_trading_data({"BTC/USDT:USDT": short}, (BEGIN + 7000 * BAR).to_pydatetime(), config)
    assert data.notes == (
        "BTC/USDT:USDT: 400 candles from 2025-01-01 00:00 lie between two gaps, which is fewer than the 2977 of "
        "warm-up and one episode: left out",
    )


def test_a_short_history_is_one_sentence(config, frames):
    short = dict(frames) | {PAIRS[1]: frames[PAIRS[1]][3000:].reset_index(drop=True)}
    with pytest.raises(TooLittleData, match=r"ETH/USDT:USDT has 240 15m candles to learn from, expected 2977 in a row|"
                                            r"ETH/USDT:USDT: GARCH weights need 500 returns"):  # fmt: skip
        make_trading_data(short, UNTIL, config)
    with pytest.raises(TooLittleData, match="no 15m candle closed before 2024"):
        make_trading_data(frames, datetime(2024, 1, 1, tzinfo=UTC), config)


def test_a_missing_number_is_named(config, frames):
    holed = frames[PAIRS[0]].copy()
    holed.loc[1234, "close"] = np.nan
    with pytest.raises((BadCandles, ValueError), match="close") as raised:
        make_trading_data({PAIRS[0]: holed}, UNTIL, config)
    assert "1234" in str(raised.value) or "2025-01-13" in str(raised.value)


def test_holding_costs_once_and_flat_costs_nothing(config, frames, data):
    """The account of weights is the environment's: buy-and-hold loses one fee and slippage against the price."""
    fold = Fold(UNTIL, UNTIL, UNTIL)
    policy = learn(data, config, 3, "policy-15m", fold).policy
    one = {PAIRS[0]: frames[PAIRS[0]]}
    n = 3600 - 3240 + 1
    weights = {PAIRS[0]: np.stack([np.zeros(n), np.ones(n)], axis=1)}
    flat, hold = account_of_weights(policy, one, weights, data.border, UNTIL)
    assert (flat.equity == 1).all()
    assert flat.n_trades == 0
    price = frames[PAIRS[0]]["close"].to_numpy()[3239:3600]
    cost = 1 - hold.equity[-1] / (price[-1] / price[0])
    assert hold.n_trades == 1
    assert 0.0005 < cost < 0.05  # a fee of 5 bps at least; some more for slippage in this thin market
    with pytest.raises(ValueError, match=f"have 5 rows, expected {n}"):
        account_of_weights(policy, one, {PAIRS[0]: np.zeros((5, 1))}, data.border, UNTIL)


@pytest.mark.parametrize("name", ["train", "sim", "live", "test"])
def test_every_config_says_what_it_is_told_in_three_sections(name):
    """PPO-6."""
    found = load_trading_config(["train", name])
    assert isinstance(found, TradingConfig)
    assert found.account(("BTC/USDT:USDT", "X/USDT:USDT")).grids["X/USDT:USDT"] == found.execution.default_grid
    assert len({found.hash, load_trading_config(["train"]).hash}) == (1 if name == "train" else 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dat: {}", "unknown key dat; did you mean data?"),
        ("costs: {fees: {taker: 5}}", "unknown key costs.fees.taker; did you mean costs.fees.taker_bps?"),
        ("execution: {cash: -1}", "execution.cash is -1"),
        ("data: [1]", "data is"),
        ("just words", "expected sections"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_slip_in_a_config_is_named(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(PolicyConfigProblem, match=words.replace("?", r"\?").replace(".", r"\.")) as raised:
        load_trading_config(["train", str(path)])
    assert str(path) in str(raised.value)


def test_a_config_that_is_not_there_is_told_with_those_that_are(tmp_path):
    with pytest.raises(PolicyConfigProblem, match="configs by name: live, sim, test, train"):
        load_trading_config(["trian"])


@pytest.mark.real_data
def test_recorded_outages_end_markets(config):
    """27 outages of eight years of LTC/USDT: no market reaches across one, and a round is played on all of them."""
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if not folder:
        pytest.skip("CANDLEWRIGHT_MARKET_DATA is not set: no recorded market data to read")
    frame, report = read_candles(Path(folder) / "binance", "LTC/USDT", "1h")
    hourly = config.model_copy(update={"data": config.data.model_copy(update={"timeframe": "1h"})})
    data = make_trading_data({"LTC/USDT": frame}, frame["date"].iloc[-1].to_pydatetime(), hourly)
    assert report.gaps == 27
    assert 5 < len(data.markets) <= 28
    assert len(data.markets) + len(data.notes) == 1 + sum(gap.before <= data.border for gap in report.gap_list)
    for each in data.markets:
        assert (np.diff(each.rows["close_time"]) == 3_600_000).all()
        assert np.isfinite(each.observation).all()
    learner = new_learner(data, hourly, 1)
    learner.learn()
    assert learner.steps == 2048
