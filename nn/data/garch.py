"""GARCH weights of the features that need them, fitted once (CAT-9). From: training candles. To: the manifest.

Fitted by `arch`, the reference implementation; the recurrence itself is `tradekernels`', in batch and live.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

PARAMETERS = ("garch_omega", "garch_alpha", "garch_beta")
MOST_ROWS = 50_000  # newest returns of a pair that are read: more change the weights little and take long
LEAST_ROWS = 500  # below that the likelihood is too flat to choose by
LONGEST_MEMORY = 0.999  # alpha + beta stay below 1, or a shock would never fade


def fit_garch(frames: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Return the GARCH(1,1) weights of these candles: the mean over pairs of each pair's own likelihood maximum.

    Parameters
    ----------
    frames : Mapping of str to DataFrame
        Training candles by pair, and nothing later.

    Returns
    -------
    dict of str to float
        garch_alpha, garch_beta, and garch_omega 0: the level is that of the feature's own window (variance targeting),
        so that one set of weights serves pairs of any volatility.

    Raises
    ------
    ValueError
        If a pair has fewer than 500 returns or none that moves, or its fit does not converge.
    """
    found = np.array([_weights(pair, frame["close"].to_numpy(dtype=np.float64)) for pair, frame in frames.items()])
    alpha, beta = found.mean(axis=0)
    shrink = min(1.0, LONGEST_MEMORY / (alpha + beta))
    return {"garch_omega": 0.0, "garch_alpha": float(alpha * shrink), "garch_beta": float(beta * shrink)}


def _weights(pair: str, close: np.ndarray) -> tuple[float, float]:
    returns = np.diff(np.log(close))[-MOST_ROWS:]
    if len(returns) < LEAST_ROWS:
        raise ValueError(f"{pair}: GARCH weights need {LEAST_ROWS} returns, there are {len(returns)}")
    deviation = returns.std()
    if not deviation > 0.0:
        raise ValueError(f"{pair}: GARCH weights need prices that move, all {len(returns)} returns are equal")
    from arch import arch_model  # a second and 60 MiB, which who reads no GARCH feature shall not pay for

    model = arch_model(returns / deviation, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    result = model.fit(disp="off", show_warning=False)
    if result.convergence_flag != 0:
        raise ValueError(f"{pair}: the GARCH fit did not converge: {result.optimization_result.message}")
    return float(result.params["alpha[1]"]), float(result.params["beta[1]"])
