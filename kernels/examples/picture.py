"""A picture of a replayed book: depth, best quotes, trades, own fills. From: a raw capture. To: a PNG.

Needs matplotlib, which tradekernels does not.

python picture.py CAPTURE SYMBOL TICK_SIZE LOT_SIZE OUT.png [FIRST SECONDS ZOOM_FIRST ZOOM_SECONDS]
python picture.py btcusdt_20240808.gz BTCUSDT 0.1 0.001 book.png 290 54 299 5
"""

import sys

import matplotlib as mpl
import numpy as np
from market_maker import make_market

from tradekernels.orderbook import ConstantLatency, Fees, Instrument, Kind, Queue, TradingModels, depth, read_capture

mpl.use("Agg")
from matplotlib import pyplot
from matplotlib.lines import Line2D

COLUMNS, LEVELS = 600, 3000  # of a heat map; ticks looked at on each side
BUY, SELL, LINE = "#3fe0ae", "#ff7b6e", "#ffffff"
SHADES = mpl.colors.LinearSegmentedColormap.from_list("depth", ["#0a0f1e", "#16305a", "#2c6ea3", "#8fbf9f", "#f4d36b"])
SECOND = 1_000_000_000


def heat_map(feed, at, rows):
    """Return (lots, edges, best): lots of shape (rows, times), the range in ticks, best ticks of shape (times, 2)."""
    book = depth(feed, at, levels=LEVELS)
    best = np.where(book[:, :, 0, 0] > 0, book[:, :, 0, 0], np.nan)
    room = max(4, int(0.15 * (np.nanmax(best) - np.nanmin(best))))
    low, high = int(np.nanmin(best)) - room, int(np.nanmax(best)) + room
    ticks_a_row = -(-(high - low + 1) // rows)
    ticks, lots = book[..., 0].astype(int), book[..., 1]
    time = np.broadcast_to(np.arange(len(at))[:, None, None], ticks.shape)
    inside = (ticks >= low) & (ticks <= high)
    out = np.zeros(((high - low) // ticks_a_row + 1, len(at)))
    np.add.at(out, ((ticks[inside] - low) // ticks_a_row, time[inside]), lots[inside])
    return out, (low - 0.5, low - 0.5 + len(out) * ticks_a_row), best


def trades(feed):
    """Return (time, tick, lots, bought) of every trade, as the trader received it."""
    stream, first = feed.trader_stream, feed.messages["first_row"]
    rows = feed.rows[np.minimum(first[stream], len(feed.rows) - 1)]  # a trade is a message of one row
    traded = (rows["kind"] == Kind.BUY_TRADE) | (rows["kind"] == Kind.SELL_TRADE)
    bought = rows["kind"][traded] == Kind.BUY_TRADE
    return feed.stream_times("trader")[traded], rows["tick"][traded], rows["lots"][traded], bought


def panel(axes, feed, fills, start, span, rows, size):
    """Draw one stretch of time; marks of own fills have `size` points of area. Return the heat map."""
    begin, tick, lot = feed.first_time_ns + int(start * SECOND), float(feed.instrument.tick), feed.instrument.lot
    at = begin + np.arange(COLUMNS) * int(span * SECOND) // COLUMNS
    lots, (low, high), best = heat_map(feed, at, rows)
    edges = (start, start + span, low * tick, high * tick)
    heat = np.log10(1 + lots * float(lot))
    image = axes.imshow(heat, origin="lower", aspect="auto", extent=edges, cmap=SHADES, interpolation="nearest",
                        vmax=np.quantile(heat[heat > 0], 0.998))  # fmt: skip
    seconds = (at - feed.first_time_ns) / SECOND
    for side, colour in ((0, BUY), (1, SELL)):
        axes.step(seconds, best[:, side] * tick, where="post", color=colour, linewidth=1.2)
    time, price, amount, bought = trades(feed)
    seen = (time >= begin) & (time < at[-1])
    colours = np.where(bought[seen], BUY, SELL)
    area = np.clip(60 * np.sqrt(amount[seen] * float(lot)), 6, 260)
    axes.scatter(
        (time[seen] - feed.first_time_ns) / SECOND,
        price[seen] * tick,
        area,
        c=colours,
        alpha=0.55,
        linewidth=0,
        zorder=3,
    )
    for side, mark, colour in ((1, "^", BUY), (-1, "v", SELL)):
        own = fills[
            (fills["side"] == side) & (fills["exchange_time_ns"] >= begin) & (fills["exchange_time_ns"] < at[-1])
        ]
        sent, done = ((own[name] - feed.first_time_ns) / SECOND for name in ("submit_time_ns", "exchange_time_ns"))
        axes.hlines(own["tick"] * tick, sent, done, color=LINE, linewidth=size / 70, zorder=4)
        axes.scatter(done, own["tick"] * tick, size, color=colour, marker=mark, edgecolors=LINE, linewidths=1, zorder=5)
    axes.set(xlim=edges[:2], ylim=edges[2:], ylabel="price")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    return image


def draw(feed, models, whole, zoom, out):
    """Draw two stretches of a feed, (first second, seconds) each, with the fills of the example's market maker."""
    *_, replay = make_market(feed, models)
    pyplot.style.use("dark_background")
    figure, (upper, lower) = pyplot.subplots(2, figsize=(12, 9), layout="constrained", height_ratios=(5, 4))
    for axes, (start, span), rows, size in ((upper, whole, 150, 40), (lower, zoom, 150, 110)):
        image = panel(axes, feed, replay.fills, start, span, rows, size)
        marks = np.array(
            [mark for mark in (0, 0.1, 0.3, 1, 3, 10, 30, 100, 300) if np.log10(1 + mark) <= image.get_clim()[1]]
        )
        bar = figure.colorbar(image, ax=axes, pad=0.01, label="resting, base currency")
        bar.set_ticks(np.log10(1 + marks), labels=[f"{mark:g}" for mark in marks])
    upper.axvspan(zoom[0], sum(zoom), facecolor="none", edgecolor=LINE, linestyle=":", linewidth=1)
    upper.set_title(f"{feed.instrument.symbol}: a replayed book, and a market maker in it", loc="left", fontsize=13)
    lower.set_title(
        "the dotted stretch, tick by tick: a white line is an own order from submission to fill",
        loc="left",
        fontsize=11,
    )
    lower.set_xlabel("seconds since the first event")
    keys = [
        *(Line2D([], [], color=c, label=name) for c, name in ((BUY, "best bid"), (SELL, "best ask"))),
        *(Line2D([], [], color=c, marker="o", linewidth=0, alpha=0.6, label=f"trade, aggressor {name}")
          for c, name in ((BUY, "bought"), (SELL, "sold"))),
        *(Line2D([], [], color=c, marker=m, markeredgecolor=LINE, linewidth=0, label=f"own order {name}")
          for c, m, name in ((BUY, "^", "bought"), (SELL, "v", "sold"))),
    ]  # fmt: skip
    figure.legend(handles=keys, loc="outside lower center", fontsize=10, frameon=False, ncols=6)
    figure.savefig(out, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    capture, symbol, tick, lot, out, *window = sys.argv[1:]
    latency = ConstantLatency(entry_ns=10_000_000, response_ns=10_000_000)
    venue = TradingModels(latency, Queue("power", 2), Fees(maker="-0.00005", taker="0.0007"))
    first, seconds, zoom_first, zoom_seconds = map(float, window or (290, 54, 299, 5))
    draw(read_capture(capture, Instrument(symbol, tick, lot)), venue, (first, seconds), (zoom_first, zoom_seconds), out)
