"""The `candlewright` section of a Freqtrade config, checked, with every default.

From: the config dictionary that Freqtrade hands to a strategy, and the environment.
To: the forecast source, the client and the strategies.
"""

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MIN_KEY_LENGTH = 32


@dataclass(frozen=True)
class Settings:
    """What a strategy may be told about forecasts and costs.

    Attributes
    ----------
    service_url : str
        Where the inference service listens, http or https; the environment variable CANDLEWRIGHT_SERVICE_URL wins.
    fee : float
        Ratio paid per side, as decisions assume it. Freqtrade's own `fee` key is not read: it exists in backtests only,
        and lookahead-analysis sets it in some of its runs, so decisions would differ from live ones.
    slippage : float
        Ratio lost per side between the decision and the fill.
    can_short : bool
        Whether futures strategies may open shorts; in spot mode nothing may.
    cache_megabytes : int
        Room that cached answers may take on disk.
    metrics_port : int
        On loopback, for Prometheus; 0 exports nothing.
    replay_file : str
        Signed decisions that backtests and hyperopt read instead of asking the service; empty asks it.
    """

    service_url: str = "http://127.0.0.1:3000"
    fee: float = 0.0006  # TGT-21: what the targets were made with
    slippage: float = 0.0005  # TGT-21
    can_short: bool = True
    cache_megabytes: int = 512
    metrics_port: int = 0
    replay_file: str = ""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Settings":
        """Read the section; an unknown key or a bad value is a ValueError that names it."""
        section = dict(config.get("candlewright") or {})
        known = [field.name for field in fields(cls)]
        for key in section:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise ValueError(f"candlewright.{key} is not a key of the config, the nearest known one is {nearest}")
        if url_wanted := os.environ.get("CANDLEWRIGHT_SERVICE_URL"):
            section["service_url"] = url_wanted
        settings = cls(**section)
        url = urlsplit(str(settings.service_url))
        secrets = url.username or url.password or url.query or url.fragment
        if url.scheme not in ("http", "https") or not url.hostname or secrets:
            raise ValueError(f"candlewright.service_url is {settings.service_url!r}, expected http(s)://host:port")
        for name in ("fee", "slippage"):
            value = getattr(settings, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 0.1:
                raise ValueError(f"candlewright.{name} is {value!r}, expected a ratio in [0, 0.1)")
        if not isinstance(settings.replay_file, str):
            raise ValueError(f"candlewright.replay_file is {settings.replay_file!r}, expected the name of a file")
        if not isinstance(settings.can_short, bool):
            raise ValueError(f"candlewright.can_short is {settings.can_short!r}, expected true or false")
        for name, most in (("cache_megabytes", math.inf), ("metrics_port", 65_535)):
            size = getattr(settings, name)
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= most:
                raise ValueError(f"candlewright.{name} is {size!r}, expected a whole number from 0 to {most}")
        return settings

    @property
    def round_trip_cost(self) -> float:
        """Ratio of the price that entering and leaving costs."""
        return 2 * (self.fee + self.slippage)


def short_allowed(config: Mapping[str, Any]) -> bool:
    """Tell whether this config lets a strategy go short (STR-7, DAT-11): Freqtrade refuses shorts in spot mode."""
    return str(config.get("trading_mode") or "spot") == "futures" and Settings.from_config(config).can_short


def cache_folder() -> Path:
    """Return where cached answers lie."""
    return Path(os.environ.get("CANDLEWRIGHT_FORECAST_CACHE") or "user_data/cache/forecasts")


def read_api_key() -> str | None:
    """Return the service's key from the environment or its file; None when there is none of at least 32 characters."""
    key = os.environ.get("CANDLEWRIGHT_API_KEY")
    if not key:
        path = Path(os.environ.get("CANDLEWRIGHT_API_KEY_FILE") or "user_data/secrets/service.key")
        try:
            key = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
    key = key.strip()
    return key if len(key) >= MIN_KEY_LENGTH and key.isascii() and key.isprintable() else None
