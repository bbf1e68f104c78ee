"""The challenger of a policy line acts in shadow: on the same observation, after the answer, never instead (SRV-10)."""

from __future__ import annotations

import time
from datetime import timedelta

import httpx
import numpy as np
import pandas as pd
import pytest

from nn.models.build import ACTOR_CRITIC, POLICY_COLUMNS
from nn.service import shadow
from nn.service.shadow_store import Answers, ShadowStore

JSON = "application/json"
VALID, YOUNG = 2900, 3000  # candles from whose open on champion and challenger may act
DROPPED = "candlewright_shadow_dropped_total"


@pytest.fixture
def rivals(registry, policies_kit):
    """A line with a champion and a challenger beside its chain; both learned from the same candles."""
    registry.names = [policies_kit.add(registry, VALID, seed) for seed in (1, 2)]
    publish(registry, policies_kit, *registry.names)
    return registry


def publish(registry, policies_kit, champion, challenger):
    aliases = {"champion": champion, "challenger": challenger}
    registry.publish_aliases(aliases, champion, line=policies_kit.line)


def body_at(policies_kit, policy, bar, rows=None):
    """An action asked at the close of a candle, by its number."""
    close_ms = int((policies_kit.kit.start + (bar + 1) * timedelta(minutes=15)).timestamp() * 1000)
    return policies_kit.body(policy, policies_kit.rows(policy, 1) if rows is None else rows, close_time=close_ms)


def act(ask, body):
    response = ask("POST", "/action", content=body, headers={"content-type": JSON})
    assert response.status_code == 200
    return response.json()


def kept(store, at_least):
    """Return the answers once there are so many."""
    end = time.monotonic() + 60
    while len(found := list(store.read())) < at_least:
        assert time.monotonic() < end, f"{len(found)} answers, expected {at_least}"
        time.sleep(0.01)
    return found


def value(ask, name):
    lines = dict(line.rsplit(" ", 1) for line in ask("GET", "/metrics").text.splitlines() if line[0] != "#")
    return float(lines[name])


def test_both_actions_are_kept_and_the_answer_is_the_champions(serve, rivals, policies_kit):
    """And the challenger's is what it would answer as champion, bit by bit; a candle is answered once."""
    ask = serve(rivals)
    champion, challenger = (policies_kit.policy(rivals, name) for name in rivals.names)
    rows = policies_kit.rows(champion, 3)
    for bar, row in ((2950, rows[:1]), (2950, rows[:1]), (2951, rows[1:2]), (2952, rows[2:])):
        [told] = act(ask, body_at(policies_kit, champion, bar, row))["rows"]
        assert told["model_version"] == champion.version
    found = kept(ask.app.challenger.store, 3)
    ask.app.challenger.close()
    assert [(each.kind, each.pair) for each in found] == [(ACTOR_CRITIC, policies_kit.pair)] * 3
    opened = [policies_kit.kit.start + bar * timedelta(minutes=15) for bar in (2950, 2951, 2952)]
    assert [each.open_ms for each in found] == [int(each.timestamp() * 1000) for each in opened]
    for each, policy in (("champion_row", champion), ("challenger_row", challenger)):
        said = np.stack([getattr(answer, each) for answer in found])
        assert said.tobytes() == policy.columns(rows)[0].tobytes()
    apart = np.abs(champion.columns(rows)[0][:, 0] - challenger.columns(rows)[0][:, 0])
    kind = f'{{kind="{ACTOR_CRITIC}"}}'
    assert value(ask, f"candlewright_shadow_scored_total{kind}") == 3
    assert value(ask, f"candlewright_shadow_disagreements_total{kind}") == (apart > 0.05).sum() > 0
    assert value(ask, f"candlewright_shadow_agreement_ratio{kind}") == pytest.approx((apart <= 0.05).mean())


def test_a_challenger_that_reads_another_observation_is_counted_and_not_asked(serve, rivals, policies_kit):
    """Rows made with another training range's statistics, or for other pairs, mean other things to it."""
    other = policies_kit.add(rivals, VALID, 3, pairs=("ETH/USDT:USDT", "BTC/USDT:USDT"))
    publish(rivals, policies_kit, rivals.names[0], other)
    ask, champion = serve(rivals), policies_kit.policy(rivals, rivals.names[0])
    assert act(ask, body_at(policies_kit, champion, 2950))["rows"][0]["model_version"] == champion.version
    assert value(ask, f'{DROPPED}{{reason="layout"}}') == 1
    assert list(ask.app.challenger.store.read()) == []


