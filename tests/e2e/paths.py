"""What the end-to-end tests share: running a verb as a user does, and reading what it left behind.

From: `python -m tools` in a process of its own: what start.sh runs once the environment is there. To: the tests.
"""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BAR = timedelta(minutes=15)  # a segment names candles by their open, a version scores by their close


def verb(user_data, *arguments, timeout=900):
    """Run a verb with an own user_data folder; return the finished process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT_")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    environment["CANDLEWRIGHT_HOME"] = str(ROOT)
    command = [sys.executable, "-m", "tools", "--user-data", str(user_data), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=timeout, check=False
    )


def forecast_segments(user_data):
    """Yield what the client wrote of each answered request: pair, version, first and last candle."""
    for log in sorted((user_data / "logs").glob("forecasts-*.jsonl")):
        for line in log.read_text().splitlines():
            yield from json.loads(line)["segments"]


def valid_from(user_data):
    """Return the moment from which each version of the registry may be used."""
    manifests = (user_data / "registry").glob("*/*/manifest.json")
    found = [json.loads(path.read_text()) for path in manifests]
    return {each["version"]: datetime.fromisoformat(each["valid_from"]) for each in found}


def assert_scored_by_versions_that_existed(user_data):
    """ASO-1, on what really happened: no candle was scored by a version before its `valid_from`."""
    born = valid_from(user_data)
    segments = list(forecast_segments(user_data))
    assert segments
    for segment in segments:
        assert datetime.fromisoformat(segment["first"]) + BAR >= born[segment["model_version"]], segment
    return {segment["model_version"] for segment in segments}
