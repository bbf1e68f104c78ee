"""Values of returns, ranges and shapes worked out on paper, of the features and of their slow twins alike.

Where a window is long the bars before are at rest, or repeat, so that the pattern alone decides.
"""

from itertools import pairwise
from math import exp, log, pi, sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose
from simple_bars import bars, walk, without, zigzag


def test_parabolic_stop_after_a_reversal(column):
    """Wilder (1978): it falls 250 bars to a low of 250.5, then turns; 0.02 more haste at each new high."""
    fall = 500.0 - np.arange(250)
    close = [*fall, 295, 305, 308, 309]
    high = [*(fall + 0.5), 300, 310, 312, 311]
    low = [*(fall - 0.5), 290, 300, 303, 305]
    frame = bars(close, high=high, low=low)
    stop_1 = 250.5  # the lowest low at the reversal; one bar more, as it may not pass the low of two bars ago
    stop_2 = stop_1 + 0.04 * (310 - stop_1)
    stop_3 = stop_2 + 0.06 * (312 - stop_2)  # 256.4272
    expected = [(295 - 250.5) / 295, (305 - stop_1) / 305, (308 - stop_2) / 308, (309 - stop_3) / 309]
    assert_allclose(column("psar_distance", frame)[-4:], expected, rtol=1e-12)
    assert column("psar_side", frame)[-5:].tolist() == [-1, 1, 1, 1, 1]


def test_corwin_schultz_of_two_bars_of_one_range(last):
    """With one high and one low alpha is ln(H/L), so the spread is 2 (H/L - 1)/(H/L + 1) = 0.04/2.02."""
    frame = bars(np.full(80, 101.0), high=np.full(80, 102.0), low=np.full(80, 100.0))
    assert_allclose(last("spread_corwin_schultz", frame), 0.04 / 2.02, rtol=1e-10)
    assert_allclose(last("spread_cs_ratio", frame), 1, rtol=1e-10)


def test_roll_spread_of_a_bounce(last):
    """Returns of +1% and -1% in turns: the covariance is -0.01^2, the spread 2 x 0.01."""
    assert_allclose(last("spread_roll", bars(zigzag(60))), 0.02, rtol=1e-10)


def test_kyle_lambda_where_flow_moves_price(last):
    """r = 0.01 s and Q the same at every bar: slope 0.01/Q, times Q."""
    close = zigzag(80)
    frame = bars(close, open_=np.roll(close, 1), quote_volume=500.0)
    assert_allclose(last("kyle_lambda", frame), 0.01, rtol=1e-9)
    assert_allclose(last("amihud", frame), log(1 + 1e9 * 0.01 / 500), rtol=1e-12)
    assert_allclose(last("price_impact", frame), 0.01, rtol=1e-12)


def test_yang_zhang_of_two_days(column):
    """The 48 hours of daily bars are n = 2, k = 0.34/(1.34 + 3/1); a sample variance of two is half the square."""
    frame = bars([100] * 40 + [102, 100], [100] * 40 + [101, 103], [100] * 40 + [104, 105], [100] * 40 + [100, 99],
                 timeframe="1d")  # fmt: skip
    overnight = (log(101 / 100) - log(103 / 102)) ** 2 / 2
    body = (log(102 / 101) - log(100 / 103)) ** 2 / 2
    first = log(104 / 102) * log(104 / 101) + log(100 / 102) * log(100 / 101)
    second = log(105 / 100) * log(105 / 103) + log(99 / 100) * log(99 / 103)
    k = 0.34 / (1.34 + 3)
    expected = sqrt(overnight + k * body + (1 - k) * (first + second) / 2)
    assert_allclose(column("yang_zhang_24h", frame, "1d")[-1], expected, rtol=1e-12)
    alone = without(frame, [40])
    assert_allclose(column("yang_zhang_24h", alone, "1d")[-1], sqrt(second), rtol=1e-12)  # one bar: its drift-free term


def test_parkinson_and_garman_klass_of_bars_of_one_height(last):
    """H/L = e^0.02 and O = C: 0.02/sqrt(4 ln 2), and 0.02 sqrt(0.5)."""
    frame = bars(np.full(700, 100.0), high=np.full(700, 100 * exp(0.01)), low=np.full(700, 100 * exp(-0.01)))
    assert_allclose(last("parkinson_24h", frame), 0.02 / sqrt(4 * log(2)), rtol=1e-12)
    assert_allclose(last("garman_klass_24h", frame), 0.02 * sqrt(0.5), rtol=1e-12)
    assert_allclose(last("rogers_satchell_24h", frame), 0.01 * sqrt(2), rtol=1e-12)  # ln(H/C)ln(H/O) twice
    most, fewer = without(frame, range(650, 669)), without(frame, range(650, 670))
    assert_allclose(last("parkinson_24h", most), 0.02 / sqrt(4 * log(2)), rtol=1e-12)  # 77 of 96 are above 80%
    assert np.isnan(last("parkinson_24h", fewer))  # 76 are not


