"""What all backends keep to: batches of one shape, in which a window's answer does not depend on its place.

From: scaled rows of candles and the rows at which windows end. To: `versions`, forecast rows.

A library of matrix products may add up in another order when a matrix has another number of rows, so the last bits of
an answer depend on the shape of the batch. Here every batch has BATCH windows; places that none takes are zero. That a
window's place among them does not matter either is checked when a version is loaded: if it did, each batch would hold
one window in its first place.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...models.ensemble import Ensemble, Network
from ...models.shared_patches import steady

BATCH = 32  # windows, and patches, in one run; the answer's last bits depend on it


class Backend(Protocol):
    """One network ready to answer."""

    name: str  # tells backends apart whose answers differ in any bit

    def forecast(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (len(ends), n_columns) of the windows of scaled rows (T, C) that end at these rows, inclusive."""
        ...


class EagerBackend:
    """The network as it is, window by window; the yardstick of the others."""

    name = "eager fp32"

    def __init__(self, model: Network | Ensemble) -> None:
        self.model = steady(model)
        self.places = BATCH
        length, n_features = model.config.context_length, model.config.n_features
        with torch.inference_mode():
            self.places = places_of(lambda x: self.model.forecast(x), torch.zeros(BATCH, length, n_features))

    def forecast(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        length = self.model.config.context_length
        windows = torch.from_numpy(rows).unfold(0, length, 1).transpose(1, 2)  # (T - L + 1, L, C), a view
        out = np.empty((len(ends), len(self.model.columns)), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(ends), self.places):
                part = torch.from_numpy(ends[start : start + self.places] - (length - 1))
                batch = padded(windows[part])
                out[start : start + len(part)] = self.model.forecast(batch)[: len(part)].numpy()
        return out


def padded(x: Tensor) -> Tensor:
    """Return x (n, ...) with rows of zeros up to BATCH."""
    if len(x) == BATCH:
        return x
    return torch.cat([x, x.new_zeros(BATCH - len(x), *x.shape[1:])])


def places_of(function, *like: Tensor) -> int:
    """Return how many places of a batch may be used: BATCH if a row's answer is the same bits in each, else 1.

    Parameters
    ----------
    function : callable
        Takes tensors of these shapes, whose first axis is BATCH, and gives one whose first axis is BATCH.
    like : Tensor
        Their shapes and types; what they hold is not read.
    """
    generator = torch.Generator().manual_seed(7)
    drawn = [torch.randn(x.shape, generator=generator).to(x.dtype) for x in like]
    there = function(*drawn)
    for shift in (1, 5, BATCH // 2, BATCH - 1):
        if not torch.equal(function(*(x.roll(shift, 0) for x in drawn)), there.roll(shift, 0)):
            return 1
    return BATCH
