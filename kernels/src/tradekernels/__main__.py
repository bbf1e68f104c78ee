"""`python -m tradekernels catalogue`. From: the catalogue. To: a table on stdout."""

import argparse

from .features import CATALOG

HEADINGS = ("id", "name", "family", "formula", "warm-up", "unit", "range", "meaning", "source")


def catalogue(timeframe: str) -> str:
    """Return the catalogue as a Markdown table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS)]
    for it in CATALOG.values():
        bounds = "{:.4g} .. {:.4g}".format(*it.range)
        warmup = str(it.warmup(timeframe))
        lines.append((it.id, it.name, it.family, f"`{it.formula}`", warmup, it.unit, bounds, it.meaning, it.source))
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