def test_garch_of_three_moves_after_rest(last):
    """200h of 4h bars are 50 returns: 47 of 0, whose geometric sum is known, then three steps."""
    moves, omega, alpha, beta = (0.03, -0.01, 0.02), 1e-6, 0.05, 0.93
    frame = bars(walk([0.0] * 60 + list(moves)), timeframe="4h")
    h = omega * (1 - beta**47) / (1 - beta) + beta**47 * (0.0009 + 0.0001 + 0.0004) / 50
    for square in (0.0009, 0.0001, 0.0004):
        h = omega + alpha * square + beta * h
    options = {"garch_alpha": alpha, "garch_beta": beta, "garch_omega": omega}
    assert_allclose(last("garch_12h", frame, "4h", **options), sqrt(h), rtol=1e-10)
    targeted = (1 - alpha - beta) * 0.0014 / 50
    h = targeted * (1 - beta**47) / (1 - beta) + beta**47 * 0.0014 / 50
    for square in (0.0009, 0.0001, 0.0004):
        h = targeted + alpha * square + beta * h
    assert_allclose(last("garch_12h", frame, "4h"), sqrt(h), rtol=1e-10)


def test_short_windows_of_garch(last):
    """12 bars of 1h: Riskmetrics, from a mean of 1/12 of the one move; 9 bars: the deviation of one move of nine."""
    frame = bars(walk([0.0] * 60 + [0.06]), timeframe="1h")
    assert_allclose(last("garch_12h", frame, "1h"), sqrt(0.94**12 * 0.0036 / 12 + 0.06 * 0.0036), rtol=1e-10)
    assert_allclose(last("garch_500m", frame, "1h"), 0.06 * sqrt(1 / 9 * 8 / 9), rtol=1e-10)


def test_ewma_vol_of_one_move(last):
    """Rest, then one return: 6% of its square."""
    assert_allclose(last("ewma_vol", bars(walk([0.0] * 600 + [0.05]))), 0.05 * sqrt(0.06), rtol=1e-10)


def test_vpin_splits_a_bar_between_buckets(last):
    """96 bars of 1 fill 50 buckets of 1.92. 47 are bought, then 49 sold: bucket 25, 46.08 to 48, holds 0.92 and 1."""
    bought = [0.5] * 200 + [1.0] * 47 + [0.0] * 49
    frame = bars(zigzag(296), taker_buy_volume=bought)
    assert_allclose(last("vpin", frame), (49 + 0.08 / 1.92) / 50, rtol=1e-10)


def test_vpin_without_trades_goes_by_returns(last):
    """Returns of one size have a spread of that size: Phi(1) is bought of a rise, Phi(-1) of a fall.

    A bucket of 1.92 bars takes 2 bars less 0.08; what it holds of a rise more than of a fall is the bias left over.
    """
    phi = 0.8413447460685429
    edges = [k * 1.92 for k in range(51)]
    bias = []
    for low, high in pairwise(edges):
        parts = [(max(0.0, min(high, bar + 1) - max(low, bar)), 1 if bar % 2 else -1) for bar in range(96)]
        bias.append(abs(sum(size * side for size, side in parts)) * (2 * phi - 1) / 1.92)
    assert_allclose(last("vpin", bars(zigzag(400))), sum(bias) / 50, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("permutation_entropy", 0.0),  # one pattern
        ("fractal_dimension", 1.0),  # a straight line
        ("trend_r2", 1.0),
        ("run_length", 10.0),  # capped at 100 bars
        ("momentum_agreement", 1.0),
        ("momentum_24h", 0.096),
        ("acceleration", 0.0),
        ("ret_60m", exp(0.012) - 1),  # 12 bars of 15m, OBS-62
        ("ret_15m", exp(0.003) - 1),
        ("ret_5m", exp(0.001) - 1),
    ],
)
def test_a_steady_rise(last, name, expected):
    """0.1% at every bar."""
    close = walk([0.001] * 300)
    assert_allclose(last(name, bars(close, open_=close * exp(-0.001))), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hurst", 0.0),  # every chunk's walk is as high as one step, whatever its length
        ("permutation_entropy", log(2) / log(6)),  # peak and trough, in turns
        ("entropy", log(2) / log(8)),  # half of the returns lie below a rise, none below a fall
        ("autocorr_1", -1.0),
        ("autocorr_5", -1.0),
        ("autocorr_10", 1.0),
        ("variance_ratio", 0.0),  # four bars lead nowhere
        ("skew", 0.0),
        ("kurtosis", -2.0),  # of a coin
        ("jump", 0.0),
        ("jump_share", 0.0),
        ("cvar5", -0.01),
        ("vol_of_vol", 0.0),
        ("realised_vol_1h", 0.02),  # sqrt(4 x 0.01^2)
        ("realised_vol_1d", sqrt(96) * 0.01),
    ],
)
def test_a_zigzag(last, name, expected):
    """+1% and -1% in turns."""
    assert_allclose(last(name, bars(zigzag(300))), expected, rtol=1e-9, atol=1e-9)


