"""The haircut in words and as markup. From: the document's key `micro`. To: the terminal and `sections`."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from .formats import Format, count, moment, money, number

if TYPE_CHECKING:
    from .sections import Sections

TOTALS: tuple[tuple[str, str, Format], ...] = (
    ("Price moved on the way", "delay", money), ("Half spread", "spread", money), ("Deeper levels", "impact", money),
    ("Fees on the difference", "fees", money), ("Haircut", "haircut", money),
    ("in bps of what was traded", "haircut_bps", number), ("Orders", "orders", count),
    ("Mean latency, ms", "mean_latency_ms", number),
)  # fmt: skip


def lines(micro: dict[str, Any]) -> Iterator[str]:
    """Yield a line per trade and one for all of them."""
    for trade in micro["trades"]:
        profit = "open" if trade["profit"] is None else f"{trade['profit']:+,.2f}"
        yield f"  {moment(trade['open_time'])} {trade['pair']}: profit {profit}, haircut {trade['haircut']:+,.4f}"
    parts = ", ".join(f"{name} {micro[name]:+,.2f}" for name in ("delay", "spread", "impact", "fees"))
    yield f"  haircut of {len(micro['trades'])} trades {micro['haircut']:+,.2f}: {parts}"
    for each in micro["unpriced"]:
        yield f"  {each['orders']} orders not priced: {each['reason']}"


def micro_section(sections: "Sections") -> str:
    """Return the table of the haircut's parts; empty without a replay."""
    found = sections.document.get("micro")
    if found is None:
        return ""
    body = "".join(
        f"<tr><td>{title}</td><td>{sections.value(f'micro.{key}', form)}</td></tr>" for title, key, form in TOTALS
    )
    body += "".join(
        f"<tr><td>Not priced: {escape(each['reason'])}</td>"
        f"<td>{sections.value(f'micro.unpriced.{at}.orders', count)}</td></tr>"
        for at, each in enumerate(found["unpriced"])
    )
    currency = escape(sections.document["run"]["stake_currency"])
    return (
        "<section><h2>Orders replayed in a book</h2><p class=soft>Every order as a market order: sent when its candle"
        " is first at its price, filled when it arrives from what a book of that market's usual depth holds."
        f"</p><div class=scroll><table><thead><tr><th></th><th>{currency}</th></tr></thead><tbody>{body}</tbody>"
        "</table></div></section>"
    )
