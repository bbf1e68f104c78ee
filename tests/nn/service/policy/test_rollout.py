"""POST /rollout in process: as-of over chains drawn at random, blind to the future, and a longer history goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nn.policy.play import AGENT, rollout
from nn.service.policy.rollout import AGENT_NAMES, rolled
from nn.service.policy.served import ServedPolicy
from nn.service.wire import Block, Question

CONTRACTS = Path(__file__).resolve().parents[4] / "configs" / "contracts"
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
ACTED = ("target_weight", "value", "cvar")
ACCOUNT = ("held_weight", *AGENT_NAMES)
PAIR = "ETH/USDT:USDT"
DRAWN = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def contract(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((CONTRACTS / f"{name}.v1.json").read_text()))


@pytest.fixture(scope="module")
def frame(kit):
    return kit.candles(3200)


@pytest.fixture(scope="module")
def served(policies) -> tuple[ServedPolicy, ...]:
    return policies.shelf().line_of("15m", "actor_critic").chain


@pytest.fixture
def ask(policies, serve):
    return serve(policies)


def refusal(response) -> tuple[int, str]:
    assert set(response.json()) == {"error", "reason"}
    return response.status_code, response.json()["error"]


def told(frame, chain, pair=PAIR):
    """The answer to these candles as plain columns."""
    block = Block(pair, {name: frame[name].to_numpy() for name in frame})
    reply = rolled(Question((block,), "15m", "each", None), chain, "d" * 64, lambda: None)
    return {name: np.array(each.to_list(), object) if hasattr(each, "words") else each
            for name, each in reply.columns.items()}  # fmt: skip


def assert_same(one, other, rows):
    for name in one:
        first, second = one[name][:rows], other[name][:rows]
        assert (first == second).all() if first.dtype == object else first.tobytes() == second.tobytes(), name


def starting_at(served, kit, bars) -> tuple[ServedPolicy, ...]:
    """The same policies, valid from the opens of these candles."""
    chain = []
    for each, bar in zip(served, bars, strict=False):
        manifest = each.manifest.model_copy(
            update={"version": f"policy-15m-{bar}", "valid_from": kit.start + bar * timedelta(minutes=15)}
        )
        chain.append(ServedPolicy(replace(each.policy, manifest=manifest)))
    return tuple(chain)


def test_it_answers_as_the_contract_says(ask, policies_kit):
    """SRV-3, SRV-4, SRV-7."""
    frame = policies_kit.candles(2990)
    body = policies_kit.kit.json_body(frame, pair=PAIR)
    contract("rollout_request").validate(json.loads(body))
    response = ask("POST", "/rollout", content=body, headers={"content-type": JSON})
    assert response.status_code == 200
    reply = response.json()
    whole = contract("rollout_reply")
    whole.validate(reply | {"rows": reply["rows"][:2] + reply["rows"][2890:]})  # a row takes it a millisecond
    assert list(reply["rows"][0]) == ["date", "close_time", "model_version", "reason", *ACTED, *ACCOUNT]
    assert [row["date"] for row in reply["rows"]] == frame["date"].tolist()
    assert [row["reason"] for row in reply["rows"]] == ["no_version"] * 2899 + [None] * 91
    assert reply["rows"][2898]["held_weight"] is None
    assert reply["rows"][2899]["held_weight"] == 0.0
    for change in ({"reason": "gap"}, {"target_weight": None}, {"held_weight": "0"}, {"extra": 1}):
        assert not whole.is_valid(reply | {"rows": [reply["rows"][-1] | change]}), change


def test_arrow_says_what_json_says(ask, policies_kit, kit):
    frame = policies_kit.candles(2990)
    rows = ask.json(frame, "/rollout", pair=PAIR).json()["rows"]
    table = kit.read_reply(ask.arrow(kit.arrow_body(frame, pair=PAIR), "/rollout").content)
    for name in (*ACTED, *ACCOUNT):
        assert table[name].to_pylist() == pa.array([row[name] for row in rows], pa.float32()).to_pylist(), name
    for name in ("model_version", "reason"):
        assert table[name].to_pylist() == [row[name] for row in rows]
    [line] = ask("GET", "/models").json()["lines"]
    assert table.schema.metadata[b"chain_digest"].decode() == line["chain_digest"]


def test_it_is_what_the_judge_of_a_version_sees_and_what_action_answers(ask, frame, kit, served, policies_kit):
    """ASO-2, PPA-3: one function plays; and each row is /action's answer to the observation that was seen."""
    content = ask.arrow(kit.arrow_body(frame, pair=PAIR), "/rollout").content
    assert content == ask.arrow(kit.arrow_body(frame, pair=PAIR), "/rollout").content
    table = kit.read_reply(content)
    played = rollout([each.policy for each in served], frame, PAIR)
    for name in ACTED:
        np.testing.assert_array_equal(table[name].to_numpy(), getattr(played, name), err_msg=name)
    np.testing.assert_array_equal(np.stack([table[name].to_numpy() for name in AGENT_NAMES], 1), played.agent)
    newest = served[-1].policy
    rows = newest.observations.market(frame, 1)[3150:]
    rows[:, AGENT] = played.agent[3150:]
    body = policies_kit.arrow(newest, rows)
    answered = kit.read_reply(ask.arrow(body, "/action").content)
    for name in ACTED:
        assert answered[name].to_pylist() == table[name].slice(3150).to_pylist(), name


