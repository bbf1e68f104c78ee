"""What trading costs, and how orders are cut. From: orders and market state. To: prices, amounts, fees, delays.

>>> from tradekernels.execution import Fees, Quantiser
>>> float(Fees(taker_bps=10).fee(Quantiser().amount(0.123456789) * 50_000.0))
6.1725
"""

from .calibration import SlippageFit, calibrate_slippage
from .fees import Fees
from .latency import CounterRandom, Latency, hour_of_week
from .planners import CHILD, mid_offset, pov, twap, vwap
from .quantiser import Quantiser
from .slippage import Slippage

__all__ = [
    "CHILD", "CounterRandom", "Fees", "Latency", "Quantiser", "Slippage", "SlippageFit", "calibrate_slippage",
    "hour_of_week", "mid_offset", "pov", "twap", "vwap",
]  # fmt: skip
