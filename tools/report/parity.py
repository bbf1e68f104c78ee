"""`python -m tools.report parity LOG --datadir DIR`: score live candles again and list what differs (ASO-6, EVA-7).

From: the decisions a bot wrote to CANDLEWRIGHT_DECISION_LOG, candles downloaded since, the running inference service.
To: stdout, a line per difference with its cause, then how many agree. Exit code 0 if all do, 1 if not, 2 if it cannot
be told.

Signals must be equal and numbers within 1e-6. The causes:

- `late candle`: the exchange has changed it since, or an earlier one that the forecast reads;
- `gap`: it is missing now, or one before it;
- `other version`: live the champion answers, over history the newest version that the moment allows;
- `unexplained`: none of these. A defect, or an earlier candle has changed that no decision was written down for.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa

from nn.data.candles import read_candles
from nn.data.quality import OHLCV
from nn.data.timeframe import timeframe_ms
from nn.service.body import ARROW
from tools.errors import UserError

from .formats import moment

MOST_BYTES = 256 * 2**20
TOLERANCE = 1e-6
PRICE_TOLERANCE = 1e-9  # relative: what a number may lose on its way through text
MOST_NEEDED = 5000  # candles before one that its forecast may read (PRM-7)
VERSIONS = ("model_version", "direction_version")
Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    from tools.home import Home

    options = parser().parse_args(arguments)
    try:
        decisions = read_decisions(options.log, options.last)
        differences = list(compare(decisions, options.datadir, options.url.rstrip("/"), Home.find().secret("service")))
    except (UserError, OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
        print(f"parity: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for each in differences:
        print(f"{each['date']} {each['pair']} {each['timeframe']}: {each['cause']} ({each['what']})")
    causes = ", ".join(f"{n} {cause}" for cause, n in sorted(Counter(each["cause"] for each in differences).items()))
    print(f"{len(decisions) - len(differences)} of {len(decisions)} decisions agree{f'; {causes}' if causes else ''}")
    return 1 if differences else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m tools.report parity", description=(__doc__ or "").splitlines()[0])
    made.add_argument("log", type=Path, help="JSON lines of CANDLEWRIGHT_DECISION_LOG")
    made.add_argument("--datadir", type=Path, required=True, help="Freqtrade data directory of one exchange")
    made.add_argument("--url", default="http://127.0.0.1:3000", help="inference service [default: %(default)s]")
    made.add_argument("--last", type=int, default=500, help="decisions, the newest [default: %(default)s]")
    return made


def read_decisions(path: Path, last: int) -> list[Row]:
    """Return the newest decisions of the log, oldest first; the last word about a candle counts.

    Raises
    ------
    UserError
        If the file is missing, too large, empty, or has a line that is none.
    """
    if last < 1:
        raise UserError(f"--last is {last}, expected at least 1")
    if not path.is_file():
        raise UserError(f"{path}: no such decision log; a bot writes it where CANDLEWRIGHT_DECISION_LOG names it")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path}: {path.stat().st_size} bytes, at most {MOST_BYTES} are read")
    found: dict[tuple[str, str, int], Row] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            raw = json.loads(line)
            opened = round(datetime.fromisoformat(raw["date"]).timestamp() * 1000)
            numbers = {str(name): float(value) for name, value in raw["numbers"].items()}
            candle = {name: float(raw["candle"][name]) for name in OHLCV}
            texts = {name: str(raw["texts"][name]) for name in ("signal", *VERSIONS)}
            row = {"pair": str(raw["pair"]), "timeframe": str(raw["timeframe"]), "date": raw["date"], "opened": opened}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: line {number} is no decision ({type(error).__name__}: {error})") from error
        key = (row["pair"], row["timeframe"], opened)
        found.pop(key, None)
        found[key] = row | {"numbers": numbers, "candle": candle, "texts": texts}
    if not found:
        raise UserError(f"{path}: holds no decision")
    return sorted(found.values(), key=lambda row: row["opened"])[-last:]


def compare(decisions: Sequence[Row], datadir: Path, url: str, key: str) -> Iterator[Row]:
    """Yield the decisions that another scoring does not repeat, with `cause` and `what`."""
    for pair, timeframe in dict.fromkeys((row["pair"], row["timeframe"]) for row in decisions):
        mine = [row for row in decisions if (row["pair"], row["timeframe"]) == (pair, timeframe)]
        candles, answers = score_again(mine, datadir, url, key)
        reach, spoiled = MOST_NEEDED * timeframe_ms(timeframe), holes(candles, timeframe_ms(timeframe))
        for row in mine:
            told = difference(row, candles.get(row["opened"]), answers.get(row["opened"]))
            if told is None:
                continue
            cause, what = told
            if cause == "late candle":
                spoiled[row["opened"]] = cause
            before = [at for at in spoiled if row["opened"] - reach <= at < row["opened"]]
            if cause == "unexplained" and before:
                cause, what = spoiled[max(before)], f"{what}; {spoiled[max(before)]} at {moment(max(before))}"
            yield row | {"cause": cause, "what": what}


def holes(candles: Mapping[int, Row], step: int) -> dict[int, str]:
    """Return where candles are missing, by the open time of the first one that is."""
    opened = sorted(candles)
    return {before + step: "gap" for before, after in pairwise(opened) if after - before != step}


def score_again(decisions: Sequence[Row], datadir: Path, url: str, key: str) -> tuple[dict[int, Row], dict[int, Row]]:
    """Return the candles of today and the service's rows about them, as of each, by open time in ms."""
    pair, timeframe = decisions[0]["pair"], decisions[0]["timeframe"]
    frame, _ = read_candles(datadir, pair, timeframe)
    opened = frame["date"].dt.as_unit("ms").astype("int64")
    first = decisions[0]["opened"] - MOST_NEEDED * timeframe_ms(timeframe)
    frame = frame[((opened >= first) & (opened <= decisions[-1]["opened"])).to_numpy()].assign(date=opened)
    if frame.empty:
        return {}, {}
    body, headers = question(frame, pair, timeframe), {"X-API-KEY": key, "Content-Type": ARROW}
    answer = httpx.post(f"{url}/predict", content=body, headers=headers, timeout=120.0, trust_env=False)
    if answer.status_code != 200:
        raise UserError(f"{url}/predict answered {answer.status_code}: {answer.text.strip()[:300]}")
    with pa.ipc.open_stream(answer.content) as reader:
        rows = reader.read_all().to_pylist()
    candles = {row["date"]: row for row in frame.to_dict("records")}
    return candles, {round(row["date"].timestamp() * 1000): row for row in rows}