bars = st.lists(st.integers(2600, 3250), min_size=1, max_size=3, unique=True).map(sorted)


@DRAWN
@given(bars=bars, data=st.data())
def test_no_candle_is_acted_on_by_a_version_from_after_it_or_by_one_that_another_has_followed(
    frame, kit, served, bars, data
):
    """ASO-1, over random chains and requests: which version, and why none."""
    first, end = data.draw(st.integers(0, 200)), data.draw(st.integers(2700, 3200))
    chain = starting_at(served, kit, bars)
    asked = frame[first:end].reset_index(drop=True)
    found = told(asked, chain)
    for row in range(len(asked)):
        close = int(asked["date"][row]) + kit.bar_ms
        allowed = [each.version for each in chain if each.valid_from_ms <= close]
        warm = row >= 2880
        assert found["model_version"][row] == (allowed[-1] if allowed and warm else None)
        assert found["reason"][row] == (None if allowed and warm else "warmup" if allowed else "no_version")
        assert np.isfinite(found["target_weight"][row]) == bool(allowed and warm)
    acted = found["model_version"] != None  # noqa: E711 -- of an array
    began = int(acted.argmax()) if acted.any() else len(asked)
    for name in ACCOUNT:
        np.testing.assert_array_equal(np.isfinite(found[name]), np.arange(len(asked)) >= began, err_msg=name)


@DRAWN
@given(bars=bars, cut=st.integers(2881, 3199), seed=st.integers(0, 99))
def test_what_comes_after_a_candle_changes_nothing_at_or_before_it(frame, kit, served, bars, cut, seed):
    """LEK-1: other candles, other volumes, a hole or an end after `cut`; and a later version changes nothing either."""
    chain = starting_at(served, kit, bars)
    whole = told(frame, chain)
    other = kit.candles(3200, seed=1000 + seed)
    other.loc[: cut - 1] = frame.loc[: cut - 1]
    changed = other.drop(index=range(cut + 1, min(cut + 9, 3199))).reset_index(drop=True) if seed % 2 else other
    assert_same(told(changed, chain), whole, cut)
    assert_same(told(frame[:cut], chain), whole, cut)
    known = tuple(each for each in chain if each.valid_from_ms <= int(frame["date"][cut - 1]) + kit.bar_ms)
    assert_same(told(frame[:cut], known), whole, cut)


