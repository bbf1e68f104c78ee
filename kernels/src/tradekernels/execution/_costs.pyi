"""Types of the compiled loops."""

import numpy as np

def steps(x: np.ndarray, part: float, whole: float, direction: int, out: np.ndarray) -> None: ...
def slippage(
    half_spread_bps: np.ndarray,
    k: float,
    volatility_bps: np.ndarray,
    size: np.ndarray,
    liquidity: np.ndarray,
    out: np.ndarray,
) -> None: ...
def random_words(seed: int, stream: int, counter: np.ndarray, out: np.ndarray) -> None: ...
def latencies(
    model: np.ndarray,
    hour_of_week: np.ndarray,
    hour: np.ndarray,
    words: np.ndarray,
    out: np.ndarray,
    attempts: np.ndarray,
) -> None: ...
