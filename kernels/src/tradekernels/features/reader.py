"""Feature rows of one frame, front to back. From: a checked frame and a program. To: parts of the matrix, bit for bit.

One machine goes over the bars once, so the parts together are what `FeatureSet.compute` gives, and memory is that of
the part that is read, however long the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .program import Program
from .references import Closes

CHUNK = 16_384  # bars for which references are aligned at a time: memory stays that of the result


class Reader:
    """Made by `FeatureSet.reader`; for one thread at a time.

    Attributes
    ----------
    n_bars : int
        Of the frame.
    position : int
        The next bar that has not been read or passed over.
    """

    def __init__(
        self,
        program: Program,
        date: np.ndarray,
        columns: Sequence[np.ndarray | None],
        others: Sequence[Closes | None],
        dtype: type[np.floating],
    ) -> None:
        self.n_bars, self.position = len(date), 0
        self._date, self._columns, self._others, self._dtype = date, tuple(columns), tuple(others), dtype
        self._width, self._bar_ms = program.n_outputs, program.bar_ms
        self._machine = program.machine(len(date))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to before `stop`; rows between the last part and this one are passed over.

        Raises
        ------
        ValueError
            If the part does not lie between `position` and the end of the frame.
        """
        if not self.position <= start <= stop <= self.n_bars:
            raise ValueError(
                f"rows {start} to {stop} are asked for, expected a part of {self.position} to {self.n_bars}"
            )
        rows = np.empty((stop - start, self._width), dtype=self._dtype)
        step = CHUNK if self._others else max(stop - self.position, 1)
        while self.position < stop:
            end = min(self.position + step, stop)
            part = slice(self.position, end)
            own = [None if column is None else column[part] for column in self._columns]
            closed = self._date[part] + self._bar_ms if self._others else self._date[part]
            aligned = {id(each): each.at(closed) for each in self._others if each is not None}
            wanted = rows[max(part.start - start, 0) : max(end - start, 0)]
            columns = (*own, *(None if each is None else aligned[id(each)] for each in self._others))
            self._machine.run(self._date[part], columns, wanted)
            self.position = end
        return rows
