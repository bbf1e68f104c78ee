"""How many requests are in progress, and as what: history fills its own places and never those of live ones (LIM-6).

From: `guard`, which lets a request in to be read, and `app`, which knows afterwards what it asks. To: 429 at once where
no place is left (SRV-8). Counted on the event loop alone, so there is no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import Refused
from .settings import ServiceSettings

READING, LARGE, LIVE, HISTORY = "reading", "large", "live", "history"


class Places:
    def __init__(self, settings: ServiceSettings) -> None:
        self.limits = {
            READING: settings.max_concurrency,  # before it is known what they ask; and those that ask no model
            LARGE: settings.max_concurrency,  # still being read, and long: slow ones keep no small one out
            LIVE: settings.max_concurrency,
            HISTORY: settings.bulk_concurrency + settings.bulk_waiting,
        }
        self.taken = dict.fromkeys(self.limits, 0)

    def idle(self) -> bool:
        """Tell whether no live request is in progress; read by other threads too."""
        return self.taken[READING] + self.taken[LIVE] == 0

    @contextmanager
    def ticket(self) -> Iterator[Ticket]:
        """Hold a place to be read, or what the ticket was moved to, until the request has ended."""
        ticket = Ticket(self)
        ticket.move(READING)
        try:
            yield ticket
        finally:
            ticket.leave()


class Ticket:
    def __init__(self, places: Places) -> None:
        self.places, self.place = places, ""

    def move(self, to: str) -> None:
        """Take a place of another kind and give the one back that was held; `Refused` with 429 if none is left."""
        if self.places.taken[to] >= self.places.limits[to]:
            raise Refused(429, "overload", f"{self.places.limits[to]} {to} requests are in progress already")
        self.places.taken[to] += 1
        self.leave()
        self.place = to

    def leave(self) -> None:
        if self.place:
            self.places.taken[self.place] -= 1
            self.place = ""
