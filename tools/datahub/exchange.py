"""Any exchange that ccxt speaks, and so any that Freqtrade has. From: its public REST API. To: `hub`.

No key is ever given to it: what needs one is not market data.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import ccxt.async_support as ccxt  # type: ignore[import-untyped]
import pandas as pd

from .source import BadAnswer, NoSuchPair, Price, SourceDown, frame_of
from .symbols import seconds

logger = logging.getLogger(__name__)

TIMEOUT_MS = 4_000  # of one request; the hub's own limit is above it, so that ccxt ends by itself
MAX_PAGES = 10
SMALLEST_PAGE = 50  # fewer rows than this are all there is, not a page
RELOAD_S = 600.0  # how often an unknown pair may make it read the list of markets again
DOWN = (ccxt.NetworkError, ccxt.ExchangeNotAvailable, ccxt.ExchangeClosedByUser)


class Exchange:
    """One exchange through ccxt.

    Parameters
    ----------
    exchange_id : str
        ccxt's name, such as binance or kraken.
    settings : dict
        ccxt's, such as `ccxt_config` of a Freqtrade configuration.
    """

    name = "exchange"

    def __init__(self, exchange_id: str, settings: dict[str, Any]) -> None:
        if exchange_id not in ccxt.exchanges:
            raise ValueError(f"exchange is {exchange_id}, expected one that ccxt knows, such as binance or kraken")
        self.exchange_id, self.settings = exchange_id, {"timeout": TIMEOUT_MS, **settings}
        self.client: ccxt.Exchange | None = None
        self.loaded_at = 0.0
        self.loading = asyncio.Lock()

    async def candles(self, pair: str, timeframe: str, limit: int) -> pd.DataFrame:
        client = await self._client_for(pair)
        if timeframe not in (client.timeframes or {}):
            raise NoSuchPair(f"{self.exchange_id} has no {timeframe} candles")
        rows = await self._ask(partial(client.fetch_ohlcv, pair, timeframe, limit=limit))
        step = seconds(timeframe) * 1000
        for _ in range(MAX_PAGES):  # an exchange with smaller pages is asked for the ones before
            missing = limit - len(rows)
            if missing <= 0 or len(rows) < SMALLEST_PAGE:
                break
            first = rows[0][0]
            since = first - missing * step
            page = await self._ask(partial(client.fetch_ohlcv, pair, timeframe, since=since, limit=missing))
            older = [row for row in page if row[0] < first]
            if not older:
                break
            rows = older + rows
        if not rows:
            raise NoSuchPair(f"{self.exchange_id} has no {timeframe} candles of {pair}")
        return frame_of(rows).tail(limit).reset_index(drop=True)

    async def price(self, pair: str) -> Price:
        client = await self._client_for(pair)
        ticker = await self._ask(partial(client.fetch_ticker, pair))
        try:
            return Price(float(ticker["last"]), int(ticker["timestamp"] or time.time() * 1000))
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise BadAnswer(f"{self.exchange_id} told no last price of {pair}") from fault

    async def close(self) -> None:
        if self.client is not None:
            await self.client.close()

    async def _client_for(self, pair: str) -> ccxt.Exchange:
        async with self.loading:
            client = self.client or await self._load()
            if pair not in client.markets and time.monotonic() - self.loaded_at > RELOAD_S:
                client = await self._load()
        if pair not in client.markets:
            raise NoSuchPair(f"{self.exchange_id} does not list {pair}")
        return client

    async def _load(self) -> ccxt.Exchange:
        """Return a client that knows its markets; one that failed to load them would never try again (ccxt)."""
        client = getattr(ccxt, self.exchange_id)(self.settings)
        try:
            await self._ask(client.load_markets)
        except BaseException:
            await client.close()
            raise
        old, self.client, self.loaded_at = self.client, client, time.monotonic()
        if old is not None:
            await old.close()
        return client

    async def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return await call()
        except ccxt.BadSymbol as fault:
            raise NoSuchPair(f"{self.exchange_id} knows no such pair") from fault
        except (ccxt.BadResponse, ccxt.NullResponse) as fault:
            raise BadAnswer(f"{self.exchange_id} sent no sense") from fault
        except DOWN as fault:
            raise SourceDown(f"{self.exchange_id} does not answer ({type(fault).__name__})") from fault
        except ccxt.BaseError as fault:
            raise SourceDown(f"{self.exchange_id} refused the request ({type(fault).__name__})") from fault
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as fault:  # ccxt's parsers, on nonsense
            logger.debug("ccxt failed on an answer", exc_info=True)
            raise BadAnswer(f"{self.exchange_id} sent no sense ({type(fault).__name__})") from fault
