"""The fast backend: each patch is embedded once, however many windows hold it; plain or with a compiled encoder.

From: scaled rows of candles. To: `versions`, the same forecasts as the network as it is, up to the order of sums in
float32 (docs/serving-speed.md has the bounds, and those of bfloat16).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...models.ensemble import Ensemble, Network, members_of
from ...models.shared_patches import SharedPatches, Size, encode, steady
from .batches import BATCH, padded, places_of

Encode = Callable[[Tensor, list[Tensor]], Tensor]  # (BATCH, N, d_model) and weights to (BATCH, N, d_model)
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class SharedBackend:
    """The mean of what the members of a forecaster answer, each over tokens that its windows share.

    Parameters
    ----------
    model : Network or Ensemble
        One network, or an ensemble of networks of one size.
    precision : {"fp32", "bf16"}
    encoder : callable, optional
        A compiled `encode` for this size and precision.
    """

    def __init__(self, model: Network | Ensemble, precision: str = "fp32", encoder: Encode | None = None) -> None:
        self.model, self.dtype = model, TYPES[precision]
        self.name = f"{'compiled' if encoder else 'shared'} {precision}"
        self.members = [SharedPatches(member, self.dtype) for member in members_of(steady(model))]
        self.size = self.members[0].size
        self.encoder = encoder or (lambda tokens, weights: encode(tokens, weights, self.size.n_heads))
        like = torch.empty(BATCH, self.size.n_tokens, self.size.d_model)
        newest = torch.empty(BATCH, model.config.n_features)
        member = self.members[0]
        with torch.inference_mode():
            self.places = min(
                places_of(lambda tokens, rows: member.read(self.encoder(tokens, member.weights), rows), like, newest),
                *(
                    places_of(lambda x, b=branch: F.linear(x, b.weight, b.bias), x.new_empty(BATCH, x.shape[1]))
                    for branch in member.branches
                    for x in (branch.weight,)
                ),
            )

    def forecast(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        table = torch.from_numpy(rows)
        last = torch.from_numpy(ends)
        with torch.inference_mode():
            answers = [self.one(member, table, last) for member in self.members]
            return (answers[0] if len(answers) == 1 else torch.stack(answers).mean(0)).numpy()

    def one(self, member: SharedPatches, rows: Tensor, ends: Tensor) -> Tensor:
        """Return the forecasts (W, n_columns) of one member, of windows that end at `ends` (W,) in `rows` (T, C)."""
        first = ends - (self.model.config.context_length - 1)
        typed = rows.to(self.dtype)
        tokens = []  # of each branch: a table of tokens, and which of them each window reads
        for branch in member.branches:
            starts = first[:, None] + branch.starts
            needed = torch.zeros(len(rows), dtype=torch.bool)
            needed[starts.flatten()] = True
            place = needed.cumsum(0) - 1
            tokens.append((self.embed(typed, needed.nonzero().squeeze(1), *branch[:2]), place[starts]))
        out = torch.empty(len(ends), len(self.model.columns))
        for start in range(0, len(ends), self.places):
            part = slice(start, min(start + self.places, len(ends)))
            batch = torch.cat([table[index[part]] for table, index in tokens], dim=1)
            encoded = self.encoder(padded(batch), member.weights)
            answer = member.read(encoded, padded(rows[ends[part]]))
            out[part] = answer[: part.stop - part.start]
        return out

    def embed(self, rows: Tensor, starts: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the tokens (P, d_model) of the patches of `rows` (T, C) that start at `starts` (P,)."""
        n_features, numbers = rows.shape[1], weight.shape[1]
        patches = rows.as_strided((len(rows) - numbers // n_features + 1, numbers), (n_features, 1))  # a view
        out = torch.empty(len(starts), len(weight))
        for start in range(0, len(starts), self.places):
            part = starts[start : start + self.places]
            out[start : start + len(part)] = F.linear(padded(patches[part]), weight, bias)[: len(part)]
        return out


def size_of(model: Network | Ensemble) -> Size:
    return SharedPatches(members_of(model)[0]).size
