"""Twins of the order-book and trade features. From: `market.Market`. To: `TWINS`."""

from .market import divide


def mid(m):
    return (m.best_bid + m.best_ask) / 2


def weighted_mid(m):
    """Return the best prices, each weighted by the size on the other side."""
    sizes = m.best_bid_size + m.best_ask_size
    return (m.best_bid * m.best_ask_size + m.best_ask * m.best_bid_size) / sizes


TWINS = {
    "order_flow_imbalance": lambda m: divide(m.order_flow_imbalance, m.mean_top_depth),
    "depth_imbalance": lambda m: divide(m.bid_size_5 - m.ask_size_5, m.bid_size_5 + m.ask_size_5),
    "weighted_mid_deviation": lambda m: 1e4 * (weighted_mid(m) - mid(m)) / mid(m),
    "spread_bps": lambda m: 1e4 * (m.best_ask - m.best_bid) / mid(m),
    "trade_flow_imbalance": lambda m: divide(2 * m.taker_buy_volume - m.V, m.V),
}
