"""The report's figures as Plotly's own JSON: data and layout, no colour of text or ground (the page themes those).

From: the document, and the `Market` for the price charts. To: `page.render`.
"""

from html import escape
from typing import Any

import numpy as np

from .market import Market, PairCandles

STRATEGY, HOLD, CHANCE = "#3b82f6", "#e08a00", "#8b98a9"
WIN, LOSS, LONG, SHORT = "#16a34a", "#dc3d43", "#0d9488", "#a855f7"
VERSIONS = ("#3b82f6", "#e08a00", "#0d9488", "#a855f7", "#dc3d43", "#65a30d", "#db2777", "#0891b2")
CANDLE_ROWS = 30_000  # in the whole page, about 1.5 MB
MARKED_TRADES = 5_000  # the largest by |profit|; the JSON holds them all
TAG_LENGTH = 60
Figure = dict[str, Any]


def figures(document: dict[str, Any], market: Market) -> dict[str, Figure]:
    """Return every figure of the page by the id of its place."""
    built = {"equity": _equity(document), "drawdown": _drawdown(document)}
    if document["random_entries"]:
        built["chance"] = _chance(document)
    if document["model_versions"] and document["model_versions"]["segments"]:
        built["versions"] = _versions(document)
    return built | price_charts(document, market)


