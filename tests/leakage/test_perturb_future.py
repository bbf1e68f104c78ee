"""Nothing that a model sees or learns from moves when the future becomes noise: features, targets, scaler, windows."""

import json

import numpy as np
import pandas as pd
import pytest
from harness import assert_past_is_unchanged, assert_same_bits, perturb_after
from hypothesis import given, settings
from hypothesis import strategies as st
from market import random_market
from tradekernels.features import BASE_40, CATALOG, References, feature_set
from tradekernels.observation import fit, observation_set

from nn.data.targets import TARGETS, make_targets, max_horizon_bars
from nn.data.windows import RobustScaler, WindowSet, chronological_split, usable_ends

N_ROWS = 900
CONTEXT = 96
FEATURES = feature_set(BASE_40)
ALL_FEATURES = feature_set(tuple(CATALOG))
CROSS_FEATURES = feature_set([name for name, feature in CATALOG.items() if feature.family == "cross-asset"])
LONG_ROWS = 3300
MARKET = random_market(N_ROWS, seed=11)
LONG_MARKET = random_market(LONG_ROWS, seed=12)
CUTS = st.integers(FEATURES.warmup + CONTEXT + 5, N_ROWS - 2)
SEEDS = st.integers(0, 2**16)


def scaled_features(frame, train_rows):
    """Features as the model reads them: the scaler knows the train rows only."""
    matrix = FEATURES.compute(frame)
    return RobustScaler.fit(matrix[train_rows]).transform(matrix)


def windows_by_end(frame, train_rows):
    """The window that ends at each row, NaN where none may end."""
    scaled = scaled_features(frame, train_rows)
    ends = usable_ends(frame, "15m", FEATURES.warmup, CONTEXT)
    by_end = np.full((len(frame), CONTEXT, len(FEATURES.names)), np.nan, dtype=np.float32)
    by_end[ends] = WindowSet([scaled], CONTEXT).batch(np.zeros(len(ends), dtype=np.int64), ends)
    return by_end


