"""`python -m nn --mode data`: what a version trained up to the end of the candles would learn from.

From: the options of `nn.forecast.train`. To: a table on stdout; the checks of the candles themselves go to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from ..data.target_table import DIRECTIONS
from .config import load_config
from .dataset import TrainingData, make_training_data
from .recipe import recipe_of
from .schedule import data_end
from .train import MODELS, parser, profiles, read_pairs

HORIZONS = ("15m", "1h", "4h", "12h")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one sentence on stderr."""
    options = parser().parse_args(arguments)
    try:
        config = load_config(profiles(options))
        frames = read_pairs(options.datadir, options.pairs, options.timeframe)
        until = data_end(frames, options.timeframe, options.until)
        length = recipe_of(MODELS[options.model][0], config).context_length
        data = make_training_data(frames, options.timeframe, until, config.data, length)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for line in described(data):
        print(line)
    return 0


def described(data: TrainingData) -> Iterator[str]:
    """Yield what training data holds, a line each."""
    yield f"pairs       {', '.join(data.pairs)}"
    yield f"candles     {data.trained_from:%Y-%m-%d %H:%M} .. {data.trained_until:%Y-%m-%d %H:%M}, {data.timeframe}"
    yield f"fingerprint {data.fingerprint}"
    features = data.features
    yield f"features    {len(features.names)}, warm-up {features.warmup} bars, digest {features.digest[:12]}"
    megabytes = sum(matrix.nbytes for matrix in data.windows.matrices) / 1e6
    yield f"windows     {len(data.train)} to learn from, {len(data.validation)} to judge by"
    yield f"memory      {megabytes:.0f} MB of features"
    for horizon, shares in zip(HORIZONS, data.class_shares, strict=True):
        said = ", ".join(f"{share:.1%} {word}" for word, share in zip(DIRECTIONS, shares, strict=True))
        yield f"{horizon:11s} {said}"


if __name__ == "__main__":
    sys.exit(main())
