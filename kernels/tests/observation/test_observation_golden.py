"""One vector whose values can be worked out on paper (OBS-58).

Closes rise by 1 a bar to C = 3999, every bar from C - 1 to C + 1 with a volume of 10, 6 of it bought aggressively. So a
mean over n bars lies (n - 1)/2 below the close, for simple and exponential means alike, and every true range is 2.
"""

from math import log, sqrt, tanh

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tradekernels.observation import SLOTS, Statistics, observation_set
from tradekernels.observation.market import STANDARDISED

N_ROWS = 3000
CLOSE = 1000.0 + np.arange(N_ROWS)
FRAME = {
    "date": 1_700_000_100_000 + 900_000 * np.arange(N_ROWS),
    "open": CLOSE, "high": CLOSE + 1, "low": CLOSE - 1, "close": CLOSE,
    "volume": np.full(N_ROWS, 10.0), "taker_buy_volume": np.full(N_ROWS, 6.0),
    "event_high": np.ones(N_ROWS), "hours_since_event": np.full(N_ROWS, 12.0), "fear_greed": np.full(N_ROWS, 20.0),
}  # fmt: skip
MEANS = dict.fromkeys(STANDARDISED, 0.0) | {"price": 3000.0, "ma5": 3000.0, "ma20": 3000.0, "sma_60": 3000.0}
STDS = dict.fromkeys(STANDARDISED, 1e-3) | {
    "price": 999.0, "ma5": 997.0, "ma20": 1000.0, "macd": 14.0, "macd_signal": 7.0, "momentum": 20.0, "atr": 4.0,
    "cci": 100.0, "obv": 4000.0, "cvd_24h": 384.0, "cvd_168h": 1344.0, "sma_60": 969.5, "taker_buy_ratio": 1.2,
    "tbr_sma_24h": 0.6, "tbr_sma_6h": 0.6, "tbr_sma_12h": 0.6,
}  # fmt: skip
STATISTICS = Statistics(
    timeframe="15m",
    means=MEANS,
    stds=STDS,
    quote_scale=39990.0,
    volume_scale=10.0,
    source="taker",
    absent=("quote_volume", "best_bid", "best_ask", "best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5",
            "order_flow_imbalance", "mean_top_depth"),
    parameters={"garch_omega": 0.0, "garch_alpha": 0.05, "garch_beta": 0.93},
    window_table="15m to 1h",
    rows=1000,
    first_ms=0,
    last_ms=900_000_000,
)  # fmt: skip
#        cash   units  bought sold fills spread sum, count, filled, placed: half of 7998 in cash
ACCOUNT = (3999.0, 1.0, 3.0, 1.0, 2.0, 0.002, 2.0, 4.0, 8.0)

GOLDEN = [
    0.7615941559558, 0.6, 0.6, 0.0002501250573151, 0.0004999999687499, 0.7615941559558, 1.0, 0.7571490423135, 1.0,
    1.0, 0.46211715726, 0.7615941559558, 0.46211715726, 0.46211715726, 0.8528916461304, 0.46211715726, 0.911877235524,
    0.005767723228142, 0.2, 0.00576765927142, 0.0, 0.5, 0.46211715726, 0.46211715726, 0.09966799462496,
    0.001, 0.5, 1.0, 0.46211715726, 1.0, 0.2, 1.0, 0.46211715726, 0.7615941559558, 0.3195554975081, 0.3440930002705,
    0.2458124048532, 0.2463809194092, 0.6355966260785, 0.9951503278867, 0.2450362194388, 0.7615941559558,
    0.5649614975496, 0.294958494923, 0.3178464418726, 0.2456937479861, 0.46211715726, 0.7615941559558,
    0.7615941559558, 0.7615941559558, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0,
]  # fmt: skip


@pytest.fixture(scope="module")
def row():
    return observation_set(STATISTICS).compute(FRAME, np.tile(ACCOUNT, (N_ROWS, 1)), dtype=np.float64)[-1]


def test_the_golden_vector(row):
    """OBS-58: 56 literals."""
    assert len(GOLDEN) == 56
    assert_allclose(row, GOLDEN, rtol=0, atol=1e-12)


def test_the_golden_vector_on_paper(row):
    """Where a formula is at hand, the literals follow from it."""
    deviation = sqrt((20**2 - 1) / 12)  # of 20 numbers in a row
    by_hand = {
        "price": tanh(1), "log_volume_norm": 0.6, "rel_volume": 0.6,  # tanh(ln 2) = (4 - 1)/(4 + 1)
        "ret_bar": tanh(1 / 3998), "vol_proxy": tanh(log(1 + 2 / 3999)),
        "ma5": tanh((3997 - 3000) / 997), "ma5_valid": 1, "ma20": tanh((3989.5 - 3000) / 1000), "ma20_valid": 1,
        "rsi": 1, "macd": tanh((12.5 - 5.5) / 14), "macd_signal": tanh(1), "momentum": tanh(0.5), "atr": tanh(0.5),
        "cci": tanh(9.5 / (0.015 * 5) / 100), "obv": tanh(200 * 10 / 4000),
        "bb_position": (9.5 + 2 * deviation) / (4 * deviation), "bb_width": 4 * deviation / 3999,
        "ofi_proxy": 0.2, "quantity_imbalance": tanh(4 * deviation / 3999), "microstructure_deviation": 0,
        "cash_ratio": 0.5, "position_ratio": tanh(0.5), "volume_imbalance": tanh(0.5), "trade_intensity": tanh(0.1),
        "realized_spread": 0.001, "agent_fill_ratio": 0.5,
        "is_high_importance": 1, "time_since_event": tanh(0.5), "risk_off_flag": 1, "fear_greed_value": 0.2,
        "fear_greed_indicator": 1,
        "cvd_24h": tanh(96 * 2 / 384), "cvd_168h": tanh(1), "ret_15m": tanh(3 / 3996 / 1e-3),
        "ret_60m": tanh(12 / 3987 / 1e-3), "ret_5m": tanh(1 / 3998 / 1e-3), "sma_60": tanh((3969.5 - 3000) / 969.5),
        "taker_buy_ratio": tanh(0.5), "tbr_sma_24h": tanh(1), "tbr_sma_6h": tanh(1), "tbr_sma_12h": tanh(1),
        "tbr_momentum_1h": 0, "tbr_momentum_6h": 0, "tbr_momentum_12h": 0,
        "num_tokens_norm": 1, "token_id_norm": 0, "token_onehot[0]": 1,
    }  # fmt: skip
    values = {slot.name: value for slot, value in zip(SLOTS, row, strict=True)}
    assert {name: values[name] for name in by_hand} == pytest.approx(by_hand, rel=0, abs=1e-10)
    assert set(values) - set(by_hand) == {name for name in values if name.startswith(("yang", "garch", "parkinson"))}


def test_float32_is_the_golden_vector_too():
    """What a model sees."""
    row = observation_set(STATISTICS).compute(FRAME, np.tile(ACCOUNT, (N_ROWS, 1)))[-1]
    assert_allclose(row, GOLDEN, rtol=0, atol=1e-6)
