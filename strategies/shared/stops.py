"""A stop price in the form that Freqtrade's `custom_stoploss` wants. From: the strategies. To: Freqtrade."""

from freqtrade.persistence import Trade
from freqtrade.strategy import stoploss_from_absolute

AT_THE_PRICE = 1e-6  # ratio; Freqtrade reads 0 as "keep the old stop"


def stop_at(price: float, current_rate: float, trade: Trade) -> float:
    """Return the distance of a stop price from the current rate, times the leverage.

    Where the rate has already passed the stop the distance is the smallest there is, so that the next look exits; 0
    would leave the wide stop of the strategy in place just when the near one is needed.
    """
    return max(stoploss_from_absolute(price, current_rate, trade.is_short, trade.leverage), AT_THE_PRICE)
