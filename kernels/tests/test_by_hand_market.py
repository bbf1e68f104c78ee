"""Values of days, funding, books and other pairs worked out on paper, of the features and of their slow twins alike."""

from datetime import UTC, datetime
from math import pi, sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose
from simple_bars import MIDNIGHT_MS, bars, walk, zigzag


def test_pivots_are_of_the_day_before_that_had_bars(column):
    """P = (110 + 90 + 105)/3, R1 = 2P - 90, S1 = 2P - 110; also where a day without bars lies between."""
    close, high, low = np.full(3 * 96 + 5, 100.0), np.full(3 * 96 + 5, 101.0), np.full(3 * 96 + 5, 99.0)
    high[130], low[150], close[191], high[191] = 110, 90, 105, 106
    frame = bars(close, high=high, low=low)
    pivot = (110 + 90 + 105) / 3
    for name, level in (("pivot", pivot), ("r1", 2 * pivot - 90), ("s1", 2 * pivot - 110)):
        assert_allclose(column(f"{name}_distance", frame)[192:288], 100 / level - 1, rtol=1e-12)
    frame["date"][192:] += 86_400_000
    assert_allclose(column("pivot_distance", frame)[192:288], 100 / pivot - 1, rtol=1e-12)


def test_vwap_of_a_day(last):
    """Six bars of 4h: 5 of 100 and one of 120 for 6 pieces; without quote volume the typical price stands for it."""
    frame = bars([110] * 20, quote_volume=[100.0] * 19 + [120], timeframe="4h")
    assert_allclose(last("vwap_24h_ratio", frame, "4h"), 110 * 6 / 620 - 1, rtol=1e-12)
    frame = bars([100] * 19 + [106], high=[100] * 19 + [112], low=[100] * 19 + [100], timeframe="4h")
    assert_allclose(last("vwap_24h_ratio", frame, "4h"), 106 * 6 / (500 + 106) - 1, rtol=1e-12)


def test_funding(last):
    """Rates of 1..6 parts in 10,000 over bars of half a funding period; 1095 periods a year."""
    frame = bars([100] * 200, funding_rate=[1e-4] * 194 + [k * 1e-4 for k in range(1, 7)], timeframe="4h")
    assert_allclose(last("funding_sum_24h", frame, "4h"), 21e-4 / 2, rtol=1e-12)
    assert_allclose(last("funding_year", frame, "4h"), 0.657, rtol=1e-12)
    one = bars([100] * 200, funding_rate=[0.0] * 199 + [3e-4], timeframe="4h")
    assert_allclose(last("funding_z_30d", one, "4h"), sqrt(179), rtol=1e-9)  # one of 180: (1 - p)/sqrt(p(1 - p))
    assert last("funding_z_30d", bars([100] * 200, funding_rate=1e-4, timeframe="4h"), "4h") == 0


def test_liquidation(last):
    """At leverage 5 and margin 0.5% the room is 19.5%; a day's volatility of 19.5%/1.96 meets it in 5 of 100."""
    step = 0.195 / 1.96 / sqrt(6)
    frame, options = bars(zigzag(80, step), timeframe="4h"), {"leverage": 5.0, "maintenance_margin": 0.005}
    assert_allclose(last("liquidation_risk", frame, "4h", **options), 0.04999579029644087, rtol=1e-9)
    needed = 1 / (3 * 0.195 / 1.96 + 0.005)
    assert_allclose(last("safe_leverage", frame, "4h", max_leverage=10.0), needed / 10, rtol=1e-9)
    still = bars([100] * 400, high=[101] * 400, low=[99] * 400)  # ATR 2%
    assert_allclose(last("liquidation_atr", still, **options), 0.195 / 0.02, rtol=1e-9)
    assert last("leverage", still, leverage=5.0, max_leverage=20.0) == 0.25
    assert last("safe_leverage", still) == 1  # 1/0.005 is more than is allowed


def test_marks_and_open_interest(last):
    frame = bars([100] * 120, mark_price=80.0, open_interest=[1000.0] * 23 + [1200.0] * 97)
    assert_allclose(last("mark_basis", frame), 0.25, rtol=1e-12)
    assert_allclose(last("open_interest_change", frame), 0.0, atol=1e-12)  # 96 bars ago it was 1200 already
    assert_allclose(last("open_interest_change", {k: v[:-1] for k, v in frame.items()}), 0.2, rtol=1e-12)


