"""What comes in is checked, and every refusal says what, where and what was expected (KER-4, DQ-1, DQ-3, CAT-4)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tradekernels.features import BASE_40, References, feature_set

FEATURES = feature_set(BASE_40)
COLUMNS = ("open", "high", "low", "close", "volume")


@pytest.fixture
def frame(candles):
    return candles(600, seed=4)


@given(row=st.integers(0, 599), column=st.sampled_from(COLUMNS), value=st.sampled_from([np.nan, np.inf, -np.inf, -1.0]))
@settings(max_examples=30, deadline=None)
def test_a_bad_number_in_any_cell_is_refused_by_name_and_row(candles, row, column, value):
    """DQ-3."""
    frame = candles(600, seed=4)
    frame[column][row] = value
    with pytest.raises(ValueError, match=rf"{column} in row {row} is {value}, expected a finite"):
        FEATURES.compute(frame)


def test_a_price_of_zero_is_refused_and_a_volume_of_zero_is_not(frame):
    """DQ-3, DQ-5."""
    frame["volume"][7] = 0.0
    FEATURES.compute(frame)
    frame["low"][7] = 0.0
    with pytest.raises(ValueError, match=r"low in row 7 is 0\.0, expected a finite price above 0"):
        FEATURES.compute(frame)


@pytest.mark.parametrize("change", ["high", "low", "open", "close"])
def test_a_broken_candle_is_refused_with_its_prices(frame, change):
    """DQ-3: L <= min(O, C) <= max(O, C) <= H."""
    frame[change][11] = frame["low"][11] / 2 if change == "high" else frame["high"][11] * 2
    with pytest.raises(ValueError, match=r"row 11 has .*: open .*, high .*, low .*, close .*; expected low <="):
        FEATURES.compute(frame)


@pytest.mark.parametrize("step", [0, -1])
def test_times_must_increase(frame, step):
    """DQ-1."""
    frame["date"][3] = frame["date"][2] + step
    with pytest.raises(ValueError, match=r"date in row 3 is 2020-09-13T.*, expected a time after 2020-09-13T.* row 2"):
        FEATURES.compute(frame)


@pytest.mark.parametrize("column", ["date", *COLUMNS])
def test_a_missing_column_is_named(frame, column):
    """CAT-4."""
    del frame[column]
    with pytest.raises(ValueError, match=f"no column '{column}'"):
        FEATURES.compute(frame)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("close", np.full(600, "1"), "close has dtype <U1, expected a real number type"),
        ("close", np.full(600, 1j), "close has dtype complex128, expected a real number type"),
        ("close", np.full(600, True), "close has dtype bool, expected a real number type"),
        ("close", np.ones((600, 1)), "close has 2 dimensions, expected 1"),
        ("close", np.ones(599), "close has 599 values, date has 600"),
        ("date", np.arange(600.0), "date has dtype float64, expected datetime64 or int64 milliseconds"),
        ("date", np.full(600, "NaT", dtype="datetime64[ms]"), "date in row 0 is NaT, expected a time"),
    ],
)
def test_a_column_of_the_wrong_kind_is_refused(frame, column, values, message):
    """KER-4."""
    with pytest.raises(ValueError, match=message):
        FEATURES.compute(frame | {column: values})


def test_inputs_may_be_read_only_strided_float32_or_integer(frame):
    """The same numbers give the same rows, however they are stored."""
    whole = {name: np.round(frame[name] * 1000) for name in COLUMNS} | {"date": frame["date"]}
    expected = FEATURES.compute(whole)
    for values in whole.values():
        values.flags.writeable = False
    strided = {name: np.repeat(values, 2)[::2] for name, values in whole.items()}
    integer = {name: values.astype(np.int32 if name != "date" else np.int64) for name, values in whole.items()}
    single = {name: values.astype(np.float32) if name != "date" else values for name, values in whole.items()}
    for other in (whole, strided, integer, single):
        assert_array_equal(FEATURES.compute(other), expected)


def test_compute_writes_to_none_of_its_inputs(frame):
    """A frame is the caller's."""
    before = {name: values.copy() for name, values in frame.items()}
    FEATURES.compute(frame)
    for name, values in before.items():
        assert_array_equal(frame[name], values)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_come_in_any_unit(frame, unit):
    """int64 milliseconds and datetime64 tell the same time."""
    expected = FEATURES.compute(frame)
    dates = frame["date"].astype("datetime64[ms]").astype(f"datetime64[{unit}]")
    assert_array_equal(FEATURES.compute(frame | {"date": dates}), expected)