@given(cut=CUTS, seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_features(cut, seed):
    """LEK-1, CAT-1"""
    assert_past_is_unchanged(FEATURES.compute, MARKET, cut, seed)


@given(cut=st.integers(50, N_ROWS - 2), seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_every_feature_of_the_catalogue(cut, seed):
    """LEK-1, CAT-1: also those that no model uses yet, and from their first bar on"""
    assert_past_is_unchanged(ALL_FEATURES.compute, MARKET, cut, seed)


@given(cut=st.integers(ALL_FEATURES.warmup + 2, LONG_ROWS - 2), seed=SEEDS)
@settings(max_examples=6, deadline=None)
def test_every_feature_once_all_are_warm(cut, seed):
    """LEK-1, CAT-1: windows of 30 days too"""
    assert_past_is_unchanged(ALL_FEATURES.compute, LONG_MARKET, cut, seed)


@given(cut=st.integers(110, N_ROWS - 2), seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_features_of_other_pairs(cut, seed):
    """LEK-1, ENR-1: the future of bitcoin, of a peer, and of both moves nothing"""
    for others in (("BTC/USDT",), ("ETH/USDT",), ("BTC/USDT", "ETH/USDT")):

        def crossed(frame, others=others):
            pairs = {pair: frame if pair in others else MARKET for pair in ("BTC/USDT", "ETH/USDT")}
            return CROSS_FEATURES.compute(MARKET, References(pairs, sector=("ETH/USDT",)))

        assert_past_is_unchanged(crossed, MARKET, cut, seed, ways=["noise"])


def test_a_slower_candle_seen_before_its_close_is_caught():
    """ENR-1, planted: hours taken for quarters are seen 45 minutes early; told as hours, they are not"""
    hours = MARKET.iloc[::4].reset_index(drop=True)
    hours["close"] = MARKET["close"].iloc[3::4].to_numpy()  # an hour closes with its last quarter
    key = ("BTC/USDT", "1h")

    def rows(frame):
        last = frame["close"].iloc[3::4].to_numpy()
        return CROSS_FEATURES.compute(MARKET, {key: hours.assign(close=last)})

    assert_past_is_unchanged(rows, MARKET, range(600, 608), ways=["noise"])

    def early(frame):
        last = frame["close"].iloc[3::4].to_numpy()
        sooner = hours["date"] - pd.Timedelta(minutes=45)
        return CROSS_FEATURES.compute(MARKET, {key: hours.assign(close=last, date=sooner.dt.floor("h"))})

    with pytest.raises(AssertionError, match="the past moved"):
        assert_past_is_unchanged(early, MARKET, range(600, 608), ways=["noise"])


@given(cut=st.integers(300, N_ROWS - 2), seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_observation(cut, seed):
    """LEK-1, OBS-60: statistics of the first 300 rows, then every slot of every row"""
    observations = observation_set(fit(MARKET.iloc[:300], "15m"))
    assert_past_is_unchanged(observations.compute, MARKET, cut, seed)


@given(cut=st.integers(FEATURES.warmup, N_ROWS - 2), seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_features_bar_by_bar(cut, seed):
    """LEK-1, CAT-1"""

    def streamed(frame):
        stream = FEATURES.stream()
        columns = ("date", "open", "high", "low", "close", "volume")
        times = frame["date"].astype("datetime64[ms, UTC]").astype("int64")
        return np.stack([stream.update(bar) for bar in frame.assign(date=times)[list(columns)].itertuples(index=False)])

    assert_past_is_unchanged(streamed, MARKET, cut, seed)


@given(cut=st.integers(60, N_ROWS - 2), seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_targets_and_their_masks(cut, seed):
    """TGT-26, TGT-28: of a label that looks h bars ahead, whatever lies h bars before the cut"""
    horizons = np.array(make_targets(MARKET, "15m").horizons)
    for horizon in np.unique(horizons).tolist():

        def labels(frame, columns=horizons == horizon):
            targets = make_targets(frame, "15m")
            return targets.values[:, columns], targets.mask[:, columns]

        assert_past_is_unchanged(labels, MARKET, cut, seed, horizon=horizon)
    # Whether a label is known is a matter of time alone: noise moves no mask, before or after the cut.
    assert_past_is_unchanged(lambda frame: make_targets(frame, "15m").mask, MARKET, cut, seed, ways=["noise"])


@pytest.mark.parametrize("column", range(24), ids=[target.name for target in TARGETS])
def test_a_target_taken_for_a_feature_is_caught(column):
    """LEK-4: planted, each of the 24"""
    with pytest.raises(AssertionError, match="the past moved"):
        assert_past_is_unchanged(
            lambda frame: make_targets(frame, "15m").values[:, column], MARKET, range(500, 560), ways=["noise"]
        )


@given(cut=CUTS, seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_scaler(cut, seed):
    """LEK-3: changing rows after the train rows changes no manifest"""
    train_rows = np.arange(FEATURES.warmup, cut + 1)

    def manifest(frame):
        return json.dumps(RobustScaler.fit(FEATURES.compute(frame)[train_rows]).to_dict())

    assert manifest(perturb_after(MARKET, cut, seed)) == manifest(MARKET)
    assert_past_is_unchanged(lambda frame: scaled_features(frame, train_rows), MARKET, cut, seed)


@given(cut=CUTS, seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_windows(cut, seed):
    """LEK-1, WIN-1"""
    train_rows = np.arange(FEATURES.warmup, cut + 1)
    assert_past_is_unchanged(lambda frame: windows_by_end(frame, train_rows), MARKET, cut, seed)


def test_what_a_model_trains_on_ends_before_the_next_part():
    """LEK-2, LEK-3: inputs, labels and scaler of the train part, with everything from the next border on as noise"""
    market = random_market(2000, seed=3)
    horizon = max_horizon_bars("15m")
    split = chronological_split(len(market), (0.6, 0.2, 0.2), purge=horizon, embargo=horizon)
    border = int(split.train[-1]) + horizon  # the last candle that a train label may know

    def training_set(frame):
        ends = np.intersect1d(usable_ends(frame, "15m", FEATURES.warmup, CONTEXT), split.train)
        scaled = scaled_features(frame, ends)
        return WindowSet([scaled], CONTEXT).batch(np.zeros_like(ends), ends), make_targets(frame, "15m").values[ends]

    before = training_set(market)
    assert len(before[0]) > 400
    assert np.isfinite(before[1]).all()
    for seed in range(3):
        after = training_set(perturb_after(market, border, seed))
        for name, one, other in zip(("windows", "labels"), before, after, strict=True):
            assert_same_bits(one, other, name)
        with pytest.raises(AssertionError, match="labels: the past moved"):
            assert_same_bits(before[1], training_set(perturb_after(market, border - 1, seed))[1], "labels")


def test_a_scaler_fitted_on_all_rows_is_caught():
    """LEK-3, planted"""

    def leaky(frame):
        return scaled_features(frame, np.arange(FEATURES.warmup, len(frame)))

    with pytest.raises(AssertionError, match="the past moved"):
        assert_past_is_unchanged(leaky, MARKET, cut=700)


def test_a_centred_window_among_the_features_is_caught():
    """CAT-3, planted: one column of 41"""

    def leaky(frame):
        centred = frame["close"].rolling(9, center=True).mean().to_numpy(np.float32)
        return np.column_stack([FEATURES.compute(frame), centred])

    with pytest.raises(AssertionError, match=r"the past moved at row \(69\d, 40\)"):
        assert_past_is_unchanged(leaky, MARKET, cut=700)


def test_a_window_that_ends_one_bar_late_is_caught():
    """WIN-1, planted"""

    def leaky(frame):
        return np.roll(windows_by_end(frame, np.arange(FEATURES.warmup, 700)), -1, axis=0)

    with pytest.raises(AssertionError, match=r"the past moved at row \(700, 95, "):
        assert_past_is_unchanged(leaky, MARKET, cut=700)
