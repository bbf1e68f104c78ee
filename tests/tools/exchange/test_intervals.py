"""Where candles open, against the calendar of the standard library."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.exchange.intervals import SPOT_INTERVALS, builds, next_opens, opens

moments = st.datetimes(datetime(2017, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def ms(moment):
    return round(moment.timestamp() * 1000)


@settings(derandomize=True)
@given(moment=moments, interval=st.sampled_from(SPOT_INTERVALS))
def test_a_moment_lies_in_the_candle_that_opened_for_it(moment, interval):
    opened = opens(interval, np.array([ms(moment)]))
    following = next_opens(interval, opened)
    assert opened[0] <= ms(moment) < following[0]
    assert opens(interval, following)[0] == following[0]


@settings(derandomize=True)
@given(moment=moments)
def test_weeks_open_on_monday_and_months_on_their_first_day(moment):
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    now = np.array([ms(moment)])
    assert opens("1w", now)[0] == ms(midnight - timedelta(days=midnight.weekday()))
    assert opens("1M", now)[0] == ms(midnight.replace(day=1))


@pytest.mark.parametrize(
    ("base", "interval", "possible"),
    [
        ("1m", "1M", True),
        ("15m", "1h", True),
        ("1d", "1w", True),
        ("8h", "12h", False),
        ("3d", "1w", False),
        ("1w", "1M", False),
        ("1M", "1w", False),
        ("1h", "15m", False),
        ("3m", "5m", False),
        ("1M", "1M", True),
    ],
)
def test_only_whole_candles_build_a_candle(base, interval, possible):
    assert builds(base, interval) is possible
