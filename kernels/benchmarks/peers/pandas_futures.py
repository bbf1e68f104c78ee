"""Futures and calendar with pandas, at leverage 1 of at most 20. From: market.Market. To: pandas_catalogue.py."""

import numpy as np
import pandas as pd
from scipy.special import ndtr

from peers.market import BAR_MINUTES, DAY, MONTH, mean, ratio, std, total

LEVERAGE, MAX_LEVERAGE, MAINTENANCE = 1.0, 20.0, 0.005


def leverage(m):
    room = 1 / LEVERAGE - MAINTENANCE
    day = m.realised_day
    yield "leverage", pd.Series(LEVERAGE / MAX_LEVERAGE, index=m.c.index)
    yield "liquidation_atr", ratio(room * m.c, m.atr(14))
    risk = pd.Series(2 * ndtr(-room / day.where(day != 0, 1e-300)), index=m.c.index)
    yield "liquidation_risk", risk
    yield "safe_leverage", (1 / (3 * day + MAINTENANCE)).clip(upper=MAX_LEVERAGE) / MAX_LEVERAGE
    yield "var95", -m.r.rolling(MONTH).quantile(0.05)
    yield "var95_normal", 1.645 * std(m.r, MONTH) - mean(m.r, MONTH)


def funding(m):
    rate = m.column("funding_rate")
    deviation = std(rate, MONTH)
    moved = deviation >= 1e-9 * mean(rate.abs(), MONTH)
    score = (rate - mean(rate, MONTH)) / deviation
    yield "funding_rate", rate
    yield "funding_z_30d", score.where(moved, 0.0).where(deviation.notna())
    yield "funding_sum_24h", total(rate, DAY) * (BAR_MINUTES / 480)
    yield "funding_year", rate * 1095
    yield "funding_proxy", m.c / m.ema(480 // BAR_MINUTES) - 1
    yield "mark_basis", m.c / m.column("mark_price") - 1
    yield "open_interest_change", m.column("open_interest").pct_change(DAY)


def clock(m):
    hour = m.closed.dt.hour + m.closed.dt.minute / 60
    weekday, day, month = m.closed.dt.weekday, m.closed.dt.day, m.closed.dt.month
    days = m.closed.dt.days_in_month
    for name, turns in {"hour": hour / 24, "weekday": weekday / 7, "monthday": (day - 1) / days,
                        "month": (month - 1) / 12}.items():  # fmt: skip
        yield f"{name}_sin", np.sin(2 * np.pi * turns)
        yield f"{name}_cos", np.cos(2 * np.pi * turns)
    for name, first, last in (("asia", 0, 8), ("europe", 7, 16), ("us", 13, 22), ("overlap", 13, 16)):
        yield f"{name}_hours", ((hour >= first) & (hour < last)).astype(float)
    yield "is_weekend", (weekday >= 5).astype(float)
    yield "is_month_turn", ((day == 1) | (day == days)).astype(float)
    past = hour % 8
    yield "hours_to_funding", (8 - past) / 8
    yield "is_funding_window", (np.minimum(past, 8 - past) * 60 <= 5).astype(float)
    dates = m.closed.dt.floor("D")
    yield "to_quarter_end", dates.map({date: days_to_expiry(date) for date in dates.unique()}) / 92


def days_to_expiry(date):
    """Days to the last Friday of the quarter, of the next one where it is past."""
    quarter = date + pd.offsets.QuarterEnd(0)
    friday = quarter - pd.Timedelta(days=(quarter.weekday() - 4) % 7)
    if friday < date:
        quarter += pd.offsets.QuarterEnd(1)
        friday = quarter - pd.Timedelta(days=(quarter.weekday() - 4) % 7)
    return (friday - date).days


PARTS = (leverage, funding, clock)
