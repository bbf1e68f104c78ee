"""One pair's history as the environment walks through it. From: candles and observation rows. To: records for the loop.

Everything in a row was known at the close of its candle; only fills read the next one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..execution import Quantiser, hour_of_week
from ..execution.decimals import as_numbers, at_least_0, exact_step
from ..features import feature_set
from ..features.frame import read_frame
from ..features.span import milliseconds
from .settings import Settings

ROW = np.dtype(
    [("close_time", np.int64), ("hour", np.int64)]
    + [
        (name, np.float64)
        for name in (
            "open", "high", "low", "close", "spread_bps", "volatility_bps", "liquidity", "daily_volume", "atr",
        )
    ]
)  # fmt: skip
PAIR = np.dtype(
    [("first", np.int64), ("last", np.int64), ("starts", np.int64)]
    + [
        (name, np.float64)
        for name in (
            "bar_ms", "tick_part", "tick_whole", "lot_part", "lot_whole", "atom_part", "atom_whole", "atoms",
            "fee_atoms", "fee_part", "fee_whole", "maker_part", "maker_whole", "least", "cash",
        )
    ]
)  # fmt: skip
AGENT_END = 27  # slots 21 to 26 are the account's: an observation is at least this long
EXACT = 2**53


@dataclass(frozen=True, eq=False)
class Market:
    """A pair's candles, market columns and observation rows; see `market`."""

    pair: str
    bar_ms: int
    grid: Quantiser
    rows: np.ndarray  # ROW, (n_rows,); spread_bps is NaN where the settings' own counts
    observation: np.ndarray  # float32, (n_rows, n_slots)
    first: int
    last: int

    def rows_with(self, settings: Settings) -> np.ndarray:
        """Return the rows as the loop reads them: the spread replaced by the half spread to pay."""
        rows, slippage = self.rows.copy(), settings.costs.slippage
        spread = np.where(np.isnan(rows["spread_bps"]), slippage.spread_bps, rows["spread_bps"])
        rows["spread_bps"] = slippage.half_spread_bps(spread)
        return rows

    def record(self, settings: Settings) -> np.ndarray:
        """Return the pair's steps, fees and cash as the loop reads them."""
        tick, lot, fees = self.grid.tick, self.grid.lot, settings.costs.fees
        quote_step, cash = exact_step("quote_step", fees.quote_step), at_least_0("cash", settings.cash)
        atom = Fraction(
            math.gcd((tick * lot).numerator * quote_step.denominator, quote_step.numerator * (tick * lot).denominator),
            (tick * lot).denominator * quote_step.denominator,
        )
        if cash % atom or cash / atom >= EXACT:
            expected = f"whole steps of {float(atom):g} and less than 2^53 of them"
            raise ValueError(f"cash is {settings.cash}, expected {expected} for {self.pair}")
        rates = {"fee": fees.rate(), "maker": fees.rate(maker=True)}
        reach = {name: quote_step / (rate * tick * lot) if rate else Fraction(0) for name, rate in rates.items()}
        out = np.zeros(1, dtype=PAIR)
        out["first"], out["last"], out["bar_ms"] = self.first, self.last, self.bar_ms
        for name, step in ({"tick": tick, "lot": lot, "atom": atom} | reach).items():
            out[f"{name}_part"], out[f"{name}_whole"] = float(step.numerator), float(step.denominator)
        out["atoms"], out["fee_atoms"] = float(tick * lot / atom), float(quote_step / atom)
        out["least"], out["cash"] = float(self.grid.least), float(cash / atom)
        return out


