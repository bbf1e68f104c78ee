"""Whole feeds against a twin in plain Python: json, Decimal and dicts, written from LOB-1 to LOB-6 alone."""

import json
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import feed_captures as captures

from tradekernels.orderbook import Instrument, Kind, quotes, read_capture

TICK, LOT = "0.5", "0.01"
MS = 1_000_000  # ns
START = 1_700_000_000_000  # ms


class SideTwin:
    """The levels of one side as {rank: lots}; a rank is higher where the price is better. LOB-6."""

    def __init__(self, sign):
        self.sign, self.lots, self.best = sign, {}, None

    def first_below(self, rank):
        return max((r for r in self.lots if r < rank), default=None)

    def set(self, price, lots, other):
        rank = self.sign * price
        self.lots[rank] = lots
        if not lots:
            del self.lots[rank]
            if rank == self.best:
                self.best = self.first_below(rank)
        elif self.best is None or rank > self.best:
            self.best = rank
            if other.best is not None and other.best >= -rank:  # it reaches the opposite best
                other.best = other.first_below(-rank)

    def erase(self, worst, venue):
        """Erase from the worst price of a snapshot on: up to the best (arrival), or all that is better (venue)."""
        rank = self.sign * worst
        if venue or self.best is not None:
            self.lots = {r: n for r, n in self.lots.items() if r < rank or (not venue and r > self.best)}
        self.best = self.first_below(rank if venue else rank - 1)


class BookTwin:
    def __init__(self, venue):
        self.venue, self.bids, self.asks = venue, SideTwin(1), SideTwin(-1)

    def apply(self, event):
        sides = ((self.bids, self.asks, "bids"), (self.asks, self.bids, "asks"))
        for side, other, name in sides:
            levels = event.get(name, [])
            if event["kind"] == "snapshot" and (levels or self.venue):
                # an empty side says that the venue has none; the peer, in order of arrival, clears nothing
                worst = (min, max)[name == "asks"](price for price, _ in levels) if levels else None
                if worst is None:
                    side.lots, side.best = {}, None
                else:
                    side.erase(worst, self.venue)
            for price, lots in levels:
                side.set(price, lots, other)

    def quote(self):
        bid, ask = self.bids.best, self.asks.best
        return (bid or 0, -ask if ask else 0, self.bids.lots.get(bid, 0), self.asks.lots.get(ask, 0))


def steps(text, step):
    whole, rest = divmod(Decimal(text), Decimal(step))
    assert rest == 0
    return int(whole)


def events_of(files):
    """Return one dict a message of every file, in order, and the number of bookTickers (LOB-1, LOB-2)."""
    events, tickers = [], 0
    for number, lines in enumerate(files):
        for line, raw in enumerate(lines, 1):
            local, _, text = raw.decode().partition(" ")
            data = json.loads(text)
            data = data.get("data", data)
            event = {"local": int(local), "time": MS * data.get("T", data.get("E", 0)), "file": number, "line": line}
            if "lastUpdateId" in data:
                event |= {"kind": "snapshot", "id": data["lastUpdateId"]}
            elif data.get("e") == "depthUpdate":
                event |= {"kind": "diff", "id": data["u"], "before": data.get("pu", data["U"] - 1)}
                event["opens"] = data["U"] if "pu" in data else data["U"] - 1
            elif data.get("e") == "trade":
                event |= {"kind": "trade", "id": data["t"], "what": (data["T"], data["p"], data["q"], data["m"])}
            else:
                tickers += 1
                continue
            for name in ("bids", "asks"):
                levels = data.get(name, data.get(name[0])) if event["kind"] != "trade" else []
                event[name] = [(steps(price, TICK), steps(size, LOT)) for price, size in levels]
            events.append(event)
    stated = [event["time"] for event in events]
    for at, event in enumerate(events):  # a spot snapshot is as old as the newest diff before it that it holds
        if not event["time"]:
            diffs = [e for e in events[:at] if e["kind"] == "diff"]
            held = [e for e in diffs if e["id"] <= event["id"]] or diffs[:1]
            near = [time for time in stated[at:] + stated[:at][::-1] if time] + [event["local"]]
            event["time"] = max(held, key=lambda e: e["id"])["time"] if held else near[0]
    return events, tickers