def price_charts(document: dict[str, Any], market: Market) -> dict[str, Figure]:
    """Return a price chart per pair with candles, by the id `price-N`, N counting `document["pairs"]`."""
    rows = max(100, CANDLE_ROWS // max(1, len(market.pairs)))
    marked = sorted(document["trades"], key=lambda trade: -abs(trade["profit"] or 0.0))[:MARKED_TRADES]
    marked.sort(key=lambda trade: trade["open_time"])
    charts = {}
    for number, row in enumerate(document["pairs"]):
        if row["pair"] in market.pairs:
            own = [trade for trade in marked if trade["pair"] == row["pair"]]
            charts[f"price-{number}"] = _price(market.pairs[row["pair"]], own, rows, document["run"]["stake_currency"])
    return charts


def _equity(document: dict[str, Any]) -> Figure:
    curves, currency = document["curves"], document["run"]["stake_currency"]
    x = curves["times"]
    data = []
    if curves["random_5"] is not None:
        band = {"type": "scatter", "mode": "lines", "x": x, "hoverinfo": "skip", "legendgroup": "chance"}
        data += [
            band | {"y": curves["random_5"], "line": {"width": 0}, "showlegend": False, "name": "5%"},
            band | {"y": curves["random_95"], "line": {"width": 0}, "fill": "tonexty", "fillcolor": _faint(CHANCE),
                    "name": "random entries, 5–95%"},
            _line("random entries, median", x, curves["random_median"], CHANCE, dash="dot"),
        ]  # fmt: skip
    if curves["buy_and_hold"] is not None:
        data.append(_line("buy and hold", x, curves["buy_and_hold"], HOLD))
    data.append(_line("strategy", x, curves["equity"], STRATEGY, width=2.2))
    layout = _layout(y={"title": {"text": escape(currency)}, "tickformat": ",~f"})
    layout["shapes"] = [_since(version["first"]) for version in _named(document)[1:]]
    return {"data": data, "layout": layout}


def _drawdown(document: dict[str, Any]) -> Figure:
    curves = document["curves"]
    own = _line("strategy", curves["times"], _negative(curves["drawdown"]), STRATEGY)
    data = [own | {"fill": "tozeroy", "fillcolor": _faint(STRATEGY)}]
    if curves["buy_and_hold_drawdown"] is not None:
        data.append(_line("buy and hold", curves["times"], _negative(curves["buy_and_hold_drawdown"]), HOLD))
    return {"data": data, "layout": _layout(y={"tickformat": ".1%"})}


def _chance(document: dict[str, Any]) -> Figure:
    chance, currency = document["random_entries"], document["run"]["stake_currency"]
    bars = {"type": "histogram", "x": chance["profits"], "nbinsx": 40, "name": "random-entry runs",
            "marker": {"color": CHANCE}}  # fmt: skip
    at = chance["strategy_profit"]
    layout = _layout(
        x={"type": "linear", "title": {"text": f"net profit, {escape(currency)}"}}, y={"title": {"text": "runs"}}
    )
    layout |= {"hovermode": "closest", "bargap": 0.04, "showlegend": False, "margin": layout["margin"] | {"t": 26}}
    layout["shapes"] = [{"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
                         "line": {"color": STRATEGY, "width": 2.5}}]  # fmt: skip
    layout["annotations"] = [{"x": at, "yref": "paper", "y": 1.0, "yanchor": "bottom", "text": "strategy",
                              "showarrow": False, "font": {"color": STRATEGY}}]  # fmt: skip
    # A line far outside the bars must still be in the picture.
    low, high = min([at, *chance["profits"]]), max([at, *chance["profits"]])
    room = 0.05 * (high - low) or 1.0
    layout["xaxis"]["range"] = [low - room, high + room]
    return {"data": [bars], "layout": layout}


def _versions(document: dict[str, Any]) -> Figure:
    named = _named(document)
    colours = {version["version"]: VERSIONS[number % len(VERSIONS)] for number, version in enumerate(named)}
    data = []
    for version, colour in colours.items():
        x: list[int | None] = []
        y: list[str | None] = []
        for segment in document["model_versions"]["segments"]:
            if segment["version"] == version:
                x += [segment["first"], segment["last"], None]
                y += [escape(segment["pair"])] * 2 + [None]
        data.append({"type": "scatter", "mode": "lines", "x": x, "y": y, "name": escape(version[:TAG_LENGTH]),
                     "line": {"color": colour, "width": 14}})  # fmt: skip
    n_pairs = len({segment["pair"] for segment in document["model_versions"]["segments"]})
    layout = _layout(y={"type": "category", "automargin": True, "range": [-0.6, n_pairs - 0.4]})
    return {"data": data, "layout": layout | {"hovermode": "closest"}}


def _price(candles: PairCandles, trades: list[dict[str, Any]], rows: int, currency: str) -> Figure:
    data: list[dict[str, Any]] = [_candlesticks(candles, rows)]
    for name, short, symbol, colour in (("long entry", False, "triangle-up", LONG),
                                        ("short entry", True, "triangle-down", SHORT)):  # fmt: skip
        own = [trade for trade in trades if trade["is_short"] is short]
        data.append(_markers(name, own, "open", symbol, colour, currency))
    closed = [trade for trade in trades if not trade["is_open"]]
    for name, won, symbol, colour in (("win", True, "circle", WIN), ("loss", False, "x", LOSS)):
        own = [trade for trade in closed if (trade["profit"] > 0) is won]
        path: dict[str, Any] = {"x": [], "y": []}
        for trade in own:
            path["x"] += [trade["open_time"], trade["close_time"], None]
            path["y"] += [_short(trade["open_rate"]), _short(trade["close_rate"]), None]
        lines = {"type": "scatter", "mode": "lines", "line": {"color": colour, "width": 1.2}, "hoverinfo": "skip"}
        data.append(lines | path | {"showlegend": False, "legendgroup": name, "name": name})
        data.append(_markers(name, own, "close", symbol, colour, currency) | {"legendgroup": name})
    layout = _layout(x={"rangeslider": {"visible": False}}, y={"title": {"text": "price"}})
    return {"data": [trace for trace in data if trace["x"]], "layout": layout | {"hovermode": "closest"}}


def _candlesticks(candles: PairCandles, rows: int) -> dict[str, Any]:
    """Return at most `rows` candles: neighbours merge into longer ones, no extreme is lost."""
    n = len(candles.open)
    per_row = -(-n // rows)
    first = np.arange(0, n, per_row)
    last = np.append(first[1:], n) - 1
    return {
        "type": "candlestick",
        "name": "price" if per_row == 1 else f"price, {per_row} candles in one",
        "x": candles.open_times[first].tolist(),
        "open": [_short(value) for value in candles.open[first]],
        "high": [_short(value) for value in np.maximum.reduceat(candles.high, first)],
        "low": [_short(value) for value in np.minimum.reduceat(candles.low, first)],
        "close": [_short(value) for value in candles.close[last]],
        "increasing": {"line": {"color": "#5b9f95", "width": 1}},
        "decreasing": {"line": {"color": "#c0777b", "width": 1}},
    }


def _markers(
    name: str, trades: list[dict[str, Any]], moment: str, symbol: str, colour: str, currency: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [trade[f"{moment}_time"] for trade in trades],
        "y": [_short(trade[f"{moment}_rate"]) for trade in trades],
        "hovertext": [_hover(trade, moment, currency) for trade in trades],
        "hovertemplate": "%{hovertext}<br>%{x|%Y-%m-%d %H:%M} at %{y}<extra></extra>",
        "marker": {
            "symbol": symbol,
            "size": 8,
            "color": colour,
            "line": {"width": 1, "color": "rgba(255,255,255,.85)"},
        },
    }


def _hover(trade: dict[str, Any], moment: str, currency: str) -> str:
    """Return a marker's words; tags are untrusted, and Plotly reads markup in hover texts."""
    side = "short" if trade["is_short"] else "long"
    leverage = f" {trade['leverage']:g}x" if trade["leverage"] != 1 else ""
    if moment == "open":
        return f"enter {side}{leverage} · {escape(trade['enter_tag'][:TAG_LENGTH] or 'no tag')}"
    result = f"{trade['profit_ratio']:+.2%} ({trade['profit']:+,.2f} {escape(currency)})"
    return f"exit {side}{leverage} · {escape(trade['exit_reason'][:TAG_LENGTH])} · {result}"


def _named(document: dict[str, Any]) -> list[dict[str, Any]]:
    versions = (document["model_versions"] or {}).get("versions", [])
    return [version for version in versions if version["first"] is not None]


def _line(
    name: str, x: list[int], y: list[float], colour: str, width: float = 1.6, dash: str = "solid"
) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y,
            "line": {"color": colour, "width": width, "dash": dash}}  # fmt: skip


def _since(time: int) -> dict[str, Any]:
    return {"type": "line", "x0": time, "x1": time, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": CHANCE, "width": 1, "dash": "dash"}}  # fmt: skip


def _layout(x: dict[str, Any] | None = None, y: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "xaxis": {"type": "date"} | (x or {}),
        "yaxis": {"automargin": True} | (y or {}),
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 36},
        "dragmode": "zoom",
    }


def _negative(values: list[float]) -> list[float]:
    return [-value if value else 0.0 for value in values]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _short(value: float) -> float:
    return float(f"{value:.7g}")
