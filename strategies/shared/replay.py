"""Decisions over history from a signed file instead of the service (ASO-3, CLT-1): the same rows, the same columns.

From: a file of `python -m nn.service.replay`, named by `candlewright.replay_file`. To: `forecasts`, in backtests and
hyperopt, in the place of `history`. Nothing of the file is parsed before its signature has been checked.

The key is that of the models. Whoever can check can sign, so only a machine that backtests needs it, no live bot.
"""

import hashlib
import hmac
import os
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from strategies.shared import wire
from strategies.shared.client import ForecastUnavailable
from strategies.shared.complaints import Complaints
from strategies.shared.forecast_log import log_versions
from strategies.shared.forms import DECISION
from strategies.shared.model_lines import Ensemble, milliseconds
from strategies.shared.replies import scored_columns

MAGIC = b"candlewright replay 1\n"
DIGITS = 64  # of the signature
KEY_VARIABLE, KEY_FILE, MIN_KEY_BYTES = "CANDLEWRIGHT_MODEL_KEY", "user_data/secrets/model.key", 32
OTHERS_MAY_READ = 0o077


class Replay:
    """Reads the file when first asked, for one timeframe, and keeps it."""

    def __init__(self, path: Path, complaints: Complaints) -> None:
        self._path, self._complaints = path, complaints
        self._read: dict[str, tuple[pa.Table, Ensemble]] = {}

    def columns(self, pair: str, timeframe: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a row per candle, NaN where the file has none; `ForecastUnavailable` if nothing of it can be used."""
        if timeframe not in self._read:
            self._read[timeframe] = self._table(timeframe)
        table, lines = self._read[timeframe]
        mine = table.filter(pc.equal(table["pair"], pair))
        known, dates = mine["date"].to_numpy(), wire.open_times(frame)
        if len(np.unique(known)) != len(known):
            raise ForecastUnavailable("replay", f"{self._path} has two rows of one candle of {pair}")
        if lacking := np.count_nonzero(~np.isin(dates, known)):
            cause = "replay" if lacking == len(dates) else "replay_part"
            detail = f"{self._path} has no row of {lacking} of {len(dates)} candles"
            self._complaints.tell(cause, pair, timeframe, detail)
        answer, faults = scored_columns(mine, known, lines, timeframe)
        for cause, detail in faults:
            self._complaints.tell(cause, pair, timeframe, detail)
        answer.index, reasons = pd.Index(known), pd.Series(mine["reason"].to_pylist(), index=known, dtype=object)
        answer = answer.reindex(dates).reset_index(drop=True)
        told = reasons.reindex(dates, fill_value="not_in_file").to_numpy(dtype=object)
        log_versions(pair, timeframe, lines.chain, dates, answer, told, "replay", DECISION.versions)
        if not faults and not lacking and answer["model_version"].isna().all():
            words = ", ".join(sorted({str(reason) for reason in told}))
            self._complaints.tell("unscored", pair, timeframe, f"none of {len(dates)} candles is scored ({words})")
        return answer

    def _table(self, timeframe: str) -> tuple[pa.Table, Ensemble]:
        stream = verified(self._path)
        table = wire.decode(stream, timeframe, None)
        try:
            with pa.ipc.open_stream(stream) as reader:
                told = orjson.loads((reader.schema.metadata or {})[b"versions"])
            valid_from = {str(each["version"]): milliseconds(each["valid_from"]) for each in told}
        except (KeyError, TypeError, ValueError) as error:
            raise ForecastUnavailable("replay", f"{self._path} does not tell its versions") from error
        return table, Ensemble(wire.chain_of(table), 0, (valid_from,) * len(DECISION.versions))


def verified(path: Path) -> bytes:
    """Return the stream in a file that an accepted key has signed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ForecastUnavailable("replay", f"{path} cannot be read: {error.strerror}") from error
    head, stream = content[: len(MAGIC) + DIGITS + 1], content[len(MAGIC) + DIGITS + 1 :]
    good = False
    for key in keys():
        wanted = MAGIC + hmac.new(key, MAGIC + stream, hashlib.sha256).hexdigest().encode() + b"\n"
        good |= hmac.compare_digest(head, wanted)
    if not good:
        raise ForecastUnavailable("replay", f"{path} is not signed with the model key of this installation")
    return stream


def keys() -> list[bytes]:
    """Return the model key, and the one before it during a rotation, as `docs/registry.md` says where they are."""
    found = [_key(KEY_VARIABLE, KEY_FILE), _key(f"{KEY_VARIABLE}_PREVIOUS", None)]
    if found[0] is None:
        raise ForecastUnavailable("replay", f"there is no model key of at least {MIN_KEY_BYTES} bytes")
    return [key for key in found if key is not None]


def _key(variable: str, default: str | None) -> bytes | None:
    text = os.environ.get(variable)
    if not text:
        name = os.environ.get(f"{variable}_FILE") or default
        if name is None:
            return None
        path = Path(name)
        try:
            if path.stat().st_mode & OTHERS_MAY_READ:
                raise ForecastUnavailable("replay", f"{path} can be read by other users: chmod 600")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
    text = text.strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = text.encode()
    return key if len(key) >= MIN_KEY_BYTES else None
