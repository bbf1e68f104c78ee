"""One period seen by the network and by every baseline: the same rows, what each said, what came.

From: `nn.forecast.evaluate`, a version at a time. To: `verdict.evaluate`, for one version or for a chain as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..baselines.rows import Forecast, join
from .figures import Outcomes

NETWORK = "network"


@dataclass(frozen=True, eq=False)
class Judged:
    """N rows in the order of pairs and time."""

    outcomes: Outcomes
    regimes: NDArray[np.int64]  # (N,) as known at the row
    forecasts: dict[str, Forecast]  # by forecaster; the network is NETWORK
    buckets: dict[str, NDArray[np.int64]]  # (N,) strength by each forecaster's own validation rows
    stability: dict[str, float]  # population stability index of each input, train against these rows

    def __len__(self) -> int:
        return len(self.outcomes)

    def __getitem__(self, chosen: NDArray) -> Judged:
        return Judged(
            self.outcomes[chosen],
            self.regimes[chosen],
            {name: forecast[chosen] for name, forecast in self.forecasts.items()},
            {name: bucket[chosen] for name, bucket in self.buckets.items()},
            self.stability,
        )


def chain(parts: Sequence[Judged]) -> Judged:
    """Return several periods as one, each row scored by its own version; of an input the worst stability."""
    if not parts:
        raise ValueError("there are no periods to judge, expected at least one")
    names = [name for name in parts[0].forecasts if all(name in part.forecasts for part in parts)]
    inputs = {name for part in parts for name in part.stability}
    outcomes = Outcomes(
        *(
            np.concatenate([getattr(part.outcomes, field) for part in parts])
            for field in ("times", "pairs", "labels", "log_volatility")
        )
    )
    return Judged(
        outcomes,
        np.concatenate([part.regimes for part in parts]),
        {name: join([part.forecasts[name] for part in parts]) for name in names},
        {name: np.concatenate([part.buckets[name] for part in parts]) for name in names},
        {name: max(part.stability.get(name, 0.0) for part in parts) for name in sorted(inputs)},
    )
