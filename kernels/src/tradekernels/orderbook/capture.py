"""Reads raw WebSocket captures. From: files of `<local_ns> <json>` lines, gz or plain. To: feed.py, as compact arrays.

Binance USDT-M and spot alike, combined streams or bare events: depth diffs, trades, REST snapshots and, for checking
only, bookTicker. Other events are counted. LOB-1 and LOB-2 of the specification.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from ._capture import FAULTS, Parser
from .instrument import MOST_LOTS, MOST_TICKS, Instrument, step_of
from .records import RAW_MESSAGE, ROW, TICKER

_CHUNK = 1 << 18  # bytes of text at a time: it stays in the cache between inflate and parser
_LONGEST_LINE = 1 << 24


class FeedError(ValueError):
    """A line of a capture that cannot be read: `file`, `line` (from 1) and `reason`."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}, line {line}: {reason}")
        self.file, self.line, self.reason = file, line, reason


@dataclass
class Capture:
    """What one or more files said, in file order, before any discipline is applied."""

    rows: np.ndarray
    messages: np.ndarray
    tickers: np.ndarray
    symbol: str
    files: list[tuple[str, int]]  # name, index of its first message
    counts: dict[str, int] = field(default_factory=dict)
    bad_lines: list[FeedError] = field(default_factory=list)


def read_lines(
    paths: Sequence[str | os.PathLike[str]], instrument: Instrument, *, drop: bool, skip_bad: bool, book_ticker: bool
) -> Capture:
    """Parse files one after the other as if they were one; see `read_capture` in feed.py for the other parameters.

    `drop`: snapshots give DROP rows, and an empty side of one says that the book has none; otherwise CLEAR rows.
    """
    parser = Parser(
        (*step_of("tick_size", instrument.tick_size), MOST_TICKS),
        (*step_of("lot_size", instrument.lot_size), MOST_LOTS),
        instrument.symbol.encode(),
        drop,
        skip_bad,
        book_ticker,
    )
    sink = _Sink(book_ticker, sum(map(os.path.getsize, paths)))
    capture = Capture(sink.rows, sink.messages, sink.tickers, "", [])
    broken = known = 0
    for path in paths:
        name = os.fspath(path)
        parser.start_file()
        capture.files.append((name, sink.n_messages))
        try:
            for text in _whole_lines(name, parser):
                if sink.take(parser, text):
                    raise _bad_line(name, parser.bad[-1], instrument, parser.symbol_name)
        except FeedError as error:
            if not skip_bad:
                raise
            broken += 1
            capture.bad_lines.append(error)
        bad, known = parser.bad[known:], len(parser.bad)
        capture.bad_lines += [_bad_line(name, it, instrument, parser.symbol_name) for it in bad]
    capture.rows, capture.messages, capture.tickers = sink.trimmed()
    capture.symbol = parser.symbol_name
    capture.counts = {
        "bad_lines": parser.n_bad + broken, "other_events": parser.n_other, "book_ticker": parser.n_ticker,
        "not_market_trades": parser.n_not_market, "clock_back": parser.n_clock_back,
    }  # fmt: skip
    return capture


def _bad_line(name: str, bad: tuple[int, int, str, str], instrument: Instrument, symbol: str) -> FeedError:
    line, fault, field, value = bad
    step = instrument.tick_size if field == "price" else instrument.lot_size
    return FeedError(name, line, FAULTS[fault].format(field=field, value=value, step=step, symbol=symbol or "a name"))


class _Sink:
    """Arrays that grow while the parser fills them."""

    def __init__(self, book_ticker: bool, file_bytes: int) -> None:
        self.rows = np.empty((1 << 16) + min(file_bytes // 4, 1 << 28), ROW)  # pages that are not written cost nothing
        self.messages = np.empty(1 << 14, RAW_MESSAGE)
        self.tickers = np.empty(1 << 14 if book_ticker else 1, TICKER)
        self.book_ticker = book_ticker
        self.n_rows = self.n_messages = self.n_tickers = 0

    def take(self, parser: Parser, text: bytes) -> int:
        """Parse whole lines; return the fault that stopped the parser, or 0."""
        most_rows, most_lines = len(text) // 5 + 8, len(text) // 24 + 2  # `[1,1],` is a level; no message is shorter
        self.rows = _with_room(self.rows, self.n_rows, most_rows)
        self.messages = _with_room(self.messages, self.n_messages, most_lines)
        if self.book_ticker:
            self.tickers = _with_room(self.tickers, self.n_tickers, most_lines)
        self.n_rows, self.n_messages, self.n_tickers, fault = parser.parse(
            text, self.rows, self.n_rows, self.messages, self.n_messages, self.tickers, self.n_tickers
        )
        return fault

    def trimmed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.rows[: self.n_rows], self.messages[: self.n_messages], self.tickers[: self.n_tickers]


def _with_room(array: np.ndarray, used: int, more: int) -> np.ndarray:
    if len(array) >= used + more:
        return array
    grown = np.empty(max(2 * len(array), used + more), array.dtype)
    grown[:used] = array[:used]
    return grown


def _whole_lines(name: str, parser: Parser) -> Iterator[bytes]:
    """Yield the text of a file in pieces that end with a newline."""
    carry = b""
    for piece in _pieces(name, parser):
        cut = piece.rfind(b"\n") + 1
        if not cut:
            carry += piece
            if len(carry) > _LONGEST_LINE:
                raise FeedError(name, parser.line + 1, f"longer than {_LONGEST_LINE} bytes")
            continue
        yield carry + piece[:cut]
        carry = piece[cut:]
    if carry:
        yield carry + b"\n"


def _pieces(name: str, parser: Parser) -> Iterator[bytes]:
    """Yield the plain bytes of a file; what is packed says so in its first two bytes."""
    with open(name, "rb") as file:
        packed = file.read(_CHUNK)
        if packed[:2] != b"\x1f\x8b":
            while packed:
                yield packed
                packed = file.read(_CHUNK)
            return
        inflate = zlib.decompressobj(31)
        while packed:
            try:
                piece = inflate.decompress(packed, _CHUNK)
            except zlib.error as error:
                raise FeedError(name, parser.line + 1, f"broken gzip stream: {error}") from None
            if piece:
                yield piece
            packed = inflate.unconsumed_tail
            if inflate.eof:
                packed = _next_member(inflate.unused_data, file)
                if packed:
                    inflate = zlib.decompressobj(31)
            elif not packed:
                packed = file.read(_CHUNK)
        if not inflate.eof:
            raise FeedError(name, parser.line + 1, "the gzip stream ends early")


def _next_member(packed: bytes, file: BinaryIO) -> bytes:
    """Return the start of the next gzip member, past any padding of zeros; empty at the end of the file."""
    packed = packed or file.read(_CHUNK)
    while packed and not packed.lstrip(b"\0"):
        packed = file.read(_CHUNK)
    return packed.lstrip(b"\0")
