"""Exact decimals and checked arrays. From: numbers and texts of a caller. To: the wrappers of this package."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np

Number = str | int | float | Decimal


def exact(name: str, value: Any) -> Fraction:
    """Return a number as it is written: a float counts as its shortest decimal text, as in ccxt.

    Raises
    ------
    ValueError
        If it is no finite number.
    """
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        return Fraction(Decimal(value if isinstance(value, (int, str, Decimal)) else repr(float(value))))
    except (InvalidOperation, ValueError, TypeError, OverflowError):
        raise ValueError(f"{name} is {value!r}, expected a finite number") from None


def exact_step(name: str, value: Any) -> Fraction:
    """Return a step of a grid, above 0 and such that its parts are exact in a double."""
    step = exact(name, value)
    if step <= 0:
        raise ValueError(f"{name} is {value!r}, expected a number above 0")
    if step.numerator >= 10**15 or step.denominator > 10**22:
        raise ValueError(f"{name} is {value!r}, expected at most 15 digits and 22 decimals")
    return step


def at_least_0(name: str, value: Any) -> Fraction:
    """Return an exact number of at least 0."""
    number = exact(name, value)
    if number < 0:
        raise ValueError(f"{name} is {value!r}, expected at least 0")
    return number


def as_numbers(name: str, values: Any, least: float = -np.inf) -> np.ndarray:
    """Return finite float64 values of any shape, contiguous, each at least `least`."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} has dtype {array.dtype}, expected real numbers")
    array = np.asarray(array, dtype=np.float64, order="C")
    bad = ~(np.isfinite(array) & (array >= least))
    if bad.any():
        where = f" at {np.argwhere(bad)[0].tolist()}" if array.ndim else ""
        bound = "" if least == -np.inf else f" of at least {least:g}"
        raise ValueError(f"{name}{where} is {array[bad][0]}, expected a finite number{bound}")
    return array


def as_number(name: str, value: Any, least: float = -np.inf) -> float:
    """Return one finite number of at least `least`."""
    number = as_numbers(name, value, least)
    if number.ndim:
        raise ValueError(f"{name} has shape {number.shape}, expected one number")
    return float(number)


def together(**columns: np.ndarray) -> list[np.ndarray]:
    """Return arrays of one shape, scalars repeated; the error names the columns that do not fit."""
    try:
        return [np.array(column, order="C") for column in np.broadcast_arrays(*columns.values())]
    except ValueError:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise ValueError(f"shapes do not fit: {shapes}") from None
