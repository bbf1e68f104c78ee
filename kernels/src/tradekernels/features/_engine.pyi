"""Types of the compiled loops."""

import numpy as np

CODES: dict[str, int]
FAULTS: tuple[str, ...]
HEADER: int

class Machine:
    state: memoryview
    def __init__(
        self, program: np.ndarray, state: np.ndarray, scratch: np.ndarray, n_columns: int, bar_ms: float
    ) -> None: ...
    def run(self, date: np.ndarray, columns: tuple[np.ndarray, ...], out: np.ndarray) -> None: ...

def first_fault(
    date: np.ndarray,
    open: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
) -> tuple[int, int]: ...
def has_avx512() -> bool: ...
