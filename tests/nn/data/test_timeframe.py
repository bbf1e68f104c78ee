"""What a timeframe means."""

import pytest

from nn.data.timeframe import bars_in, timeframe_minutes, timeframe_ms


@pytest.mark.parametrize(("timeframe", "minutes"), [("1m", 1), ("15m", 15), ("1h", 60), ("4h", 240), ("1d", 1440)])
def test_a_timeframe_is_a_number_of_minutes(timeframe, minutes):
    assert timeframe_minutes(timeframe) == minutes
    assert timeframe_ms(timeframe) == minutes * 60_000


@pytest.mark.parametrize("timeframe", ["", "15", "m", "0m", "15min", "1w", "1M", "-5m", "1.5h", "15m "])
def test_what_is_no_timeframe_is_refused_by_name(timeframe):
    with pytest.raises(ValueError, match="timeframe is"):
        timeframe_minutes(timeframe)


def test_a_horizon_that_is_not_a_whole_number_of_bars_is_refused():
    """DAT-10"""
    assert bars_in(720, "15m") == 48
    with pytest.raises(ValueError, match="15 minutes is not a whole number of 1h bars"):
        bars_in(15, "1h")
