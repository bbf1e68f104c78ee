"""Every snippet of the order-book page runs, top to bottom, and gives what it says after `# ->`.

From: docs/orderbook.md, a small capture, and the real one of CANDLEWRIGHT_MARKET_DATA. To: a page one can trust.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tradekernels.orderbook")

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "kernels" / "examples"
PAGE = (ROOT / "docs" / "orderbook.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
REAL = Path(os.environ.get("CANDLEWRIGHT_MARKET_DATA", "/nonexistent")) / "l2" / "btcusdt_20240808.gz"


class Reader:
    """Runs snippets in one namespace, as who types them one after the other; those on the real feed may be left out."""

    def __init__(self):
        self.names, self.done = {"__name__": "page"}, 0

    def run(self, number):
        for k in range(self.done, number):
            if not needs_recording(SNIPPETS[k]):
                execute(SNIPPETS[k], self.names)
        execute(SNIPPETS[number], self.names)
        self.done = max(self.done, number + 1)


def execute(snippet, names):
    """Run a snippet; compare every expression with what its comment says."""
    lines = snippet.splitlines()
    for node in ast.parse(snippet).body:
        said = re.search(r"# -> (.*)$", lines[node.end_lineno - 1])
        if isinstance(node, ast.Expr) and said:
            assert repr(eval(ast.unparse(node), names)) == said[1], ast.unparse(node)
        else:
            exec(compile(ast.Module([node], []), "docs/orderbook.md", "exec"), names)


def needs_recording(snippet):
    return REAL.name in snippet


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return a reader in a folder with the captures that the page names."""
    folder, here = tmp_path_factory.mktemp("page"), Path.cwd()
    subprocess.run([sys.executable, EXAMPLES / "small_capture.py", folder / "small.gz"], check=True)
    if REAL.exists():
        (folder / REAL.name).symlink_to(REAL)
    os.chdir(folder)
    yield Reader()
    os.chdir(here)


def marks(snippet):
    real = [pytest.mark.real_data] if needs_recording(snippet) else []
    return [*real, pytest.mark.slow] if "calibrate(" in snippet else real


@pytest.mark.parametrize("number", [pytest.param(k, marks=marks(snippet)) for k, snippet in enumerate(SNIPPETS)])
def test_every_snippet_runs_and_gives_what_it_says(reader, number):
    if needs_recording(SNIPPETS[number]) and not REAL.exists():
        pytest.skip("CANDLEWRIGHT_MARKET_DATA names no folder with the recorded feed under l2/")
    if "nn.policy" in SNIPPETS[number]:
        pytest.importorskip("gymnasium")
    reader.run(number)


def test_the_market_maker_of_the_page_is_the_example():
    """Word for word, and in 30 lines."""
    example = (EXAMPLES / "market_maker.py").read_text()
    strategy = example[example.index("LOTS, MOST") : example.index("\n\nif __name__")].strip()
    assert strategy in SNIPPETS[-1]
    assert len([line for line in strategy.splitlines() if line.strip()]) <= 30


def test_the_picture_is_drawn(tmp_path):
    """From the small capture, by the script that drew the one on the page."""
    pytest.importorskip("matplotlib")
    capture, out = tmp_path / "small.gz", tmp_path / "book.png"
    subprocess.run([sys.executable, EXAMPLES / "small_capture.py", capture], check=True)
    drawn = [sys.executable, EXAMPLES / "picture.py", capture, "BTCUSDT", "0.1", "0.001", out, "5", "50", "20", "4"]
    subprocess.run(drawn, check=True)
    assert out.read_bytes().startswith(b"\x89PNG")
