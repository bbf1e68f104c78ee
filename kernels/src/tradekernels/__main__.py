"""`python -m tradekernels catalogue`. From: the catalogue. To: a table, JSON or the documentation's page on stdout."""

import argparse
import sys

from .catalogue import as_json, counts, page, table
from .features.span import milliseconds


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tradekernels", description="Trading features, compiled.")
    commands = parser.add_subparsers(dest="command", required=True)
    catalogue = commands.add_parser("catalogue", help="print every feature: formula, warm-up, range, meaning, source")
    catalogue.add_argument("--timeframe", default="15m", help="bars that warm-ups count (default 15m)")
    catalogue.add_argument("--family", choices=list(counts()), help="one family only")
    form = catalogue.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a Markdown table")
    form.add_argument("--counts", action="store_true", help="print how many features each family has")
    form.add_argument("--page", action="store_true", help="print the documentation's page, docs/features.md")
    arguments = parser.parse_args()
    try:
        milliseconds(arguments.timeframe)
    except ValueError as error:
        parser.error(str(error))
    if arguments.json:
        print(as_json(arguments.timeframe, arguments.family))
    elif arguments.counts:
        print("\n".join(f"{name:16}{count:5}" for name, count in counts().items()))
        print(f"{'all':16}{sum(counts().values()):5}")
    elif arguments.page:
        sys.stdout.write(page(arguments.timeframe))
    else:
        print(table(arguments.timeframe, arguments.family))


if __name__ == "__main__":
    main()
