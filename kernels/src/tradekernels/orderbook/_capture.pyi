import numpy as np

FAULTS: tuple[str, ...]

class Parser:
    line: int
    n_bad: int
    n_other: int
    n_ticker: int
    n_not_market: int
    n_clock_back: int
    bad: list[tuple[int, int, str, str]]
    symbol_name: str
    def __init__(
        self,
        price: tuple[int, int, int],
        lot: tuple[int, int, int],
        symbol: bytes,
        drop: bool,
        skip_bad: bool,
        keep_tickers: bool,
    ) -> None: ...
    def start_file(self) -> None: ...
    def parse(
        self,
        text: bytes,
        rows: np.ndarray,
        n_rows: int,
        messages: np.ndarray,
        n_messages: int,
        tickers: np.ndarray,
        n_tickers: int,
    ) -> tuple[int, int, int, int]: ...
