"""Against TA-Lib where it has the same definition (CAT-6, CAT-7), once its own seeds have died out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tradekernels.features import References, feature_set

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")
ROWS = 8000
ABSOLUTE = {"trend_slope": 1e-9}  # TA-Lib's line goes through sums of the logs themselves; then times 20/STD


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


def _returns(m):
    return np.log(talib.ROCR(m.C, 1))


def _realised(m, n):
    return np.sqrt(talib.SUM(_returns(m) ** 2, n))


def _stop(m):
    return talib.SAR(m.H, m.L, 0.02, 0.2)


def _trend_r2(m):
    return talib.CORREL(np.log(m.C), np.arange(float(len(m.C))), 20) ** 2


def _lagged_correlation(m, k):
    r = _returns(m)
    return talib.CORREL(r, np.concatenate([np.full(k, np.nan), r[:-k]]), 96)


def _obv_divergence(m):
    price, volume = np.sign(talib.MOM(m.C, 20)), np.sign(talib.MOM(talib.OBV(m.C, m.V), 20))
    return np.where(price != volume, price, 0.0)


def _jump_share(m):
    r = np.abs(_returns(m))
    bipower = np.pi / 2 * talib.SUM(r * np.concatenate([[np.nan], r[:-1]]), 96)
    return np.maximum(1 - bipower / talib.SUM(r**2, 96), 0)


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
    "psar_distance": lambda m: (m.C - _stop(m)) / m.C,
    "psar_side": lambda m: np.where(_stop(m) < (m.H + m.L) / 2, 1.0, -1.0),
    "donchian_width": lambda m: (talib.MAX(m.H, 20) - talib.MIN(m.L, 20)) / m.C,
    **{f"high_{n}_distance": lambda m, n=n: m.C / talib.MAX(m.H, n) - 1 for n in (20, 96)},
    **{f"low_{n}_distance": lambda m, n=n: m.C / talib.MIN(m.L, n) - 1 for n in (20, 96)},
    "since_high_96": lambda m: (np.arange(len(m.C)) - talib.MAXINDEX(m.H, 96)) / 96,
    "since_low_96": lambda m: (np.arange(len(m.C)) - talib.MININDEX(m.L, 96)) / 96,
    "drawdown_96": lambda m: 1 - m.C / talib.MAX(m.C, 96),
    "vwap_24h_ratio": lambda m: m.C / (talib.SUM(m.V * talib.TYPPRICE(m.H, m.L, m.C), 96) / talib.SUM(m.V, 96)) - 1,
    "obv_divergence": _obv_divergence,
    "realised_vol_1h": lambda m: _realised(m, 4),
    "realised_vol_1d": lambda m: _realised(m, 96),
    "realised_vol_year": lambda m: _realised(m, 2880) * np.sqrt(365 / 30),
    "vol_of_vol": lambda m: talib.STDDEV(_realised(m, 4), 96),
    "var95_normal": lambda m: 1.645 * talib.STDDEV(_returns(m), 2880) - talib.SMA(_returns(m), 2880),
    "parkinson_24h": lambda m: np.sqrt(talib.SMA(np.log(m.H / m.L) ** 2, 96) / (4 * np.log(2))),
    **{f"momentum_{n // 4}h": lambda m, n=n: np.log(talib.ROCR(m.C, n)) for n in (4, 16, 96)},
    **{name: lambda m, n=n: talib.ROCP(m.C, n) for name, n in (("ret_5m", 1), ("ret_15m", 3), ("ret_60m", 12))},
    "sma_60": lambda m: talib.SMA(m.C, 60),
    "trend_slope": lambda m: talib.LINEARREG_SLOPE(np.log(m.C), 20) * 20 / talib.STDDEV(_returns(m), 20),
    "trend_r2": _trend_r2,
    **{f"autocorr_{k}": lambda m, k=k: _lagged_correlation(m, k) for k in (1, 5, 10)},
    "jump_share": _jump_share,
    "variance_ratio": lambda m: talib.VAR(np.log(talib.ROCR(m.C, 4)), 96) / (4 * talib.VAR(_returns(m), 96)),
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
    assert_allclose(values[name][ROWS // 2 :], peer[ROWS // 2 :], rtol=1e-9, atol=ABSOLUTE.get(name, 1e-11))


def test_atr_begins_as_talib_does(candles):
    """CAT-6: with the mean of the first n true ranges; from the first bar at which both are defined."""
    frame = candles(600, seed=3)
    high, low, close = frame["high"], frame["low"], frame["close"]
    warmup = feature_set(["atr_14_pct"]).warmup
    ours = feature_set(["atr_14_pct"]).compute(frame, dtype=np.float64)[:, 0]
    assert_allclose(ours[warmup:], (talib.ATR(high, low, close, 14) / close)[warmup:], rtol=1e-13)


def test_bitcoin_features_agree_with_talib(candles):
    """TA-Lib's BETA takes simple returns of its prices: it is given prices whose simple returns are our log returns."""
    frame, bitcoin = candles(2000, seed=4), candles(2000, seed=5)
    own, other = (np.diff(np.log(x["close"]), prepend=np.log(x["close"][0])) for x in (frame, bitcoin))
    peers = {
        "btc_correlation": talib.CORREL(own, other, 96),
        "btc_lead": talib.CORREL(own[1:], other[:-1], 96),
        "btc_beta": talib.BETA(np.cumprod(1 + other), np.cumprod(1 + own), 96),
    }
    references = References(frames={"BTC/USDT": bitcoin})
    values = feature_set(peers).compute(frame, references=references, dtype=np.float64)
    for column, (name, peer) in zip(values.T, peers.items(), strict=True):
        assert_allclose(column[-1000:], peer[-1000:], rtol=1e-9, atol=1e-11, err_msg=name)
