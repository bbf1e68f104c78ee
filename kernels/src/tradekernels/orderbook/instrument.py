"""What is traded, and on which grid. From: the exchange's own decimal strings. To: every feed, book and replay."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MOST_TICKS = 2**31 - 2  # ticks are int32 in a feed
MOST_LOTS = 2**53  # lots are int64, and exact as float64
MOST_SYMBOL = 64  # bytes of UTF-8
_MOST_DIGITS = 40  # of a price or quantity, on either side of the point


@dataclass(frozen=True)
class Instrument:
    """A symbol with its price and quantity grid; contract size 1, value = price * quantity.

    Parameters
    ----------
    symbol : str
        As the exchange writes it, such as "BTCUSDT". Empty: the first symbol that a capture holds.
    tick_size : str
        Smallest price step in quote currency, a decimal string such as "0.1".
    lot_size : str
        Smallest quantity step in base currency, a decimal string such as "0.001".

    Raises
    ------
    ValueError
        If a step is not a positive decimal with at most 18 digits behind the point and 9 significant ones, or the
        symbol is longer than 64 bytes.

    Examples
    --------
    >>> btc = Instrument("BTCUSDT", "0.1", "0.001")
    >>> btc.ticks("61800.20"), btc.price(618002)
    (618002, 61800.2)
    """

    symbol: str
    tick_size: str
    lot_size: str

    def __post_init__(self) -> None:
        if not isinstance(self.symbol, str) or len(self.symbol.encode(errors="replace")) > MOST_SYMBOL:
            raise ValueError(f"symbol is {self.symbol!r}, expected text of at most {MOST_SYMBOL} bytes")
        for name, size in (("tick_size", self.tick_size), ("lot_size", self.lot_size)):
            step_of(name, size)

    @property
    def tick(self) -> Fraction:
        """The price step as an exact fraction."""
        return Fraction(Decimal(self.tick_size))

    @property
    def lot(self) -> Fraction:
        """The quantity step as an exact fraction."""
        return Fraction(Decimal(self.lot_size))

    def ticks(self, price: str | Decimal) -> int:
        """Return an exact price as ticks.

        Raises
        ------
        ValueError
            If the price is no finite decimal, or not a multiple of the tick.
        """
        return _steps("price", price, self.tick)

    def lots(self, quantity: str | Decimal) -> int:
        """Return an exact quantity as lots; raises ValueError if it is no multiple of the lot."""
        return _steps("quantity", quantity, self.lot)

    def price(self, ticks: int) -> float:
        """Return ticks as the nearest float price, quote currency."""
        return float(int(ticks) * self.tick)

    def quantity(self, lots: int) -> float:
        """Return lots as the nearest float quantity, base currency."""
        return float(int(lots) * self.lot)


def step_of(name: str, size: str) -> tuple[int, int]:
    """Return (mantissa, decimals) of a step: mantissa * 10 ** -decimals, exactly."""
    try:
        value = Decimal(size)
    except (InvalidOperation, TypeError, ValueError):
        value = Decimal("NaN")
    sign, digits, exponent = value.normalize().as_tuple() if value.is_finite() else (1, (0,), 0)
    mantissa = int("".join(map(str, digits)))
    if not isinstance(exponent, int) or sign or not 0 < mantissa < 10**9 or not -18 <= exponent <= 9:
        raise ValueError(f"{name} is {size!r}, expected a positive decimal of at least 1e-18 with at most 9 digits")
    return (mantissa, -exponent) if exponent <= 0 else (mantissa * 10**exponent, 0)


def _steps(name: str, value: str | Decimal, step: Fraction) -> int:
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent  # a letter for NaN and the infinities
    if not isinstance(exponent, int) or exponent < -_MOST_DIGITS or number.adjusted() > _MOST_DIGITS:
        raise ValueError(f"{name} is {value!r}, expected a decimal of at most {_MOST_DIGITS} digits")
    steps = Fraction(number) / step
    if steps.denominator != 1:
        raise ValueError(f"{name} is {value}, expected a multiple of {float(step)}")
    return int(steps)
