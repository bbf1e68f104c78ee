"""Long series: nothing drifts, and time grows with length alone. From: a million bars. To: exact sums as the judge."""

import math
import tracemalloc

import numpy as np
import pytest

from tradekernels.features import CATALOG, feature_set

NAMES = (
    "sma_20_ratio", "sma_200_ratio", "bb_width", "volume_z_96", "cmf_20", "vwma_20_ratio", "vwap_24h_ratio",
    "realised_vol_year", "var95_normal", "var95", "autocorr_1", "skew", "kurtosis", "garch_vol",
)  # fmt: skip


def mean(x):
    return math.fsum(x) / len(x)


def moment(x, power):
    middle = mean(x)
    return mean([(v - middle) ** power for v in x])


def deviation(x):
    return math.sqrt(moment(x, 2))


def garch(returns):
    start = variance = mean(returns * returns)
    for r in returns.tolist():
        variance = 0.02 * start + 0.05 * r * r + 0.93 * variance
    return math.sqrt(variance)


def _check(candles, n_rows):
    frame = candles(n_rows, seed=9, volatility=0.002)
    frame["volume"][: n_rows // 2] *= 1e9  # what has left the window must leave no trace
    frame["close"][: n_rows // 2] *= 1e6
    for name in ("open", "high", "low"):
        frame[name][: n_rows // 2] *= 1e6
    values = dict(zip(NAMES, feature_set(NAMES).compute(frame, dtype=np.float64).T, strict=True))
    tail = {name: column[-4000:] for name, column in frame.items()}
    high, low, close, volume = (tail[name] for name in ("high", "low", "close", "volume"))
    flow = ((close - low) - (high - close)) / (high - low) * volume
    quote = volume * (high + low + close) / 3
    r = np.log(close[1:] / close[:-1])
    r = np.concatenate([[math.nan], r])
    for t in range(3500, 4000, 41):
        last = {n: slice(t - n + 1, t + 1) for n in (20, 96, 200, 672, 2880)}
        now, then, month = r[last[96]], r[t - 96 : t], r[last[2880]]
        pairs = [(a - mean(now)) * (b - mean(then)) for a, b in zip(now, then, strict=True)]
        expected = {
            "sma_20_ratio": close[t] / mean(close[last[20]]) - 1,
            "sma_200_ratio": close[t] / mean(close[last[200]]) - 1,
            "bb_width": 4 * deviation(close[last[20]]) / close[t],
            "volume_z_96": (volume[t] - mean(volume[last[96]])) / deviation(volume[last[96]]),
            "cmf_20": math.fsum(flow[last[20]]) / math.fsum(volume[last[20]]),
            "vwma_20_ratio": close[t] / (math.fsum((close * volume)[last[20]]) / math.fsum(volume[last[20]])) - 1,
            "vwap_24h_ratio": close[t] / (math.fsum(quote[last[96]]) / math.fsum(volume[last[96]])) - 1,
            "realised_vol_year": math.sqrt(math.fsum(month * month) * 365 / 30),
            "var95_normal": 1.645 * deviation(month) - mean(month),
            "var95": -np.quantile(month, 0.05),
            "autocorr_1": mean(pairs) / (deviation(now) * deviation(then)),
            "skew": moment(now, 3) / deviation(now) ** 3,
            "kurtosis": moment(now, 4) / moment(now, 2) ** 2 - 3,
            "garch_vol": garch(r[last[672]]),
        }
        for name, value in expected.items():
            # 1e-8 is what is promised; a difference of nearly equal numbers is held to 1e-13 of them.
            assert values[name][n_rows - 4000 + t] == pytest.approx(value, rel=1e-10, abs=1e-13), (name, t)


def test_windows_are_exact_after_many_bars(candles):
    """Seven laps of the longest window, prices that fall by six orders of magnitude and volumes by nine."""
    _check(candles, 20_000)


@pytest.mark.slow
def test_windows_are_exact_after_ten_million_bars(candles):
    """No drift: nothing is subtracted from a running sum. Needs 2.5 GB."""
    _check(candles, 10_000_000)


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
