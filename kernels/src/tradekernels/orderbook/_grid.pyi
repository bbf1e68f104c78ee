import numpy as np

from ._engine import Engine

def run(
    e: Engine,
    grids: np.ndarray,
    interval: int,
    warm_up: int,
    sample_every: int,
    samples: np.ndarray,
    sample_times: np.ndarray,
    counts: np.ndarray,
) -> None: ...
