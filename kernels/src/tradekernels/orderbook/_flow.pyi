import numpy as np

SIZES: dict[str, int]

def replay(
    rows: np.ndarray, base: int, lots: np.ndarray, samples: np.ndarray, depth: np.ndarray, added: np.ndarray
) -> int: ...
def excite(gaps: np.ndarray, marks: np.ndarray, decays: np.ndarray, out: np.ndarray) -> None: ...

class Simulation:
    def __init__(
        self,
        values: np.ndarray,
        orders: np.ndarray,
        closed_to: np.ndarray,
        retreats: np.ndarray,
        key: int,
        centre: int,
        step: int,
        start_ns: int,
        every: int,
        capacity: int,
        window: int,
    ) -> None: ...
    def run(self, end: int) -> tuple[bytearray, bool]: ...
    def fill(self, depth: np.ndarray) -> None: ...
    def depth(self, side: int, out: np.ndarray) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def market_orders(self) -> int: ...
    @property
    def resting(self) -> int: ...
