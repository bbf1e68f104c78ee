"""Every feature against a slow twin, written from the specification with NumPy and loops alone (CAT-7)."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose

from tradekernels.features import CATALOG, feature_set

N_ROWS = 3000


def rolling(x, n, function):
    out = np.full(len(x), np.nan)
    out[n - 1 :] = function(sliding_window_view(x, n), axis=1)
    return out


def sma(x, n):
    return rolling(x, n, np.mean)


def add(x, n):
    return rolling(x, n, np.sum)


def std(x, n):
    return rolling(x, n, np.std)


def top(x, n):
    return rolling(x, n, np.max)


def bottom(x, n):
    return rolling(x, n, np.min)


def back(x, k):
    return np.concatenate([np.full(k, np.nan), x[:-k]])


def smooth(x, n, alpha):
    out = np.full(len(x), np.nan)
    first = int(np.isfinite(x).argmax())
    level = out[first + n - 1] = np.mean(x[first : first + n])
    for t in range(first + n, len(x)):
        level = out[t] = (1 - alpha) * level + alpha * x[t]
    return out


def ema(x, n):
    return smooth(x, n, 2 / (n + 1))


def wilder(x, n):
    return smooth(x, n, 1 / n)


def divide(a, b):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b == 0, 0.0, a / b)


def age(x, n, extreme):
    """Bars since the extreme of n, the latest of equals."""
    return rolling(x, n, lambda w, axis: extreme(w[:, ::-1], axis=axis).astype(float))


class Market(SimpleNamespace):
    def __init__(self, frame):
        super().__init__(
            O=frame["open"], H=frame["high"], L=frame["low"], C=frame["close"], V=frame["volume"],
            closes=[datetime.fromtimestamp((t + 900_000) / 1000, UTC) for t in frame["date"].tolist()],
        )  # fmt: skip
        m = self
        m.tp = (m.H + m.L + m.C) / 3
        m.s = np.sign(m.C - m.O)
        m.r = np.log(m.C / back(m.C, 1))
        was = back(m.C, 1)
        m.tr = np.max([m.H - m.L, np.abs(m.H - was), np.abs(m.L - was)], axis=0)
        m.mfv = ((m.C - m.L) - (m.H - m.C)) / (m.H - m.L) * m.V
        m.up, m.low = sma(m.C, 20) + 2 * std(m.C, 20), sma(m.C, 20) - 2 * std(m.C, 20)
        m.k = (m.C - bottom(m.L, 14)) / (top(m.H, 14) - bottom(m.L, 14))
        m.line = ema(m.C, 12) - ema(m.C, 26)
        m.signal = ema(m.line, 9)
        m.hist = (m.line - m.signal) / m.C
        up, down = m.H - back(m.H, 1), back(m.L, 1) - m.L
        rise = np.where((up > down) & (up > 0), up, 0.0)
        fall = np.where((down > up) & (down > 0), down, 0.0)
        rise[0] = fall[0] = np.nan
        m.plus, m.minus = wilder(rise, 14) / wilder(m.tr, 14), wilder(fall, 14) / wilder(m.tr, 14)
        m.adx = wilder(np.abs(m.plus - m.minus) / (m.plus + m.minus), 14)
        m.rsi14 = m.rsi(14)
        m.deviation = rolling(m.tp, 20, lambda w, axis: np.abs(w - w.mean(axis, keepdims=True)).mean(axis))
        m.cci = (m.tp - sma(m.tp, 20)) / (0.015 * m.deviation)
        m.williams = -(top(m.H, 14) - m.C) / (top(m.H, 14) - bottom(m.L, 14))
        m.tenkan, m.kijun = m.middle(9), m.middle(26)
        m.a, m.b = back((m.tenkan + m.kijun) / 2, 26), back(m.middle(52), 26)
        triple = ema(ema(ema(np.log(m.C), 15), 15), 15)
        m.trix = triple - back(triple, 1)
        m.hour = np.array([t.hour + t.minute / 60 for t in m.closes])
        m.weekday = np.array([t.weekday() for t in m.closes])

    def rsi(self, n):
        change = self.C - back(self.C, 1)
        gain, loss = wilder(np.maximum(change, 0), n), wilder(np.maximum(-change, 0), n)
        return 100 - 100 / (1 + gain / loss)

    def atr(self, n):
        return wilder(self.tr, n)

    def middle(self, n):
        return (top(self.H, n) + bottom(self.L, n)) / 2

    def cloud(self):
        over, under = np.maximum(self.a, self.b), np.minimum(self.a, self.b)
        return np.where(self.C > over, self.C / over - 1, np.where(self.C < under, self.C / under - 1, 0))

    def money(self, rising):
        change = self.tp - back(self.tp, 1)
        return add(np.where(np.isnan(change), np.nan, np.where(rising * change > 0, self.tp * self.V, 0)), 14)

    def pressure(self, n):
        return add(self.C - np.minimum(self.L, back(self.C, 1)), n) / add(self.tr, n)

    def accumulation(self):
        line = np.cumsum(self.mfv)
        return ema(line, 3) - ema(line, 10)

    def obv(self):
        step = np.sign(self.C - back(self.C, 1)) * self.V
        return np.concatenate([[0.0], np.cumsum(step[1:])])


def squeeze(m):
    middle, width = ema(m.C, 20), 1.5 * m.atr(20)
    return (m.up <= middle + width) & (m.low >= middle - width)


def trend_agreement(m):
    e20, e50, e200 = ema(m.C, 20), ema(m.C, 50), ema(m.C, 200)
    return np.mean(np.sign([m.C - e20, m.C - e50, m.C - e200, e20 - e50, e50 - e200]), axis=0)


def bands_of_range(m):
    return top(m.H, 20) - bottom(m.L, 20)


TWINS = {
    "log_return": lambda m: m.r,
    "volume_ratio": lambda m: m.V / sma(m.V, 20),
    "range_pct": lambda m: (m.H - m.L) / m.C,
    "body_ratio": lambda m: (m.C - m.O) / (m.H - m.L),
    **{f"sma_{n}_ratio": lambda m, n=n: m.C / sma(m.C, n) - 1 for n in (5, 10, 20, 50, 100, 200)},
    **{f"ema_{n}_ratio": lambda m, n=n: m.C / ema(m.C, n) - 1 for n in (9, 20, 50, 100, 200)},
    "ema_20_50": lambda m: ema(m.C, 20) / ema(m.C, 50) - 1,
    **{f"rsi_{n}": lambda m, n=n: m.rsi(n) / 100 for n in (7, 14, 21)},
    "rsi_14_change": lambda m: (m.rsi14 - back(m.rsi14, 5)) / 100,
    "macd": lambda m: m.line / m.C,
    "macd_signal": lambda m: m.signal / m.C,
    "macd_hist": lambda m: m.hist,
    "macd_hist_change": lambda m: m.hist - back(m.hist, 1),
    "bb_width": lambda m: (m.up - m.low) / m.C,
    "bb_position": lambda m: np.clip((m.C - m.low) / (m.up - m.low), -1, 2),
    "bb_break_up": lambda m: m.C > m.up,
    "bb_break_down": lambda m: m.C < m.low,
    **{f"atr_{n}_pct": lambda m, n=n: m.atr(n) / m.C for n in (7, 14, 28)},
    "atr_ratio": lambda m: m.atr(14) / sma(m.atr(14), 50),
    "stoch_k": lambda m: m.k,
    "stoch_d": lambda m: sma(m.k, 3),
    "stoch_kd": lambda m: m.k - sma(m.k, 3),
    "stoch_rsi": lambda m: divide(m.rsi14 - bottom(m.rsi14, 14), top(m.rsi14, 14) - bottom(m.rsi14, 14)),
    "adx_14": lambda m: m.adx,
    "plus_di": lambda m: m.plus,
    "minus_di": lambda m: m.minus,
    "di_diff": lambda m: m.plus - m.minus,
    "tenkan_distance": lambda m: m.C / m.tenkan - 1,
    "kijun_distance": lambda m: m.C / m.kijun - 1,
    "tenkan_kijun": lambda m: m.tenkan / m.kijun - 1,
    "cloud_distance": lambda m: m.cloud(),
    "cloud_thickness": lambda m: (m.a - m.b) / m.C,
    "keltner_position": lambda m: (m.C - ema(m.C, 20)) / (2 * m.atr(10)),
    "keltner_width": lambda m: 4 * m.atr(10) / ema(m.C, 20),
    "donchian_position": lambda m: (m.C - bottom(m.L, 20)) / bands_of_range(m),
    "donchian_width": lambda m: bands_of_range(m) / m.C,
    "donchian_break": lambda m: 1.0 * (m.C > back(top(m.H, 20), 1)) - (m.C < back(bottom(m.L, 20), 1)),
    "vwma_20_ratio": lambda m: m.C / (add(m.C * m.V, 20) / add(m.V, 20)) - 1,
    "mfi_14": lambda m: m.money(1) / (m.money(1) + m.money(-1)),
    "cci_20": lambda m: m.cci / 100,
    "williams_14": lambda m: m.williams,
    "ultimate": lambda m: (4 * m.pressure(7) + 2 * m.pressure(14) + m.pressure(28)) / 7,
    "chaikin": lambda m: m.accumulation() / sma(m.V, 20),
    "obv_change": lambda m: (m.obv() - back(m.obv(), 20)) / add(m.V, 20),
    "cmf_20": lambda m: add(m.mfv, 20) / add(m.V, 20),
    "aroon_up": lambda m: (25 - age(m.H, 26, np.argmax)) / 25,
    "aroon_down": lambda m: (25 - age(m.L, 26, np.argmin)) / 25,
    "aroon_diff": lambda m: (age(m.L, 26, np.argmin) - age(m.H, 26, np.argmax)) / 25,
    **{f"roc_{n}": lambda m, n=n: m.C / back(m.C, n) - 1 for n in (5, 10, 20, 50)},
    "trix_15": lambda m: m.trix,
    "trix_diff": lambda m: m.trix - ema(m.trix, 9),
    "sma_50_200": lambda m: sma(m.C, 50) / sma(m.C, 200) - 1,
    "directed_volume": lambda m: m.s * m.V / sma(m.V, 20),
    "flow_imbalance": lambda m: add(m.s * m.V, 20) / add(m.V, 20),
    "toxicity": lambda m: np.abs(add(m.s * m.V, 50)) / add(m.V, 50),
    "close_location": lambda m: (2 * m.C - m.H - m.L) / (m.H - m.L),
    "volume_variation": lambda m: std(m.V, 20) / sma(m.V, 20),
    **{f"volume_z_{n}": lambda m, n=n: (m.V - sma(m.V, n)) / std(m.V, n) for n in (20, 96)},
    **{f"high_{n}_distance": lambda m, n=n: m.C / top(m.H, n) - 1 for n in (20, 96)},
    **{f"low_{n}_distance": lambda m, n=n: m.C / bottom(m.L, n) - 1 for n in (20, 96)},
    "since_high_96": lambda m: age(m.H, 96, np.argmax) / 96,
    "since_low_96": lambda m: age(m.L, 96, np.argmin) / 96,
    "squeeze": squeeze,
    "squeeze_momentum": lambda m: (m.C - (m.middle(20) + sma(m.C, 20)) / 2) / m.atr(20),
    "rsi_bull_divergence": lambda m: (m.C == bottom(m.C, 20)) & (m.rsi14 > bottom(m.rsi14, 20) + 3),
    "rsi_bear_divergence": lambda m: (m.C == top(m.C, 20)) & (m.rsi14 < top(m.rsi14, 20) - 3),
    "spring": lambda m: (m.L < back(bottom(m.L, 20), 1)) & (m.C > back(bottom(m.L, 20), 1)),
    "upthrust": lambda m: (m.H > back(top(m.H, 20), 1)) & (m.C < back(top(m.H, 20), 1)),
    "trend_agreement": trend_agreement,
    "oscillator_agreement": lambda m: np.mean(np.sign([m.rsi14 - 50, m.k - 0.5, m.cci, m.williams + 0.5]), axis=0),
    "volume_confirms": lambda m: np.sign(m.C - back(m.C, 5)) * np.minimum(m.V / sma(m.V, 20), 3) / 3,
    "signal_to_noise": lambda m: np.abs(add(m.r, 20)) / (std(m.r, 20) * np.sqrt(20)),
    "breakout_atr": lambda m: np.clip((m.C - back(top(m.H, 20), 1)) / m.atr(14), -3, 3),
    "pullback_atr": lambda m: (top(m.H, 20) - m.C) / m.atr(14),
    "compression": lambda m: m.atr(5) / m.atr(50),
    "upper_wick": lambda m: (m.H - np.maximum(m.O, m.C)) / (m.H - m.L),
    "lower_wick": lambda m: (np.minimum(m.O, m.C) - m.L) / (m.H - m.L),
    "hour_sin": lambda m: np.sin(2 * np.pi * m.hour / 24),
    "hour_cos": lambda m: np.cos(2 * np.pi * m.hour / 24),
    "weekday_sin": lambda m: np.sin(2 * np.pi * m.weekday / 7),
    "weekday_cos": lambda m: np.cos(2 * np.pi * m.weekday / 7),
    "asia_hours": lambda m: (m.hour >= 0) & (m.hour < 8),
    "europe_hours": lambda m: (m.hour >= 7) & (m.hour < 16),
    "us_hours": lambda m: (m.hour >= 13) & (m.hour < 22),
    "overlap_hours": lambda m: (m.hour >= 13) & (m.hour < 16),
    "is_weekend": lambda m: m.weekday >= 5,
    "efficiency_ratio": lambda m: np.abs(m.C - back(m.C, 20)) / add(np.abs(m.C - back(m.C, 1)), 20),
    "drawdown_96": lambda m: 1 - m.C / top(m.C, 96),
}


@pytest.fixture(scope="module")
def market(candles):
    frame = candles(N_ROWS, seed=1)
    with np.errstate(invalid="ignore"):
        market = Market(frame)
    values = feature_set(CATALOG).compute(frame, dtype=np.float64)
    return market, dict(zip(CATALOG, values.T, strict=True))


def test_every_feature_has_a_twin():
    """CAT-7: none is left out, none is left over."""
    assert set(TWINS) == set(CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_a_feature_agrees_with_its_twin(market, name):
    """CAT-7: to 1e-9 relative, and to 1e-12 where a difference of nearly equal numbers is left."""
    market, values = market
    with np.errstate(invalid="ignore", divide="ignore"):
        twin = np.asarray(TWINS[name](market), dtype=np.float64)
    warmup = CATALOG[name].warmup()
    assert warmup < N_ROWS - 500
    assert np.isfinite(twin[warmup:]).all()
    first = warmup + 100 if name == "chaikin" else warmup  # its twin has another seed, of weight 1e-8 at the warm-up
    assert_allclose(values[name][first:], twin[first:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CATALOG)
def test_nan_stands_before_warmup_and_nowhere_else(market, name):
    """CAT-4."""
    _, values = market
    warmup = CATALOG[name].warmup()
    assert np.isnan(values[name][:warmup]).all()
    assert np.isfinite(values[name][warmup:]).all()


@pytest.mark.parametrize("name", CATALOG)
def test_values_keep_the_range_that_the_catalogue_states(market, name):
    """CAT-2: to the rounding of a double."""
    _, values = market
    low, high = CATALOG[name].range
    known = values[name][CATALOG[name].warmup() :]
    assert known.min() >= low - 1e-12
    assert known.max() <= high + 1e-12
