"""What a running bot sees: `pair_candles` of Freqtrade's REST API. From: a bot on this machine or network. To: `hub`.

Name and password are those of the bot's api_server, taken from the variables that Freqtrade itself reads.
"""

from __future__ import annotations

from typing import Any

import httpx
import pandas as pd

from nn.data.timeframe import timeframe_ms

from .source import COLUMNS, BadAnswer, NoSuchPair, Price, SourceDown, frame_of

TIMEOUT = httpx.Timeout(3.0, connect=0.5)  # seconds
MAX_BYTES = 4 << 20  # of one answer: 1,000 candles are some 150 kB


class Bot:
    """One bot. It knows the candles of its own timeframe and informative pairs; the rest it has not."""

    name = "bot"

    def __init__(self, url: str, username: str, password: str, timeframe: str) -> None:
        self.timeframe = timeframe
        auth = httpx.BasicAuth(username, password) if username else None
        self.client = httpx.AsyncClient(base_url=url, auth=auth, timeout=TIMEOUT, trust_env=False)

    async def candles(self, pair: str, timeframe: str, limit: int) -> pd.DataFrame:
        # The POST form returns the candles alone; the GET form every column of the strategy.
        body = {"pair": pair, "timeframe": timeframe, "limit": limit, "columns": []}
        answer = await self._post("/api/v1/pair_candles", body)
        columns, rows = answer.get("columns"), answer.get("data")
        if not isinstance(columns, list) or not isinstance(rows, list):
            raise BadAnswer("the bot's answer has no columns and data")
        if not rows:
            raise NoSuchPair(f"the bot has no {timeframe} candles of {pair}")
        try:
            places = [columns.index("__date_ts"), *(columns.index(name) for name in COLUMNS[1:])]
            return frame_of([[row[place] for place in places] for row in rows])
        except (ValueError, IndexError, TypeError, KeyError) as fault:
            raise BadAnswer("the bot's candles lack a column or a value") from fault

    async def price(self, pair: str) -> Price:
        """Return the close of its newest candle: the bot's API has no ticker."""
        frame = await self.candles(pair, self.timeframe, 1)
        return Price(float(frame["close"].iloc[-1]), int(frame["date"].iloc[-1]) + timeframe_ms(self.timeframe))

    async def close(self) -> None:
        await self.client.aclose()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with self.client.stream("POST", path, json=body) as response:
                if response.status_code != 200:
                    raise SourceDown(f"the bot answered with status {response.status_code}")
                text = bytearray()
                async for chunk in response.aiter_bytes():
                    text += chunk
                    if len(text) > MAX_BYTES:
                        raise BadAnswer(f"the bot's answer is over {MAX_BYTES} bytes")
        except httpx.HTTPError as fault:
            raise SourceDown(f"the bot does not answer ({type(fault).__name__})") from fault
        try:
            answer = httpx.Response(200, content=bytes(text)).json()
        except ValueError as fault:
            raise BadAnswer("the bot's answer is not JSON") from fault
        if not isinstance(answer, dict):
            raise BadAnswer("the bot's answer is no JSON object")
        return answer
