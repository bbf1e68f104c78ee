"""What the commands that train are told in the same words: how options are read, and where things are kept.

From: `sys.argv`. To: `forecast.train`, `policy.train_trading`, `policy.judge_line`.
"""

from __future__ import annotations

import argparse
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

DEFAULT_REGISTRY = "user_data/registry"


def registry_folder() -> Path:
    """Return the folder of signed versions where no option names one."""
    return Path(os.environ.get("CANDLEWRIGHT_REGISTRY") or DEFAULT_REGISTRY)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where runs, versions and unfinished trainings are kept."""
    parser.add_argument("--tracking-uri", help="MLflow [MLFLOW_TRACKING_URI, else SQLite under user_data]")
    parser.add_argument(
        "--registry", type=Path, default=registry_folder(),
        help=f"folder of signed versions [CANDLEWRIGHT_REGISTRY, else {DEFAULT_REGISTRY}]",
    )  # fmt: skip
    parser.add_argument("--checkpoints", type=Path, help="folder of unfinished trainings [beside the registry]")


def count(text: str) -> int:
    """Return a number of 0 to 999, or refuse the text."""
    if not re.fullmatch(r"\d{1,3}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0 to 999")
    return int(text)


def positive(text: str) -> int:
    """Return a number of 1 to 999, or refuse the text."""
    if not (number := count(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is too few, expected at least 1")
    return number


def period(text: str) -> timedelta:
    """Return hours, days or weeks such as 31d, or refuse the text."""
    match = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no period, expected hours, days or weeks such as 31d")
    return timedelta(hours=int(match[1]) * {"h": 1, "d": 24, "w": 168}[match[2]])


def date(text: str) -> datetime:
    """Return a moment, UTC unless it says otherwise, or refuse the text."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date, expected one such as 2025-10-01") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def line_name(text: str) -> str:
    """Return the name of a model line, or refuse the text."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: letters, digits, dot, dash and underscore only")
    return text
