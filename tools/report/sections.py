"""The parts of the page, top to bottom, as markup.

From: the document and the names of the figures. To: `page.render`.

Every number is taken from the document by its key and wrapped in `<data data-key="...">`, so page and JSON cannot
differ. Every text of the result is escaped: names and tags are a strategy's, and a strategy may be anyone's.
"""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from .forecast_section import forecast_section
from .formats import Format, count, moment, money, number, percent, probability
from .micro_section import micro_section
from .words import METHOD, REASONS

# Keys whose sign means good or bad.
SIGNED = {
    *("profit", "net_profit", "net_profit_ratio", "profit_ratio", "mean_profit_ratio", "cagr"),
    *("funding_net", "funding", "market_ratio", "buy_and_hold_ratio"),
}


class Sections:
    """Builds the body of the page; a number of the document enters it only through `value`."""

    def __init__(self, document: dict[str, Any], figures: dict[str, dict[str, Any]]) -> None:
        self.document = document
        self.figures = figures

    def body(self) -> str:
        parts = [self.head(), self.tiles()]
        parts += [self.equity(), self.chance(), self.months(), self.pairs(), self.prices(), self.tags()]
        parts += [
            micro_section(self),
            forecast_section(self),
            self.versions(),
            self.reconciliation(),
            self.lineage(),
            self.method(),
        ]
        return "".join(parts)

    def value(self, key: str, form: Format) -> str:
        """Return the document's value at a dotted key, formatted, coloured by its sign where that means good or bad."""
        found: Any = self.document
        for step in key.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        if found is None:
            return f'<data data-key="{escape(key)}" value="">–</data>'
        colour = ""
        if key.rsplit(".", 1)[-1] in SIGNED and found != 0:
            colour = ' class="good-text"' if found > 0 else ' class="bad-text"'
        return (
            f'<data data-key="{escape(key)}" value="{escape(json.dumps(found))}"{colour}>{escape(form(found))}</data>'
        )

    def head(self) -> str:
        run = self.document["run"]
        pairs = ", ".join(row["pair"] for row in self.document["pairs"])
        facts = [run["timeframe"], run["trading_mode"], f"{len(self.document['pairs'])} pairs: {pairs[:300]}"]
        shown = " · ".join(str(fact) for fact in facts if fact)
        others = run["other_strategies"]
        also = (
            f"<p><small>The result also holds: {escape(', '.join(others))} (--strategy chooses).</small></p>"
            if others
            else ""
        )
        verdict = "".join(
            f'<li class="{escape(each["tone"])}">{escape(each["text"])}</li>' for each in self.document["verdict"]
        )
        return (
            f'<header><h1>{escape(run["strategy"])}</h1><p class="soft">{self.value("run.start", moment)} to '
            f"{self.value('run.end', moment)} UTC · {escape(shown)}</p>{also}</header>"
            f'<section><h2>Verdict</h2><ul class="verdict">{verdict}</ul></section>'
        )

    def tiles(self) -> str:
        currency = self.document["run"]["stake_currency"]
        deepest = self.document["summary"]["max_drawdown"]
        span = (
            f"{moment(deepest['start'])[:10]} → {moment(deepest['end'])[:10]}"
            if deepest["start"] is not None
            else "never"
        )
        ratio = self.value("summary.net_profit_ratio", percent)
        sides = f"{self.value('summary.long', count)} long, {self.value('summary.short', count)} short"
        received = f"{self.value('summary.funding_received', money)} received"
        shown: list[tuple[str, str, Format, str]] = [
            ("Net profit", "summary.net_profit", money, f"{escape(currency)} · {ratio}"),
            ("CAGR", "summary.cagr", percent, "yearly growth"),
            ("Sharpe", "summary.sharpe", number, "daily, 365 days"),
            ("Sortino", "summary.sortino", number, "daily, 365 days"),
            ("Calmar", "summary.calmar", number, "CAGR / drawdown"),
            ("Max drawdown", "summary.max_drawdown.ratio", percent, span),
            ("CVaR 5%", "summary.cvar_5", percent, "mean of the worst days"),
            ("Trades", "summary.trades", count, sides),
            ("Win rate", "summary.win_rate", percent, "of closed trades"),
            ("Profit factor", "summary.profit_factor", number, "gains / losses"),
            ("Turnover", "summary.turnover", number, "× average equity"),
            ("Fees paid", "summary.fees_paid", money, escape(currency)),
            ("Funding paid", "summary.funding_paid", money, received),
        ]
        tiles = (
            f'<div class="tile"><span>{title}</span><b>{self.value(key, form)}</b><span>{under}</span></div>'
            for title, key, form, under in shown
        )
        return f'<div class="tiles">{"".join(tiles)}</div>'

    def equity(self) -> str:
        rows: list[tuple[str, str, Format]] = [
            ("Net profit", "net_profit", money), ("Net profit", "net_profit_ratio", percent), ("CAGR", "cagr", percent),
            ("Sharpe", "sharpe", number), ("Sortino", "sortino", number), ("Calmar", "calmar", number),
            ("CVaR 5%", "cvar_5", percent), ("Max drawdown", "max_drawdown.ratio", percent),
            ("from", "max_drawdown.start", moment), ("to", "max_drawdown.end", moment),
            ("recovered", "max_drawdown.recovered", moment),
        ]  # fmt: skip
        sides = ["summary", *(["buy_and_hold"] if self.document["buy_and_hold"] else [])]
        body = [[title, *(self.value(f"{side}.{key}", form) for side in sides)] for title, key, form in rows]
        heads = ["", "Strategy", "Buy and hold"][: len(sides) + 1]
        lines = "A dashed line is where a new model version takes over." if "versions" in self.figures else ""
        holding = f"<section><h2>Against buying and holding</h2>{_table(heads, body)}</section>"
        return (
            f"<section><h2>Equity, marked to market at every candle</h2><p class=soft>{lines}</p>{self.plot('equity')}"
            f"<h3>Drawdown</h3>{self.plot('drawdown', 'low')}</section>"
            f"<div class=two>{holding}{self.costs()}</div>"
        )

    def chance(self) -> str:
        if self.document["random_entries"] is None:
            return ""
        at = "random_entries."
        cells = [
            ["Strategy, these trades", self.value(f"{at}strategy_profit", money)],
            ["Random runs: 5% of them below", self.value(f"{at}profit_5", money)],
            ["median", self.value(f"{at}profit_median", money)],
            ["95% of them below", self.value(f"{at}profit_95", money)],
            ["Percentile of the strategy", self.value(f"{at}percentile", number)],
            ["Runs at least as good", self.value(f"{at}at_least_as_good", count)],
            ["p, if entries were random", self.value(f"{at}p_value", probability)],
        ]
        return (
            f"<section><h2>Against {self.value(f'{at}runs', count)} random-entry runs</h2><p class=soft>"
            "The same number, side, length, stake and cost of trades per pair; only the entries are random.</p>"
            f"<div class=two><div>{self.plot('chance', 'low')}</div><div>"
            f"{_table(['', 'Net profit'], cells)}</div></div></section>"
        )

    def months(self) -> str:
        shape: list[tuple[str, str, Format]] = [
            ("Profit", "profit", money), ("Return", "profit_ratio", percent),
            ("Buy and hold", "buy_and_hold_ratio", percent), ("Max drawdown", "max_drawdown", percent),
            ("Opened", "opened", count), ("Closed", "closed", count),
            ("Fees", "fees", money),
        ]  # fmt: skip
        return f"<section><h2>By month</h2>{self.rows('months', 'month', 'Month', shape)}</section>"

    def pairs(self) -> str:
        shape: list[tuple[str, str, Format]] = [
            *TRADES_SHAPE, ("Fees", "fees", money), ("Funding", "funding", money), ("Market", "market_ratio", percent),
            ("Candles", "candles", count), ("Gaps", "missing_candles", count),
        ]  # fmt: skip
        gone = "".join(
            f"<li>{escape(pair)}: {escape(reason)}</li>"
            for pair, reason in self.document["run"]["without_candles"].items()
        )
        gaps = f"<h3>Without candles</h3><ul class=notes>{gone}</ul>" if gone else ""
        return f"<section><h2>By pair</h2>{self.rows('pairs', 'pair', 'Pair', shape)}{gaps}</section>"

    def prices(self) -> str:
        traded = {row["pair"]: row["trades"] for row in self.document["pairs"]}
        charts = {
            f"price-{at}": row["pair"] for at, row in enumerate(self.document["pairs"]) if f"price-{at}" in self.figures
        }
        if not charts:
            return ""
        order = sorted(charts, key=lambda name: -traded[charts[name]])
        options = "".join(
            f'<option value="{name}">{escape(charts[name])} ({traded[charts[name]]} trades)</option>' for name in order
        )
        return (
            f"<section><h2>Trades on the price chart <select id=pair aria-label=Pair>{options}</select></h2>"
            f'<div class="plot" id="price" data-figure="{order[0]}"></div></section>'
        )

    def tags(self) -> str:
        tags = self.rows("enter_tags", "tag", "Tag", TRADES_SHAPE)
        reasons = self.rows("exit_reasons", "tag", "Reason", TRADES_SHAPE)
        return f"<section><h2>By entry tag</h2>{tags}<h2 class=next>By exit reason</h2>{reasons}</section>"

    def costs(self) -> str:
        cells: list[tuple[str, str, Format]] = [
            ("Profit before costs", "profit_before_costs", money), ("Fees paid", "fees_paid", money),
            ("Funding paid", "funding_paid", money), ("Funding received", "funding_received", money),
            ("Net profit", "net_profit", money), ("Traded volume", "volume", money), ("Turnover", "turnover", number),
        ]  # fmt: skip
        currency = escape(self.document["run"]["stake_currency"])
        body = [[title, self.value(f"summary.{key}", form)] for title, key, form in cells]
        return f"<section><h2>Fees and funding</h2>{_table(['', currency], body)}</section>"

    def versions(self) -> str:
        chosen = self.document["model_versions"]
        title = "<h2>Model versions that decided</h2>"
        if chosen is None:
            unknown = "No forecast log was given: which model, if any, decided is not known."
            return f"<section>{title}<p class=soft>{unknown}</p></section>"
        shape: list[tuple[str, str, Format]] = [
            ("First candle", "first", moment), ("Last candle", "last", moment), ("Trades", "trades", count),
            ("Profit", "profit", money), ("Win rate", "win_rate", percent),
        ]  # fmt: skip
        scored = [["Candles asked for", self.value("model_versions.candles_asked", count), ""],
                  ["Scored", self.value("model_versions.candles_scored", count), ""]]  # fmt: skip
        for at, row in enumerate(chosen["unscored"]):
            key = f"model_versions.unscored.{at}"
            name = escape(row["reason"])
            meaning = escape(REASONS.get(row["reason"], ""))
            scored.append([f"Not scored: {name} <small>{meaning}</small>", self.value(f"{key}.candles", count),
                           self.value(f"{key}.share", percent)])  # fmt: skip
        plot = self.plot("versions", "low") if "versions" in self.figures else ""
        return (
            f"<section>{title}{plot}{self.rows('model_versions.versions', 'version', 'Version', shape)}"
            f"<h3>Candles</h3>{_table(['', 'Candles', 'Share'], scored)}</section>"
        )

    def reconciliation(self) -> str:
        shape: list[tuple[str, str, Format]] = [
            ("Final equity, this report", "final_equity", money), ("of it unrealised", "open_profit", money),
            ("Final balance, Freqtrade", "freqtrade_final_balance", money), ("Difference", "difference", money),
            ("Largest gap of one trade", "largest_trade_gap", money),
            ("Freqtrade's Sharpe, from closed trades", "freqtrade.sharpe", number),
            ("Freqtrade's Sortino, from closed trades", "freqtrade.sortino", number),
            ("Freqtrade's Calmar, from closed trades", "freqtrade.calmar", number),
            ("Freqtrade's drawdown, from closed trades", "freqtrade.max_drawdown_account", percent),
        ]  # fmt: skip
        body = [[title, self.value(f"reconciliation.{key}", form)] for title, key, form in shape]
        return f"<section><h2>Agreement with Freqtrade</h2>{_table(['', ''], body)}</section>"

    def lineage(self) -> str:
        lineage = self.document["lineage"]
        chains = (self.document["model_versions"] or {}).get("chain_digests", [])
        rows = [
            ("Strategy", self.document["run"]["strategy"]), ("Strategy file SHA-256", lineage["strategy_sha256"]),
            ("Config SHA-256", lineage["config_sha256"]), ("Result file", lineage["result_file"]),
            ("Result SHA-256", lineage["result_sha256"]), ("Freqtrade run id", lineage["run_id"]),
            *(("Model chain", chain) for chain in chains),
            *((f"Candles of {pair}", fingerprint) for pair, fingerprint in lineage["data"].items()),
        ]  # fmt: skip
        body = "".join(
            f"<tr><td>{escape(name)}</td>"
            f"<td class=words><code>{escape(str(text or 'not in the result'))}</code></td></tr>"
            for name, text in rows
        )
        return f"<section><h2>Lineage</h2><div class=scroll><table>{body}</table></div></section>"

    def method(self) -> str:
        notes = "".join(f"<li>{each}</li>" for each in METHOD)
        return f"<section><h2>How this was computed</h2><ul class=notes>{notes}</ul></section>"

    def plot(self, name: str, shape: str = "") -> str:
        return f'<div class="plot {shape}" data-figure="{name}"></div>'

    def rows(self, key: str, label: str, title: str, shape: Iterable[tuple[str, str, Format]]) -> str:
        """Return a table of the list at `key`, one row an element, its name in the first column."""
        found: Any = self.document
        for step in key.split("."):
            found = found[step]
        if not found:
            return "<p class=soft>None.</p>"
        shape = list(shape)
        body = [
            [escape(row[label] or "(none)"), *(self.value(f"{key}.{at}.{name}", form) for _, name, form in shape)]
            for at, row in enumerate(found)
        ]
        return _table([title, *(head for head, _, _ in shape)], body)


TRADES_SHAPE: list[tuple[str, str, Format]] = [
    ("Trades", "trades", count), ("Long", "long", count), ("Short", "short", count), ("Profit", "profit", money),
    ("Mean", "mean_profit_ratio", percent), ("Win rate", "win_rate", percent),
    ("Factor", "profit_factor", number), ("Hours", "mean_hours", number),
]  # fmt: skip


def _table(heads: list[str], body: list[list[str]]) -> str:
    """Return a table of cells that are markup already."""
    head = "".join(f"<th>{each}</th>" for each in heads)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
