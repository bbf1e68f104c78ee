"""A planted market is what it says: its edge, its half-life, its volatility; and nothing in it is of the future."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nn.policy.planted_markets import MARKETS, SEEN, Planted, planted, register


def returns_of(market):
    return np.diff(np.log(market.rows["close"]))


@pytest.mark.parametrize("edge", [-8e-4, 8e-4])
def test_a_market_has_the_edge_the_memory_and_the_noise_that_were_planted(edge):
    market = Planted(edge=edge, half_life=10, volatility=5e-3, n_rows=100_000).market(1)
    z, r = market.observation[:, SEEN].astype(np.float64), returns_of(market)
    slope = (z[:-1] @ r) / (z[:-1] @ z[:-1])
    assert slope == pytest.approx(edge, abs=4 * 5e-3 / 100_000**0.5)
    assert (r - slope * z[:-1]).std() == pytest.approx(5e-3, rel=0.02)
    assert np.corrcoef(z[:-10], z[10:])[0, 1] == pytest.approx(0.5, abs=0.05)
    assert z.std() == pytest.approx(1.0, abs=0.05)
    # Surprises move what is known: a rise makes more of it likelier where prices trend, less where they revert.
    echo = np.corrcoef(r[:-1], r[1:])[0, 1]
    assert np.sign(echo) == np.sign(edge)
    for column in market.observation[:-1, 1:5].T:
        assert abs(np.corrcoef(column, r)[0, 1]) < 5 / 100_000**0.5


def test_seeds_make_histories_and_nothing_later_changes_what_was_seen():
    one, again, other = (planted("momentum", n_rows=500).market(seed) for seed in (1, 1, 2))
    longer = planted("momentum", n_rows=900).market(1)
    assert np.array_equal(one.observation, again.observation)
    assert not np.array_equal(one.observation, other.observation)
    assert np.array_equal(one.observation, longer.observation[:500])
    assert np.array_equal(one.rows["close"], longer.rows["close"][:500])


def test_the_future_is_shown_where_it_says_so():
    market = planted("future", n_rows=2000).market(1)
    assert np.corrcoef(market.observation[:-1, SEEN], returns_of(market))[0, 1] > 0.999


def test_names_and_numbers():
    assert planted("noise", fee_bps=3.0).fee_bps == 3.0
    with pytest.raises(ValueError, match="no planted market 'nois', expected reversion"):
        planted("nois")


@pytest.mark.filterwarnings("ignore:.*Box observation space")  # z has no bounds
@pytest.mark.parametrize("name", MARKETS)
def test_gymnasium_knows_them(name):
    register()
    envs = gym.make_vec(f"Planted-{name}-v0", 3, "vector_entry_point", n_rows=400, can_short=True)
    seen, _ = envs.reset(seed=1)
    assert (seen.shape, envs.single_action_space.low.tolist()) == ((3, 27), [-1.0])
    check_env(gym.make(f"Planted-{name}-v0", n_rows=400).unwrapped, skip_render_check=True)
