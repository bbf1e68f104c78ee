"""What the numbers say in plain sentences, above all when they say "no better than luck".

From: the document. To: sentences with a tone (good, bad, note) for the top of the page and the JSON.
"""

from typing import Any

SIGNIFICANCE = 0.05
FEW_TRADES = 30


def verdict(document: dict[str, Any]) -> list[dict[str, str]]:
    """Return the sentences, most important first."""
    run, summary = document["run"], document["summary"]
    if not summary["trades"]:
        return [_say("bad", "The strategy made no trade: there is nothing to judge.")]
    currency = run["stake_currency"]
    profit, ratio = summary["net_profit"], summary["net_profit_ratio"]
    made = "made" if profit > 0 else "lost"
    sentences = [
        _say(
            "good" if profit > 0 else "bad",
            f"It {made} {abs(profit):,.2f} {currency} ({ratio:+.2%}) in {run['days']:.0f} days, after "
            f"{summary['fees_paid']:,.2f} of fees and {summary['funding_net']:+,.2f} of funding.",
        ),
        *_against_holding(document),
        *_against_chance(document),
        *_in_a_book(document),
    ]
    closed = summary["trades"] - summary["open_trades"]
    if closed < FEW_TRADES:
        sentences.append(_say("note", f"Only {closed} closed trades: too few to tell skill from luck."))
    if summary["open_trades"]:
        sentences.append(_say("note", f"{summary['open_trades']} trades are still open, valued at the last close."))
    if run["without_candles"]:
        names = ", ".join(run["without_candles"])
        sentences.append(_say("note", f"No candles for {names}: outside every comparison, valued when trades close."))
    if not document["reconciliation"]["to_the_cent"]:
        gap = document["reconciliation"]["difference"]
        sentences.append(_say("bad", f"This account differs from Freqtrade's final balance by {gap:+,.4f} {currency}."))
    return sentences


def _against_holding(document: dict[str, Any]) -> list[dict[str, str]]:
    hold = document["buy_and_hold"]
    if hold is None:
        return [_say("note", "There are no candles, so buy-and-hold is unknown.")]
    own = document["summary"]["net_profit_ratio"]
    better = own > hold["net_profit_ratio"]
    text = f"buying and holding the same pairs ({hold['net_profit_ratio']:+.2%})"
    return [_say("good", f"Better than {text}.") if better else _say("bad", f"No better than {text}.")]


def _against_chance(document: dict[str, Any]) -> list[dict[str, str]]:
    chance = document["random_entries"]
    if chance is None:
        return [_say("note", "There are no closed trades with candles, so the comparison with chance is missing.")]
    facts = (
        f"{chance['at_least_as_good']} of {chance['runs']} random-entry runs did at least as well "
        f"(percentile {chance['percentile']:.0f}, p ≈ {chance['p_value']:.3f})"
    )
    if chance["p_value"] > SIGNIFICANCE:
        reach = "" if chance["percentile"] <= 50 else " can be by luck"
        return [_say("bad", f"No better than random entries{reach}: {facts}.")]
    return [
        _say("good", f"Better than random entries: {facts}. Every variant tried before this one weakens that claim.")
    ]


def _in_a_book(document: dict[str, Any]) -> list[dict[str, str]]:
    micro = document["micro"]
    if micro is None:
        return []
    left, currency = document["summary"]["net_profit"] - micro["haircut"], document["run"]["stake_currency"]
    text = (
        f"Its orders, replayed as market orders in a book, would have cost {micro['haircut']:+,.2f} {currency} more "
        f"({micro['haircut_bps']:+.1f} bps of what they traded): {left:+,.2f} would be left."
    )
    unpriced = sum(each["orders"] for each in micro["unpriced"])
    text += f" {unpriced} of {micro['orders']} orders could not be priced." if unpriced else ""
    return [_say("good" if left > 0 else "bad", text)]


def _say(tone: str, text: str) -> dict[str, str]:
    return {"tone": tone, "text": text}
