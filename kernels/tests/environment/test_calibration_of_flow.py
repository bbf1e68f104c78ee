"""The flow of the book inside a candle, measured on the recorded feed (LOB-41)."""

import os
from pathlib import Path

import pytest

from tradekernels.environment import BookFlow
from tradekernels.environment.calibration import calibrate_flow
from tradekernels.orderbook import Instrument, read_capture


@pytest.fixture(scope="module")
def feed():
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    capture = Path(folder or "") / "l2" / "btcusdt_20240808.gz"
    if not folder or not capture.exists():
        pytest.skip("CANDLEWRIGHT_MARKET_DATA has no l2/btcusdt_20240808.gz")
    return read_capture(capture, Instrument("BTCUSDT", "0.1", "0.001"))


@pytest.mark.real_data
def test_the_defaults_are_what_the_feed_shows(feed):
    """Levels of 2 bps, as wide as the environment's default spread."""
    flow, default = calibrate_flow(feed, spread_bps=2.0, levels=5), BookFlow()
    assert flow.depth == pytest.approx(default.depth, rel=0.02)
    for name, margin in {
        "market": 0.1, "add": 0.02, "sign_memory": 0.02, "market_size": 0.05, "limit_size": 0.05,
        "depth_deviation": 0.02, "limit_deviation": 0.05, "market_deviation": 0.05, "distance": 0.05,
    }.items():  # fmt: skip
        assert getattr(flow, name) == pytest.approx(getattr(default, name), rel=margin), name


@pytest.mark.real_data
def test_narrower_levels_hold_less_and_see_more_trades(feed):
    wide, narrow = (calibrate_flow(feed, spread_bps=bps) for bps in (2.0, 0.1))
    assert sum(narrow.depth) < sum(wide.depth) / 5
    assert narrow.market > 5 * wide.market
    assert narrow.market_size == wide.market_size


@pytest.mark.real_data
def test_what_cannot_be_measured_is_refused(feed):
    with pytest.raises(ValueError, match="levels is 17, expected 1 to 16"):
        calibrate_flow(feed, levels=17)
    with pytest.raises(ValueError, match=r"levels of .* ticks hold .*, expected some in each"):
        calibrate_flow(feed, spread_bps=2000.0, levels=5)