def test_the_account_goes_on_through_the_change_of_version(frame, served, kit):
    """What is held at the change is what the older version left; alone, the newer one would begin flat there."""
    found = told(frame, starting_at(served, kit, (2900, 3000, 3100)))
    alone = told(frame, starting_at(served[2:], kit, (3100,)))
    assert found["held_weight"][3099] > 0.01
    assert alone["held_weight"][3099] == 0.0
    assert (found["trade_intensity"][3099], alone["trade_intensity"][3099]) != (0.0, 0.0)
    assert found["model_version"][3098] != found["model_version"][3099]


def test_a_hole_is_not_traded_through_blindly(frame, kit, ask):
    """DQ-4: null with reason gap until twenty bars are whole again; the account is told all the while."""
    holed = frame.drop(index=range(3000, 3008)).reset_index(drop=True)
    table = kit.read_reply(ask.arrow(kit.arrow_body(holed, pair=PAIR), "/rollout").content)
    reasons = table["reason"].to_pylist()
    assert [row for row, reason in enumerate(reasons) if reason == "gap"] == list(range(3000, 3019))
    idle = table.slice(3000, 19)
    for name in ACTED:
        assert idle[name].null_count == 19
    for name in ACCOUNT:
        assert idle[name].null_count == 0
    assert idle["model_version"].null_count == 19


@pytest.mark.parametrize("n_rows", [2, 2900, 3200])
def test_an_unknown_pair_is_told_at_every_candle_that_somebody_could_act_on(frame, kit, ask, n_rows):
    asked = kit.candles(n_rows)
    table = kit.read_reply(ask.arrow(kit.arrow_body(asked, pair="XRP/USDT:USDT"), "/rollout").content)
    expected = ["no_version"] * min(n_rows, 2899) + ["unknown_pair"] * max(n_rows - 2899, 0)
    assert table["reason"].to_pylist() == expected
    for name in (*ACTED, *ACCOUNT):
        assert table[name].null_count == n_rows


def test_what_it_does_not_take(ask, kit, frame):
    """LIM table: the newest candle alone, several pairs, another observation, prices that are none on this market."""
    few = frame[:50]
    assert refusal(ask.json(few, "/rollout", as_of="latest")) == (400, "bad_request")
    pairs = kit.stream_of(kit.pairs_table({PAIR: few, "BTC/USDT:USDT": few}))
    assert refusal(ask.arrow(pairs, "/rollout")) == (400, "bad_request")
    assert refusal(ask.json(few, "/rollout", feature_digest="0" * 64)) == (409, "layout_mismatch")
    assert refusal(ask.json(few, "/rollout", timeframe="1h", pair=PAIR))[0] in (400, 503)
    assert refusal(ask.json(few, "/rollout", extra=1)) == (400, "bad_request")
    prices = ["open", "high", "low", "close"]
    for factor in (1e-9, 1e300):
        strange = frame.copy()
        strange[prices] *= factor
        response = ask.arrow(kit.arrow_body(strange, pair=PAIR), "/rollout")
        assert response.status_code in (200, 400), factor
    huge = frame.copy()
    huge["volume"] = 1e308
    assert ask.arrow(kit.arrow_body(huge, pair=PAIR), "/rollout").status_code in (200, 400)


def test_one_candle_and_candles_that_only_warm_up(ask, kit, frame):
    for n_rows in (1, 2880):
        asked = kit.candles(n_rows, first=kit.start + timedelta(days=60))
        table = kit.read_reply(ask.arrow(kit.arrow_body(asked, pair=PAIR), "/rollout").content)
        assert set(table["reason"].to_pylist()) == {"warmup"}
    asked = kit.candles(2881, first=kit.start + timedelta(days=60))
    table = kit.read_reply(ask.arrow(kit.arrow_body(asked, pair=PAIR), "/rollout").content)
    assert table["reason"].to_pylist() == ["warmup"] * 2880 + [None]
    assert table["cash_ratio"].to_pylist()[-1] == 1.0
