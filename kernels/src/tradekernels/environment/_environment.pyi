"""Types of the compiled loop."""

import numpy as np

class Engine:
    def __init__(
        self,
        rows: list[np.ndarray],
        markets: list[np.ndarray],
        pairs: np.ndarray,
        settings: np.ndarray,
        flow: np.ndarray,
        copies: np.ndarray,
        threads: int,
        first_stream: int,
    ) -> None: ...
    def reseed(self, seed: int) -> None: ...
    def reset(self, pairs: np.ndarray, rows: np.ndarray, observation: np.ndarray) -> None: ...
    def first_bad(self, action: np.ndarray) -> int: ...
    def step(
        self,
        action: np.ndarray,
        observation: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        first: int,
        last: int,
        thread: int,
    ) -> None: ...

def sizes() -> tuple[int, int, int, int, int]: ...
def rewards(
    reward: np.ndarray,
    worth: np.ndarray,
    was: np.ndarray,
    phi_next: np.ndarray,
    phi: np.ndarray,
    notional: np.ndarray,
    daily_volume: np.ndarray,
    closed: np.ndarray,
    out: np.ndarray,
) -> None: ...
def potentials(
    reward: np.ndarray, units_held: np.ndarray, atr: np.ndarray, worth: np.ndarray, peak: np.ndarray, out: np.ndarray
) -> None: ...