def market(
    pair: str,
    frame: Any,
    observation: Any,
    timeframe: str,
    grid: Quantiser | None = None,
    first: int = 0,
    last: int | None = None,
    window: int = 96,
    columns: dict[str, Any] | None = None,
) -> Market:
    """Return a pair's history, checked.

    Parameters
    ----------
    pair : str
    frame : Mapping or pandas.DataFrame
        Candles, as the features take them. Prices are put on the grid.
    observation : array_like of shape (n_rows, n_slots)
        `ObservationSet.market(frame)`, or any other rows in which slots 21 to 26 are left to the account. float32
        is read in place.
    timeframe : str
        Such as "15m".
    grid : Quantiser, optional
        BTC/USDT of Binance spot by default.
    first, last : int
        The rows that episodes use: the first to be observed, and the last. The last is the frame's by default.
    window : int
        Bars over which volatility and liquidity are taken; as many as there are at the beginning.
    columns : dict, optional
        To be used instead of what the candles say: spread_bps; volatility_bps (root mean square log return of a bar);
        liquidity (base currency traded a bar); daily_volume (quote currency); atr (quote currency; Wilder's ATR_14
        by default, 1% of the close where that is not warm).

    Raises
    ------
    ValueError
        If the frame is none, a shape does not fit, or a value that an episode would use is not finite; the message
        names pair, slot and candle.
    """
    bar_ms, grid = milliseconds(timeframe), grid or Quantiser()
    date, columns_read = read_frame(frame, bar_ms)
    open_, high, low, close, volume = (np.asarray(column) for column in columns_read)
    n_rows, last = len(date), len(date) - 1 if last is None else last
    if not 0 <= first < last < n_rows:
        raise ValueError(f"first is {first} and last {last}, expected 0 <= first < last < {n_rows} rows of {pair}")
    slots = np.asarray(observation)
    if slots.ndim != 2 or slots.dtype.kind != "f" or len(slots) != n_rows or slots.shape[1] < AGENT_END:
        shape = f"{slots.dtype} of shape {slots.shape}"
        raise ValueError(f"observation of {pair} is {shape}, expected floats of shape ({n_rows}, {AGENT_END} or more)")
    slots = np.ascontiguousarray(slots, dtype=np.float32)
    _check_finite(pair, "slot", np.isfinite(slots[first : last + 1]), date[first : last + 1])

    rows = np.zeros(n_rows, dtype=ROW)
    rows["close_time"] = date + bar_ms
    rows["hour"] = hour_of_week(rows["close_time"])
    for name, prices in zip(("open", "high", "low", "close"), (open_, high, low, close), strict=True):
        rows[name] = grid.price_ticks(prices)
        if not rows[name].all():
            row = int((rows[name] == 0).argmax())
            raise ValueError(f"{name} of {pair} in row {row} is below half of its tick {grid.tick_size}")
    moves = np.log(close / np.concatenate([[low[0] * close[0] / high[0]], close[:-1]]))
    liquidity = _trailing_mean(volume, window)
    atr = feature_set(["atr_14_pct"], timeframe=timeframe).compute(frame, dtype=np.float64)[:, 0] * close
    rows["spread_bps"] = np.nan
    rows["volatility_bps"] = np.sqrt(_trailing_mean(moves**2, window)) * 1e4
    rows["liquidity"], rows["daily_volume"] = liquidity, liquidity * close * (86_400_000 / bar_ms)
    rows["atr"] = np.where(np.isnan(atr), 0.01 * close, atr)  # OBS-4's rule
    for name, values in (columns or {}).items():
        if name not in ROW.names[6:]:  # type: ignore[index]
            raise ValueError(f"columns has {name!r}, expected {', '.join(ROW.names[6:])}")  # type: ignore[index]
        numbers = as_numbers(name, values, 0.0)
        if numbers.shape not in ((), (n_rows,)):
            raise ValueError(f"{name} has shape {numbers.shape}, expected ({n_rows},)")
        rows[name] = numbers
    return Market(pair, bar_ms, grid, rows, slots, first, last)


def _trailing_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return means over the last `window` values, or all there are; no value sees a later one."""
    if not isinstance(window, int) or window < 1:
        raise ValueError(f"window is {window!r}, expected a whole number of bars from 1 on")
    padded = np.concatenate([np.zeros(window - 1), values])
    # Windows are added up one by one: a running sum would carry what has left them in its rounding.
    sums = np.lib.stride_tricks.sliding_window_view(padded, window).sum(axis=1)
    return sums / np.minimum(np.arange(1, len(values) + 1), window)


def _check_finite(pair: str, what: str, finite: np.ndarray, date: np.ndarray) -> None:
    if not finite.all():
        row, slot = np.argwhere(~finite)[0]
        when = date[row].astype("datetime64[ms]")
        raise ValueError(
            f"{what} {slot} of {pair} at {when} is not finite, expected a number in every row from `first`"
        )
