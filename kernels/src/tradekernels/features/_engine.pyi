"""Types of the compiled loops."""

import numpy as np

CODES: dict[str, int]
FAULTS: tuple[str, ...]
HEADER: int

class Machine:
    state: memoryview
    bar: memoryview
    row: memoryview
    def __init__(
        self,
        program: np.ndarray,
        state: np.ndarray,
        scratch: np.ndarray,
        block: np.ndarray,
        inverse: np.ndarray,
        bar: np.ndarray,
        row: np.ndarray,
        bar_ms: float,
        timed: bool,
    ) -> None: ...
    def run(self, date: np.ndarray, columns: tuple[np.ndarray | None, ...], out: np.ndarray) -> None: ...
    def push(self, candle: tuple) -> bool: ...

def first_fault(
    bar_ms: float,
    date: np.ndarray,
    open: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
) -> tuple[int, int]: ...
def as_of(known_at: np.ndarray, values: np.ndarray, at: np.ndarray, max_age: int, out: np.ndarray) -> None: ...
def has_avx512() -> bool: ...
