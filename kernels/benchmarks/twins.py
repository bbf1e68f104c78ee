"""numba's and polars' twins against tradekernels. From: an interpreter that has them. To: Markdown tables on stdout.

Run by features.py, see peer_virtualenv.py.
"""

import numba
import polars as pl
from data import read_market
from measure import duel, one_core
from peers.numba_twins import numba_twins
from peers.polars_twins import expressions, polars_twins

from tradekernels.features import CATALOG, feature_set

ROUNDS = 15


def main() -> None:
    """Check that both sides compute the same, then measure. numba's loops are compiled before that, by the check."""
    market = read_market()
    frame, references = market.frame, market.references
    features = feature_set([name for name in numba_twins(frame, references) if name in CATALOG])
    name = f"numba {numba.__version__}"
    duel("numba's loops", market, features, name, lambda: numba_twins(frame, references), ROUNDS)
    features = feature_set([name for name in expressions() if name in CATALOG])
    candles = pl.DataFrame({name: frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")})
    name = f"polars {pl.__version__}, one thread"
    duel("polars' expressions", market, features, name, lambda: polars_twins(candles, features.names), ROUNDS)


if __name__ == "__main__":
    with one_core():
        main()
