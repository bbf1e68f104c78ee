"""How long one turn of the trading loop may wait for the service, all its questions together.

From: the live source, which says when a turn begins. To: the client, whose questions get no more time than is left. A
slow service with many pairs would otherwise stop the loop for minutes, and the stops of open trades with it.
"""

LEAST_SECONDS = 0.05  # a question with less time is not put


class Patience:
    """Seconds left of a turn.

    Parameters
    ----------
    seconds : float
        Of one turn. One question may overrun its own limit once, by as much again, so this is well below the length
        of Freqtrade's loop.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = self._left = seconds

    def renew(self) -> None:
        """Begin a turn."""
        self._left = self.seconds

    def spend(self, seconds: float) -> None:
        """Take what a question took."""
        self._left -= seconds

    def limit(self, wanted: float) -> float:
        """Return the seconds that a question may take; 0 if they are too few to put it."""
        limit = min(wanted, self._left)
        return limit if limit >= LEAST_SECONDS else 0.0
