"""Columns of a policy over a real socket: rollouts kept, actions asked once, faults NaN (CLT-3, CLT-4, STR-4)."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from stub_service import StubService, rolled_columns, running
from tradekernels.observation import fit, observation_set

from nn.policy.play import holed as holed_in_rollouts
from strategies.engines.weights import Account
from strategies.shared import client
from strategies.shared.actions import Habits
from strategies.shared.forms import AGENT_SLOTS, ROLLOUT
from strategies.shared.observe import MARGIN, holed
from strategies.shared.policies import COLUMNS, PolicySource
from strategies.shared.settings import Settings

PAIR, TIMEFRAME, WARMUP = "BTC/USDT:USDT", "15m", 2880
FIELDS = (1650.0, 16.5, 30.0, 13.5, 5.0, 0.001, 2.0, 43.5, 50.0)


class Flat:
    """An account with some position and some orders."""

    def fields(self, pair, frame):
        return Account(FIELDS[0], FIELDS[1], float(frame["close"].iloc[-1])), FIELDS


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def live_stub():
    """A stub whose statistics are ready: fitting them is not what is tested."""
    with running() as service:
        assert service.observations.warmup == WARMUP
        yield service


def source_of(stub, live=False, clock=None):
    settings = Settings(service_url=stub.url)
    return PolicySource(settings, Flat(), live, **({"clock": clock} if clock else {}))


def missing(answer):
    return answer[list(ROLLOUT.numbers)].isna().all(axis=1) & answer["model_version"].isna()


def posts(stub):
    return [path for method, path, *_ in stub.requests if method == "POST"]


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_rollout_lands_on_its_candles_and_costs_nothing_again(live_stub, make_candles):
    """SRV-6, ASO-1: one question for the whole frame, however long; the second run asks for the model list alone."""
    frame = make_candles(3400, start="2024-12-20")
    frame.index = frame.index + 7
    first, second = (source_of(live_stub).columns(PAIR, TIMEFRAME, frame) for _ in range(2))
    assert list(first.columns) == list(COLUMNS)
    assert first.index.equals(frame.index)
    assert missing(first).iloc[:WARMUP].all()
    assert not missing(first).iloc[WARMUP:].any()
    expected = rolled_columns(frame["close"].to_numpy()[WARMUP:])
    for name in ROLLOUT.numbers:
        assert np.array_equal(first[name].iloc[WARMUP:], expected[name].astype("f4")), name
    assert [method for method, *_ in live_stub.requests] == ["GET", "POST", "GET"]
    pd.testing.assert_frame_equal(first, second)


def test_a_forecast_is_no_answer_to_a_rollout(live_stub, make_candles):
    """The same candles asked of another endpoint lie under another name in the same folder."""
    from strategies.shared.forecasts import ForecastSource

    frame = make_candles(3000)
    ForecastSource(Settings(service_url=live_stub.url)).columns(PAIR, TIMEFRAME, frame)
    source_of(live_stub).columns(PAIR, TIMEFRAME, frame)
    assert posts(live_stub) == ["/predict", "/rollout"]


@pytest.mark.parametrize(
    ("column", "value"), [("target_weight", 1.2), ("target_weight", np.nan), ("cash_ratio", -0.1), ("cvar", np.inf)]
)
def test_a_rollout_with_an_impossible_number_is_missing_there_and_not_kept(
    live_stub, make_candles, column, value, caplog
):
    def spoil(table):
        import pyarrow as pa

        values = table[column].to_numpy(zero_copy_only=False).copy()
        values[-1] = value
        return table.set_column(table.column_names.index(column), column, pa.array(values, pa.float32()))

    live_stub.faults = [spoil]
    frame = make_candles(3000)
    answer = source_of(live_stub).columns(PAIR, TIMEFRAME, frame)
    assert missing(answer).iloc[-1]
    assert not missing(answer).iloc[-2]
    assert "out of range" in " ".join(warnings_of(caplog))
    assert not missing(source_of(live_stub).columns(PAIR, TIMEFRAME, frame)).iloc[-1]  # asked again


def test_an_action_is_asked_once_with_the_row_of_the_whole_history(live_stub, make_candles):
    """PPA-2, PPA-3: market slots bit-equal to those of a longer history, agent slots those of the account."""
    frame = make_candles(3300, start="2024-12-25")
    source = source_of(live_stub, live=True)
    part = frame.iloc[-(WARMUP + MARGIN + 5) :].reset_index(drop=True)  # as a bot that has just begun has it
    answer = source.columns(PAIR, TIMEFRAME, part)
    assert missing(answer).iloc[:-1].all()
    observations = live_stub.observations
    expected = observations.market(frame, observations.tokens.index(PAIR))[-1:]
    observations.fill_agent(expected, [FIELDS], [frame["close"].iloc[-1]])
    assert np.array(live_stub.observed).tobytes() == expected.tobytes()
    row = answer.iloc[-1]
    assert row["model_version"] == "p2"
    assert list(row[list(AGENT_SLOTS)].astype("f4")) == list(expected[0, 21:27])
    assert row["held_weight"] == pytest.approx(16.5 * part["close"].iloc[-1] / (1650 + 16.5 * part["close"].iloc[-1]))
    again = source.columns(PAIR, TIMEFRAME, part)
    assert posts(live_stub) == ["/action"]
    pd.testing.assert_frame_equal(answer, again)
    next_one = part.iloc[-1:].assign(date=part["date"].iloc[-1] + pd.Timedelta("15min"))
    longer = source.columns(PAIR, TIMEFRAME, pd.concat([part, next_one], ignore_index=True))
    assert (~missing(longer)).sum() == 2  # each answer stays on its own candle


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (503, "serves no champion|train a policy of this timeframe"),
        (500, "see the service's log"),
        (429, "at its limit"),
        (2.0, "took longer than"),
        ("drop", "unreachable|RemoteProtocolError|ReadError"),
        ("garbage", "reply is not that of the contract"),
        (lambda reply: reply | {"pair": "XRP/USDT"}, "reply is about 'XRP/USDT'"),
        (lambda reply: reply | {"rows": reply["rows"] * 2}, "not that of the contract"),
        (lambda reply: spoiled(reply, target_weight=1.5), "expected finite ones, a weight first"),
        (lambda reply: spoiled(reply, value=float("nan")), "not that of the contract"),
        (lambda reply: spoiled(reply, valid_from="2099-01-01T00:00:00Z"), "from before its valid_from"),
        (lambda reply: spoiled(reply, model_version=None, reason="stale"), r"not acted on \(stale\)"),
    ],
)
def test_no_usable_action_is_nan_and_one_warning_and_the_next_candle_recovers(
    live_stub, make_candles, caplog, fault, words, monkeypatch
):
    """STR-4, CLT-5, LIM-9."""
    import re

    live_stub.faults = [fault, fault] if fault == "drop" else [fault]
    frame, source = make_candles(2901, start="2025-01-20"), source_of(live_stub, live=True)
    with monkeypatch.context() as hasty:
        if isinstance(fault, float):  # seconds that the answer takes
            hasty.setattr(client, "LATEST_SECONDS", fault / 4)
        assert missing(source.columns(PAIR, TIMEFRAME, frame.iloc[:-1])).all()
    (warning,) = warnings_of(caplog)
    assert re.search(words, warning)
    assert "No entries will be made" in warning
    source.begin_loop()
    recovered = missing(source.columns(PAIR, TIMEFRAME, frame))
    assert recovered.iloc[:-1].all()
    assert not recovered.iloc[-1]


def spoiled(reply, **changes):
    return reply | {"rows": [reply["rows"][0] | changes]}


def test_another_champion_is_followed_at_once(live_stub, make_candles):
    """409 between the two questions: what the new one reads is asked for, and the candle is acted on by it."""
    frame, clock = make_candles(2905, start="2025-01-20"), Clock()
    source = source_of(live_stub, live=True, clock=clock)
    assert source.columns(PAIR, TIMEFRAME, frame.iloc[:-1])["model_version"].iloc[-1] == "p2"
    live_stub.__dict__["observations"] = observation_set(fit(make_candles(900), TIMEFRAME), live_stub.tokens, 6)
    live_stub.policy_versions.append({"version": "p3", "valid_from": "2025-02-01T00:00:00Z", "trained_until": ""})
    assert source.columns(PAIR, TIMEFRAME, frame)["model_version"].iloc[-1] == "p3"
    assert posts(live_stub) == ["/action"] * 3  # the second was refused


@pytest.mark.parametrize(
    ("band", "bot_shorts", "trained_shorts", "words"),
    [
        (0.05, False, False, ()),
        (0.05, True, True, ()),
        (0.2, True, True, ("p2 was trained with a dead band of 0.05, this bot trades from 0.2 on",)),
        (0.05, False, True, ("p2 was trained with shorts, which this bot may not open",)),
    ],
)
def test_a_bot_with_other_habits_than_its_policy_is_told_once(
    live_stub, make_candles, caplog, band, bot_shorts, trained_shorts, words
):
    """ENV-3: another dead band, or no shorts, and the account is not the one that it learned with."""
    live_stub.policy_can_short, frame = trained_shorts, make_candles(2905, start="2025-01-20")
    habits, clock = Habits(lambda: band, bot_shorts), Clock()
    source = PolicySource(Settings(service_url=live_stub.url), Flat(), True, habits, clock)
    for rows in (2904, 2905):
        assert not missing(source.columns(PAIR, TIMEFRAME, frame.iloc[:rows])).iloc[-1]
        clock.now += 60  # the champion is asked for again
    assert len(warnings_of(caplog)) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings_of(caplog), strict=True))


def test_a_layout_that_this_bot_cannot_make_is_said_with_its_remedy(live_stub, make_candles, caplog):
    told = live_stub.told()
    live_stub.told = lambda: told | {"observation_digest": "0" * 64}
    assert missing(source_of(live_stub, live=True).columns(PAIR, TIMEFRAME, make_candles(2900))).all()
    (warning,) = warnings_of(caplog)
    assert "same release of tradekernels" in warning
    assert posts(live_stub) == []


@pytest.mark.parametrize(
    ("pair", "rows", "words"),
    [("XRP/USDT", 2900, "the policy knows BTC/USDT:USDT"), (PAIR, 2880, "has 2880 candles, an observation reads 2881")],
)
def test_what_cannot_be_observed_is_not_asked(live_stub, make_candles, caplog, pair, rows, words):
    assert missing(source_of(live_stub, live=True).columns(pair, TIMEFRAME, make_candles(rows))).all()
    assert words in warnings_of(caplog)[0]
    assert posts(live_stub) == []


@pytest.mark.parametrize("live", [False, True])
def test_a_service_that_is_away_raises_nothing(make_candles, caplog, live):
    gone = SimpleNamespace(url="http://127.0.0.1:9")
    assert missing(source_of(gone, live).columns(PAIR, TIMEFRAME, make_candles(2900))).all()
    assert "tools/start.sh serve" in warnings_of(caplog)[0]


@pytest.mark.parametrize("live", [False, True])
def test_a_service_without_a_policy_says_what_to_train(make_candles, caplog, live):
    with running(StubService(kinds=("unified_patchtst", "direction"))) as service:
        assert missing(source_of(service, live).columns(PAIR, TIMEFRAME, make_candles(2900))).all()
    assert "train-policy" in warnings_of(caplog)[0]


def test_a_rotated_key_is_said(live_stub, make_candles, caplog, monkeypatch):
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "x" * 32)
    assert missing(source_of(live_stub, live=True).columns(PAIR, TIMEFRAME, make_candles(2900))).all()
    assert "CANDLEWRIGHT_API_KEY" in warnings_of(caplog)[0]
    assert client.read_api_key() not in caplog.text


def test_holes_are_those_of_rollouts(make_candles):
    """DQ-4: where a rollout acts on nothing, a bot does not."""
    draw = np.random.default_rng(2)
    frame = make_candles(1500)
    flat = draw.random(1500) < 0.35
    for name in ("open", "high", "low"):
        frame.loc[flat, name] = frame.loc[flat, "close"]
    frame.loc[flat, "volume"] = 0.0
    frame = frame[draw.random(1500) > 0.15].reset_index(drop=True)
    opened = frame["date"].astype("int64").to_numpy()
    expected = holed_in_rollouts(frame, opened, 900_000)
    assert 0.1 < expected.mean() < 0.9
    found = [holed(frame.iloc[: row + 1], 900_000) for row in range(19, len(frame))]
    assert found == expected[19:].tolist()
