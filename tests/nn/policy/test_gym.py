"""Holds the Gymnasium face to Gymnasium's own checker and to the environment behind it."""

import copy

import numpy as np
import pytest

gym = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402
from tradekernels.environment import Risk, Settings, TradingEnvironment, market  # noqa: E402

from nn.policy.gym import TradingEnv, TradingVectorEnv  # noqa: E402


@pytest.fixture(scope="module")
def one():
    random = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, 400)))
    frame = {
        "date": 1_600_000_200_000 + 900_000 * np.arange(400),
        "open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": np.full(400, 1e4),
    }  # fmt: skip
    return market("BTC/USDT", frame, random.uniform(0, 1, (400, 56)).astype(np.float32), "15m")


SETTINGS = Settings(can_short=True, episode_length=60, risk=Risk(ruin=0.9))


def test_gymnasiums_own_checker_passes(one):
    """Spaces, seeding, determinism, types and unshared arrays, with warnings as errors."""
    check_env(TradingEnv(one, SETTINGS), skip_render_check=True)
    check_env(TradingEnv(one), skip_render_check=True)


def test_the_vector_env_walks_as_gymnasium_would_with_single_ones(one):
    """SyncVectorEnv over single copies, each with the stream of its number, gives the same, resets included."""

    def single(stream):
        env = TradingEnv(one, SETTINGS)
        env.environment = TradingEnvironment(one, 1, SETTINGS, seed=7, first_stream=stream)
        return env

    theirs = gym.vector.SyncVectorEnv([lambda k=k: single(k) for k in range(5)])
    ours = TradingVectorEnv(TradingEnvironment(one, 5, SETTINGS, seed=7))
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])
    ours.action_space.seed(1)
    endings = 0
    for _ in range(200):
        actions = ours.action_space.sample()
        for mine, other in zip(ours.step(actions)[:4], theirs.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(mine, other)
        endings += int(ours.environment.copies["done"].astype(bool).sum())
    assert endings > 10


def test_ended_episodes_say_what_they_came_to(one):
    env = TradingVectorEnv(TradingEnvironment(one, 3, SETTINGS))
    env.reset(seed=1)
    total, infos = np.zeros(3), []
    for _ in range(60):
        *_, info = step = env.step(np.full((3, 1), 0.1, dtype=np.float32))
        total += step[1]
        infos.append(info)
    assert all(info == {} for info in infos[:-1])
    assert infos[-1]["_worth"].all()
    np.testing.assert_allclose(infos[-1]["reward"], total, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(infos[-1]["worth"], env.environment.copies["worth"])


def test_without_copies_the_same_arrays_are_written_again(one):
    env = TradingVectorEnv(TradingEnvironment(one, 4, SETTINGS), copy=False)
    first, _ = env.reset(seed=3)
    second, *_ = env.step(np.zeros((4, 1), dtype=np.float32))
    assert first is second
    copying = TradingVectorEnv(TradingEnvironment(one, 4, SETTINGS))
    copying.reset(seed=3)
    fresh, *_ = copying.step(np.zeros((4, 1), dtype=np.float32))
    np.testing.assert_array_equal(fresh, second)
    assert copying.step(np.zeros((4, 1)))[0] is not fresh


def test_worker_processes_and_copies_give_the_same(one):
    """`AsyncVectorEnv` over pickled environments, and a deep copy in the middle of an episode."""
    makers = [lambda k=k: TradingEnv(one, SETTINGS, seed=k) for k in range(2)]
    workers, here = gym.vector.AsyncVectorEnv(makers, context="spawn"), gym.vector.SyncVectorEnv(makers)
    np.testing.assert_array_equal(workers.reset(seed=5)[0], here.reset(seed=5)[0])
    here.action_space.seed(2)
    for actions in (here.action_space.sample() for _ in range(70)):
        for ours, theirs in zip(workers.step(actions)[:4], here.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    workers.close()
    with pytest.raises(TypeError, match="expected a market: TradingVectorEnv takes environments"):
        TradingEnv(TradingEnvironment(one, 1, SETTINGS))
    env = TradingEnv(one, SETTINGS)
    env.reset(seed=1)
    env.step(np.ones(1))
    twin = copy.deepcopy(env)
    np.testing.assert_array_equal(twin.step(np.zeros(1))[0], env.step(np.zeros(1))[0])


def test_an_episode_can_be_told_where_to_begin(one):
    env = TradingVectorEnv(TradingEnvironment(one, 2, SETTINGS))
    env.reset(options={"rows": [5, 90]})
    assert env.environment.copies["row"].tolist() == [5, 90]
    with pytest.raises(ValueError, match="options has 'row', expected pairs, rows"):
        env.reset(options={"row": 5})
    with pytest.raises(ValueError, match=r"actions have shape \(3,\), expected \(2, 1\)"):
        env.step(np.zeros(3))
    with pytest.raises(ValueError, match=r"actions have shape \(1, 2\), expected \(2, 1\)"):
        env.step(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="actions have dtype complex128, expected real numbers"):
        env.step(np.zeros((2, 1), dtype=complex))
    with pytest.raises(ValueError, match="action of copy 1 is nan"):
        env.step(np.array([[0.0], [np.nan]]))


def test_the_wrappers_of_gymnasium_fit(one):
    env = gym.wrappers.vector.RecordEpisodeStatistics(TradingVectorEnv(TradingEnvironment(one, 3, SETTINGS)))
    env.reset(seed=0)
    for _ in range(60):
        *_, info = env.step(np.zeros((3, 1), dtype=np.float32))
    assert info["episode"]["l"].tolist() == [60, 60, 60]
