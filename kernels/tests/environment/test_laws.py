"""What must hold for every path: independence, causality, endings, restarts (LOB-40, ENV-1)."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from tradekernels.environment import Costs, Reward, Risk, Settings, TradingEnvironment, Transition, market

N_ROWS = 600


@pytest.fixture(scope="module")
def pairs(candles):
    def pair(name, seed, price):
        rows = np.random.default_rng(seed).normal(size=(N_ROWS, 56)).astype(np.float32)
        return market(name, candles(N_ROWS, seed=seed, price=price), rows, "15m", first=20)

    return [pair("BTC/USDT", 1, 30_000.0), pair("ETH/USDT", 2, 2_000.0), pair("SOL/USDT", 3, 100.0)]


SETTINGS = Settings(can_short=True, episode_length=150, reward=Reward(shaping=0.3, impact_bps=5.0))


def path(environment, actions, seed=5):
    """Return everything that a walk gives, stacked over steps."""
    first = environment.reset(seed)
    steps = [environment.step(action) for action in actions]
    return first, [np.stack(parts) for parts in zip(*steps, strict=True)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("chosen", [slice(0, 1), slice(3, 10), slice(36, 37)])
def test_a_path_depends_neither_on_the_number_of_copies_nor_on_threads(pairs, chosen, threads):
    actions = np.random.default_rng(0).uniform(-1, 1, (400, 37))
    first, whole = path(TradingEnvironment(pairs, 37, SETTINGS, threads=threads), actions)
    part = TradingEnvironment(pairs, chosen.stop - chosen.start, SETTINGS, first_stream=chosen.start)
    its_first, its_whole = path(part, np.ascontiguousarray(actions[:, chosen]))
    np.testing.assert_array_equal(its_first, first[chosen])
    for ours, all_of_them in zip(its_whole, whole, strict=True):
        assert ours.tobytes() == np.ascontiguousarray(all_of_them[:, chosen]).tobytes()


def test_the_seed_decides_and_no_seed_goes_on(pairs):
    environment = TradingEnvironment(pairs, 50, SETTINGS, seed=9)
    first = environment.reset()
    assert (environment.reset() != first).any()
    np.testing.assert_array_equal(environment.reset(9), first)
    assert len(set(environment.copies["pair"].tolist())) == 3
    assert len(set(environment.copies["start"].tolist())) > 30


def test_later_candles_change_nothing_earlier(candles):
    """No look-ahead: with every candle after row t replaced, observations up to t and rewards up to t are the same."""
    frame, rows = candles(300, seed=8), np.random.default_rng(8).normal(size=(300, 56)).astype(np.float32)
    random = np.random.default_rng(1)
    actions = random.uniform(-1, 1, (299, 4))
    reward, risk = Reward(shaping=0.5, impact_bps=3.0), Risk(max_drawdown=1.0, ruin=0.0)
    settings = Settings(can_short=True, random_start=False, reward=reward, risk=risk)
    _, whole = path(TradingEnvironment(market("A", frame, rows, "15m"), 4, settings), actions)
    for cut in (1, 7, 60, 298):
        other = candles(300, seed=9, volatility=0.03)
        changed = frame | {
            name: np.concatenate([frame[name][:cut], other[name][cut:]])
            for name in ("open", "high", "low", "close", "volume")
        }
        others = np.concatenate([rows[:cut], random.normal(size=(300 - cut, 56)).astype(np.float32)])
        _, walked = path(TradingEnvironment(market("A", changed, others, "15m"), 4, settings), actions)
        for ours, theirs in zip(walked, whole, strict=True):
            assert ours[: cut - 1].tobytes() == theirs[: cut - 1].tobytes()
        assert (walked[1][cut - 1 :] != whole[1][cut - 1 :]).any()


def test_an_episode_ends_is_seen_to_end_and_then_begins_anew(pairs):
    """The final observation is kept; the step after it is a reset with reward 0, whatever the action."""
    environment = TradingEnvironment(pairs[0], 1, Settings(episode_length=10, random_start=False))
    first, action = environment.reset().copy(), np.ones(1)
    for step in range(10):
        observation, _, terminated, truncated = environment.step(action)
        assert (bool(terminated[0]), bool(truncated[0])) == (False, step == 9)
    np.testing.assert_array_equal(observation[0, :21], pairs[0].observation[30, :21])
    assert observation[0, 22] > 0.5
    observation, reward, terminated, truncated = environment.step(action)
    np.testing.assert_array_equal(observation, first)
    assert (reward[0], terminated[0], truncated[0]) == (0.0, False, False)
    assert environment.step(action).observation[0, 22] > 0.5


def test_every_row_begins_as_often_as_every_other(pairs):
    """A stretch of few rows would otherwise be learned as often as one of many."""
    long, short = pairs[0], replace(pairs[1], first=N_ROWS - 52)
    environment = TradingEnvironment([short, long, short], 40_000, Settings(episode_length=50))
    environment.reset(3)
    pair, start = environment.copies["pair"], environment.copies["start"]
    n_starts = [2, 530, 2]  # first to last - 50, both counted
    for number, (one, expected) in enumerate(zip((short, long, short), n_starts, strict=True)):
        begun = np.bincount(start[pair == number] - one.first, minlength=expected)
        assert len(begun) == expected  # no start is outside, and none leaves too few rows
        assert (abs(begun - 40_000 / 534) < 6 * (40_000 / 534) ** 0.5).all()


def test_without_a_length_an_episode_ends_with_its_rows(pairs):
    environment = TradingEnvironment(pairs[1], 1, Settings(random_start=False))
    environment.reset()
    ends = [bool(environment.step(np.zeros(1)).truncated[0]) for _ in range(N_ROWS - 21)]
    assert ends == [False] * (N_ROWS - 22) + [True]
    assert environment.copies["row"][0] == N_ROWS - 1


def test_only_ruin_terminates():
    """A short into a rise of 10% a bar is ruined: once, and the next step begins a new episode."""
    close = 100.0 * 1.1 ** np.arange(60)
    frame = flat_candles(close)
    rows = np.zeros((60, 56), dtype=np.float32)
    settings = Settings(can_short=True, random_start=False, risk=Risk(max_drawdown=1.0, ruin=0.2))
    environment = TradingEnvironment(market("A", frame, rows, "15m"), 1, settings)
    environment.reset()
    for _ in range(59):
        observation, reward, terminated, truncated = environment.step(-np.ones(1))
        if terminated[0]:
            break
    assert terminated[0]
    assert not truncated[0]
    assert environment.copies["worth"][0] <= 2000
    assert environment.refusals()["BANKRUPTCY"] == 1
    assert np.isfinite(observation).all()
    assert np.isfinite(reward).all()
    assert environment.step(np.zeros(1)).reward[0] == 0
    assert environment.copies["worth"][0] == 10_000


def test_a_short_that_cannot_be_covered_inside_a_bar_is_liquidated():
    close = np.array([100.0, 100.0, 100.0, 90.0, 90.0])
    frame = flat_candles(close)
    frame["high"][3] = 250.0
    settings = Settings(can_short=True, random_start=False, costs=Costs.none(), reward=Reward.growth("ratio"))
    environment = TradingEnvironment(market("A", frame, np.zeros((5, 56), dtype=np.float32), "15m"), 1, settings)
    environment.reset()
    environment.step(-np.ones(1))
    environment.step(-np.ones(1))
    observation, reward, terminated, _ = environment.step(-np.ones(1))
    assert terminated[0]
    assert reward[0] == -1.0
    assert (environment.copies["worth"][0], environment.units()[0]) == (0.0, 0.0)
    assert (observation[0, 21], observation[0, 22]) == (1.0, 0.0)


def test_a_restored_state_continues_bit_for_bit(pairs):
    actions = np.random.default_rng(2).uniform(-1, 1, (300, 8))
    environment = TradingEnvironment(pairs, 8, SETTINGS, seed=3)
    environment.reset()
    for action in actions[:170]:
        environment.step(action)
    other = TradingEnvironment(pairs, 8, SETTINGS)
    other.restore(environment.state(), seed=3)
    for action in actions[170:]:
        for ours, theirs in zip(other.step(action), environment.step(action), strict=True):
            assert ours.tobytes() == theirs.tobytes()


def test_a_pickle_and_a_copy_continue_bit_for_bit(pairs):
    actions = np.random.default_rng(4).uniform(-1, 1, (200, 5))
    environment = TradingEnvironment(pairs, 5, SETTINGS, seed=8, threads=2, first_stream=3)
    pickle.loads(pickle.dumps(environment)).reset()  # before its first episode, too
    environment.reset(11)
    for action in actions[:120]:
        environment.step(action)
    others = pickle.loads(pickle.dumps(environment)), copy.deepcopy(environment)
    for action in actions[120:]:
        step = environment.step(action)
        for other in others:
            for ours, theirs in zip(other.step(action), step, strict=True):
                assert ours.tobytes() == theirs.tobytes()


def test_arrays_of_the_caller_are_written_in_place(pairs):
    """A rollout's rows serve as they are."""
    environment, plain = (TradingEnvironment(pairs, 6, SETTINGS, seed=1) for _ in range(2))
    environment.reset()
    plain.reset()
    actions = np.random.default_rng(3).uniform(-1, 1, (20, 6)).astype(np.float32)
    rollout = Transition(
        np.zeros((20, 6, 56), dtype=np.float32), np.zeros((20, 6)), *(np.zeros((20, 6), dtype=bool) for _ in range(2))
    )
    for step, action in enumerate(actions):
        out = Transition(*(part[step] for part in rollout))
        assert environment.step(action, out) is out
        np.testing.assert_array_equal(rollout.observation[step], plain.step(action).observation)


def flat_candles(close):
    """Return candles that open where the last one closed, without wicks."""
    open_ = np.concatenate([close[:1], close[:-1]])
    return {
        "date": 1_600_000_200_000 + 900_000 * np.arange(len(close)),
        "open": open_, "high": np.maximum(open_, close), "low": np.minimum(open_, close), "close": close,
        "volume": np.full(len(close), 1e6),
    }  # fmt: skip


def test_both_builds_of_the_loop_give_the_same_bits(pairs, monkeypatch):
    from tradekernels.environment import _environment, build, environment

    if not build.WIDE:
        pytest.skip("this processor or compiler has the plain build alone")
    actions = np.random.default_rng(6).uniform(-1, 1, (400, 9))
    wide_first, wide = path(TradingEnvironment(pairs, 9, SETTINGS), actions)
    monkeypatch.setattr(environment, "Engine", _environment.Engine)
    plain_first, plain = path(TradingEnvironment(pairs, 9, SETTINGS), actions)
    assert plain_first.tobytes() == wide_first.tobytes()
    assert all(ours.tobytes() == theirs.tobytes() for ours, theirs in zip(wide, plain, strict=True))