def test_a_challenger_too_young_for_the_candle_says_nothing(serve, rivals, policies_kit):
    """ASO-1, in shadow too; nor is a request kept that names no candle."""
    young = policies_kit.add(rivals, YOUNG, 4)
    publish(rivals, policies_kit, rivals.names[0], young)
    ask, champion = serve(rivals), policies_kit.policy(rivals, rivals.names[0])
    act(ask, policies_kit.body(champion, policies_kit.rows(champion, 1)))
    for bar in (YOUNG - 2, YOUNG):
        act(ask, body_at(policies_kit, champion, bar))
    [only] = kept(ask.app.challenger.store, 1)
    assert only.open_ms == int((policies_kit.kit.start + YOUNG * timedelta(minutes=15)).timestamp() * 1000)


def test_one_that_hangs_delays_no_action(serve, rivals, policies_kit, monkeypatch):
    ask, champion = serve(rivals, shadow_queue=1), policies_kit.policy(rivals, rivals.names[0])
    monkeypatch.setattr(ask.app.challenger, "_work", lambda: time.sleep(600))
    for bar in range(2950, 2954):
        act(ask, body_at(policies_kit, champion, bar))
    assert value(ask, f'{DROPPED}{{reason="full"}}') == 3


@pytest.mark.parametrize(("timeframe", "bars"), [("15m", 16), ("1h", 4), ("4h", 1)])
def test_the_report_sets_both_weights_beside_what_happened(tmp_path, kit, capsys, timeframe, bars):
    """A champion that knows the future and a challenger that wants the opposite; policies know longer candles too."""
    frame = kit.candles(384 + bars)
    first = frame["date"][0]
    frame["date"] = first + (frame["date"] - first) * 16 // bars
    folder = tmp_path / "data" / "futures"
    folder.mkdir(parents=True)
    stored = frame.assign(date=pd.to_datetime(frame["date"], unit="ms", utc=True))
    stored.to_feather(folder / f"BTC_USDT_USDT-{timeframe}-futures.feather")
    close = frame["close"].to_numpy()
    changes, dates = close[bars:] / close[:-bars] - 1, frame["date"]
    store = ShadowStore(tmp_path / "answers.sqlite", 1000)

    def row(weight):
        return np.array([weight, 0, 0], dtype=np.float32)

    assert POLICY_COLUMNS[0] == "target_weight"
    sides = np.sign(changes)
    store.add(
        Answers(ACTOR_CRITIC, timeframe, "BTC/USDT:USDT", int(dates[k]), "a", "b", row(sides[k]), row(-sides[k] / 2))
        for k in range(384)
    )
    assert shadow.main(["--datadir", str(tmp_path / "data"), "--answers", str(store.path)]) == 0
    head, champion, challenger = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["version", "role", "candles", "ic_4h", "weight", "gross_4h"]
    assert (champion[:3], challenger[:3]) == (["a", "champion", "384"], ["b", "challenger", "384"])
    assert float(champion[3]) > 0.8
    assert float(challenger[3]) < -0.8
    assert float(champion[5].rstrip("%")) == pytest.approx(100 * abs(changes).mean(), abs=1e-3)
    assert float(challenger[5].rstrip("%")) == pytest.approx(-50 * abs(changes).mean(), abs=1e-3)


@pytest.mark.e2e
def test_over_a_socket_the_answer_is_the_champions_and_the_challenger_is_heard_afterwards(start, rivals, policies_kit):
    """Both processes' own: a running service, and the file in which it keeps what the challenger said."""
    server = start(rivals.folder)
    champion, challenger = (policies_kit.policy(rivals, name) for name in rivals.names)
    rows = policies_kit.rows(champion, 1)
    headers = {"x-api-key": server.key, "content-type": JSON}
    for bar in range(2950, 2960):
        body = body_at(policies_kit, champion, bar, rows)
        reply = httpx.post(server.url + "/action", content=body, headers=headers, timeout=120).json()
        assert reply["rows"][0]["model_version"] == champion.version
        assert challenger.version not in str(reply)
    store = ShadowStore(server.log.parent / "user_data" / "shadow" / "answers.sqlite", 1)
    server.wait_for(lambda: len(list(store.read())) == 10)
    for each in store.read():
        assert (each.champion, each.challenger) == (champion.version, challenger.version)
        assert each.champion_row.tobytes() == champion.columns(rows)[0].tobytes()
        assert each.challenger_row.tobytes() == challenger.columns(rows)[0].tobytes()
