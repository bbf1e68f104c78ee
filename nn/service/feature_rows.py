"""Features of one frame, front to back, in the memory of the part that is read. From: `versions`. To: `scoring`.

History is read section by section and only the last part is kept, which overlaps the next by a window; a live request
reads its newest windows, for which the kernels leave out what only warms up. All give the bits of the whole matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tradekernels.features import Reader


class FeatureRows:
    """Rows that a first reader computes and others find, as long as they read on from there.

    Parameters
    ----------
    open_reader : callable
        Begins at the first candle of the frame, as often as rows are asked for that are no longer kept.

    Attributes
    ----------
    first : int
        The first row that is kept.
    """

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self.first = 0
        self._open = open_reader
        self._reader: Reader | None = None
        self._rows: NDArray[np.float32] | None = None

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the rows from `start` to before `stop`, NaN where a feature overflowed: so no forecast reads it."""
        if self._reader is None or start < self.first:
            self._reader, self._rows = self._open(), None
        reader, rows = self._reader, self._rows
        if rows is None or stop > reader.position:
            fresh = reader.read(max(start, reader.position), stop)
            fresh[np.isinf(fresh)] = np.nan
            rows = fresh if rows is None else np.concatenate([rows[start - self.first :], fresh])
            self.first, self._rows = start, rows
        return rows[start - self.first : stop - self.first]
