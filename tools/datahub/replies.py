"""What the datahub answers. From: `hub`. To: JSON, and the OpenAPI page, which is made of these classes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat


class Pong(BaseModel):
    status: Literal["pong"]


class Error(BaseModel):
    error: str = Field(description="One word that programs compare.")
    reason: str = Field(description="One sentence for a person.")


class PriceReply(BaseModel):
    symbol: str
    price: PositiveFloat = Field(description="Last price, quote currency.")
    time: datetime = Field(description="When the source says it was made, UTC; of a candle's close, when it closed.")
    source: str


class CandleReply(BaseModel):
    open_time: datetime = Field(description="UTC.")
    open: PositiveFloat
    high: PositiveFloat
    low: PositiveFloat
    close: PositiveFloat
    volume: NonNegativeFloat = Field(description="Base currency.")


class HistoryReply(BaseModel):
    symbol: str
    timeframe: str
    source: str = Field(description="Where the candles came from, be it by way of the cache.")
    candles: list[CandleReply] = Field(description="Closed candles, oldest first.")
    warning: str | None = Field(description="What was not as asked for: a limit that was cut, a source that was down.")


class SeriesHealth(BaseModel):
    symbol: str
    timeframe: str
    last_closed: datetime | None = Field(description="When its last closed candle closed, UTC.")
    age_s: float | None = Field(description="Seconds since then.")
    error: str | None


class SourceHealth(BaseModel):
    source: str
    breaker: Literal["closed", "open"] = Field(description="Open: it failed again and again and is left alone.")


class HealthReply(BaseModel):
    status: Literal["ok", "degraded"] = Field(
        description="Degraded: a series has no candle or one older than two bars."
    )
    pairs: list[SeriesHealth]
    sources: list[SourceHealth]