def test_yearly_volatility_and_value_at_risk_of_a_zigzag(last):
    """Daily bars of 1%: sqrt(365) x 0.01 a year; mean 0 and deviation 0.01 give 1.645%."""
    frame = bars(zigzag(80), timeframe="1d")
    assert_allclose(last("realised_vol_year", frame, "1d"), sqrt(365) * 0.01, rtol=1e-10)
    assert_allclose(last("var95_normal", frame, "1d"), 0.01645, rtol=1e-10)


def test_value_at_risk_lies_between_two_returns(last):
    """180 bars of 4h: place 0.05 x 179 = 8.95 lies between the last of nine losses of 2% and a 0."""
    returns = [0.0] * 100 + [-0.02] * 9 + [0.0] * 91
    assert_allclose(last("var95", bars(walk(returns), timeframe="4h"), "4h"), 0.02 * (1 - 0.95), rtol=1e-9)


def test_moments_of_one_move_in_96(last):
    """A Bernoulli variable of p = 1/96: skew (1-2p)/sqrt(pq), excess kurtosis (1-6pq)/(pq)."""
    frame, pq = bars(walk([0.0] * 200 + [0.02])), 95 / 96**2
    assert_allclose(last("skew", frame), (1 - 2 / 96) / sqrt(pq), rtol=1e-10)
    assert_allclose(last("kurtosis", frame), (1 - 6 * pq) / pq, rtol=1e-10)
    assert last("cvar5", frame) == 0
    falls = bars(walk([0.0] * 200 + [-0.01, -0.02, -0.03, -0.04, -0.05, 0.07]))
    assert_allclose(last("cvar5", falls), -0.03, rtol=1e-10)


@pytest.mark.parametrize(("size", "expected"), [(10, 1), (5, 0), (-10, -1)])
def test_jump_is_beyond_four_bipower_sigmas(last, size, expected):
    """Of 96 products 95 are a^2, the last |size| a^2: 4 sqrt(pi/2 x 105/96) = 5.24, 4 sqrt(pi/2 x 100/96) = 5.12."""
    moves = [0.01, -0.01] * 110
    frame = bars(walk([*moves, size * 0.01]))
    assert last("jump", frame) == expected
    share = 1 - pi / 2 * (95 + abs(size)) / (95 + size**2)
    assert_allclose(last("jump_share", frame), max(share, 0), rtol=1e-9, atol=1e-12)


def test_trend_slope_of_stairs(last):
    """Steps of 2% and 0 in turns deviate by 1%; the line through 20 stairs rises 1% (1 + 5/665) a bar, or less so."""
    returns = [0.02, 0.0] * 30  # the last window: a pair at one height, ten times over
    frame = bars(walk(returns)[:-1])
    slope = 0.01 * (1 + 5 / 665)
    assert_allclose(last("trend_slope", frame), 20 * slope / 0.01, rtol=1e-9)
    slope = 0.01 * (1 - 5 / 665)
    assert_allclose(last("trend_slope", bars(walk(returns))), 20 * slope / 0.01, rtol=1e-9)


def test_failed_breaks(column):
    """A break to 105 that holds, and one to 106 that closes at its level of 105 the bar after: half of them failed."""
    close = np.array([100.0] * 100 + [105] * 20 + [106] + [105] * 70)
    share = column("failed_breaks", bars(close))
    assert share[104] == 0  # too young to be counted
    assert share[105] == 0
    assert_allclose(share[[125, 154]], 0.5)
    assert share[155] == 1  # the first is 55 bars old
    assert share[175] == 0


def test_run_length_and_doji(column):
    frame = bars([100] * 150 + [101] * 150 + [100] + [99] * 3, open_=[100] * 304)
    assert_allclose(column("run_length", frame)[[149, 248, 270, 300, 303]], [0, 9.9, 10, 0, -0.3], rtol=1e-12)


def test_obv_divergence(last):
    """20 bars end higher, but the one that fell traded most."""
    returns = [0.001] * 60 + [-0.005] + [0.001] * 10
    volume = [1.0] * 61 + [50.0] + [1.0] * 10
    assert last("obv_divergence", bars(walk(returns), volume=volume)) == 1
    assert last("obv_divergence", bars(walk(returns))) == 0
