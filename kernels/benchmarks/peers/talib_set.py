"""Every indicator that TA-Lib has, through its C functions on raw arrays. From: candles. To: float64 columns.

Results are only scaled as the catalogue scales them, and none is computed twice.
"""

import numpy as np
import talib


def talib_set(frame):
    """Return a dict of columns; its keys are the features to compare with."""
    h, low, c, v = (frame[name].to_numpy() for name in ("high", "low", "close", "volume"))
    columns = {}
    volume_mean = talib.SMA(v, 20)
    log_close = talib.LN(c)
    for n in (5, 10, 20, 50, 100, 200):
        columns[f"sma_{n}_ratio"] = c / talib.SMA(c, n) - 1
    ema = {n: talib.EMA(c, n) for n in (9, 20, 50, 100, 200)}
    for n, mean in ema.items():
        columns[f"ema_{n}_ratio"] = c / mean - 1
    columns["ema_20_50"] = ema[20] / ema[50] - 1
    rsi = talib.RSI(c, 14)
    columns |= {"rsi_7": talib.RSI(c, 7) / 100, "rsi_14": rsi / 100, "rsi_21": talib.RSI(c, 21) / 100}
    columns["rsi_14_change"] = talib.MOM(rsi, 5) / 100
    lowest = talib.MIN(rsi, 14)
    columns["stoch_rsi"] = (rsi - lowest) / (talib.MAX(rsi, 14) - lowest)
    line, signal, histogram = talib.MACD(c)
    columns |= {"macd": line / c, "macd_signal": signal / c, "macd_hist": histogram / c}
    up, _, down = talib.BBANDS(c, 20, 2.0, 2.0)
    width = up - down
    columns |= {"bb_width": width / c, "bb_position": np.clip((c - down) / width, -1, 2)}
    for n in (7, 14, 28):
        columns[f"atr_{n}_pct"] = talib.ATR(h, low, c, n) / c
    k = talib.STOCHF(h, low, c, 14, 1)[0] / 100
    columns |= {"stoch_k": k, "stoch_d": talib.SMA(k, 3)}
    plus, minus = talib.PLUS_DI(h, low, c, 14) / 100, talib.MINUS_DI(h, low, c, 14) / 100
    columns |= {"adx_14": talib.ADX(h, low, c, 14) / 100, "plus_di": plus, "minus_di": minus, "di_diff": plus - minus}
    stop = talib.SAR(h, low, 0.02, 0.2)
    columns |= {"psar_distance": (c - stop) / c, "psar_side": np.where(c > stop, 1.0, -1.0)}
    aroon_down, aroon_up = talib.AROON(h, low, 25)
    columns |= {"aroon_up": aroon_up / 100, "aroon_down": aroon_down / 100}
    columns["aroon_diff"] = (aroon_up - aroon_down) / 100
    columns["mfi_14"] = talib.MFI(h, low, c, v, 14) / 100
    columns["cci_20"] = talib.CCI(h, low, c, 20) / 100
    columns["williams_14"] = talib.WILLR(h, low, c, 14) / 100
    columns["ultimate"] = talib.ULTOSC(h, low, c, 7, 14, 28) / 100
    columns["chaikin"] = talib.ADOSC(h, low, c, v, 3, 10) / volume_mean
    columns["obv_change"] = talib.MOM(talib.OBV(c, v), 20) / (20 * volume_mean)
    for n in (5, 10, 20, 50):
        columns[f"roc_{n}"] = talib.ROC(c, n) / 100
    r = talib.MOM(log_close, 1)
    columns["trend_slope"] = talib.LINEARREG_SLOPE(log_close, 20) * 20 / talib.STDDEV(r, 20)
    for n in (1, 5, 10):
        columns[f"autocorr_{n}"] = talib.CORREL(r, np.concatenate([np.full(n, np.nan), r[:-n]]), 96)
    columns["variance_ratio"] = talib.VAR(talib.MOM(log_close, 4), 96) / (4 * talib.VAR(r, 96))
    columns["volume_variation"] = talib.STDDEV(v, 20) / volume_mean
    return columns
