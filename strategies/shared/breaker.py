"""A circuit breaker: after some failures in a row it stops asking for a while, then lets one call try.

From: the client, which tells it how each call ended. To: the client, which asks before each call.
"""

import threading
import time
from collections.abc import Callable

FAILURES = 5  # in a row (CLT-2)
OPEN_SECONDS = 30.0  # until a probe may pass (CLT-2)


class CircuitBreaker:
    """Closed (calls pass), open (none passes), half open (one probe passes and decides)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at: float | None = None  # None while closed

    def wait_seconds(self) -> float:
        """Return 0 if a call may pass now, else the seconds until the next probe; a passing probe is taken."""
        with self._lock:
            if self._retry_at is None:
                return 0.0
            remaining = self._retry_at - self._clock()
            if remaining > 0:
                return remaining
            self._retry_at = self._clock() + OPEN_SECONDS  # this caller is the probe, the others keep waiting
            return 0.0

    def succeeded(self) -> None:
        """Close: the service answers."""
        with self._lock:
            self._failures, self._retry_at = 0, None

    def failed(self) -> None:
        """Count a failure; the fifth in a row, or a failed probe, opens."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                self._retry_at = self._clock() + OPEN_SECONDS
