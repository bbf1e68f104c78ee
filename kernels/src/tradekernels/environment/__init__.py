"""A trading environment: many copies, stepped at once in a compiled loop. From: candles. To: NumPy arrays.

>>> from tradekernels.environment import Costs, Reward, Settings
>>> Settings(costs=Costs.none(), reward=Reward.growth("log")).reward.turnover
0.0
"""

from .environment import TradingEnvironment, Transition
from .flow import BookFlow
from .markets import Market, market
from .settings import Costs, Reward, Risk, Settings
from .state import REASONS

__all__ = [
    "REASONS", "BookFlow", "Costs", "Market", "Reward", "Risk", "Settings", "TradingEnvironment", "Transition",
    "market",
]  # fmt: skip