def question(frame: pd.DataFrame, pair: str, timeframe: str) -> bytes:
    """Return what the service is asked: as an Arrow stream, since MOST_NEEDED candles are too long for its JSON."""
    told = {"schema_version": "1", "pair": pair, "timeframe": timeframe, "as_of": "each"}
    table = pa.Table.from_pandas(frame[["date", *OHLCV]], preserve_index=False).replace_schema_metadata(told)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def difference(live: Row, candle: Row | None, again: Row | None) -> tuple[str, str] | None:
    """Return cause and words if a decision is not repeated, None if it is."""
    if candle is None or again is None:
        return "gap", "the candle is not in the data directory"
    for name, price in live["candle"].items():
        if not math.isclose(price, candle[name], rel_tol=PRICE_TOLERANCE):
            return "late candle", f"{name} was {price:g}, is {candle[name]:g}"
    for name in VERSIONS:
        if again[name] is not None and again[name] != live["texts"][name]:
            return "other version", f"{name} was {live['texts'][name]}, is {again[name]}"
    if any(again[name] is None for name in VERSIONS):
        return ("other version" if again["reason"] == "no_version" else "gap"), f"not scored: {again['reason']}"
    if again["signal"] != live["texts"]["signal"]:
        return "unexplained", f"signal was {live['texts']['signal']}, is {again['signal']}"
    for name, value in live["numbers"].items():
        now = again.get(name)
        if now is None or not abs(now - value) <= TOLERANCE:
            return "unexplained", f"{name} was {value:.8g}, is {now}"
    return None
