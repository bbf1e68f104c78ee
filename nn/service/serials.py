"""The highest serial of each line's alias file that was ever served here, kept through restarts (REG-6).

From: `shelf`. To: a small file beside the registry, not in it: who may write the registry could else bring back an old,
rightly signed alias file while the service is down.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

FILE = "alias_serials.json"


@dataclass
class Serials:
    path: Path
    registry: str  # name of the folder: two registries may lie beside each other
    seen: dict[str, int] = field(default_factory=dict)

    @classmethod
    def beside(cls, registry: Path) -> Serials:
        """Read what was seen; a file that is missing or broken counts as nothing seen, and is said."""
        path = registry.absolute().parent / FILE
        try:
            found = json.loads(path.read_text())
            seen = {str(line): int(serial) for line, serial in found.items()}
        except FileNotFoundError:
            seen = {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            logger.error("%s cannot be read (%s): an old alias file would not be noticed", path, error)
            seen = {}
        return cls(path, registry.absolute().name, seen)

    def highest(self, line: str, serving: int | None) -> int | None:
        """Return the serial below which an alias file is refused."""
        found = (self.seen.get(f"{self.registry}/{line}"), serving)
        return max((serial for serial in found if serial is not None), default=None)

    def saw(self, line: str, serial: int) -> None:
        """Remember a serial; a disk that refuses is told and stops nothing."""
        name = f"{self.registry}/{line}"
        if self.seen.get(name) == serial:
            return
        self.seen[name] = serial
        partial = self.path.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(self.seen))
            os.replace(partial, self.path)
        except OSError as error:
            logger.error("%s cannot be written (%s): a restart would forget the serials", self.path, error)
