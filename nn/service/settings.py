"""What an operator may set. From: configs/nn/service.yaml. To: every file of this room.

Limits that the wire contract promises (body sizes, rows) are constants in the files that keep them, not settings.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

VARIABLE = "CANDLEWRIGHT_SERVICE_CONFIG"
DEFAULT_FILE = Path(__file__).resolve().parents[2] / "configs" / "nn" / "service.yaml"


class BadSettings(ValueError):
    """A setting is unknown or wrong; the message names it, and the nearest known one."""


class ServiceSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_concurrency: PositiveInt = 64  # live requests in progress, 50 bots at once; the next gets 429 at once (SRV-8)
    requests_per_second: PositiveFloat = 60.0  # per key, on average (LIM-6)
    requests_burst: PositiveInt = 240  # per key, at once: bots that share a key ask in the second a candle closes
    bulk_concurrency: PositiveInt = 2  # requests over history that score at the same time (LIM-6)
    bulk_waiting: PositiveInt = 16  # more of them that wait for their turn; the next gets 429 at once
    live_timeout_s: PositiveFloat = 2.0  # scoring of the newest candle
    bulk_timeout_s: PositiveFloat = 60.0  # waiting for a place and scoring, over history
    body_timeout_s: PositiveFloat = 10.0  # from the first byte of a body to its last
    reply_timeout_s: PositiveFloat = 60.0  # from the first piece of an answer over history to its last
    torch_threads: PositiveInt = 1
    backend: Literal["auto", "eager", "shared", "compiled"] = "auto"  # how networks run, see docs/serving-speed.md
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # of matrix products; auto: bf16 where the processor has it
    reload_interval_s: PositiveFloat = 2.0  # how often the alias files are looked at (SRV-9)
    stale_after_bars: PositiveInt | None = 2  # newest candle older than this: no live forecast (DQ-6); null for replays
    shadow_queue: PositiveInt = 64  # live requests that wait for the challenger; the next is not scored in shadow
    shadow_rows: PositiveInt = 200_000  # newest candles kept with both answers, some 80 MB
    allow_remote: bool = False  # bind to an address other than loopback
    allowed_hosts: tuple[str, ...] = Field(("127.0.0.1", "localhost", "[::1]"), min_length=1)  # Host headers (LIM-7)


def read_settings(path: str | Path | None = None) -> ServiceSettings:
    """Return the settings of this file, else of $CANDLEWRIGHT_SERVICE_CONFIG, else of configs/nn/service.yaml."""
    path = Path(path or os.environ.get(VARIABLE) or DEFAULT_FILE)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadSettings(f"cannot read the service settings {path}: {error}") from error
    if not isinstance(values, dict):
        raise BadSettings(f"{path} holds {type(values).__name__}, expected `name: value` lines")
    for name in values:
        if name not in ServiceSettings.model_fields:
            near = difflib.get_close_matches(str(name), ServiceSettings.model_fields, n=1)
            raise BadSettings(f"{path}: unknown setting {name!r}" + (f", nearest known is {near[0]!r}" if near else ""))
    try:
        return ServiceSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSettings(f"{path}: {first['loc'][0]} is {first['input']!r}: {first['msg']}") from error
