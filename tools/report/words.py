"""The fixed sentences of the page: how its numbers came about. From: the code's own rules. To: sections.py."""

METHOD = (
    "Equity is the starting balance plus every fill, fee and funding payment, with open positions valued at the close "
    "of each candle. Funding accrues evenly over a trade, because the result holds only its sum.",
    "Sharpe and Sortino use daily returns of that equity, a risk-free rate of 0 and 365 days a year. Sortino's "
    "downside counts every day, gains as 0. CVaR 5% is the mean of the worst twentieth of the days. Freqtrade's own "
    "ratios use the profits of closed trades and differ for that reason.",
    "Buy and hold puts the starting balance into the pairs in equal parts, without leverage, and pays the entry fee "
    "twice: at the first open and the last close.",
    "A random run keeps every closed trade's pair, side, length, stake, leverage, fee rates and funding, and draws "
    "only its entry. Trades of one pair do not overlap. It enters and leaves at candle opens, whole, and has no stop.",
    "p is the share of runs, the strategy counted among them, with at least its profit. It is honest for one strategy "
    "tried once; choose the best of many variants and luck alone reaches small values.",
    "Freqtrade fills at candle prices: slippage beyond the fee is in none of these numbers but the haircut, for which "
    "`--micro` sends every order as a market order through latency, spread and the depth of a book.",
    "All times are UTC. A dash means that the figure does not exist, such as a profit factor without losses.",
)

REASONS = {
    "warmup": "too little history for the features",
    "gap": "candles are missing in the window",
    "no_version": "before the first model version was valid",
    "stale": "the newest version was too old",
    "not_finite": "a feature or the forecast was no finite number",
    "outlier": "too unlike the candles that the version learned from",
}
