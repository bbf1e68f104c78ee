"""`python -m tools.report RESULT --datadir DIR`: write page and JSON of a Freqtrade backtest.

`rank` compares many of them; `parity` scores live candles again.

From: the command line. To: two files; stdout names them and says the verdict, stderr the trouble, in one line.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from .document import build, to_json
from .figures import figures
from .micro_section import lines
from .page import render
from .result import BadResult, read_result


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 written, 1 nothing to report, 2 wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["rank"]:
        from .rank import main as rank

        return rank(arguments[1:])
    if arguments[:1] == ["parity"]:
        from .parity import main as parity

        return parity(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        backtest = read_result(options.result, options.strategy)
        if backtest.other_strategies and options.strategy is None:
            others = ", ".join(backtest.other_strategies)
            print(f"report: shows {backtest.strategy}; --strategy also takes {others}", file=sys.stderr)
        document, market = build(
            backtest,
            options.datadir,
            options.forecast_log,
            options.seed,
            options.random_runs,
            options.evaluation,
            options.micro,
        )  # fmt: skip
        if options.json:
            _write(options.json, to_json(document))
        _write(options.out, render(document, figures(document, market)))
    except (BadResult, OSError, ValueError) as error:
        print(f"report: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(options.out)
    if options.json:
        print(options.json)
    if document["micro"]:
        print("\n".join(lines(document["micro"])))
    for sentence in document["verdict"]:
        print(f"  {sentence['text']}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.report", description="Report on a Freqtrade backtest result."
    )
    parser.add_argument("result", type=Path, help="result .zip or .json, or Freqtrade's folder of results")
    parser.add_argument("--datadir", type=Path, required=True, help="Freqtrade data directory of one exchange")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="HTML page [default: %(default)s]")
    parser.add_argument("--json", type=Path, help="the same numbers as JSON")
    parser.add_argument("--strategy", help="strategy of a result with several [default: the first]")
    parser.add_argument("--forecast-log", type=Path, help="JSON lines of CANDLEWRIGHT_FORECAST_LOG")
    parser.add_argument("--micro", action="store_true", help="replay every order in a book and print the haircut")
    parser.add_argument("--evaluation", type=Path, help="evaluation.json of the models that forecast")
    parser.add_argument("--seed", type=int, default=7, help="seed of the random runs [default: %(default)s]")
    parser.add_argument(
        "--random-runs", type=_positive, default=200, help="number of random runs [default: %(default)s]"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} runs, expected 1 to 10000")
    return number


def _write(path: Path, text: str) -> None:
    """Write the whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


if __name__ == "__main__":
    sys.exit(main())
