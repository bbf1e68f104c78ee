import numpy as np

FAULTS: tuple[str, ...]

def decode(
    events: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray,
    born: np.ndarray,
    row_of: np.ndarray,
    skip_bad: bool,
    open_start: bool,
) -> tuple[int, int, int, int, int]: ...