def test_a_data_frame_as_freqtrade_makes_it_is_read(frame):
    """tz-aware UTC dates, in either of pandas' units; a row of it streams."""
    pd = pytest.importorskip("pandas")
    expected = FEATURES.compute(frame)
    for unit in ("ms", "ns"):
        dates = pd.to_datetime(frame["date"], unit="ms", utc=True).as_unit(unit)
        table = pd.DataFrame(frame | {"date": dates})
        assert_array_equal(FEATURES.compute(table), expected)
        stream = FEATURES.stream()
        assert_array_equal([stream.update(table.iloc[t]) for t in range(30)], expected[:30])


def test_names_are_checked():
    """An unknown name, a repeated one, none, or a bare string."""
    with pytest.raises(ValueError, match="no feature is called 'sma_20_ration'; the nearest is 'sma_20_ratio'"):
        feature_set(["sma_20_ration"])
    with pytest.raises(ValueError, match="'rsi_14' is named twice"):
        feature_set(["rsi_14", "macd", "rsi_14"])
    with pytest.raises(ValueError, match="names is empty"):
        feature_set([])
    with pytest.raises(ValueError, match="names is 'rsi_14', expected a list"):
        feature_set("rsi_14")


@pytest.mark.parametrize("timeframe", ["", "m", "15", "0m", "15x", "-5m", "1M", "١m"])
def test_a_timeframe_is_a_number_and_a_unit(timeframe):
    """Freqtrade's own spelling, without months, which have no length."""
    with pytest.raises(ValueError, match=r"timeframe is .*, expected a number and m, h, d or w"):
        feature_set(["rsi_14"], timeframe)


def test_only_the_two_float_types_come_out(frame):
    """What is not float32 or float64 is refused."""
    with pytest.raises(ValueError, match=r"dtype is .*int"):
        FEATURES.compute(frame, dtype=np.int64)


@pytest.mark.parametrize(("factor", "unit"), [(1000, "microseconds"), (1_000_000, "nanoseconds")])
def test_times_in_another_unit_are_refused(frame, factor, unit):
    """int64 dates are milliseconds; pandas gives others."""
    with pytest.raises(ValueError, match="expected milliseconds since 1970"):
        FEATURES.compute(frame | {"date": frame["date"] * factor})
    bar = (int(frame["date"][0]) * factor, *(float(frame[name][0]) for name in COLUMNS))
    with pytest.raises(ValueError, match="date of the bar is"):
        FEATURES.stream().update(bar)


def test_bars_of_a_slower_timeframe_are_refused(frame):
    """An hour taken for a quarter would be seen 45 minutes early."""
    hours = {name: column[::4] for name, column in frame.items()}
    with pytest.raises(
        ValueError, match="frame has bars 3600000 ms apart, or multiples of that, expected bars of 900000"
    ):
        FEATURES.compute(hours)
    assert FEATURES.compute({name: column[[0, 4]] for name, column in frame.items()}).shape == (2, 40)


def test_masked_values_are_refused(frame):
    """A mask would be lost."""
    hidden = np.ma.masked_array(frame["close"], mask=np.arange(600) == 5)
    with pytest.raises(ValueError, match="close has masked values"):
        FEATURES.compute(frame | {"close": hidden})


def test_references_are_lists_of_different_pairs(frame):
    """A bare string, a peer named twice, and bitcoin on two timeframes."""
    features = feature_set(["sector_rank"])
    with pytest.raises(ValueError, match="references are 'BTC/USDT'"):
        features.stream(references="BTC/USDT")
    with pytest.raises(ValueError, match="expected every peer once"):
        features.compute(frame, References({"ETH/USDT": frame}, sector=["ETH/USDT", "ETH/USDT"]))
    bitcoins = {"BTC/USDT": frame, ("BTC/USDT", "15m"): frame}
    assert np.isnan(features.compute(frame, References(bitcoins))).all()
