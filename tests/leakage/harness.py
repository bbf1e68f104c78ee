"""Perturb the future: whatever is known at a bar must not move by one bit when all later candles become noise (LEK-1).

    from harness import assert_past_is_unchanged
    assert_past_is_unchanged(lambda frame: my_columns(frame), frame, cut=137, seed=1)

`function` takes a frame of candles and returns one row per candle: an array, a DataFrame, a Series, or a dict or
tuple of those. It is called on the frame as it is, and for each cut with the candles after it replaced by noise
and with them removed. Rows 0..cut must agree in every bit; with a label that looks `horizon` bars ahead, as many
rows less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

WAYS = ("noise", "removed")


def perturb_after(frame: pd.DataFrame, cut: int, seed: int) -> pd.DataFrame:
    """Return the frame with every candle after row `cut` replaced by a valid one of another market; times stay."""
    if not 0 <= cut < len(frame) - 1:
        raise ValueError(f"cut is row {cut} of {len(frame)}, expected one with rows after it")
    rng = np.random.default_rng((seed, cut))
    n_rows = len(frame) - cut - 1
    level = float(frame["close"].iloc[cut]) * rng.choice([0.2, 0.5, 2.0, 5.0])
    opened, close = level * np.exp(0.05 * rng.normal(size=(2, n_rows)).cumsum(axis=1))
    wick = np.abs(rng.normal(0, 0.05, (2, n_rows)))
    noise = {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + wick[0]),
        "low": np.minimum(opened, close) / (1 + wick[1]),
        "close": close,
        "volume": rng.gamma(0.5, 1000.0, n_rows) * (rng.random(n_rows) > 0.1),  # some bars without volume
    }
    result = frame.copy()
    for name, values in noise.items():
        column = frame[name].to_numpy(dtype=np.float64, copy=True)
        column[cut + 1 :] = values
        result[name] = column
    return result


def assert_past_is_unchanged(
    function: Callable[[pd.DataFrame], Any],
    frame: pd.DataFrame,
    cut: int | Iterable[int],
    seed: int = 0,
    horizon: int = 0,
    ways: Sequence[str] = WAYS,
) -> None:
    """Raise AssertionError, naming column and row, if a result at or before the cut depends on candles after it.

    A leak of few bars shows at few cuts (a gap filled backward only where the cut falls into the gap), so give many.
    A result whose compared rows hold no finite number is an error too: it would agree with anything.
    """
    before = columns_of(function(frame.copy()), len(frame))
    for row in [cut] if isinstance(cut, int) else cut:
        known = row + 1 - horizon
        assert known > 0, f"a horizon of {horizon} bars leaves nothing known at row {row}"
        assert any(_says_something(values[:known]) for values in before.values()), (
            f"rows 0..{known - 1} hold no finite number: nothing was compared"
        )
        for way in ways:
            other = perturb_after(frame, row, seed) if way == "noise" else frame.iloc[: row + 1].copy()
            after = columns_of(function(other), len(other))
            assert list(after) == list(before), f"the columns depend on the future: {list(before)} became {list(after)}"
            for name, values in before.items():
                assert_same_bits(values[:known], after[name][:known], f"{name}, later candles {way} after row {row}")


def assert_same_bits(before: Any, after: Any, what: str = "value") -> None:
    """Raise AssertionError unless two arrays agree in type, shape and every bit; NaN equals NaN."""
    before, after = np.asarray(before), np.asarray(after)
    assert before.dtype == after.dtype, f"{what}: type {before.dtype} became {after.dtype}"
    assert before.shape == after.shape, f"{what}: shape {before.shape} became {after.shape}"
    changed = _differs(before, after)
    if changed.any():
        row = tuple(int(index) for index in np.argwhere(changed)[0])
        raise AssertionError(
            f"{what}: the past moved at row {row[0] if len(row) == 1 else row}: "
            f"{before[row]!r} became {after[row]!r} ({int(changed.sum())} of {changed.size} values)"
        )


def columns_of(result: Any, n_rows: int) -> dict[str, np.ndarray]:
    """Return the parts of a result by name, each with one row per candle."""
    if isinstance(result, pd.DataFrame):
        parts = {str(name): result[name].to_numpy() for name in result}
    elif isinstance(result, Mapping):
        parts = {str(name): np.asarray(part) for name, part in result.items()}
    elif isinstance(result, tuple):
        parts = {f"part {index}": np.asarray(part) for index, part in enumerate(result)}
    else:
        parts = {"value": np.asarray(result)}
    for name, values in parts.items():
        assert len(values) == n_rows, f"{name} has {len(values)} rows, the frame {n_rows}: expected one per candle"
    return parts


def _differs(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    if before.dtype == object:  # text, or None where there is none
        pairs = zip(before.ravel(), after.ravel(), strict=True)
        return np.array([not _same(one, other) for one, other in pairs], dtype=bool).reshape(before.shape)
    if before.dtype.kind in "fc":
        as_bytes = (before.shape[0] if before.ndim else 1, -1, before.dtype.itemsize)
        bits = [np.ascontiguousarray(a).view(np.uint8).reshape(as_bytes) for a in (before, after)]
        return (bits[0] != bits[1]).any(axis=2).reshape(before.shape)
    return before != after


def _same(one: Any, other: Any) -> bool:
    return bool((pd.isna(one) and pd.isna(other)) or (type(one) is type(other) and one == other))


def _says_something(values: np.ndarray) -> bool:
    if values.dtype.kind == "f":
        return bool(np.isfinite(values).any())
    return values.dtype.kind in "biu" and values.size > 0
