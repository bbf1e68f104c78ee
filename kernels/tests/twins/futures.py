"""Twins of the futures family: leverage, funding, marks and tails. From: `market.Market`. To: `TWINS`."""

import math

import numpy as np

from .market import divide, ema

FUNDING_MS = 28_800_000


def funding_z(m):
    def z(rates):
        spread = np.std(rates)
        return 0.0 if spread <= 1e-9 * np.mean(np.abs(rates)) else (rates[-1] - np.mean(rates)) / spread

    return m.over("30d", z, m.funding_rate)


def funding_proxy(m):
    """Return the close against its mean of 8 hours, taken over the grid: in a gap the last close repeats."""
    n = m.bars("8h")
    slots = m.cell - m.cell[0]
    row = np.searchsorted(slots, np.arange(slots[-1] + 1), side="right") - 1
    return m.C / ema(m.C[row], n)[slots] - 1


def hours_to_funding(m):
    """Return hours to the next 00, 08 or 16 o'clock after the close, over 8; 1 at the settlement itself."""
    return (FUNDING_MS - m.close_ms % FUNDING_MS) / FUNDING_MS


def room(m):
    """Return how far price may move against the position before liquidation, as a share of it."""
    return 1 / m.option["leverage"] - m.option["maintenance_margin"]


def liquidation_risk(m):
    vol = m.realised_vol("24h")
    return np.array([0.0 if v == 0 else math.erfc(room(m) / v / math.sqrt(2)) for v in vol])


def safe_leverage(m):
    most = m.option["max_leverage"]
    need = 3 * m.realised_vol("24h") + m.option["maintenance_margin"]
    with np.errstate(divide="ignore"):
        return np.minimum(most, 1 / need) / most


TWINS = {
    "leverage": lambda m: np.full(len(m.C), m.option["leverage"] / m.option["max_leverage"]),
    "funding_rate": lambda m: m.funding_rate,
    "funding_z_30d": funding_z,
    "funding_sum_24h": lambda m: m.over("24h", np.sum, m.funding_rate * m.bar_ms / FUNDING_MS),
    "funding_year": lambda m: m.funding_rate * 1095,
    "funding_proxy": funding_proxy,
    "hours_to_funding": hours_to_funding,
    "mark_basis": lambda m: m.C / m.mark_price - 1,
    "open_interest_change": lambda m: m.open_interest / m.lag(m.open_interest, "24h") - 1,
    "liquidation_atr": lambda m: divide(np.full(len(m.C), room(m)), m.atr(14) / m.C),
    "liquidation_risk": liquidation_risk,
    "safe_leverage": safe_leverage,
    "var95": lambda m: -m.over("30d", lambda r: np.quantile(r, 0.05), m.r),
    "var95_normal": lambda m: m.over("30d", lambda r: 1.645 * np.std(r) - np.mean(r), m.r),
}
