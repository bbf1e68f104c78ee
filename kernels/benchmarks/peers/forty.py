"""The features of BASE_40 as others write them. From: a Freqtrade frame. To: float32 rows to time and compare."""

import math

import numpy as np
import pandas as pd
import talib
from talib import abstract

from tradekernels.features import BASE_40


def as_a_strategy(frame):
    """Write them as Freqtrade's template strategy does: `talib.abstract` and pandas, a column a line."""
    d = frame.copy()
    close_time = d["date"] + pd.Timedelta(minutes=15)
    bands = abstract.BBANDS(d, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    d["log_return"] = np.log(d["close"] / d["close"].shift(1))
    d["volume_ratio"] = d["volume"] / d["volume"].rolling(20).mean()
    d["range_pct"] = (d["high"] - d["low"]) / d["close"]
    d["body_ratio"] = (d["close"] - d["open"]) / (d["high"] - d["low"])
    d["sma_20_ratio"] = d["close"] / abstract.SMA(d, timeperiod=20) - 1
    d["ema_9_ratio"] = d["close"] / abstract.EMA(d, timeperiod=9) - 1
    d["ema_20_ratio"] = d["close"] / abstract.EMA(d, timeperiod=20) - 1
    d["ema_50_ratio"] = d["close"] / abstract.EMA(d, timeperiod=50) - 1
    d["ema_20_50"] = abstract.EMA(d, timeperiod=20) / abstract.EMA(d, timeperiod=50) - 1
    d["macd_hist"] = abstract.MACD(d)["macdhist"] / d["close"]
    d["adx_14"] = abstract.ADX(d) / 100
    d["di_diff"] = (abstract.PLUS_DI(d) - abstract.MINUS_DI(d)) / 100
    d["aroon_diff"] = abstract.AROONOSC(d, timeperiod=25) / 100
    d["rsi_7"] = abstract.RSI(d, timeperiod=7) / 100
    d["rsi_14"] = abstract.RSI(d) / 100
    d["rsi_14_change"] = d["rsi_14"].diff(5)
    k = abstract.STOCHF(d, fastk_period=14, fastd_period=3)
    d["stoch_k"] = k["fastk"] / 100
    d["stoch_d"] = k["fastd"] / 100
    d["roc_5"] = d["close"].pct_change(5)
    d["roc_20"] = d["close"].pct_change(20)
    d["williams_14"] = abstract.WILLR(d) / 100
    d["cci_20"] = abstract.CCI(d, timeperiod=20) / 100
    d["atr_14_pct"] = abstract.ATR(d) / d["close"]
    d["atr_ratio"] = abstract.ATR(d) / abstract.ATR(d).rolling(50).mean()
    d["bb_width"] = (bands["upperband"] - bands["lowerband"]) / d["close"]
    d["bb_position"] = ((d["close"] - bands["lowerband"]) / (bands["upperband"] - bands["lowerband"])).clip(-1, 2)
    d["keltner_position"] = (d["close"] - abstract.EMA(d, timeperiod=20)) / (2 * abstract.ATR(d, timeperiod=10))
    top, bottom = d["high"].rolling(20).max(), d["low"].rolling(20).min()
    d["donchian_position"] = (d["close"] - bottom) / (top - bottom)
    d["donchian_width"] = (top - bottom) / d["close"]
    d["vwma_20_ratio"] = d["close"] / ((d["close"] * d["volume"]).rolling(20).sum() / d["volume"].rolling(20).sum()) - 1
    d["mfi_14"] = abstract.MFI(d) / 100
    d["obv_change"] = abstract.OBV(d).diff(20) / d["volume"].rolling(20).sum()
    flow = ((d["close"] - d["low"]) - (d["high"] - d["close"])) / (d["high"] - d["low"]) * d["volume"]
    d["cmf_20"] = flow.rolling(20).sum() / d["volume"].rolling(20).sum()
    d["volume_z_20"] = (d["volume"] - d["volume"].rolling(20).mean()) / d["volume"].rolling(20).std(ddof=0)
    signed = np.sign(d["close"] - d["open"]) * d["volume"]
    d["flow_imbalance"] = signed.rolling(20).sum() / d["volume"].rolling(20).sum()
    d["close_location"] = (2 * d["close"] - d["high"] - d["low"]) / (d["high"] - d["low"])
    d["upper_wick"] = (d["high"] - d[["open", "close"]].max(axis=1)) / (d["high"] - d["low"])
    d["lower_wick"] = (d[["open", "close"]].min(axis=1) - d["low"]) / (d["high"] - d["low"])
    angle = (close_time.dt.hour + close_time.dt.minute / 60) * (2 * math.pi / 24)
    d["hour_sin"] = np.sin(angle)
    d["hour_cos"] = np.cos(angle)
    return d[list(BASE_40)].to_numpy(dtype=np.float32)


def tuned_by_hand(frame):
    """Tune by hand: TA-Lib's functions on Series where it has the indicator, and no intermediate result twice."""
    o, h, low, c, v = (frame[name] for name in ("open", "high", "low", "close", "volume"))
    height = h - low
    body_sign = np.sign(c - o)
    volume_sum = v.rolling(20).sum()
    volume_mean = talib.SMA(v, 20)
    ema_20, ema_50 = talib.EMA(c, 20), talib.EMA(c, 50)
    rsi_14 = talib.RSI(c, 14)
    atr_14, atr_10 = talib.ATR(h, low, c, 14), talib.ATR(h, low, c, 10)
    up, _, down = talib.BBANDS(c, 20, 2.0, 2.0)
    stoch_k = talib.STOCHF(h, low, c, 14, 3)[0] / 100
    top, bottom = talib.MAX(h, 20), talib.MIN(low, 20)
    closed = frame["date"] + pd.Timedelta(minutes=15)
    angle = (closed.dt.hour + closed.dt.minute / 60) * (2 * math.pi / 24)
    columns = {
        "log_return": np.log(c / c.shift(1)),
        "volume_ratio": v / volume_mean,
        "range_pct": height / c,
        "body_ratio": (c - o) / height,
        "sma_20_ratio": c / talib.SMA(c, 20) - 1,
        "ema_9_ratio": c / talib.EMA(c, 9) - 1,
        "ema_20_ratio": c / ema_20 - 1,
        "ema_50_ratio": c / ema_50 - 1,
        "ema_20_50": ema_20 / ema_50 - 1,
        "macd_hist": talib.MACD(c)[2] / c,
        "adx_14": talib.ADX(h, low, c, 14) / 100,
        "di_diff": (talib.PLUS_DI(h, low, c, 14) - talib.MINUS_DI(h, low, c, 14)) / 100,
        "aroon_diff": talib.AROONOSC(h, low, 25) / 100,
        "rsi_7": talib.RSI(c, 7) / 100,
        "rsi_14": rsi_14 / 100,
        "rsi_14_change": (rsi_14 - rsi_14.shift(5)) / 100,
        "stoch_k": stoch_k,
        "stoch_d": talib.SMA(stoch_k, 3),
        "roc_5": talib.ROC(c, 5) / 100,
        "roc_20": talib.ROC(c, 20) / 100,
        "williams_14": talib.WILLR(h, low, c, 14) / 100,
        "cci_20": talib.CCI(h, low, c, 20) / 100,
        "atr_14_pct": atr_14 / c,
        "atr_ratio": atr_14 / atr_14.rolling(50).mean(),
        "bb_width": (up - down) / c,
        "bb_position": ((c - down) / (up - down)).clip(-1, 2),
        "keltner_position": (c - ema_20) / (2 * atr_10),
        "donchian_position": (c - bottom) / (top - bottom),
        "donchian_width": (top - bottom) / c,
        "vwma_20_ratio": c / ((c * v).rolling(20).sum() / volume_sum) - 1,
        "mfi_14": talib.MFI(h, low, c, v, 14) / 100,
        "obv_change": talib.OBV(c, v).diff(20) / volume_sum,
        "cmf_20": (((c - low) - (h - c)) / height * v).rolling(20).sum() / volume_sum,
        "volume_z_20": (v - volume_mean) / v.rolling(20).std(ddof=0),
        "flow_imbalance": (body_sign * v).rolling(20).sum() / volume_sum,
        "close_location": (2 * c - h - low) / height,
        "upper_wick": (h - np.maximum(o, c)) / height,
        "lower_wick": (np.minimum(o, c) - low) / height,
        "hour_sin": np.sin(angle),
        "hour_cos": np.cos(angle),
    }
    return pd.DataFrame(columns)[list(BASE_40)].to_numpy(dtype=np.float32)


def pandas_alone(frame):
    """Use pandas alone, as notebooks do: ewm for the recursive means, apply for CCI and Aroon."""
    o, h, low, c, v = (frame[name] for name in ("open", "high", "low", "close", "volume"))
    height, was = h - low, c.shift(1)

    def ema(x, n):
        return x.ewm(span=n, adjust=False).mean()

    def wilder(x, n):
        return x.ewm(alpha=1 / n, adjust=False).mean()

    def rsi(n):
        change = c.diff()
        gain, loss = wilder(change.clip(lower=0), n), wilder(-change.clip(upper=0), n)
        return gain / (gain + loss)

    true_range = np.maximum(h, was) - np.minimum(low, was)
    rise, fall = h.diff(), -low.diff()
    plus = wilder(rise.where((rise > fall) & (rise > 0), 0), 14) / wilder(true_range, 14)
    minus = wilder(fall.where((fall > rise) & (fall > 0), 0), 14) / wilder(true_range, 14)
    typical = (h + low + c) / 3
    ema_20, ema_50, middle, width = ema(c, 20), ema(c, 50), c.rolling(20).mean(), 2 * c.rolling(20).std(ddof=0)
    macd = ema(c, 12) - ema(c, 26)
    volume_sum, volume_mean = v.rolling(20).sum(), v.rolling(20).mean()
    top, bottom = h.rolling(20).max(), low.rolling(20).min()
    top_14, bottom_14 = h.rolling(14).max(), low.rolling(14).min()
    stoch_k = (c - bottom_14) / (top_14 - bottom_14)
    atr_14, money = wilder(true_range, 14), typical * v
    rising = money.where(typical.diff() > 0, 0).rolling(14).sum()
    falling = money.where(typical.diff() < 0, 0).rolling(14).sum()
    mean_deviation = typical.rolling(20).apply(lambda x: np.abs(x - x.mean()).mean(), raw=True)
    aroon = low.rolling(26).apply(lambda x: x[::-1].argmin(), raw=True)  # of equals the latest, as in TA-Lib
    aroon -= h.rolling(26).apply(lambda x: x[::-1].argmax(), raw=True)
    closed = frame["date"] + pd.Timedelta(minutes=15)
    angle = (closed.dt.hour + closed.dt.minute / 60) * (2 * math.pi / 24)
    columns = [
        np.log(c / was), v / volume_mean, height / c, (c - o) / height,
        c / middle - 1, c / ema(c, 9) - 1, c / ema_20 - 1, c / ema_50 - 1, ema_20 / ema_50 - 1,
        (macd - ema(macd, 9)) / c, wilder((plus - minus).abs() / (plus + minus), 14), plus - minus, aroon / 25,
        rsi(7), rsi(14), rsi(14).diff(5), stoch_k, stoch_k.rolling(3).mean(), c.pct_change(5), c.pct_change(20),
        (c - top_14) / (top_14 - bottom_14), (typical - typical.rolling(20).mean()) / (1.5 * mean_deviation),
        atr_14 / c, atr_14 / atr_14.rolling(50).mean(), 2 * width / c,
        ((c - middle + width) / (2 * width)).clip(-1, 2), (c - ema_20) / (2 * wilder(true_range, 10)),
        (c - bottom) / (top - bottom), (top - bottom) / c, c / ((c * v).rolling(20).sum() / volume_sum) - 1,
        rising / (rising + falling), (np.sign(c.diff()) * v).rolling(20).sum() / volume_sum,
        ((2 * c - h - low) / height * v).rolling(20).sum() / volume_sum,
        (v - volume_mean) / v.rolling(20).std(ddof=0), (np.sign(c - o) * v).rolling(20).sum() / volume_sum,
        (2 * c - h - low) / height, (h - np.maximum(o, c)) / height, (np.minimum(o, c) - low) / height,
        np.sin(angle), np.cos(angle),
    ]  # fmt: skip
    return np.column_stack(columns).astype(np.float32)