def test_book_at_the_close(last):
    """99 x 3 against 101 x 1: the weighted mid is 100.5."""
    frame = bars([100] * 30, volume=4.0, taker_buy_volume=3.0, best_bid=99.0, best_ask=101.0, best_bid_size=3.0,
                 best_ask_size=1.0, bid_size_5=30.0, ask_size_5=10.0, order_flow_imbalance=6.0,
                 mean_top_depth=4.0)  # fmt: skip
    expected = {"weighted_mid_deviation": 50, "spread_bps": 200, "depth_imbalance": 0.5, "order_flow_imbalance": 1.5,
                "trade_flow_imbalance": 0.5, "taker_buy_ratio": 0.75}  # fmt: skip
    for name, value in expected.items():
        assert_allclose(last(name, frame), value, rtol=1e-10, err_msg=name)


def test_taker_flow(column):
    """Ratios of 0.4, then 0.6: half more; from 0.005, too little to compare with, none."""
    frame = bars([100] * 200, volume=10.0, taker_buy_volume=[4.0] * 190 + [6.0] * 10)
    assert_allclose(column("tbr_momentum_1h", frame)[[189, 190, 193, 194]], [0, 0.5, 0.5, 0], rtol=1e-10, atol=1e-12)
    assert_allclose(column("cvd_24h", frame)[-1], 10 * 2 - 86 * 2, rtol=1e-12)
    assert_allclose(column("tbr_sma_6h", frame)[-1], (10 * 0.6 + 14 * 0.4) / 24, rtol=1e-12)
    small = bars([100] * 200, volume=10.0, taker_buy_volume=[0.05] * 199 + [6.0])
    assert column("tbr_momentum_1h", small)[-1] == 0


def test_sector_and_market(last):
    """Own price at rest; peers at -1%, -2%, 0 and +4% over the day: two below, one equal."""
    frame = bars([100] * 200)
    frames = {f"{name}/USDT": bars([100] * 190 + [100 + change] * 10)
              for name, change in (("BTC", -1), ("ETH", -2), ("SOL", 0), ("XRP", 4))}  # fmt: skip
    asked = {"references": frames, "sector": tuple(frames)}
    assert_allclose(last("sector_rank", frame, **asked), 2.5 / 4)
    assert_allclose(last("sector_return_1d", frame, **asked), 0.0025, rtol=1e-9)
    assert_allclose(last("sector_relative", frame, **asked), -0.0025, rtol=1e-9)
    assert_allclose(last("market_return_1d", frame, **asked), 0.0025, rtol=1e-9)
    assert_allclose(last("btc_relative_strength", frame, **asked), 0.01, rtol=1e-9)
    assert_allclose(last("sector_rank", frame, references=frames, sector=("ETH/USDT", "SOL/USDT")), 1.5 / 2)


def test_breadth(last):
    """Two rise, one falls."""
    rise, fall = walk([0.001] * 1200), walk([-0.001] * 1200)
    frames = {"BTC/USDT": bars(rise), "ETH/USDT": bars(rise), "SOL/USDT": bars(fall)}
    assert_allclose(last("breadth", bars([100] * 1201), references=frames), 2 / 3)


def test_a_pair_that_moves_twice_as_bitcoin_does(last):
    """Beta 2, correlation 1, nothing left over; one bar later a zigzag is its mirror."""
    frame, frames = bars(zigzag(250, 0.02)), {"BTC/USDT": bars(zigzag(250, 0.01))}
    expected = {"btc_beta": 2, "btc_correlation": 1, "btc_lead": -1, "market_beta": 2, "idio_vol": 0}
    for name, value in expected.items():
        assert_allclose(last(name, frame, references=frames), value, rtol=1e-9, atol=1e-9, err_msg=name)


