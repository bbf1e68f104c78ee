"""Flow family: who was the aggressor, and what the book held. From: optional columns. To: the catalogue."""

from ..expression import Node, column, named
from ..feature import Feature
from ..primitives import UNKNOWN, V, earlier, known, ratio, sma, total, where
from ..span import Span
from .indicators import TAKER

INF = float("inf")
BUY_RATIO = named("TBR", where(known(TAKER), ratio(TAKER, V), UNKNOWN))
BID, ASK = column("best_bid"), column("best_ask")
BID_SIZE, ASK_SIZE = column("best_bid_size"), column("best_ask_size")
BID_DEPTH, ASK_DEPTH = column("bid_size_5"), column("ask_size_5")
MID = named("mid", (BID + ASK) / 2)
WEIGHTED_MID = ratio(BID * ASK_SIZE + ASK * BID_SIZE, BID_SIZE + ASK_SIZE)


def _share(a: Node, b: Node) -> Node:
    """a / b, 0 where b is 0 and NaN where a is not known."""
    return where(known(a), ratio(a, b), UNKNOWN)


def _momentum(time: Span) -> Node:
    was = earlier(BUY_RATIO, time)
    return where(known(BUY_RATIO) * known(was), where(was >= 0.01, BUY_RATIO / was - 1, 0.0), UNKNOWN)


FEATURES = (
    *(
        Feature(f"cvd_{time}", f"FEA-{k}", "flow", total(2 * TAKER - V, Span(time, slower=slower)), "base", (-INF, INF),
                f"volume of aggressive buys minus sells over {time}", "Hasbrouck (1991)")
        for k, (time, slower) in enumerate((("24h", "24h"), ("168h", "7d")), start=184)
    ),
    Feature("taker_buy_ratio", "FEA-198", "flow", BUY_RATIO, "ratio", (0, 1),
            "share of the volume in which the buyer was the aggressor", "Lee and Ready (1991)"),
    *(
        Feature(f"tbr_sma_{time}", f"FEA-{k}", "flow", sma(BUY_RATIO, Span(time, slower=slower)), "ratio", (0, 1),
                f"mean of that share over {time}", "Lee and Ready (1991)")
        for k, (time, slower) in enumerate((("24h", "24h"), ("6h", "8h"), ("12h", "16h")), start=199)
    ),
    *(
        Feature(f"tbr_momentum_{time}", f"FEA-{k}", "flow", _momentum(Span(time, slower=slower)), "ratio", (-1, 100),
                f"relative change of that share in {time}; 0 where it was below 1%", "Lee and Ready (1991)")
        for k, (time, slower) in enumerate((("1h", "4h"), ("6h", "8h"), ("12h", "12h")), start=202)
    ),
    Feature("order_flow_imbalance", "FEA-208", "flow",
            _share(column("order_flow_imbalance"), column("mean_top_depth")), "ratio", (-INF, INF),
            "net change of the best queues over the bar, in mean depths", "Cont et al. (2014), eq. 10"),
    Feature("depth_imbalance", "FEA-209", "flow", _share(BID_DEPTH - ASK_DEPTH, BID_DEPTH + ASK_DEPTH),
            "ratio", (-1, 1), "bid minus ask size of five levels, over their sum", "Cao et al. (2009)"),
    Feature("weighted_mid_deviation", "FEA-210", "flow", where(known(WEIGHTED_MID) * (BID_SIZE + ASK_SIZE > 0.0),
            1e4 * (WEIGHTED_MID - MID) / MID, where(known(WEIGHTED_MID), 0.0, UNKNOWN)), "bps", (-INF, INF),
            "mid weighted by the other side's size against the mid", "Gatheral and Oomen (2010)"),
    Feature("spread_bps", "FEA-211", "flow", 1e4 * (ASK - BID) / MID, "bps", (-INF, INF),
            "best ask minus best bid, against the mid", "Demsetz (1968)"),
    Feature("trade_flow_imbalance", "FEA-212", "flow", _share(2 * TAKER - V, V), "ratio", (-1, 1),
            "aggressive buys minus sells, over the volume", "Lee and Ready (1991)"),
)  # fmt: skip
