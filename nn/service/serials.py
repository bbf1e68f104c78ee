"""The newest alias file of each line that was ever served here, kept through restarts (REG-6).

From: `shelf`. To: a small file beside the registry, not in it: who may write the registry could else bring back an old,
rightly signed alias file while the service is down. A serial alone would let a second file with the same number in, so
the SHA-256 of what the file said is kept beside it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from ..registry.files import ModelRefused, write_whole

logger = logging.getLogger(__name__)

FILE = "alias_serials.json"


@dataclass(frozen=True)
class Seen:
    serial: int
    digest: str | None  # None: written before digests were kept


@dataclass
class Serials:
    path: Path
    registry: str  # name of the folder: two registries may lie beside each other
    seen: dict[str, Seen] = field(default_factory=dict)

    @classmethod
    def beside(cls, registry: Path) -> Serials:
        """Read what was seen; a file that is missing or broken counts as nothing seen, and is said."""
        path = registry.absolute().parent / FILE
        try:
            seen = read_seen(path)
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            logger.error("%s cannot be read (%s): an old alias file would not be noticed", path, error)
            seen = {}
        return cls(path, registry.absolute().name, seen)

    def highest(self, line: str, serving: int | None) -> int | None:
        """Return the serial below which an alias file is refused."""
        found = self.seen.get(self._name(line))
        serials = (None if found is None else found.serial, serving)
        return max((serial for serial in serials if serial is not None), default=None)

    def check(self, line: str, serial: int, digest: str) -> None:
        """Raise `ModelRefused` if another alias file with this serial was served before."""
        found = self.seen.get(self._name(line))
        if found is not None and found.serial == serial and found.digest not in (None, digest):
            raise ModelRefused(
                f"the alias file of {line} has serial {serial} like the last one, and says something else"
            )

    def saw(self, line: str, serial: int, digest: str) -> None:
        """Remember an alias file; a disk that refuses is told and stops nothing."""
        if self.seen.get(self._name(line)) == Seen(serial, digest):
            return
        self.seen[self._name(line)] = Seen(serial, digest)
        try:
            for name, other in read_seen(self.path).items():  # another service beside this one may have seen newer
                if name not in self.seen or other.serial > self.seen[name].serial:
                    self.seen[name] = other
            content = {name: {"serial": each.serial, "digest": each.digest} for name, each in self.seen.items()}
            write_whole(self.path, json.dumps(content).encode())
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            logger.error("%s cannot be written (%s): a restart would forget the serials", self.path, error)

    def _name(self, line: str) -> str:
        return f"{self.registry}/{line}"


def read_seen(path: Path) -> dict[str, Seen]:
    """Return what the file says, nothing if there is none; it may still be of the form without digests."""
    try:
        lines = json.loads(path.read_text()).items()
    except FileNotFoundError:
        return {}
    return {
        line: Seen(value, None) if isinstance(value, int) else Seen(int(value["serial"]), value["digest"])
        for line, value in lines
    }
