"""Against TA-Lib where it has the same definition (CAT-6, CAT-7), once its own seeds have died out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tradekernels.features import feature_set

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")
ROWS = 8000


def _macd(m, which):
    return talib.MACD(m.C)[which] / m.C


def _bands(m):
    up, _, low = talib.BBANDS(m.C, 20, 2.0, 2.0)
    return up, low


def _stochastic(m):
    fast, _ = talib.STOCHF(m.H, m.L, m.C, 14, 3)
    return fast / 100


def _rsi_place(m):
    rsi = talib.RSI(m.C, 14)
    low, high = talib.MIN(rsi, 14), talib.MAX(rsi, 14)
    return (rsi - low) / (high - low)


PEERS = {
    **{f"sma_{n}_ratio": lambda m, n=n: m.C / talib.SMA(m.C, n) - 1 for n in (5, 10, 20, 50, 100, 200)},
    **{f"ema_{n}_ratio": lambda m, n=n: m.C / talib.EMA(m.C, n) - 1 for n in (9, 20, 50, 100, 200)},
    "ema_20_50": lambda m: talib.EMA(m.C, 20) / talib.EMA(m.C, 50) - 1,
    **{f"rsi_{n}": lambda m, n=n: talib.RSI(m.C, n) / 100 for n in (7, 14, 21)},
    "macd": lambda m: _macd(m, 0),
    "macd_signal": lambda m: _macd(m, 1),
    "macd_hist": lambda m: _macd(m, 2),
    "bb_width": lambda m: (_bands(m)[0] - _bands(m)[1]) / m.C,
    "bb_position": lambda m: np.clip((m.C - _bands(m)[1]) / (_bands(m)[0] - _bands(m)[1]), -1, 2),
    **{f"atr_{n}_pct": lambda m, n=n: talib.ATR(m.H, m.L, m.C, n) / m.C for n in (7, 14, 28)},
    "stoch_k": _stochastic,
    "stoch_d": lambda m: talib.SMA(_stochastic(m), 3),
    "stoch_rsi": _rsi_place,
    "adx_14": lambda m: talib.ADX(m.H, m.L, m.C, 14) / 100,
    "plus_di": lambda m: talib.PLUS_DI(m.H, m.L, m.C, 14) / 100,
    "minus_di": lambda m: talib.MINUS_DI(m.H, m.L, m.C, 14) / 100,
    "aroon_up": lambda m: talib.AROON(m.H, m.L, 25)[1] / 100,
    "aroon_down": lambda m: talib.AROON(m.H, m.L, 25)[0] / 100,
    "aroon_diff": lambda m: talib.AROONOSC(m.H, m.L, 25) / 100,
    "mfi_14": lambda m: talib.MFI(m.H, m.L, m.C, m.V, 14) / 100,
    "cci_20": lambda m: talib.CCI(m.H, m.L, m.C, 20) / 100,
    "williams_14": lambda m: talib.WILLR(m.H, m.L, m.C, 14) / 100,
    "ultimate": lambda m: talib.ULTOSC(m.H, m.L, m.C, 7, 14, 28) / 100,
    "chaikin": lambda m: talib.ADOSC(m.H, m.L, m.C, m.V, 3, 10) / talib.SMA(m.V, 20),
    **{f"roc_{n}": lambda m, n=n: talib.ROC(m.C, n) / 100 for n in (5, 10, 20, 50)},
    "volume_variation": lambda m: talib.STDDEV(m.V, 20) / talib.SMA(m.V, 20),
}


@pytest.fixture(scope="module")
def market(candles):
    frame = candles(ROWS, seed=2, volume=20_000.0)  # TA-Lib's MFI is 0 where less than 1 was traded
    values = feature_set(PEERS).compute(frame, dtype=np.float64)

    class Columns:
        H, L, C, V = (frame[name] for name in ("high", "low", "close", "volume"))

    return Columns, dict(zip(PEERS, values.T, strict=True))


@pytest.mark.parametrize("name", PEERS)
def test_a_feature_agrees_with_talib(market, name):
    """1e-9 relative; 1e-11 absolute where TA-Lib's running sums have lost digits of a difference."""
    columns, values = market
    peer = PEERS[name](columns)
    assert_allclose(values[name][ROWS // 2 :], peer[ROWS // 2 :], rtol=1e-9, atol=1e-11)


def test_atr_begins_as_talib_does(candles):
    """CAT-6: with the mean of the first n true ranges; from the first bar at which both are defined."""
    frame = candles(600, seed=3)
    high, low, close = frame["high"], frame["low"], frame["close"]
    warmup = feature_set(["atr_14_pct"]).warmup
    ours = feature_set(["atr_14_pct"]).compute(frame, dtype=np.float64)[:, 0]
    assert_allclose(ours[warmup:], (talib.ATR(high, low, close, 14) / close)[warmup:], rtol=1e-13)
