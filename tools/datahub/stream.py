"""Candles as soon as a bot has them, by Freqtrade's message websocket. From: one bot. To: `hub.heard`.

Optional: without it a new candle is fetched when it is first asked for. A lost connection is made again, forever.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import pandas as pd
import websockets

from nn.service.errors import Refused

from .source import COLUMNS, BadAnswer, frame_of
from .symbols import Timeframe, parse_pair

logger = logging.getLogger(__name__)

WAITS_S = (1, 2, 5, 10, 30)
Heard = Callable[[str, str, pd.DataFrame], None]


async def follow(url: str, token: str, heard: Heard) -> None:
    """Subscribe to analysed candles of a bot at `url` (http://...) and hand each on; ends only when cancelled."""
    address = urlsplit(url)
    scheme = "wss" if address.scheme == "https" else "ws"
    target = urlunsplit((scheme, address.netloc, "/api/v1/message/ws", urlencode({"token": token}), ""))
    failures = 0
    while True:
        try:
            async with websockets.connect(target, open_timeout=5, proxy=None) as channel:
                await channel.send(json.dumps({"type": "subscribe", "data": ["analyzed_df"]}))
                logger.info("following the bot's candles")
                failures = 0
                async for message in channel:
                    await hand_on(message, heard)
        except (OSError, TimeoutError, websockets.WebSocketException) as fault:  # its text may hold the address
            logger.warning("the bot's stream is gone (%s); tried again", type(fault).__name__)
        await asyncio.sleep(WAITS_S[min(failures, len(WAITS_S) - 1)])
        failures += 1


async def hand_on(message: str | bytes, heard: Heard) -> None:
    """Give the candle of a message to `heard`; one that cannot be read is dropped with a warning."""
    try:
        found = candle_of(json.loads(message))
    except (ValueError, KeyError, TypeError, IndexError, BadAnswer, Refused) as fault:
        logger.warning("a message of the bot's stream is dropped: %s", type(fault).__name__)
        return
    if found is not None:
        await asyncio.to_thread(heard, *found)


def candle_of(message: Any) -> tuple[str, str, pd.DataFrame] | None:
    """Return pair, timeframe and the newest candle of an `analyzed_df` message; of any other, None."""
    if message["type"] != "analyzed_df":
        return None
    pair, timeframe = message["data"]["key"][:2]
    table = json.loads(message["data"]["df"]["__value__"])  # Freqtrade's frames: JSON in JSON, orient "split"
    places = [table["columns"].index(name) for name in COLUMNS]
    row = table["data"][-1]
    return parse_pair(pair), Timeframe(timeframe).value, frame_of([[row[place] for place in places]])
