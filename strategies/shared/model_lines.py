"""The model lines that decide together, as GET /models tells them.

From: the service's model list, or what it told last. To: the cache key, the as-of check and the length of a question in
`history` and `live`.
"""

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from strategies.shared.cache import distrusted
from strategies.shared.client import ForecastUnavailable, client_for
from strategies.shared.forms import DECISION, Form

logger = logging.getLogger(__name__)

LINE_KEYS = ("chain_digest", "versions", "warmup")
FRESH_SECONDS = 30.0  # SRV-9: a moved alias is picked up within 30 s
AWAY = ("unreachable", "slow", "paused")  # causes that leave what the service told last as the best there is


@dataclass(frozen=True)
class Ensemble:
    """The lines of a timeframe that decide together.

    Attributes
    ----------
    chain : str
        Names their chains of versions: whatever changes a score over history changes it, whichever line it is in.
    overlap : int
        Rows that a decision reads, its own candle included: those of the longest line.
    valid_from : tuple of mapping
        For each line, version to its valid_from in ms.
    """

    chain: str
    overlap: int
    valid_from: tuple[dict[str, int], ...]

    @property
    def first(self) -> int | None:
        """Time in ms from which every line has a version, None if one has none at all."""
        return max(min(line.values()) for line in self.valid_from) if all(self.valid_from) else None


class ModelLines:
    """The service's model list, asked for again when it is older than 30 s.

    Parameters
    ----------
    url : str
        Of the service.
    memory : Path, optional
        Folder in which the last list is kept. With one, a service that is away is no hindrance: a later backtest or
        hyperopt works on the answers that it gave before. Live there is none.
    clock : callable
        Monotonic seconds.
    form : Form
        Whose lines are looked for.
    """

    def __init__(
        self,
        url: str,
        memory: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        form: Form = DECISION,
    ) -> None:
        self._url, self._form = url, form
        self._file = memory / "models.json" if memory else None  # of whichever address: digests tell chains apart
        self._clock = clock
        self._list: tuple[float, list[dict[str, Any]]] | None = None
        self._away_told = False

    def of(self, timeframe: str, fresh: bool = False) -> Ensemble:
        """Return the lines of a timeframe; `ForecastUnavailable` naming the one that is missing."""
        if fresh or self._list is None or self._clock() - self._list[0] > FRESH_SECONDS:
            self._list = (self._clock(), self._ask())
        lines = [self._find(name, kind, timeframe) for name, kind in self._form.lines.items()]
        return Ensemble(
            "+".join(str(line["chain_digest"]) for line in lines),
            max(int(line["warmup"]) + int(line.get("context_length") or 1) for line in lines),
            tuple(
                {str(item["version"]): milliseconds(item["valid_from"]) for item in line["versions"]} for line in lines
            ),
        )

    def _ask(self) -> list[dict[str, Any]]:
        try:
            lines = client_for(self._url).models()
        except ForecastUnavailable as error:
            recalled = self._recall() if error.cause in AWAY else None
            if recalled is None:
                raise
            if not self._away_told:
                self._away_told = True
                logger.warning("%s. Answers that were given before are used where there are any.", error)
            return recalled
        self._remember(lines)
        return lines

    def _recall(self) -> list[dict[str, Any]] | None:
        """Return the list that was told last; None if there is none that can be read."""
        try:
            private = self._file is not None and not distrusted(self._file.parent)
            lines = orjson.loads(self._file.read_bytes()) if self._file and private else None
        except (OSError, orjson.JSONDecodeError):
            return None
        return lines if isinstance(lines, list) and all(isinstance(line, dict) for line in lines) else None

    def _remember(self, lines: list[dict[str, Any]]) -> None:
        if self._file is None or lines == self._recall():
            return
        unfinished = None
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self._file.parent, suffix=".part", delete=False) as file:
                unfinished = Path(file.name)
                file.write(orjson.dumps(lines))
            unfinished.replace(self._file)
        except OSError as error:
            logger.debug("the model list is not kept in %s: %s", self._file, error)  # the cache says it, loudly
            if unfinished is not None:
                with contextlib.suppress(OSError):
                    unfinished.unlink(missing_ok=True)

    def _find(self, name: str, kind: str, timeframe: str) -> Mapping[str, Any]:
        for line in self._list[1] if self._list else ():
            if line.get("timeframe") == timeframe and line.get("kind") == kind:
                lacking = [key for key in LINE_KEYS if line.get(key) is None]
                if lacking:
                    words = f"/models does not tell {', '.join(lacking)} of {line.get('name')}"
                    raise ForecastUnavailable("mismatch", words)
                return line
        raise ForecastUnavailable(f"no_{name}", f"{self._url} serves no {name} model for timeframe {timeframe}")


def milliseconds(iso: str) -> int:
    """Return a time of the model list in ms; the list speaks UTC, said or not."""
    time = datetime.fromisoformat(iso)
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
