"""Every slot against its slow twin (KER-3): all sources, timeframes, gaps, before warm-up, and degenerate markets."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from observation_twin import observe, raw_values

from tradekernels.observation import SLOTS, fit, observation_set
from tradekernels.observation.market import STANDARDISED

SOURCES = ("candles", "taker", "book")
LENGTH = {"5m": 2100, "15m": 3200, "1h": 900, "4h": 400}


def without(frame, rows):
    return {name: np.delete(column, rows) for name, column in frame.items()}


@pytest.fixture(scope="module")
def compared(sets, observed_frame, accounts):
    """Return the function that gives a frame's rows from the engine and from the twin, with a day missing in it."""
    known = {}

    def get(source, timeframe):
        if (source, timeframe) not in known:
            n_rows = LENGTH[timeframe]
            frame = without(observed_frame(n_rows, 3, source, timeframe), np.r_[n_rows - 300 : n_rows - 290, 50])
            agent, observations = accounts(len(frame["date"])), sets(source, timeframe)
            rows = observations.compute(frame, agent, dtype=np.float64)
            known[source, timeframe] = rows, observe(frame, observations.statistics, agent)
        return known[source, timeframe]

    return get


@pytest.mark.parametrize("timeframe", LENGTH)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_a_slot_is_what_the_specification_says(compared, slot, source, timeframe):
    """OBS-0..55 and the window tables of OBS-62, from the first row on, over a gap."""
    rows, twin = compared(source, timeframe)
    assert_allclose(rows[:, slot.index], twin[:, slot.index], rtol=0, atol=1e-9)


@pytest.mark.parametrize("source", SOURCES)
def test_float32_rows_are_the_float64_rows_rounded_twice(sets, observed_frame, source):
    """Raw values are float32 in what models see, levels after their mean is gone."""
    frame = observed_frame(3200, 4, source)
    rows, exact = (sets(source).compute(frame, dtype=dtype) for dtype in (np.float32, np.float64))
    assert_allclose(rows, exact, rtol=0, atol=2e-6)


