"""Twins of the observation's external block, by its table of spans (OBS-62). From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import divide, sma
from .volatility import rogers_satchell_terms

#                       bars up to 5m, of 15m to 1h, above 1h; a number is bars
SPANS = {
    "cvd_24h": ("24h", "24h", "24h"),
    "cvd_168h": ("168h", "168h", "7d"),
    "yang_zhang_24h": ("24h", "24h", "48h"),
    "yang_zhang_168h": ("168h", "168h", "7d"),
    "yang_zhang_720h": ("720h", "720h", "30d"),
    "garch_12h": ("12h", "12h", "200h"),
    "garch_24h": ("24h", "24h", "14d"),
    "garch_500m": ("500m", "500m", "30d"),
    "ret_5m": ("5m", 1, "4h"),
    "ret_15m": ("15m", 3, "12h"),
    "ret_60m": ("60m", 12, "24h"),
    "parkinson_24h": ("24h", "24h", "24h"),
    "parkinson_168h": ("168h", "168h", "168h"),
    "tbr_sma_24h": ("24h", "24h", "24h"),
    "tbr_sma_6h": ("6h", "6h", "8h"),
    "tbr_sma_12h": ("12h", "12h", "16h"),
    "tbr_momentum_1h": ("1h", "1h", "4h"),
    "tbr_momentum_6h": ("6h", "6h", "8h"),
    "tbr_momentum_12h": ("12h", "12h", "12h"),
}


def span(m, name):
    return SPANS[name][0 if m.bar_ms <= 300_000 else 1 if m.bar_ms <= 3_600_000 else 2]


def cumulative_volume_delta(m, window):
    return m.over(window, np.sum, 2 * m.taker_buy_volume - m.V)


def yang_zhang(m, window):
    """Return the volatility of Yang and Zhang (2000): overnight, open to close and Rogers-Satchell."""

    def volatility(overnight, body, drift_free):
        n = len(body)
        if n < 2:
            return np.sqrt(np.mean(drift_free))
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        return np.sqrt(np.var(overnight, ddof=1) + k * np.var(body, ddof=1) + (1 - k) * np.mean(drift_free))

    return m.over(window, volatility, np.log(m.O / m.was), np.log(m.C / m.O), rogers_satchell_terms(m))


def garch_vol(m, window):
    """Return the next bar's volatility: GARCH(1,1) from 50 bars on, then Riskmetrics, below 10 bars the deviation."""
    option = m.option

    def volatility(r):
        if np.isnan(r).any():
            return np.nan
        if len(r) < 10:
            return np.std(r)
        h = mean = float(np.mean(r**2))
        alpha, beta, omega = 0.06, 0.94, 0.0
        if len(r) >= 50:
            alpha, beta = option["garch_alpha"], option["garch_beta"]
            omega = option["garch_omega"] or (1 - alpha - beta) * mean
        for square in (r**2).tolist():
            h = omega + alpha * square + beta * h
        return np.sqrt(h)

    return m.over(window, volatility, m.r)


def parkinson(m, window):
    """Return the volatility by heights of bars, Parkinson (1980); NaN where fewer than 80% of the bars are there."""
    enough = 0.8 * m.bars(window)

    def volatility(square):
        return np.sqrt(np.mean(square) / (4 * np.log(2))) if len(square) >= enough else np.nan

    return m.over(window, volatility, np.log(m.H / m.L) ** 2)


def taker_buy_ratio(m):
    return divide(m.taker_buy_volume, m.V)


def taker_buy_momentum(m, window):
    earlier = m.lag(taker_buy_ratio(m), window)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(earlier < 0.01, 0.0 * taker_buy_ratio(m), taker_buy_ratio(m) / earlier - 1)


FORMS = {
    "cvd": cumulative_volume_delta,
    "yang": yang_zhang,
    "garch": garch_vol,
    "ret": lambda m, window: m.C / m.lag(m.C, window) - 1,
    "parkinson": parkinson,
    "tbr_sma": lambda m, window: m.over(window, np.mean, taker_buy_ratio(m)),
    "tbr_momentum": taker_buy_momentum,
}


def _form(name):
    return next(form for start, form in FORMS.items() if name.startswith(start))


TWINS = {
    **{name: lambda m, name=name: _form(name)(m, span(m, name)) for name in SPANS},
    "sma_60": lambda m: sma(m.C, 60),
    "taker_buy_ratio": taker_buy_ratio,
}
