"""Every feature against a slow twin, written from the specification with NumPy and loops alone (CAT-7)."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from twins import TWINS, Market, external
from twins.market import OPTIONAL, milliseconds

from tradekernels.features import CATALOG, References, feature_set

N_ROWS = 4600
SECTOR = ("ETH/USDT", ("SOL/USDT", "1h"), "XRP/USDT")
PARAMETERS = {"leverage": 3.0, "max_leverage": 20.0, "maintenance_margin": 0.005,
              "garch_alpha": 0.07, "garch_beta": 0.9, "garch_omega": 0.0}  # fmt: skip
TABLE = tuple(external.TWINS)
TABLE_ROWS = {"5m": 9600, "1h": 1500, "4h": 800}

# Absolute differences allowed, for a rounding of 1e-16 grows where sums of thousands cancel; elsewhere 1e-12.
ABSOLUTE = {
    "cvd_24h": 1e-9,  # sums of 100 to 2,000 volumes of 20
    "cvd_168h": 1e-9,
    "weighted_mid_deviation": 1e-10,  # 1e4 times the difference of two prices
    "spread_roll": 1e-10,  # the root of a covariance that may be near 0
    "skew": 1e-11,  # third powers that cancel, over a spread of 1
    "kurtosis": 1e-11,
}
# The twin of chaikin has another seed, of weight 1e-8 at the warm-up.
SEEDED_ELSEWHERE = {"chaikin": 100}


def both(names, frame, timeframe, references, parameters):
    """Return what the engine and what the twins say of a frame, a column per name."""
    features = feature_set(names, timeframe=timeframe, parameters=parameters)
    sector = SECTOR if references else ()
    engine = features.compute(frame, references=References(frames=references, sector=sector), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        market = Market(frame, timeframe, references, sector, parameters)
        twins = {name: np.asarray(TWINS[name](market), dtype=np.float64) for name in names}
    columns = dict(zip(names, engine.T, strict=True))
    return SimpleNamespace(engine=columns, twins=twins, warmups=dict(zip(names, features.warmups, strict=True)))


def with_gaps(frame):
    """Return the frame without single bars, a run of 5 and one of 300; with bars that traded nothing, and unknowns."""
    n_rows = len(frame["date"])
    frame = {name: column.copy() for name, column in frame.items()}
    for row in range(50, n_rows, 97):  # nothing was traded
        for name in ("volume", "taker_buy_volume", "quote_volume", "order_flow_imbalance", "mean_top_depth"):
            frame[name][row] = 0.0
    for row in range(80, n_rows, 131):  # one price
        for name in ("open", "high", "low"):
            frame[name][row] = frame["close"][row]
    for k, name in enumerate(OPTIONAL):
        frame[name][10 * k : 10 * k + 7] = np.nan
    frame["taker_buy_volume"][1600:1650] = np.nan
    frame["quote_volume"][2500:3300:3] = np.nan
    frame["open_interest"][n_rows - 800] = np.nan
    keep = np.ones(n_rows, dtype=bool)
    keep[np.random.default_rng(5).integers(100, n_rows - 1, 40)] = False
    keep[[3999, 4001]] = False
    keep[n_rows - 1500 : n_rows - 1495] = False
    keep[n_rows - 1100 : n_rows - 800] = False
    return {name: column[keep] for name, column in frame.items()}


def with_holes(references):
    """Return bitcoin without one bar, then without three: the first is bridged, the second is unknown."""
    bitcoin = references["BTC/USDT"]
    keep = np.ones(len(bitcoin["date"]), dtype=bool)
    keep[[3100, 4300, 4301, 4302]] = False
    return references | {"BTC/USDT": {name: column[keep] for name, column in bitcoin.items()}}


@pytest.fixture(scope="module")
def whole(full_frame, reference_frames):
    frame = full_frame(N_ROWS, seed=1)
    return both(tuple(CATALOG), frame, "15m", reference_frames(frame, seed=1), PARAMETERS)


@pytest.fixture(scope="module")
def gappy(full_frame, reference_frames):
    frame = full_frame(N_ROWS + 500, seed=2)
    references = with_holes(reference_frames(frame, seed=2))
    return both(tuple(CATALOG), with_gaps(frame), "15m", references, PARAMETERS | {"garch_omega": 2e-6})


@pytest.fixture(scope="module")
def by_timeframe(full_frame):
    found = {}
    for timeframe, n_rows in TABLE_ROWS.items():
        frame = full_frame(n_rows, seed=3, bar_ms=milliseconds(timeframe))
        frame = {
            name: np.delete(column, np.r_[n_rows - 300 : n_rows - 290, n_rows - 90]) for name, column in frame.items()
        }
        found[timeframe] = both(TABLE, frame, timeframe, {}, PARAMETERS)
    return found


@pytest.fixture(scope="module")
def bare(candles):
    return both(tuple(CATALOG), candles(N_ROWS, seed=4), "15m", {}, None)


def agree(found, name):
    first = found.warmups[name] + SEEDED_ELSEWHERE.get(name, 0)
    values, twin = found.engine[name][first:], found.twins[name][first:]
    assert len(twin) > 400
    assert np.isfinite(twin).mean() > 0.3
    assert_allclose(values, twin, rtol=1e-9, atol=ABSOLUTE.get(name, 1e-12))


def test_every_feature_has_a_twin():
    """CAT-7: none is left out, none is left over."""
    assert set(TWINS) == set(CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_a_feature_agrees_with_its_twin(whole, name):
    """CAT-7: to 1e-9 relative, and to 1e-12 where a difference of nearly equal numbers is left."""
    assert np.isfinite(whole.twins[name][whole.warmups[name] :]).all()
    agree(whole, name)


@pytest.mark.parametrize("name", CATALOG)
def test_a_feature_agrees_with_its_twin_across_gaps(gappy, name):
    """CAT-7: with bars missing, bars that traded nothing, and columns that are not known everywhere."""
    agree(gappy, name)


@pytest.mark.parametrize("name", CATALOG)
def test_a_feature_does_with_candles_alone_or_is_unknown(bare, name):
    """CAT-4: neither an optional column nor another pair is there; what needs one is NaN throughout, as its twin is."""
    if np.isnan(bare.twins[name]).all():
        assert np.isnan(bare.engine[name]).all()
    else:
        agree(bare, name)


@pytest.mark.parametrize("timeframe", TABLE_ROWS)
@pytest.mark.parametrize("name", TABLE)
def test_a_window_of_the_table_agrees_on_every_timeframe(by_timeframe, name, timeframe):
    """OBS-62: spans change with the timeframe; ten bars are missing, and one."""
    agree(by_timeframe[timeframe], name)


@pytest.mark.parametrize("name", CATALOG)
def test_nan_stands_before_warmup_and_nowhere_else(whole, name):
    """CAT-4: where every column and every peer is known."""
    warmup = whole.warmups[name]
    assert np.isnan(whole.engine[name][:warmup]).all()
    assert np.isfinite(whole.engine[name][warmup:]).all()


@pytest.mark.parametrize("name", CATALOG)
def test_values_keep_the_range_that_the_catalogue_states(whole, gappy, name):
    """CAT-2: to the rounding of a double."""
    low, high = CATALOG[name].range
    for found in (whole, gappy):
        known = found.engine[name][found.warmups[name] :]
        known = known[np.isfinite(known)]
        assert known.min() >= low - 1e-12
        assert known.max() <= high + 1e-12
