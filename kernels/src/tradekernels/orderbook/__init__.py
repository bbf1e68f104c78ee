"""Order books: feeds, replay with own orders, queue models. From: captures of an exchange. To: strategies, features."""

from .book import Book, depth, depth_imbalance, final_book, flows, order_flow_imbalance, quotes
from .feed import Feed, FeedError, read_capture
from .instrument import Instrument
from .records import Kind

__all__ = [
    "Book", "Feed", "FeedError", "Instrument", "Kind", "depth", "depth_imbalance", "final_book", "flows",
    "order_flow_imbalance", "quotes", "read_capture",
]  # fmt: skip