def test_a_stable_coin_keeps_its_digits(observed_frame):
    """A price that moves in the fifth digit would be steps of 1% of a deviation if it were rounded first."""
    frame = observed_frame(3200, 5)
    frame |= {name: 1 + 1e-5 * (frame[name] / 1e4) for name in ("open", "high", "low", "close")}
    observations = observation_set(fit(frame, "15m"))
    levels = [0, 5, 7, 41]
    exact = observations.compute(frame, dtype=np.float64)[:, levels]
    assert_allclose(observations.compute(frame)[:, levels], exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize("source", SOURCES)
def test_statistics_are_the_twins_means_and_deviations(observed_frame, source):
    """Population moments of every value that is known, pooled over pairs."""
    frames = {
        "A": observed_frame(3000, 6, source),
        "B": observed_frame(1000, 7, source),
        "C": observed_frame(3, 8, source),
    }
    statistics = fit(frames, "15m")
    raws = [raw_values(frame, "15m")[1] for frame in frames.values()]
    for name in STANDARDISED:
        values = np.concatenate([raw[name] for raw in raws])
        values = values[np.isfinite(values)]
        mean, deviation = (values.mean(), values.std()) if len(values) else (0.0, 0.0)
        assert statistics.means[name] == pytest.approx(mean, rel=1e-9, abs=1e-12 * deviation), name
        assert statistics.stds[name] == pytest.approx(deviation, rel=1e-9), name
    volume = np.concatenate([frame["volume"] for frame in frames.values()])
    assert statistics.volume_scale == pytest.approx(volume.mean())
    assert statistics.rows == 4003


@pytest.mark.parametrize("volume", [0.0, 7.0])
@pytest.mark.parametrize("source", SOURCES)
def test_a_market_that_stands_still(sets, observed_frame, source, volume):
    """DQ-5 and the rule that a bounded ratio with denominator 0 is 0; the bands have no width."""
    frame = observed_frame(400, 9, source)
    frame |= {name: np.full(400, 128.0) for name in ("open", "high", "low", "close")}
    frame["volume"] = np.full(400, volume)
    if source != "candles":
        frame["taker_buy_volume"] = np.full(400, volume / 4)
    statistics = sets(source).statistics
    rows = sets(source).compute(frame, dtype=np.float64)
    assert_allclose(rows, observe(frame, statistics), rtol=0, atol=1e-9)
    last = dict(zip(sets(source).names, rows[-1], strict=True))
    assert (last["bb_position"], last["bb_width"], last["ret_bar"], last["rsi"]) == (0.5, 0, 0, -1)


@pytest.mark.parametrize("source", SOURCES)
def test_before_anything_is_warm_the_tables_defaults_stand(sets, observed_frame, source):
    """OBS-56: the first bar of all, with nothing known but the candle."""
    frame = observed_frame(1, 10, source)
    for name in set(frame) - {"date", "open", "high", "low", "close", "volume"}:
        frame[name] = np.array([np.nan])
    row = dict(zip(sets(source).names, sets(source).compute(frame, dtype=np.float64)[0], strict=True))
    statistics, close = sets(source).statistics, frame["close"][0]
    known = {
        "price",
        "log_volume_norm",
        "rel_volume",
        "vol_proxy",
        "atr",
        "cash_ratio",
        "num_tokens_norm",
        "token_onehot[0]",
    }
    assert {name for name, value in row.items() if value} - known == {"bb_position"}
    assert row["bb_position"] == 0.5
    assert row["cash_ratio"] == 1
    assert row["vol_proxy"] == pytest.approx(np.tanh(np.log(1.01)), abs=1e-15)
    assert row["atr"] == pytest.approx(
        np.tanh((0.01 * close - statistics.means["atr"]) / statistics.stds["atr"]), abs=1e-15
    )


def test_a_value_counts_from_the_first_bar_on_which_it_is_defined(sets, observed_frame):
    """Not only once it has settled: the seed of a recursive mean is enough."""
    rows = sets("taker").compute(observed_frame(3200, 11))
    index = {slot.name: slot.index for slot in SLOTS}
    firsts = {
        "ma5": 4, "ma5_valid": 4, "ma20": 19, "ma20_valid": 19, "rsi": 14, "macd": 25, "macd_signal": 33,
        "momentum": 10, "cci": 19, "obv": 200, "bb_width": 19, "ret_bar": 1, "cvd_24h": 95, "yang_zhang_720h": 2880,
        "garch_12h": 48, "sma_60": 59, "tbr_momentum_1h": 4, "ret_60m": 12,
    }  # fmt: skip
    for name, first in firsts.items():
        column = rows[:, index[name]]
        assert (column[:first] == 0).all(), name
        assert column[first] != 0, name


@pytest.mark.parametrize(
    "missing", [["taker_buy_volume"], ["quote_volume"], ["event_high"], ["fear_greed", "hours_since_event"]]
)
def test_an_input_that_is_not_known_for_a_while(sets, observed_frame, missing):
    """OBS-56: defaults while it is not, windows as soon as it is known all through them."""
    frame = observed_frame(700, 12)
    for name in missing:
        frame[name] = np.where((np.arange(700) // 150) % 2, np.nan, frame[name])
    assert_allclose(sets().compute(frame, dtype=np.float64), observe(frame, sets().statistics), rtol=0, atol=1e-9)


def test_an_input_absent_in_training_is_not_read_later(sets, observed_frame):
    """A policy never sees what it was not trained with; taker and book decide on the source and are refused instead."""
    observations = sets("candles", metadata=False)
    assert observations.inputs == ()
    rich = observed_frame(300, 13, "candles")
    plain = {name: rich[name] for name in ("date", "open", "high", "low", "close", "volume")}
    np.testing.assert_array_equal(observations.compute(rich), observations.compute(plain))


def test_garch_has_the_parameters_that_the_statistics_were_fitted_with(observed_frame):
    """CAT-9."""
    frame, parameters = observed_frame(600, 14), {"garch_alpha": 0.2, "garch_beta": 0.7, "garch_omega": 1e-6}
    observations = observation_set(fit(frame, "15m", parameters), parameters=parameters)
    assert_allclose(
        observations.compute(frame, dtype=np.float64), observe(frame, observations.statistics), rtol=0, atol=1e-9
    )


def test_a_slot_whose_training_values_never_moved_is_0(observed_frame):
    """T(x) with std 0, rounding of recursive means included."""
    still = observed_frame(500, 15, metadata=False)
    moving = {name: values.copy() for name, values in still.items()}
    still |= {name: np.full(500, 100.1) for name in ("open", "high", "low", "close")}
    observations = observation_set(fit(still, "15m"))
    silent = observations.statistics.silent
    assert set(silent) >= {"price", "ma5", "ma20", "macd", "macd_signal", "atr", "cci", "obv", "sma_60", "garch_12h"}
    rows = observations.compute(moving)
    for name in silent:
        assert (rows[:, observations.names.index(name)] == 0).all(), name
