"""`tools/start.sh` where an installation fails or is cut off: it says so, keeps no stamp, and goes on the next time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The part of a clone that an installation reads, without an environment."""
    root = tmp_path_factory.mktemp("clone") / "with a space"
    (root / "kernels" / "src").mkdir(parents=True)
    (root / "tools").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "kernels/pyproject.toml", "tools/start.sh"):
        shutil.copy(ROOT / name, root / name)
    return root


def setup(tree, **more):
    """Run `start.sh setup` with no package index to be had; return the exit code and what it said."""
    own = {"PYTHON": sys.executable, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull} | more
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CANDLEWRIGHT_", "PIP_"))}
    done = subprocess.run(
        [tree / "tools" / "start.sh", "setup"], env=kept | own, capture_output=True, text=True, timeout=600, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: start.sh would ask the system for one first")
def test_an_installation_that_fails_or_was_cut_off_is_told_and_done_again(tree):
    """CMD-1, CMD-3: what failed is never taken for ready, and a half-made environment is made anew."""
    for attempt in ("none", "half made", "whole"):
        if attempt == "half made":  # killed before venv had its pip
            [packages] = tree.glob(".venv/lib/python*/site-packages")
            shutil.rmtree(packages / "pip")
        code, said = setup(tree)
        assert code != 0
        assert "[2/5] build tools" in said, said
        assert "[3/5]" not in said  # nothing is built on what failed
        assert "environment ready" not in said
        assert said.splitlines()[-1].startswith("candlewright: installation failed; the message above says where.")
        assert not (tree / ".venv" / "candlewright.stamp").exists()
        assert ("making a virtual environment" in said) == (attempt != "whole")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: start.sh would ask the system for one first")
def test_an_environment_of_somebody_is_never_emptied(tree, tmp_path):
    """CANDLEWRIGHT_VENV may name one that another tool made without pip, with packages in it."""
    theirs = tmp_path / "theirs"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", theirs], check=True)
    [packages] = theirs.glob("lib/python*/site-packages")
    (packages / "own_work.py").write_text("kept = True\n")
    code, said = setup(tree, CANDLEWRIGHT_VENV=str(theirs))
    assert (packages / "own_work.py").exists(), said
    assert code != 0
    assert (packages / "pip").is_dir()  # it got its own beside them
