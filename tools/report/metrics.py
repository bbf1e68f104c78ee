"""Trading metrics as pure functions (EVA-1): one year is 365 days, a drawdown is a ratio in [0, 1].

From: equity curves and trade profits as numpy arrays, times in UTC milliseconds.
To: plain floats; None where a figure does not exist (no loss, one day, no equity left), never a stand-in number.
"""

import math

import numpy as np
import numpy.typing as npt

DAY = 86_400_000  # ms
YEAR_DAYS = 365.0
Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


def daily_returns(times: Times, equity: Floats) -> Floats:
    """Return the simple return of every UTC day; `times[0]` is the start, an instant at midnight ends its day."""
    if len(times) < 2 or np.any(equity <= 0):
        return np.empty(0)
    day = (times[1:] - 1) // DAY
    last_of_day = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    at_close = np.concatenate([equity[:1], equity[1:][last_of_day]])
    return at_close[1:] / at_close[:-1] - 1.0


def cagr(first: float, last: float, days: float) -> float | None:
    """Return the yearly growth that turns `first` into `last` in `days`."""
    if first <= 0 or last <= 0 or days <= 0:
        return None
    exponent = math.log(last / first) * YEAR_DAYS / days
    return math.expm1(exponent) if exponent < 100 else None  # a lucky hour has no meaningful year


def sharpe(returns: Floats) -> float | None:
    """Return the annualised mean over the sample standard deviation of daily returns; the risk-free rate is 0."""
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / deviation * math.sqrt(YEAR_DAYS) if deviation > 1e-12 else None


def sortino(returns: Floats) -> float | None:
    """Return the annualised mean over the downside deviation, which counts every day, gains as 0."""
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / downside * math.sqrt(YEAR_DAYS) if downside > 1e-12 else None


def calmar(yearly_growth: float | None, drawdown: float) -> float | None:
    """Return yearly growth over the maximum drawdown."""
    return yearly_growth / drawdown if yearly_growth is not None and drawdown > 0 else None


def cvar(returns: Floats, share: float = 0.05) -> float | None:
    """Return the mean of the worst `share` of the days, at least one day."""
    if len(returns) == 0:
        return None
    worst = max(1, int(len(returns) * share))
    return float(np.mean(np.partition(returns, worst - 1)[:worst]))


def drawdown(equity: Floats) -> Floats:
    """Return how far equity is below its highest value so far, as a share of that value."""
    peak = np.maximum.accumulate(equity)
    return np.where(peak > 0, 1.0 - equity / np.where(peak > 0, peak, 1.0), 0.0)


def max_drawdown(times: Times, equity: Floats) -> dict[str, float | int | None]:
    """Return the deepest drawdown: ratio, amount, time of its peak, of its trough, and of its recovery if any."""
    below = drawdown(equity)
    end = int(np.argmax(below))
    if below[end] <= 0:
        return {"ratio": 0.0, "amount": 0.0, "start": None, "end": None, "recovered": None}
    start = int(np.argmax(equity[: end + 1]))
    again = np.flatnonzero(equity[end:] >= equity[start])
    return {
        "ratio": float(below[end]),
        "amount": float(equity[start] - equity[end]),
        "start": int(times[start]),
        "end": int(times[end]),
        "recovered": int(times[end + again[0]]) if len(again) else None,
    }


def win_rate(profits: Floats) -> float | None:
    """Return the share of trades that made money; a trade at exactly 0 did not."""
    return float(np.mean(profits > 0)) if len(profits) else None


def profit_factor(profits: Floats) -> float | None:
    """Return the sum of gains over the sum of losses."""
    lost = -float(profits[profits < 0].sum())
    return float(profits[profits > 0].sum()) / lost if lost > 0 else None


def turnover(volume: float, mean_equity: float) -> float | None:
    """Return the traded notional, entries and exits, as a multiple of the average equity."""
    return volume / mean_equity if mean_equity > 0 else None


def of_curve(times: Times, equity: Floats) -> dict[str, object]:
    """Return every metric that an equity curve alone decides."""
    returns = daily_returns(times, equity)
    growth = cagr(float(equity[0]), float(equity[-1]), (times[-1] - times[0]) / DAY)
    deepest = max_drawdown(times, equity)
    return {
        "final": float(equity[-1]),
        "net_profit": float(equity[-1] - equity[0]),
        "net_profit_ratio": float(equity[-1] / equity[0] - 1.0),
        "cagr": growth,
        "sharpe": sharpe(returns),
        "sortino": sortino(returns),
        "calmar": calmar(growth, float(deepest["ratio"] or 0.0)),
        "cvar_5": cvar(returns),
        "max_drawdown": deepest,
    }
