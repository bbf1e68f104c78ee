"""Orders the messages of a capture twice. From: capture.py. To: feed.py, as the venue's and the trader's stream.

The venue's stream is sorted by exchange time, the trader's by time of receipt, both stably (LOB-5). What is in them
depends on the discipline (LOB-3): `arrival` takes every row as it comes; `venue` builds the book that the exchange
documents, from a snapshot and the diffs that are newer than it.
"""

from __future__ import annotations

import numpy as np

from ._streams import venue_stream

_DIFF, _TRADE, _SNAPSHOT = 0, 1, 2


def stable_order(times: np.ndarray) -> np.ndarray:
    """Return the indices that sort times stably, as int64."""
    if len(times) == 0 or (times[1:] >= times[:-1]).all():
        return np.arange(len(times))
    return np.argsort(times, kind="stable")


def fill_times(messages: np.ndarray) -> None:
    """Give snapshots that state no time (spot) that of the newest diff they hold, else of the nearest message."""
    silent = np.flatnonzero(messages["exchange_time_ns"] == 0)
    if not len(silent):
        return
    times, stated = messages["exchange_time_ns"], np.flatnonzero(messages["exchange_time_ns"] > 0)
    diffs = stated[messages["kind"][stated] == _DIFF]
    ids = np.maximum.accumulate(messages["update_id"][diffs]) if len(diffs) else diffs
    newest = np.searchsorted(ids, ids)  # of the diffs so far: a file that overlaps the last one repeats older ones
    before = np.searchsorted(diffs, silent)
    held = np.minimum(np.searchsorted(ids, messages["update_id"][silent], side="right"), before) - 1
    nearest = np.minimum(np.searchsorted(stated, silent), len(stated) - 1)
    for k, first, last, near in zip(silent, before, held, nearest, strict=True):
        if first:
            times[k] = times[diffs[newest[max(last, 0)]]]
        else:
            times[k] = times[stated[near]] if len(stated) else messages["local_time_ns"][k]


def arrival_streams(messages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (venue's, trader's) stream of all messages as int32 indices."""
    venue, trader = (stable_order(messages[name]) for name in ("exchange_time_ns", "local_time_ns"))
    return venue.astype(np.int32), trader.astype(np.int32)


def venue_streams(
    messages: np.ndarray, rows: np.ndarray, first_messages: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """Return (venue's stream, trader's stream, gaps as (message, expected id, stated id), counts)."""
    received = stable_order(_times_of_receipt(messages, first_messages))
    repeated = _repeated_trades(messages, rows, received)
    received = np.delete(received, repeated)
    stream = np.empty(2 * len(messages), np.int32)
    gaps = np.empty((len(messages), 3), np.int64)  # no diff breaks the chain twice
    while True:
        n, n_gaps, n_old, n_stale, n_waiting = venue_stream(messages, received, stream, gaps)
        if n >= 0:
            break
        stream = np.empty(2 * len(stream), np.int32)
    trader = stream[:n].copy()
    counts = {
        "old_diffs": n_old, "stale_snapshots": n_stale, "diffs_without_snapshot": n_waiting, "gaps": n_gaps,
        "repeated_trades": len(repeated),
    }  # fmt: skip
    return _venue_order(messages, trader), trader, gaps[:n_gaps], counts


def _times_of_receipt(messages: np.ndarray, first_messages: list[int]) -> np.ndarray:
    """Return the local times; where a recorder's clock went back, its diffs keep the order in which it wrote them.

    One connection delivers them in the order of their ids; sorted by a clock that stumbles, they would have gaps.
    """
    times = messages["local_time_ns"].copy()
    for first, end in zip(first_messages, [*first_messages[1:], len(messages)], strict=True):
        diffs = first + np.flatnonzero(messages["kind"][first:end] == _DIFF)
        times[diffs] = np.maximum.accumulate(times[diffs])
    return times


def _repeated_trades(messages: np.ndarray, rows: np.ndarray, received: np.ndarray) -> np.ndarray:
    """Return the places in `received` of trades that came before: overlapping files hold the same trade twice."""
    trades = np.flatnonzero((messages["kind"][received] == _TRADE) & (messages["update_id"][received] >= 0))
    at = messages[received[trades]]
    if (at["update_id"][1:] > at["update_id"][:-1]).all():
        return trades[:0]
    row = rows[at["first_row"]]
    keys = (at["update_id"], at["exchange_time_ns"], row["tick"], row["lots"], row["kind"])
    order = np.lexsort(keys[::-1])  # stable: the first one received is the first of its equals
    same = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys])
    return trades[order[1:][same]]


def _venue_order(messages: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the used messages once each, by exchange time; among those of the book, the update ids have the word."""
    used = np.unique(used)
    kind = messages["kind"][used]
    time, place = messages["exchange_time_ns"][used], np.arange(len(used))
    book = np.flatnonzero(kind != _TRADE)
    ids = messages["update_id"][used][book]
    by_id = book[np.lexsort((kind[book] != _SNAPSHOT, ids))]  # a snapshot goes before the diffs that it may need
    time[by_id] = np.maximum.accumulate(time[by_id])
    place[by_id] = np.maximum.accumulate(place[by_id])
    rank = np.zeros(len(used), np.int64)
    rank[by_id] = np.arange(len(by_id))
    if (time[1:] >= time[:-1]).all() and (by_id == book).all():
        return used.astype(np.int32)
    return used[np.lexsort((rank, place, time))].astype(np.int32)
