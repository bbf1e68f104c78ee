"""Stops asking a source that keeps failing. From: `hub`, each outcome. To: `hub`, and its state to /health."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 5  # in a row
PAUSE_S = 30.0


class Breaker:
    """Open after FAILURES in a row; after PAUSE_S one request may try, and its outcome closes or opens it again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.failures = 0
        self.retry_at = 0.0

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES

    def allows(self) -> bool:
        """Tell whether to ask now; while open, a yes is for the one who asked."""
        if not self.open:
            return True
        if self.clock() < self.retry_at:
            return False
        self.retry_at = self.clock() + PAUSE_S
        return True

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self) -> None:
        self.failures += 1
        self.retry_at = self.clock() + PAUSE_S
