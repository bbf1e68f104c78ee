"""Where an answer comes from: the cache, else the first source that can tell (HUB-2..5).

From: `cache`, `stream`, the sources in order. To: `app`. One request at a time asks a source for the same thing;
the others wait for its answer. No source is waited for longer than TIMEOUT_S.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from nn.service.errors import Refused

from .breaker import Breaker
from .cache import CandleCache, Entry
from .metrics import Metrics
from .source import BadAnswer, NoSuchPair, Price, Source, SourceDown, closed_candles
from .symbols import seconds

logger = logging.getLogger(__name__)

T = TypeVar("T")
TIMEOUT_S = 5.0
MAX_LIMIT = 1000
LATE_S = 30.0  # an exchange that has not told of a candle so long after its close has none
PRICE_TTL_S = 1.0
SERIES_LOCKS = 10_000  # names are the caller's to choose: forget the locks rather than grow


@dataclass(frozen=True)
class Candles:
    """Closed candles, oldest first, and the name of the source they once came from."""

    frame: pd.DataFrame
    source: str
    warning: str | None = None


@dataclass(frozen=True)
class Told:
    price: Price
    source: str


class Hub:
    """The sources, in the order in which they are asked, behind one cache; `clock` tells s since 1970."""

    def __init__(
        self, sources: Sequence[Source], cache: CandleCache, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self.sources, self.cache, self.metrics, self.clock = list(sources), cache, metrics, clock
        self.breakers = {source.name: Breaker() for source in sources}
        self.locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.prices: dict[str, tuple[float, Told]] = {}

    async def history(self, pair: str, timeframe: str, limit: int) -> Candles:
        """Return the newest closed candles, at most `limit`.

        Raises
        ------
        Refused
            404 if no source knows the series, 502 if one tells nonsense, 503 if those that could know are down.
        """
        async with self._alone(pair, timeframe):
            entry = await asyncio.to_thread(self.cache.get, pair, timeframe)
            if entry is not None and fresh(entry, timeframe, limit, self.clock()):
                self.metrics.cache.labels("hit").inc()
                return Candles(entry.candles.tail(limit), entry.source)
            self.metrics.cache.labels("miss").inc()

            async def fetch(source: Source) -> pd.DataFrame:
                # All of MAX_LIMIT: the next question may be for more, and it is one request either way.
                found = await source.candles(pair, timeframe, MAX_LIMIT)
                return closed_candles(found, pair, timeframe, self.clock())

            frame, name, warning = await self._first(fetch, self.sources)
            if name != "datadir":  # it is on this disk already
                entry = Entry(frame, MAX_LIMIT, name, self.clock())
                await asyncio.to_thread(self.cache.put, pair, timeframe, entry)
            return Candles(frame.tail(limit), name, warning)

    async def price(self, pair: str) -> Told:
        """Return the last price. The data directory is asked only where there is nothing else: its prices are old.

        Raises
        ------
        Refused
            As `history`; 502 also for a price that is not finite or not above zero.
        """
        async with self._alone(pair, "price"):
            at, told = self.prices.get(pair, (-math.inf, None))
            if told is not None and 0 <= self.clock() - at < PRICE_TTL_S:
                return told

            async def fetch(source: Source) -> Price:
                price = await source.price(pair)
                if not (math.isfinite(price.value) and price.value > 0):
                    raise BadAnswer(f"the price of {pair} is {price.value}, expected a finite number above 0")
                return price

            live = [source for source in self.sources if source.name != "datadir"]
            price, name, _ = await self._first(fetch, live or self.sources)
            told = Told(price, name)
            if len(self.prices) >= SERIES_LOCKS:
                self.prices.clear()
            self.prices[pair] = (self.clock(), told)
            return told

    def heard(self, pair: str, timeframe: str, row: pd.DataFrame) -> None:
        """Add a candle that a bot has just told of to the cached series which it continues."""
        try:
            candle = closed_candles(row, pair, timeframe, self.clock())
        except BadAnswer as fault:
            logger.warning("a streamed candle of %s %s is dropped: %s", pair, timeframe, fault)
            return
        entry = self.cache.get(pair, timeframe)
        if entry is None or candle.empty or entry.candles.empty:
            return
        expected = int(entry.candles["date"].iloc[-1]) + seconds(timeframe) * 1000
        if int(candle["date"].iloc[0]) == expected:
            frame = pd.concat([entry.candles, candle], ignore_index=True).tail(MAX_LIMIT).reset_index(drop=True)
            self.cache.put(pair, timeframe, Entry(frame, entry.asked, entry.source, self.clock()))

    async def close(self) -> None:
        for source in self.sources:
            await source.close()

    def _alone(self, pair: str, what: str) -> asyncio.Lock:
        if len(self.locks) >= SERIES_LOCKS:
            self.locks.clear()
        return self.locks[pair, what]

    async def _first(
        self, fetch: Callable[[Source], Awaitable[T]], sources: Sequence[Source]
    ) -> tuple[T, str, str | None]:
        """Return the first answer, whose it is, and which sources before it were down."""
        down: list[str] = []
        unknown: list[str] = []
        for source in sources:
            try:
                answer = await self._ask(source, fetch)
            except SourceDown as fault:
                down.append(str(fault))
            except NoSuchPair as fault:
                unknown.append(str(fault))
            else:
                return answer, source.name, "; ".join([*down, f"this is from {source.name}"]) if down else None
        if down:
            raise Refused(503, "source_down", "; ".join(down))
        raise Refused(404, "unknown_series", "; ".join(unknown) or "no source is configured")

    async def _ask(self, source: Source, fetch: Callable[[Source], Awaitable[T]]) -> T:
        breaker = self.breakers[source.name]
        if not breaker.allows():
            raise SourceDown(f"{source.name} failed {breaker.failures} times and is left alone for a while")
        began = time.perf_counter()
        outcome = "failed"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await fetch(source)
            outcome = "answered"
        except NoSuchPair:
            outcome = "unknown"
            raise
        except asyncio.CancelledError:
            outcome = "left"
            raise
        except TimeoutError:
            raise SourceDown(f"{source.name} did not answer within {TIMEOUT_S:g} s") from None
        except BadAnswer as fault:
            outcome = "bad"
            logger.warning("%s: %s", source.name, fault)
            raise Refused(502, "bad_answer", f"{source.name}: {fault}") from fault
        finally:
            if outcome == "failed":
                breaker.failed()
            elif outcome != "left":
                breaker.succeeded()  # it is there, whatever it says: one bad pair closes no other
            self.metrics.asked(source.name, outcome, time.perf_counter() - began)
        return answer


def fresh(entry: Entry, timeframe: str, limit: int, now_s: float) -> bool:
    """Tell whether cached candles are what a source would answer now.

    They live until the next candle closes, at most one timeframe. An answer that came so soon after a close that the
    source had not told of the candle yet does not live at all.
    """
    step = seconds(timeframe)
    if entry.written > now_s or entry.written // step != now_s // step:
        return False
    if len(entry.candles) < limit and entry.asked < limit:
        return False
    newest = int(entry.candles["date"].iloc[-1]) / 1000 if len(entry.candles) else -math.inf
    return newest >= (entry.written // step - 1) * step or entry.written % step > LATE_S
