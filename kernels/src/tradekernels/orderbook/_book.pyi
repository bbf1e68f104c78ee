import numpy as np

class BookState:
    def set_level(self, side: int, tick: int, lots: int) -> None: ...
    def clear(self, kind: int, tick: int) -> None: ...
    def best(self, side: int) -> tuple[int, int] | None: ...
    def lots_at(self, side: int, tick: int) -> int: ...
    def depth(self, side: int, out: np.ndarray) -> int: ...
    def volume_to(self, side: int, tick: int) -> int: ...
    def apply(self, rows: np.ndarray) -> None: ...

def run_through(state: BookState, rows: np.ndarray, messages: np.ndarray, stream: np.ndarray) -> None: ...
def quotes_at(
    state: BookState,
    rows: np.ndarray,
    messages: np.ndarray,
    stream: np.ndarray,
    stream_time: np.ndarray,
    at: np.ndarray,
    out: np.ndarray,
) -> None: ...
def depth_at(
    state: BookState,
    rows: np.ndarray,
    messages: np.ndarray,
    stream: np.ndarray,
    stream_time: np.ndarray,
    at: np.ndarray,
    out: np.ndarray,
) -> None: ...
def flows_between(
    state: BookState,
    rows: np.ndarray,
    messages: np.ndarray,
    stream: np.ndarray,
    stream_time: np.ndarray,
    edges: np.ndarray,
    out: np.ndarray,
) -> None: ...
