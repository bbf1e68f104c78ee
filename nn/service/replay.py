"""Decisions over a history as one signed file, for backtests without a service: `python -m nn.service.replay` (ASO-3).

From: the signed lines of a timeframe and Freqtrade's candles, by way of `scoring`. To: the file that a bot's setting
`candlewright.replay_file` names. A row says what POST /predict answers about that candle, and the layout is that of its
Arrow form for several pairs, so that a strategy reads both alike (ASO-5).

The file is MAGIC, the HMAC-SHA256 of MAGIC and the stream in 64 hex digits, a line end, and the stream.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..data.candles import read_candles
from ..data.quality import OHLCV
from ..models.build import DIRECTION, UNIFIED_PATCHTST
from ..registry.files import write_whole
from ..registry.keys import read_keys
from ..registry.signature import sign
from .arrow import write_arrow
from .backends.choice import Backends
from .errors import Refused
from .reply import reply_of
from .scoring import Known, score
from .settings import read_settings
from .shelf import Shelf
from .versions import Line
from .wire import Block, Question

MAGIC = b"candlewright replay 1\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m nn.service.replay", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datadir", type=Path, required=True, help="Freqtrade's data of one exchange")
    parser.add_argument("--pairs", nargs="+", metavar="PAIR", required=True, help="such as BTC/USDT:USDT")
    parser.add_argument("--timeframe", default="15m", help="length of a candle [15m]")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    now = datetime.now(UTC)
    try:
        keys = read_keys()
        settings = read_settings()
        torch.set_num_threads(settings.torch_threads)  # as the service: it is part of the digest
        shelf = Shelf.of_environment(Backends(precision=settings.precision))
        shelf.look()
        lines = tuple(shelf.line_of(options.timeframe, kind) for kind in (UNIFIED_PATCHTST, DIRECTION))
        frames = {pair: read_candles(options.datadir, pair, options.timeframe, now=now)[0] for pair in options.pairs}
        stream = decisions(lines, frames, options.timeframe)
        write_whole(options.out, MAGIC + sign(MAGIC + stream, keys.signing) + b"\n" + stream)
    except (Refused, ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{options.out}: {sum(map(len, frames.values()))} candles of {', '.join(frames)}")
    return 0


def decisions(lines: tuple[Line, ...], frames: Mapping[str, pd.DataFrame], timeframe: str) -> bytes:
    """Return the Arrow stream with a row for every candle of every pair.

    Parameters
    ----------
    lines : tuple of Line
        Unified, then direction.
    frames : mapping of pair to DataFrame
        Checked closed candles, oldest first: date (UTC), OHLCV.
    """
    blocks = tuple(Block(pair, columns_of(frame)) for pair, frame in frames.items())
    asked = Question(blocks, timeframe, "each", None, by_pair=True)
    known: Known = {}
    found = tuple(score(line.chain, asked.candles, timeframe, line.columns, known=known) for line in lines)
    return b"".join(write_arrow(asked, reply_of(found, lines)))


def columns_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the columns as scoring wants them: the open time as int64 milliseconds."""
    date = frame["date"].dt.as_unit("ms").astype("int64").to_numpy()
    return {"date": date} | {name: frame[name].to_numpy(dtype=np.float64) for name in OHLCV}


if __name__ == "__main__":
    sys.exit(main())
