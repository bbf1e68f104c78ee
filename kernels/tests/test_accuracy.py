"""Long series: nothing drifts, and time grows with length alone. From: a million bars. To: exact sums as the judge."""

import math
import tracemalloc

import numpy as np
import pytest

from tradekernels.features import CATALOG, feature_set


def _check(candles, n_rows):
    names = ("sma_20_ratio", "sma_200_ratio", "bb_width", "volume_z_96", "cmf_20", "vwma_20_ratio")
    frame = candles(n_rows, seed=9, volatility=0.002)
    frame["volume"][: n_rows // 2] *= 1e9  # what has left the window must leave no trace
    values = dict(zip(names, feature_set(names).compute(frame, dtype=np.float64).T, strict=True))
    close, volume = frame["close"], frame["volume"]
    flow = ((close - frame["low"]) - (frame["high"] - close)) / (frame["high"] - frame["low"]) * volume

    def mean(x):
        return math.fsum(x) / len(x)

    def deviation(x):
        middle = mean(x)
        return math.sqrt(math.fsum((v - middle) ** 2 for v in x) / len(x))

    for t in range(n_rows - 500, n_rows, 7):
        last = {n: slice(t - n + 1, t + 1) for n in (20, 96, 200)}
        expected = {
            "sma_20_ratio": close[t] / mean(close[last[20]]) - 1,
            "sma_200_ratio": close[t] / mean(close[last[200]]) - 1,
            "bb_width": 4 * deviation(close[last[20]]) / close[t],
            "volume_z_96": (volume[t] - mean(volume[last[96]])) / deviation(volume[last[96]]),
            "cmf_20": math.fsum(flow[last[20]]) / math.fsum(volume[last[20]]),
            "vwma_20_ratio": close[t] / (math.fsum((close * volume)[last[20]]) / math.fsum(volume[last[20]])) - 1,
        }
        for name, value in expected.items():
            assert values[name][t] == pytest.approx(value, rel=1e-10, abs=1e-14), (name, t)


def test_windows_are_exact_after_many_bars(candles):
    """Two laps of every window, and a volume that falls by nine orders of magnitude."""
    _check(candles, 20_000)


@pytest.mark.slow
def test_windows_are_exact_after_a_million_bars(candles):
    """No drift: nothing is subtracted from a running sum."""
    _check(candles, 1_000_000)


def test_compute_needs_little_more_memory_than_its_result(candles):
    """Output plus 10%: columns are read in place, slots are a block long."""
    frame = candles(40_000, seed=1)
    features = feature_set(CATALOG)
    features.compute(frame)
    tracemalloc.start()
    rows = features.compute(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.1 * rows.nbytes
