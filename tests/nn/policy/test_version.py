"""A policy acts the same bits wherever it is asked (PPO-4, PPO-5), and what does not fit is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.policy.version import Policy, settings_of
from nn.registry.files import ModelRefused
from nn.registry.keys import Keys
from nn.registry.manifest import load_version, write_version

from ..forecast.conftest import make_candles
from .small_policy import PAIRS, write_small_policy

KEYS = Keys(b"k" * 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_small_policy(tmp_path_factory.mktemp("registry") / "policy-15m", KEYS)


@pytest.fixture(scope="module")
def policy(folder):
    return Policy.from_loaded(load_version(folder, KEYS))


@pytest.fixture(scope="module")
def rows(policy):
    return policy.observations.market(make_candles(400, seed=9), token=1)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_row_alone_has_the_bits_of_a_row_in_any_batch(policy, rows, data):
    whole, quantiles = policy.act(rows)
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=40))
    some, their_quantiles = policy.act(rows[order])
    assert some.tobytes() == whole[order].tobytes()
    assert their_quantiles.tobytes() == quantiles[order].tobytes()


def test_actions_are_those_of_the_trained_network(policy, rows):
    seen = torch.from_numpy(policy.moments.normalised(rows))
    weights, quantiles = policy.act(rows)
    np.testing.assert_allclose(weights, policy.model.act(seen)[:, 0].numpy(), atol=2e-6)
    expected = policy.model(seen)[1].sort(1).values.numpy() * policy.reward_deviation
    np.testing.assert_allclose(quantiles, expected, atol=2e-6)
    assert np.ptp(weights) > 0.5, "a policy that always does the same shows little"


def test_a_policy_rests_where_its_network_does(rows, tmp_path):
    folder = write_small_policy(tmp_path / "policy-15m", KEYS, can_short=True, rest=0.4)
    policy = Policy.from_loaded(load_version(folder, KEYS))
    weights, _ = policy.act(rows)
    trained = policy.model.act(torch.from_numpy(policy.moments.normalised(rows)))[:, 0].numpy()
    np.testing.assert_allclose(weights, trained, atol=5e-6)
    assert {-1.0, 0.0, 1.0} == set(np.sign(weights).tolist())


def test_value_is_the_mean_and_cvar_the_worst_twentieth(policy, rows):
    columns, quantiles = policy.columns(rows)
    np.testing.assert_allclose(columns[:, 1], quantiles.mean(1), rtol=1e-5, atol=1e-8)
    # 5 % of 32 quantiles are the lowest and six tenths of the next.
    np.testing.assert_allclose(columns[:, 2], (quantiles[:, 0] + 0.6 * quantiles[:, 1]) / 1.6, rtol=1e-5, atol=1e-8)


def test_saved_twice_it_acts_bit_for_bit_alike(policy, rows, folder, tmp_path):
    loaded = load_version(folder, KEYS)
    draft = {name: value for name, value in dict(loaded.manifest).items() if name not in ("version", "files")}
    again = write_version(tmp_path / "policy-15m", type(loaded.manifest).__base__(**draft), loaded.tensors, KEYS)
    other = Policy.from_loaded(load_version(again, KEYS))
    assert again.name == folder.name
    assert all(a.tobytes() == b.tobytes() for a, b in zip(policy.act(rows), other.act(rows), strict=True))


def test_a_bad_observation_is_named(policy, rows):
    bad = rows.copy()
    bad[3, 4] = np.nan
    with pytest.raises(ValueError, match="vol_proxy of observation 3 is nan, expected a finite number"):
        policy.act(bad)
    with pytest.raises(ValueError, match=r"shape \(400, 57\), expected \(n, 58\)"):
        policy.act(rows[:, :57])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"feature_digest": "0" * 64}, "observation digest"),
        ({"kind": "unified_patchtst"}, "expected 'actor_critic'"),
        ({"objective": None}, "no observation, environment or objective"),
        ({"timeframe": "1h"}, "is of 1h, its statistics of 15m"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder, change, words):
    loaded = load_version(folder, KEYS)
    with pytest.raises(ModelRefused, match=words):
        Policy.from_loaded(replace(loaded, manifest=loaded.manifest.model_copy(update=change)))


def test_shorting_needs_a_network_that_shorts(folder, tmp_path):
    loaded = load_version(folder, KEYS)
    account = loaded.manifest.environment.model_copy(update={"can_short": True})
    with pytest.raises(ModelRefused, match=r"expected one target weight of -1\.\.1"):
        Policy.from_loaded(replace(loaded, manifest=loaded.manifest.model_copy(update={"environment": account})))
    shorts = Policy.from_loaded(load_version(write_small_policy(tmp_path / "policy-15m", KEYS, can_short=True), KEYS))
    assert shorts.act(shorts.observations.market(make_candles(400, seed=9)))[0].min() < 0


@pytest.mark.parametrize("name", ["moments.variance", "actor"])
def test_weights_that_are_not_finite_are_refused(folder, tmp_path, name):
    loaded = load_version(folder, KEYS)
    tensors = loaded.tensors | {name: torch.full_like(loaded.tensors[name], torch.nan)}
    draft = {key: value for key, value in dict(loaded.manifest).items() if key not in ("version", "files")}
    with pytest.raises(ModelRefused, match=f"{name} has values that are not finite"):
        write_version(tmp_path / "policy-15m", type(loaded.manifest).__base__(**draft), tensors, KEYS)


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nn.registry.files._fill", full)
    with pytest.raises(OSError, match="No space left"):
        write_small_policy(tmp_path / "policy-15m", KEYS)
    assert list((tmp_path / "policy-15m").iterdir()) == []


def test_the_account_of_the_manifest_is_that_of_the_kernel(policy, folder):
    told = json.loads(Path(folder / "manifest.json").read_text())["environment"]
    kernel = settings_of(policy.manifest.environment)
    assert float(kernel.cash) == told["cash"] == 10_000
    assert float(kernel.costs.fees.rate()) == told["fees"]["taker_bps"] / 1e4
    assert kernel.risk.position_limit == np.inf
    assert told["risk"]["position_limit"] is None
    assert set(told["grids"]) == set(PAIRS)
