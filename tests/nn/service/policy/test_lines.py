"""A policy line among others: loaded whole or not at all, swapped like them, and the trouble of one is that of one."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import timedelta

import pytest

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy.normalise import Moments
from nn.policy.version import write_policy
from nn.registry.manifest import ModelRefused
from nn.service.errors import LayoutMismatch
from nn.service.versions import load_line

JSON = "application/json"
FILES = ("weights.safetensors", "manifest.json", "manifest.sig")


@pytest.fixture
def mixed(registry, policies, policies_kit):
    """A registry with a unified line and a policy line of two versions."""
    registry.publish(registry.add(150))
    shutil.copytree(policies.folder / policies_kit.line, registry.folder / policies_kit.line)
    names = sorted(each.name for each in (registry.folder / policies_kit.line).iterdir() if each.is_dir())
    (registry.folder / policies_kit.line / "aliases.json").unlink()
    registry.publish(*names[:2], line=policies_kit.line)
    registry.names = names
    return registry


def forecast_status(ask, kit) -> int:
    return ask.json(kit.candles(200)).status_code


def action(ask, policies_kit, policy):
    body = policies_kit.body(policy, policies_kit.rows(policy, 1))
    return ask("POST", "/action", content=body, headers={"content-type": JSON})


def test_each_kind_of_service_alone_and_both(serve, registry, mixed, policies, policies_kit, champion, kit, tmp_path):
    """A policy line alone, forecasters alone, and both: each answers what it has and says what it lacks."""
    both, alone = serve(mixed), serve(policies)
    policy = policies_kit.policy(mixed, mixed.names[1])
    assert (forecast_status(both, kit), action(both, policies_kit, policy).status_code) == (200, 200)
    assert action(alone, policies_kit, champion).status_code == 200
    assert alone("GET", "/readyz", key=None).status_code == 200
    refused = alone.json(kit.candles(200))
    assert (refused.status_code, refused.json()["error"]) == (503, "no_model")
    forecasters = type(registry)(tmp_path / "forecasters")
    forecasters.publish(forecasters.add(150))
    ask = serve(forecasters)
    assert forecast_status(ask, kit) == 200
    for response in (action(ask, policies_kit, champion), ask.json(kit.candles(20), "/rollout"),
                     ask("GET", "/observation?timeframe=15m")):  # fmt: skip
        assert (response.status_code, response.json()["error"]) == (503, "no_model")
        assert "no policy model line serves timeframe 15m" in response.json()["reason"]


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "manifest.json", "manifest.sig", "aliases.json", "aliases.sig"]
)
def test_one_changed_byte_and_this_line_alone_is_not_served(serve, mixed, policies_kit, kit, caplog, name):
    """REG-2, THR-3: forecasters go on; the file is named in the log, and not to the client."""
    folder = mixed.folder / policies_kit.line
    path = folder / name if name.startswith("aliases") else folder / mixed.names[0] / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    ask = serve(mixed)
    policy = policies_kit.policy(mixed, mixed.names[2])
    for response in (action(ask, policies_kit, policy), ask.json(kit.candles(20), "/rollout")):
        assert (response.status_code, response.json()["error"]) == (503, "no_model")
        assert "policy-15m was refused" in response.json()["reason"]
        assert str(folder) not in response.text
    assert forecast_status(ask, kit) == 200
    assert name in caplog.text
    assert ask("GET", "/readyz", key=None).status_code == 503


def test_an_alias_file_that_comes_back_is_refused_and_the_newer_one_serves_on(serve, mixed, policies_kit, kit, caplog):
    """REG-6, SRV-9."""
    folder, ask = mixed.folder / policies_kit.line, serve(mixed)
    old = {name: (folder / name).read_bytes() for name in ("aliases.json", "aliases.sig")}
    mixed.publish(*mixed.names, line=policies_kit.line)
    ask.app.shelf.look()
    newest = policies_kit.policy(mixed, mixed.names[2])
    assert action(ask, policies_kit, newest).json()["rows"][0]["model_version"] == newest.version
    for name, content in old.items():
        (folder / name).write_bytes(content)
    ask.app.shelf.look()
    assert "an old file came back" in caplog.text
    assert action(ask, policies_kit, newest).json()["rows"][0]["model_version"] == newest.version
    assert action(serve(mixed), policies_kit, newest).status_code == 503  # after a restart, too
    assert forecast_status(ask, kit) == 200


def test_the_versions_of_a_line_have_one_account(registry, policies_kit, serve, caplog):
    """The simulated account goes on through all of them, so its costs may not change on the way."""
    names = [policies_kit.add(registry, 2900), policies_kit.add(registry, 3000, 8, cash=20_000.0)]
    registry.publish(*names, line=policies_kit.line)
    with pytest.raises(ModelRefused, match="another environment than policy-15m-20250131T0500"):
        load_line(registry.folder / policies_kit.line, registry.keys)
    assert serve(registry)("GET", "/observation?timeframe=15m").status_code == 503
    assert "expected one account" in caplog.text


def test_an_observation_that_tradekernels_no_longer_makes_is_409(registry, policies_kit, champion, serve, monkeypatch):
    """SRV-9, OBS-57."""
    registry.publish(policies_kit.add(registry, 2900), line=policies_kit.line)
    module = sys.modules["tradekernels.observation.observation_set"]  # its name is that of a function, too
    monkeypatch.setattr(module, "VERSION", 2)  # as if the kernels had been built anew
    with pytest.raises(LayoutMismatch, match="observation digest"):
        load_line(registry.folder / policies_kit.line, registry.keys)
    response = action(serve(registry), policies_kit, champion)
    assert (response.status_code, response.json()["error"]) == (409, "layout_mismatch")


def test_a_policy_whose_numbers_overflow_is_refused(registry, policies_kit, champion):
    """LIM-9: signed, finite, and yet no answer."""
    manifest = champion.manifest
    model = ActorCritic(ActorCriticConfig.from_dict(manifest.architecture))
    for weight in model.parameters():
        weight.data.fill_(3e38)
    fields = {name: getattr(manifest, name) for name in (
        "name", "pairs", "environment", "objective", "cost_model", "trained_from", "trained_until", "embargo_bars",
        "valid_from", "data_fingerprint", "metrics", "libraries", "git_commit", "config_hash",
    )}  # fmt: skip
    folder = write_policy(
        registry.folder / policies_kit.line, model, Moments((58,)), 1.0, champion.observations, registry.keys, **fields
    )
    registry.publish(folder.name, line=policies_kit.line)
    with pytest.raises(ModelRefused, match="is not finite"):
        load_line(folder.parent, registry.keys)


def test_a_policy_that_is_valid_before_its_data_end_is_refused(registry, policies_kit):
    """REG-5: the rule of all lines."""
    name = policies_kit.add(registry, 599)  # its data end with candle 600
    registry.publish(name, line=policies_kit.line)
    with pytest.raises(ModelRefused, match="before data and embargo end"):
        load_line(registry.folder / policies_kit.line, registry.keys)


def test_without_a_champion_history_is_answered_and_now_is_not(serve, registry, policies_kit, kit, champion):
    """LIM-9; and a champion without a chain acts now, while history has no version."""
    name = policies_kit.add(registry, 2900)
    registry.publish_aliases({"challenger": name}, name, line=policies_kit.line)
    ask = serve(registry)
    refused = action(ask, policies_kit, champion)
    assert (refused.status_code, refused.json()["reason"]) == (503, "model line policy-15m has no champion")
    frame = kit.candles(2910, first=kit.start + timedelta(minutes=15) * 100)
    table = kit.read_reply(ask.arrow(kit.arrow_body(frame, pair=policies_kit.pair), "/rollout").content)
    assert table["reason"].to_pylist()[-1] is None
    registry.publish_aliases({"champion": name}, line=policies_kit.line)
    ask.app.shelf.look()
    assert action(ask, policies_kit, policies_kit.policy(registry, name)).status_code == 200
    table = kit.read_reply(ask.arrow(kit.arrow_body(frame, pair=policies_kit.pair), "/rollout").content)
    assert set(table["reason"].to_pylist()) == {"no_version"}


def test_the_chain_digest_is_of_what_decides_a_rollout(registry, policies_kit, serve):
    """SRV-6: another version or account has another one; the champion alone changes nothing."""
    first, second = policies_kit.add(registry, 2900), policies_kit.add(registry, 3000, 8)
    digests = []
    for chain, head in (((first, second), second), ((first, second), first), ((first,), first), ((second,), second)):
        registry.publish(*chain, champion=head, line=policies_kit.line)
        [line] = json.loads(serve(registry)("GET", "/models").content)["lines"]
        digests.append(line["chain_digest"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
