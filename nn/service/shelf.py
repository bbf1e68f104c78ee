"""Holds the lines that serve now, and exchanges a line when its signed alias file changes (SRV-9).

From: the folders under $CANDLEWRIGHT_REGISTRY. To: `app`, which takes a line once per request and keeps it to the end.

A background thread looks for changed files, loads the candidate aside and swaps one reference. A candidate that fails
is refused with a log line and the old line keeps serving; so is an alias file older than the last one, or one of the
same number that says something else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..models.build import ACTOR_CRITIC, DIRECTION, UNIFIED_PATCHTST
from ..registry.aliases import ALIASES, SIGNATURE
from ..registry.keys import KeyProblem, Keys, read_keys
from ..registry.manifest import ModelRefused
from .backends.choice import Backends
from .errors import Refused
from .serials import Serials
from .versions import CHAMPION, LayoutMismatch, Line, load_line, quickened

logger = logging.getLogger(__name__)

VARIABLE = "CANDLEWRIGHT_REGISTRY"
PREFIX = {UNIFIED_PATCHTST: "unified", DIRECTION: "direction", ACTOR_CRITIC: "policy"}  # of lines' names, by kind
DEFAULT_FOLDER = Path("user_data/registry")
TRY_AGAIN_S = 30.0  # a key that was mended, a disk that answers again
Stamp = dict[str, tuple[int, int, int]]  # inode, size, mtime of each file of a line, by its path in the line's folder


@dataclass
class Place:
    """One line folder: the line that serves, how its files looked last, and why they were refused if they were."""

    line: Line | None = None
    stamp: Stamp = field(default_factory=dict)
    refusal: Refused | None = None
    try_again: float = 0.0  # monotonic seconds; a refused line may be mended without a change of its files

    def changed(self, stamp: Stamp) -> bool:
        """Tell whether a file changed that decides what serves; after a refusal it may be any that mends it."""
        if self.line is None or self.refusal is not None:
            return stamp != self.stamp
        named = {"", *(each.version for each in self.line.chain), *self.line.aliases.values()}
        return deciding(stamp, named) != deciding(self.stamp, named)


@dataclass
class Shelf:
    folder: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    places: dict[str, Place] = field(default_factory=dict)
    refusal: Refused | None = None  # of everything: no key to check signatures with
    closed: Refused | None = None  # the registry's folder, to this user
    backends: Backends = field(default_factory=Backends)

    @classmethod
    def of_environment(cls, backends: Backends) -> Shelf:
        return cls(Path(os.environ.get(VARIABLE) or DEFAULT_FOLDER), backends=backends)

    def __post_init__(self) -> None:
        self.serials = Serials.beside(self.folder)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return what serves; of lines with one timeframe and kind the one with the default name comes first."""
        loaded = [place.line for place in self.places.values() if place.line is not None]
        return tuple(sorted(loaded, key=lambda line: (line.kind, line.name != default_name(line), line.name)))

    def line_of(self, timeframe: str, kind: str = UNIFIED_PATCHTST) -> Line:
        """Return the line that serves a timeframe; `Refused` with 503, or 409 where only its features differ.

        Of several lines, the one with the default name serves: `unified-<timeframe>`, `direction-<timeframe>`.
        """
        name = f"{PREFIX[kind]}-{timeframe}"
        found = [line for line in self.lines if line.timeframe == timeframe and line.kind == kind]
        preferred = [line for line in found if line.name == name]
        for choice in (preferred, found):
            if len(choice) == 1:
                return choice[0]
        if found:
            raise Refused(503, "no_model", f"several model lines serve {timeframe}, none is called {name}")
        place = self.places.get(name, Place())
        refusal = self.refusal or self.closed or (place.refusal if place.line is None else None)
        raise refusal or Refused(503, "no_model", f"no {PREFIX[kind]} model line serves timeframe {timeframe}")

    def refusals(self) -> list[Refused]:
        """Return why nothing at all, or nothing of some line, is served."""
        lines = [place.refusal for _, place in sorted(self.places.items()) if place.line is None and place.refusal]
        return [*filter(None, (self.refusal, self.closed)), *lines]

    def check_ready(self) -> None:
        """Raise `Refused` with 503 unless a champion serves and no line had to be refused whole."""
        for refusal in self.refusals():
            raise Refused(503, "not_ready", refusal.reason)
        if not any(line.champion for line in self.lines):
            raise Refused(503, "not_ready", "no model line has a champion")

    def look(self) -> None:
        """Load what is new or changed; called once before serving, then by the thread."""
        folders = self._folders()
        keys = self._keys() if folders else None
        if keys is None:
            return
        for folder in folders:
            place = self.places.setdefault(folder.name, Place())
            stamp = stamp_of(folder)
            new = place.line is None and place.refusal is None
            again = new or (place.refusal is not None and time.monotonic() >= place.try_again)
            changed, place.stamp = place.changed(stamp), stamp
            if changed or again:
                place.try_again = time.monotonic() + TRY_AGAIN_S
                exchange(place, folder, keys, self.serials, self.backends)
            if place.line is not None:
                place.line = quickened(place.line, self.backends)

    def _folders(self) -> list[Path]:
        """Return the folders of lines, those that may not be looked into too: loading one says why it is refused."""
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            if self.closed is None:
                logger.error("the model registry cannot be read: %s; what serves goes on", error)
            self.closed = Refused(503, "no_model", "the model registry cannot be read; the log of the service says why")
            return []
        self.closed = None
        return [self.folder / name for name in names if may_be_line(self.folder / name)]

    def _keys(self) -> Keys | None:
        try:
            keys = read_keys(self.environ)
        except KeyProblem as error:
            if self.refusal is None:
                logger.error("nothing can be verified: %s", error)
            self.refusal = Refused(503, "no_model", "the key that checks model signatures is missing or unusable")
            return None
        self.refusal = None
        return keys

    def watch(self, interval_s: float) -> None:
        """Look every `interval_s` seconds in a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._watch, args=(interval_s,), name="shelf", daemon=True)
        self._thread.start()

    def _watch(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s):
            try:
                self.look()
            except Exception:
                logger.exception("looking at the model registry failed; what serves now keeps serving")

    def close(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self.backends.close()


def may_be_line(folder: Path) -> bool:
    """Tell whether a folder has an alias file, or may have one that this user must not see."""
    try:
        (folder / ALIASES).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def default_name(line: Line) -> str:
    return f"{PREFIX[line.kind]}-{line.timeframe}"


def exchange(place: Place, folder: Path, keys: Keys, serials: Serials, backends: Backends) -> None:
    """Put a newly loaded line in its place; keep the old one, and say why, if the new one is refused."""
    serial = None if place.line is None else place.line.serial
    try:
        candidate = load_line(folder, keys, newer_than=serials.highest(folder.name, serial), backends=backends)
        serials.check(folder.name, candidate.serial, said_by(candidate))
    except (ModelRefused, OSError) as error:
        status, word = (409, "layout_mismatch") if isinstance(error, LayoutMismatch) else (503, "no_model")
        place.refusal = Refused(status, word, f"model line {folder.name} was refused; the log of the service says why")
        kept = "nothing of it is served" if place.line is None else f"serial {serial} keeps serving"
        logger.error("model line %s refused: %s; %s", folder.name, error, kept)
        return
    place.line, place.refusal = candidate, None
    serials.saw(folder.name, candidate.serial, said_by(candidate))
    logger.info(
        "model line %s serves: serial %d, %d versions in its chain, champion %s",
        candidate.name, candidate.serial, len(candidate.chain), candidate.aliases.get(CHAMPION, "none"),
    )  # fmt: skip


def said_by(line: Line) -> str:
    """Return the SHA-256 of what the alias file of a line says, however it is written."""
    content = [line.serial, sorted(line.aliases.items()), [version.version for version in line.chain]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def deciding(stamp: Stamp, folders: set[str]) -> Stamp:
    """Return the part of a stamp that is of files in these folders of a line, "" for the line's own."""
    return {path: status for path, status in stamp.items() if path.rpartition("/")[0] in folders}


def stamp_of(folder: Path) -> Stamp:
    """Return how the files look that a line is loaded from: its alias file and its versions.

    Judgements and the log of moves lie beside them, and are for the gates: a line is not loaded anew for them.
    """
    found: Stamp = {}
    for path in (folder / ALIASES, folder / SIGNATURE, *sorted(folder.glob("[!.]*/*"))):
        try:
            status = path.stat()
        except OSError:
            continue  # replaced while looking: the next look sees it
        found[path.relative_to(folder).as_posix()] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
