"""The example runs as it stands, on a synthetic capture and, where it is there, on the real one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import feed_captures as captures
from real_feed import CAPTURE, needs_feed

EXAMPLE = Path(__file__).parents[2] / "examples" / "market_maker.py"


def run(capture):
    """Return the numbers of the last line that the example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLE, capture, "BTCUSDT", "0.1", "0.001"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()[-1].split()
    return int(words[2]), int(words[4]), float(words[6])


def test_the_market_maker_trades_on_a_synthetic_capture(tmp_path):
    """A price that goes up and down once a second meets it on both sides."""
    start, random = 1700000000000, np.random.default_rng(0)
    levels = [
        [(f"{100 - k / 10:.1f}", "0.010") for k in range(1, 9)],
        [(f"{100 + k / 10:.1f}", "0.010") for k in range(9)],
    ]
    lines = [captures.snapshot(start * 10**6, start, 1, *levels)]
    for k in range(1, 600):
        ms, buys = start + 50 * k, bool(random.integers(0, 2))
        price = "100.0" if buys else "99.9"
        lines.append(captures.trade(ms * 10**6, ms, k, price, "0.020", not buys))
        lines.append(captures.diff((ms + 5) * 10**6, ms + 5, k + 1, k + 1, k, [("99.9", "0.012")]))
    fills, position, _ = run(captures.write(tmp_path / "x.gz", *lines))
    assert fills > 20
    assert abs(position) <= 110


@needs_feed
@pytest.mark.real_data
@pytest.mark.slow
def test_the_market_maker_trades_on_the_real_feed():
    """Hundreds of fills in under six minutes of market."""
    fills, position, _ = run(CAPTURE)
    assert fills > 300
    assert abs(position) <= 110