def test_another_pair_is_read_as_of_its_close(column):
    """An hour's close is known from its end on, for less than two hours; then nothing is."""
    hours = bars([100, 100, 102, 104], timeframe="1h")
    frame = bars([100] * 32)
    known = column("btc_return_1h", frame, references={("BTC/USDT", "1h"): hours})
    closes = {2: 0.0, 3: 0.02, 4: 104 / 102 - 1}  # the close of the first hour is known at 01:00, a return at 02:00
    for hour, value in closes.items():
        rows = slice(4 * hour - 1, 4 * hour + 3)
        assert_allclose(known[rows], value, rtol=1e-12, atol=1e-15)
    assert_allclose(known[19:23], 0, atol=1e-15)  # 05:00 to 05:45: the close of 04:00, against itself
    assert np.isnan(known[23:]).all()  # from 06:00 on it is two hours old


@pytest.mark.parametrize(
    ("day", "days"),
    [((2024, 3, 28), 1), ((2024, 3, 29), 0), ((2024, 3, 30), 90), ((2024, 12, 27), 0), ((2024, 12, 28), 90)],
)
def test_days_to_the_last_friday_of_the_quarter(last, day, days):
    """2024-03-29, 06-28 and 12-27 and 2025-03-28 are last Fridays: 1 + 30 + 31 + 28 and 3 + 31 + 28 + 28 days."""
    start = int(datetime(*day, 11, 45, tzinfo=UTC).timestamp() * 1000)
    assert_allclose(last("to_quarter_end", bars([100], start=start)), days / 92, rtol=1e-12)


def test_day_and_month_on_their_circles(last):
    """2024-02-08: 7 of 29 days, 1 of 12 months; the 29th is the last day and turns the month."""
    start = int(datetime(2024, 2, 8, tzinfo=UTC).timestamp() * 1000)
    frame = bars([100], start=start)
    assert_allclose(last("monthday_sin", frame), np.sin(2 * pi * 7 / 29), rtol=1e-12)
    assert_allclose(last("monthday_cos", frame), np.cos(2 * pi * 7 / 29), rtol=1e-12)
    assert_allclose(last("month_sin", frame), 0.5, rtol=1e-12)
    assert_allclose(last("month_cos", frame), sqrt(3) / 2, rtol=1e-12)
    turns = {-9: 0, -8: 1, -7: 1, -6: 0, 20: 0, 21: 1, 22: 1, 23: 0}  # days after the 8th
    for days, expected in turns.items():
        assert last("is_month_turn", bars([100], start=start + days * 86_400_000)) == expected


def test_the_hours_of_funding(column):
    """Closes at 07:50, 07:55, 08:00, 08:05 and 08:10."""
    frame = bars([100] * 5, timeframe="5m", start=MIDNIGHT_MS + (7 * 60 + 45) * 60_000)
    assert column("is_funding_window", frame, "5m").tolist() == [0, 1, 1, 1, 0]
    expected = [10 / 480, 5 / 480, 1, 475 / 480, 470 / 480]
    assert_allclose(column("hours_to_funding", frame, "5m"), expected, rtol=1e-12)


STILL = {
    "hurst": 0.5, "fractal_dimension": 1, "entropy": 0, "permutation_entropy": 0, "vpin": 0, "skew": 0, "kurtosis": 0,
    "autocorr_1": 0, "jump": 0, "jump_share": 0, "variance_ratio": 0, "vol_of_vol": 0, "garch_vol": 0, "garch_24h": 0,
    "trend_r2": 0, "trend_slope": 0, "kyle_lambda": 0, "amihud": 0, "price_impact": 0, "spread_roll": 0,
    "spread_corwin_schultz": 0, "spread_cs_ratio": 0, "failed_breaks": 0, "liquidation_risk": 0, "liquidation_atr": 0,
    "safe_leverage": 1, "ewma_vol": 0, "var95_normal": 0, "run_length": 0, "squeeze_length": 1, "funding_z_30d": 0,
    "btc_correlation": 0, "btc_beta": 0, "market_beta": 0, "idio_vol": 0, "breadth": 0, "sector_rank": 0.5,
    "yang_zhang_168h": 0, "parkinson_24h": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", STILL)
def test_where_nothing_moves(last, name):
    """Prices, volumes and rates that stay what they are: 0, or the middle where there is one."""
    frame = bars([100] * 3000, taker_buy_volume=0.5, funding_rate=1e-4)
    frames = {"BTC/USDT": bars([70] * 3000)}
    assert_allclose(last(name, frame, references=frames, sector=("BTC/USDT",)), STILL[name], atol=1e-12)
