"""Twins of the time family: the close time of the bar, UTC. From: `market.Market`. To: `TWINS`."""

import calendar
from datetime import date, timedelta

import numpy as np


def days_in_month(t):
    return calendar.monthrange(t.year, t.month)[1]


def circle(share):
    return np.sin(2 * np.pi * np.array(share)), np.cos(2 * np.pi * np.array(share))


def day_of_month(m):
    return circle([(t.day - 1) / days_in_month(t) for t in m.closes])


def month(m):
    return circle([(t.month - 1) / 12 for t in m.closes])


def is_funding_window(m):
    """Return 1 within 5 minutes of 00, 08 and 16 o'clock, on either side."""
    minutes = [(t.hour * 60 + t.minute + t.second / 60 + t.microsecond / 6e7) % 480 for t in m.closes]
    return np.array([x <= 5 or x >= 475 for x in minutes])


def last_friday(year, quarter):
    """Return the last Friday of quarter 1..4."""
    day = date(year, 3 * quarter, calendar.monthrange(year, 3 * quarter)[1])
    while day.weekday() != calendar.FRIDAY:
        day -= timedelta(days=1)
    return day


def days_to_quarter_end(t):
    today, quarter = t.date(), (t.month + 2) // 3
    end = last_friday(today.year, quarter)
    if end < today:
        end = last_friday(today.year + quarter // 4, quarter % 4 + 1)
    return (end - today).days


TWINS = {
    "hour_sin": lambda m: np.sin(2 * np.pi * m.hour / 24),
    "hour_cos": lambda m: np.cos(2 * np.pi * m.hour / 24),
    "weekday_sin": lambda m: np.sin(2 * np.pi * m.weekday / 7),
    "weekday_cos": lambda m: np.cos(2 * np.pi * m.weekday / 7),
    "monthday_sin": lambda m: day_of_month(m)[0],
    "monthday_cos": lambda m: day_of_month(m)[1],
    "month_sin": lambda m: month(m)[0],
    "month_cos": lambda m: month(m)[1],
    "asia_hours": lambda m: (m.hour >= 0) & (m.hour < 8),
    "europe_hours": lambda m: (m.hour >= 7) & (m.hour < 16),
    "us_hours": lambda m: (m.hour >= 13) & (m.hour < 22),
    "overlap_hours": lambda m: (m.hour >= 13) & (m.hour < 16),
    "is_weekend": lambda m: m.weekday >= 5,
    "is_funding_window": is_funding_window,
    "is_month_turn": lambda m: np.array([t.day in (1, days_in_month(t)) for t in m.closes]),
    "to_quarter_end": lambda m: np.array([days_to_quarter_end(t) / 92 for t in m.closes]),
}
