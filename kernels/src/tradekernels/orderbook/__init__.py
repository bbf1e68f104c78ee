"""Order books: feeds, replay with own orders, queue models. From: captures of an exchange. To: strategies, features."""

from .book import QUOTES, Book, depth, depth_imbalance, final_book, flows, order_flow_imbalance, quotes
from .candle_columns import candle_columns
from .feed import Feed, FeedError, read_capture
from .grid import SAMPLE, Grid, GridResult, run_grids
from .instrument import Instrument
from .microprice import Microprice
from .models import ConstantLatency, DrawnLatency, FeedLatency, Fees, Queue, TableLatency, TradingModels
from .orders import ORDER_EVENT, EventKind, order_events, read_lobster, read_orders
from .records import GAP, MESSAGE, ROW, TICKER, Kind
from .replay import FILL, TRADE, Account, OwnOrder, Replay, Status

__all__ = [
    "FILL", "GAP", "MESSAGE", "ORDER_EVENT", "QUOTES", "ROW", "SAMPLE", "TICKER", "TRADE", "Account", "Book",
    "ConstantLatency", "DrawnLatency", "EventKind", "Feed", "FeedError", "FeedLatency", "Fees", "Grid", "GridResult",
    "Instrument", "Kind", "Microprice", "OwnOrder", "Queue", "Replay", "Status", "TableLatency", "TradingModels",
    "candle_columns", "depth", "depth_imbalance", "final_book", "flows", "order_events", "order_flow_imbalance",
    "quotes", "read_capture", "read_lobster", "read_orders", "run_grids",
]  # fmt: skip
