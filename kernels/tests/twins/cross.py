"""Twins of the cross-asset family: bitcoin, peers and the whole market. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import back, corr, cov, divide, ema, var


def log_return(x):
    return np.log(x / back(x, 1))


def mean_of_known(m, rows):
    """Return the mean over the pairs that are known at a bar, NaN where none is."""
    rows = np.array(rows).reshape(-1, len(m.C))
    known = np.isfinite(rows)
    with np.errstate(invalid="ignore"):
        return np.where(known, rows, 0.0).sum(axis=0) / known.sum(axis=0)


def market_return(m):
    return mean_of_known(m, [log_return(x) for x in m.peers.values()])


def beta(r, other):
    return divide(cov(r, other, 96), var(other, 96))


def idio_vol(m):
    """Return the deviation of what a regression on the market leaves."""
    other = market_return(m)
    return np.sqrt(np.maximum(var(m.r, 96) - divide(cov(m.r, other, 96) ** 2, var(other, 96)), 0))


def day_return(m, x):
    return x / m.lag(x, "24h") - 1


def sector_return(m):
    return mean_of_known(m, [day_return(m, x) for x in m.sector])


def sector_rank(m):
    peers, own = np.array([day_return(m, x) for x in m.sector]).reshape(-1, len(m.C)), day_return(m, m.C)
    known = np.isfinite(peers).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return ((peers < own).sum(axis=0) + 0.5 * (peers == own).sum(axis=0)) / known


def mean_of_stretches(x, n):
    """Return an exponential mean that starts anew after every unknown stretch."""
    out = np.full(len(x), np.nan)
    known = np.concatenate([[False], np.isfinite(x), [False]])
    starts, ends = np.flatnonzero(known[1:] & ~known[:-1]), np.flatnonzero(known[:-1] & ~known[1:])
    for start, end in zip(starts, ends, strict=True):
        if end - start >= n:
            out[start:end] = ema(x[start:end], n)
    return out


def breadth(m):
    means = {key: mean_of_stretches(x, 50) for key, x in m.peers.items()}
    return mean_of_known(m, [np.where(np.isnan(means[key]), np.nan, m.peers[key] > means[key]) for key in means])


TWINS = {
    "market_beta": lambda m: beta(m.r, market_return(m)),
    "idio_vol": idio_vol,
    "btc_correlation": lambda m: corr(m.r, log_return(m.btc), 96),
    "btc_beta": lambda m: beta(m.r, log_return(m.btc)),
    "btc_relative_strength": lambda m: day_return(m, m.C) - day_return(m, m.btc),
    "btc_return_1h": lambda m: m.btc / m.lag(m.btc, "1h") - 1,
    "btc_lead": lambda m: corr(m.r, back(log_return(m.btc), 1), 96),
    "sector_return_1d": sector_return,
    "sector_rank": sector_rank,
    "sector_relative": lambda m: day_return(m, m.C) - sector_return(m),
    "breadth": breadth,
    "market_return_1d": lambda m: mean_of_known(m, [day_return(m, x) for x in m.peers.values()]),
}
