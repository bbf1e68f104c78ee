"""`python -m tradekernels catalogue`. From: the catalogue. To: a table on stdout."""

import argparse

from .features import CATALOG

HEADINGS = ("id", "name", "family", "formula", "warm-up", "unit", "range", "meaning", "source")


def catalogue(timeframe: str) -> str:
    """Return the catalogue as a Markdown table."""
    rows = [
        (
            feature.id, feature.name, feature.family, f"`{feature.formula}`", str(feature.warmup(timeframe)),
            feature.unit, "{:.4g} .. {:.4g}".format(*feature.range), feature.meaning, feature.source,
        )  # fmt: skip
        for feature in CATALOG.values()
    ]
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tradekernels", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("catalogue", help="print every feature as a Markdown table")
    table.add_argument("--timeframe", default="15m", help="bars the warm-up counts (default 15m)")
    arguments = parser.parse_args()
    print(catalogue(arguments.timeframe))


if __name__ == "__main__":
    main()
