"""Fits the slippage to own fills (EXE-8). From: fills against the mid at decision. To: k with its error.

fill against mid in bps = half spread + k x volatility_bps x sqrt(size/liquidity) + noise: ordinary least squares, with
standard errors that allow the noise to grow with the order (HC3: MacKinnon and White, J. of Econometrics 29, 1985).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .decimals import as_numbers
from .slippage import Slippage

MIN_FILLS = 30
COLUMNS = ("side", "fill_price", "mid_price", "size", "liquidity", "volatility_bps")


@dataclass(frozen=True)
class SlippageFit:
    """What the fills say: estimates, their standard errors and how many fills spoke."""

    k: float
    k_error: float
    half_spread_bps: float
    half_spread_error: float
    n_fills: int
    residual_bps: float  # standard deviation of what the fit leaves

    def slippage(self) -> Slippage:
        """Return the fitted costs for simulations; an estimate below 0 counts as 0."""
        return Slippage(k=max(self.k, 0.0), spread_bps=max(2 * self.half_spread_bps, 0.0), min_half_spread_bps=0.0)


def calibrate_slippage(fills: Mapping[str, Any]) -> SlippageFit:
    """Return the half spread and k that explain own fills.

    Parameters
    ----------
    fills : Mapping or pandas.DataFrame
        side (1 for a buy, -1 for a sell), fill_price and mid_price (at decision; quote currency), size and liquidity
        (one unit, above 0), volatility_bps (at least 0, over the time in which `liquidity` trades); one value per fill.

    Raises
    ------
    ValueError
        If there are fewer than 30 fills, a column is missing or has a bad value, or all orders are so alike that k
        cannot be told from the half spread.
    """
    missing = [name for name in COLUMNS if name not in fills]
    if missing:
        raise ValueError(f"fills has no column {missing[0]!r}, expected {', '.join(COLUMNS)}")
    columns = {name: as_numbers(name, fills[name], 0.0 if name == "volatility_bps" else -np.inf) for name in COLUMNS}
    lengths = {name: column.shape for name, column in columns.items()}
    n_fills = columns["side"].size
    if set(lengths.values()) != {(n_fills,)}:
        raise ValueError(f"columns have shapes {lengths}, expected one dimension and one length")
    if n_fills < MIN_FILLS:
        raise ValueError(f"fills has {n_fills} rows, expected at least {MIN_FILLS}: fewer tell nothing about k")
    if not np.isin(columns["side"], (-1, 1)).all():
        raise ValueError(f"side is {columns['side'][~np.isin(columns['side'], (-1, 1))][0]}, expected 1 or -1")
    for name in ("fill_price", "mid_price", "size", "liquidity"):
        if not (columns[name] > 0).all():
            raise ValueError(f"{name} is {columns[name].min()}, expected a number above 0")
    paid = columns["side"] * (columns["fill_price"] / columns["mid_price"] - 1) * 1e4
    impact = columns["volatility_bps"] * np.sqrt(columns["size"]) / np.sqrt(columns["liquidity"])
    mean = impact.mean()
    spread = impact - mean  # centred, so that orders which differ by little cost no digits
    scatter = spread @ spread
    if np.ptp(impact) <= 1e-9 * max(1.0, float(impact.max())):
        raise ValueError(f"volatility x sqrt(size/liquidity) is {impact[0]} in every fill, expected orders that differ")
    leverage = 1 / n_fills + spread**2 / scatter
    if leverage.max() > 1 - 1e-9:
        row = int(leverage.argmax())
        raise ValueError(f"volatility x sqrt(size/liquidity) differs in fill {row} alone, expected it in more of them")

    k = spread @ (paid - paid.mean()) / scatter
    residual = paid - paid.mean() - k * spread
    # Each estimate is a sum of weights x paid: its error adds up what the fills' own noise contributes.
    noise = residual / (1 - leverage)
    return SlippageFit(
        k=float(k),
        k_error=float(np.linalg.norm(spread / scatter * noise)),
        half_spread_bps=float(paid.mean() - k * mean),
        half_spread_error=float(np.linalg.norm((1 / n_fills - mean * spread / scatter) * noise)),
        n_fills=n_fills,
        residual_bps=float(np.sqrt(residual @ residual / (n_fills - 2))),
    )