def venue_order(events):
    """Return what the trader's book applies, the gaps and the counts: the exchange's own recipe (LOB-3)."""
    clock = {}  # one connection delivers its diffs in order, however the recorder's clock stumbles
    for event in events:
        if event["kind"] == "diff":
            event["order"] = clock[event["file"]] = max(event["local"], clock.get(event["file"], 0))
    received = sorted(events, key=lambda event: event.get("order", event["local"]))
    stream, seen, trades = [], [], set()
    counts = dict.fromkeys(("old_diffs", "stale_snapshots", "diffs_without_snapshot", "repeated_trades"), 0)
    gaps, told, snapshot_id, last_id, waiting = [], -1, None, -1, True

    def apply_diff(event):
        nonlocal last_id, told
        known = max(snapshot_id, last_id)
        first = last_id < 0  # USDT-M: U <= lastUpdateId; spot: U <= lastUpdateId + 1; or nothing in between
        follows = event["before"] == known or (first and event["opens"] <= snapshot_id)
        if not follows and event["id"] > told:
            gaps.append((event["file"], event["line"], known, event["before"]))
        last_id, told = event["id"], max(told, event["id"])
        stream.append(event)

    for event in received:
        if event["kind"] == "trade":
            key = (event["id"], event["what"])
            if key in trades:
                counts["repeated_trades"] += 1
                continue
            trades.add(key)
            stream.append(event)
        elif event["kind"] == "snapshot":
            if snapshot_id is not None and event["id"] < snapshot_id:
                counts["stale_snapshots"] += 1
                continue
            snapshot_id, last_id = event["id"], -1
            stream.append(event)
            for diff in seen:  # those received before it: the newer ones come again, over it
                if diff["id"] >= snapshot_id and diff["id"] > last_id:
                    apply_diff(diff)
                else:
                    counts["old_diffs"] += waiting
            waiting = False
        else:
            seen.append(event)
            if snapshot_id is None:
                continue
            if event["id"] < snapshot_id or event["id"] <= last_id:
                counts["old_diffs"] += 1
            else:
                apply_diff(event)
    counts["diffs_without_snapshot"] = len(seen) if waiting else 0
    return stream, gaps, counts


def by_update_id(events):
    """Return events whose diffs are no earlier than what their ids come after, be the stated times as they may.

    A snapshot goes before the diffs of its own id and above, which are applied over it.
    """
    book = sorted((e for e in events if e["kind"] != "trade"), key=lambda e: (e["id"], e["kind"] == "diff"))
    now, ordered = 0, []
    for event in book:
        now = max(now, event["time"])
        ordered.append(event | {"time": now})
    return [event for event in events if event["kind"] == "trade"] + ordered


def played(entries, clock, shift, venue):
    """Return {time: quote after all events up to it}, and the ids of all trades; times never go back."""
    book, now, out = BookTwin(venue), 0, {}
    for event in entries:
        now = max(now, event[clock] + shift)
        book.apply(event)
        out[now] = book.quote()
    return out, [event["id"] for event in entries if event["kind"] == "trade"]


def answer(files, sequence):
    """Return quotes of both streams, gaps and counts, as the specification has them."""
    events, tickers = events_of(files)
    counts = {"book_ticker": tickers, "clock_back": sum(b["local"] < a["local"] for a, b in pairwise(events))}
    venue, gaps = sequence == "venue", []
    trader = sorted(events, key=lambda event: event["local"])
    exchange = events
    if venue:
        trader, gaps, more = venue_order(events)
        counts |= more
        exchange = by_update_id([event for event in events if any(event is used for used in trader)])
    exchange = sorted(exchange, key=lambda event: event["time"])
    used = trader or [{"local": 0, "time": 0}]
    shift = max(0, -min(event["local"] - event["time"] for event in used))  # LOB-4
    return played(exchange, "time", 0, venue), played(trader, "local", shift, venue), gaps, counts, shift


PRICES = st.integers(1, 9).map(lambda k: str(Decimal(k) / 2 + 1))
SIZES = st.sampled_from(["0", "0.00", "0.01", "0.5", "1.250", "7"])
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=4)
WHAT = st.sampled_from(["diff"] * 6 + ["trade"] * 2 + ["ticker", "snapshot"])


