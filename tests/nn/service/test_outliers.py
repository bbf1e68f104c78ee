"""Windows unlike those learned from get no answer, by every way of asking, and the reason `outlier` (SRV-11)."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import orjson
import pytest
from harness import assert_past_is_unchanged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CONTRACTS = Path(__file__).resolve().parents[3] / "configs" / "contracts"
REPLIES = {"/forecast": "forecast_reply", "/direction": "direction_reply", "/predict": "decision_reply"}
LIMITS = {"quantile": 0.999, "mean_square": [1.0] * 6, "window_limit": 2.0, "row_limit": 6.0}
WILD = 250  # candle with a wick of a third of the price


@pytest.fixture(scope="module")
def limited(tmp_path_factory, chain):
    """Both lines, their versions with limits that a calm random walk keeps."""
    registry = type(chain)(tmp_path_factory.mktemp("limited"))
    for line in ("unified-15m", "direction-15m"):
        registry.publish(
            *(registry.add(bar, seed, line, outliers=LIMITS) for seed, bar in enumerate((60, 200))), line=line
        )
    return registry


@pytest.fixture
def ask(limited, serve):
    return serve(limited)


def wild(kit, n_rows=300, seed=7):
    frame = kit.candles(n_rows, seed=seed)
    frame.loc[WILD, "high"] *= 1.3
    return frame


@pytest.mark.parametrize("path", REPLIES)
def test_every_address_answers_null_with_the_reason(ask, kit, path):
    reply = ask.json(wild(kit), path=path).json()
    jsonschema.validate(reply, json.loads((CONTRACTS / f"{REPLIES[path]}.v1.json").read_text()))
    reasons = [row["reason"] for row in reply["rows"]]
    assert reasons[WILD] == "outlier"
    assert 0 < reasons.count("outlier") < 60
    assert {"outlier", "warmup"} <= set(reasons)
    assert reasons.count(None) + reasons.count("disagree") > 100
    row = reply["rows"][WILD]
    kept = {"date", "close_time", "reason", "pair"}
    assert all(value is None for name, value in row.items() if name not in kept), row


@pytest.mark.parametrize("path", REPLIES)
def test_live_history_json_and_arrow_agree(ask, kit, path):
    """One function decides; the newest candle of a cut frame is answered as in the whole one."""
    frame = wild(kit)
    rows = ask.json(frame, path=path).json()["rows"]
    table = kit.read_reply(ask.arrow(kit.arrow_body(frame), path=path).content)
    assert table["reason"].to_pylist() == [row["reason"] for row in rows]
    pairs = {f"P{k}/USDT": frame[:last] for k, last in enumerate((WILD, WILD + 1, 300))}
    live = kit.read_reply(ask.arrow(kit.stream_of(kit.pairs_table(pairs)), path=path).content)
    assert live["reason"].to_pylist()[1] == "outlier"
    alone = ask.json(frame[: WILD + 1], path=path, as_of="latest").json()["rows"][-1]
    assert alone["reason"] == "outlier"


def test_limits_far_away_change_no_bit(chain, registry, serve, kit):
    """What is no outlier is answered as without the filter; manifests from before it keep working."""
    far = LIMITS | {"window_limit": 1e9, "row_limit": 1e9}
    registry.publish(*(registry.add(bar, seed, outliers=far) for seed, bar in enumerate((150, 200, 260))))
    replies = [serve(each).json(wild(kit)).json()["rows"] for each in (chain, registry)]
    assert replies[0] == replies[1]
    assert any(row["model_version"] for row in replies[0])


def test_the_limits_are_part_of_what_answers_are_cached_under(registry, limited, chain):
    digests = {each.shelf().line_of("15m").chain_digest for each in (limited, chain)}
    registry.publish(
        *(registry.add(bar, seed, outliers=LIMITS | {"row_limit": 7.0}) for seed, bar in enumerate((60, 200)))
    )
    digests.add(registry.shelf().line_of("15m").chain_digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    "wrong", [{"mean_square": [1.0] * 5}, {"mean_square": [1.0] * 5 + [-1.0]}, {"window_limit": 0.0}], ids=str
)
def test_a_version_with_impossible_limits_is_not_served(registry, serve, kit, wrong):
    registry.publish(registry.add(60, outliers=LIMITS | wrong))
    assert serve(registry).json(kit.candles(200)).status_code == 503


RELAXED = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@RELAXED
@given(cut=st.integers(150, 297), seed=st.integers(0, 100))
def test_later_candles_decide_nothing(ask, kit, cut, seed):
    """LEK-1, for the reason too."""

    def reasons(frame):
        found = kit.read_reply(ask.arrow(kit.arrow_body(frame)).content)["reason"].to_pylist()
        return np.array([float(reason == "outlier") for reason in found])

    assert_past_is_unchanged(reasons, wild(kit, seed=seed), cut=cut, seed=seed)


@RELAXED
@given(data=st.data())
def test_no_candle_however_wild_gets_more_than_null(ask, kit, limited, data):
    """Fuzz: one candle becomes anything; no status is a server's fault, no answer is of an outlier."""
    frame = kit.candles(260, seed=data.draw(st.integers(0, 5)))
    row = data.draw(st.integers(100, 259))
    factor = data.draw(st.floats(1e-12, 1e12))
    frame.loc[row, ["open", "high", "low", "close"]] *= factor
    frame.loc[row, "volume"] *= data.draw(st.floats(0, 1e12))
    response = ask.json(frame)
    assert response.status_code in (200, 400), response.text
    if response.status_code == 400:
        return
    version = limited.shelf().line_of("15m").champion
    scaled = version.scaled(version.features(frame))
    rows = orjson.loads(response.content)["rows"]
    answered = np.array([k for k, each in enumerate(rows) if each["model_version"]])
    assert not version.outlying(scaled, answered).any()