@st.composite
def recordings(draw):
    """Return one or two files of one instrument: ids grow with time, some diffs are lost, locals are late by chance."""
    spot = draw(st.booleans())
    lines, update, time, trade, local = [], 10, START, 0, 0
    for _ in range(draw(st.integers(1, 14))):
        what = draw(WHAT)
        time += draw(st.integers(0, 3))
        local = max(local, (time - draw(st.sampled_from([0, 0, 50]))) * MS) + draw(st.integers(0, 2 * MS))
        local -= 3 * MS * (draw(st.integers(0, 19)) == 0)  # the recorder's clock was set back
        if what == "diff":
            first, before = update + 1, update
            update += draw(st.integers(1, 3))
            if draw(st.integers(0, 9)) == 0:  # the recorder lost this one
                continue
            if draw(st.integers(0, 9)) == 0:  # it starts before the end of the last one
                first, before = max(1, first - 2), max(0, before - draw(st.integers(1, 2)))
            bids, asks = draw(LEVELS), draw(LEVELS)
            if spot:
                lines.append(captures.spot_diff(local, time, first, update, bids, asks))
            else:
                lines.append(captures.diff(local, time, first, update, before, bids, asks))
        elif what == "trade":
            trade += 1
            price, size, maker = draw(PRICES), draw(SIZES.filter(lambda size: Decimal(size) > 0)), draw(st.booleans())
            lines.append(captures.trade(local, time, trade, price, size, maker, kind=None if spot else "MARKET"))
        elif what == "ticker":
            quote = {"u": update, "s": "BTCUSDT", "b": "1.5", "B": "0.01", "a": "2.0", "A": "0.01"}
            lines.append(captures.line(local, quote if spot else {"e": "bookTicker", "T": time, "E": time} | quote))
        else:
            middle = draw(st.integers(2, 9))
            bids = draw(st.lists(st.integers(1, middle - 1), max_size=4, unique=True))
            asks = draw(st.lists(st.integers(middle, 9), max_size=4, unique=True))
            sides = [[(str(Decimal(k) / 2 + 1), draw(SIZES)) for k in side] for side in (bids, asks)]
            known = update - draw(st.sampled_from([0, 0, 1, 4]))
            lines.append(captures.snapshot(local, None if spot else time, known, *sides))
    if not lines:
        return [[captures.trade(START * MS, START, 1, "1.0", "1", True)]]
    if not draw(st.booleans()):
        return [lines]
    cut = draw(st.integers(0, len(lines)))
    again = draw(st.integers(0, cut))  # the second recorder started before the first one ended
    return [lines[:cut], lines[again:]]


@pytest.mark.parametrize("sequence", ["venue", "arrival"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=recordings())
def test_a_feed_equals_its_twin(tmp_path, sequence, files):
    """LOB-1 to LOB-6: quotes of both streams at every time, gaps, counts, the repair of the clock."""
    venue, trader, gaps, counts, shift = answer(files, sequence)
    paths = [captures.write(tmp_path / str(k), *lines, packed=False) for k, lines in enumerate(files)]
    if not trader[0]:
        with pytest.raises(ValueError, match="no usable event"):
            read_capture(paths, Instrument("", TICK, LOT), sequence=sequence)
        return
    feed = read_capture(paths, Instrument("", TICK, LOT), sequence=sequence)
    assert feed.clock_shift_ns == shift
    assert feed.gaps.tolist() == gaps
    assert {name: feed.counts[name] for name in counts} == counts
    for stream, (expected, trades) in (("venue", venue), ("trader", trader)):
        assert {row[0]: row[1:] for row in quotes(feed, stream=stream).tolist()} == expected, stream
        order, first = feed.stream_of(stream)[0], np.append(feed.messages["first_row"], len(feed))
        has_row = first[order] < first[order + 1]
        kinds = feed.rows["kind"][first[order[has_row]]]
        found = feed.messages["update_id"][order[has_row][(kinds == Kind.BUY_TRADE) | (kinds == Kind.SELL_TRADE)]]
        assert found.tolist() == trades, stream
