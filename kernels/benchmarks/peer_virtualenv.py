"""A virtual environment for peers that the project does not depend on. From: the package index. To: twins.py.

It lies in the user's cache and is reused. tradekernels itself is not installed there: a run is given a copy of the very
build that the caller measures.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("numba>=0.65", "polars>=1.30", "numpy>=2.0,<2.5", "pandas>=3,<4", "pyarrow>=18")
ONE_THREAD = dict.fromkeys(("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), "1")


def folder() -> Path:
    """Return where the environment lies, one per Python version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tradekernels-peers" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def interpreter() -> Path | None:
    """Return a Python that has the peers: this one, or the environment's once it is complete."""
    if find_spec("numba") and find_spec("polars"):
        return Path(sys.executable)
    return python_of(folder()) if (folder() / "complete").exists() else None


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install() -> None:
    """Make the environment if it is not there; say so in one line where that fails, as it does without a network."""
    if interpreter():
        return
    print(f"installing numba and polars into {folder()}, once", file=sys.stderr)
    venv.create(folder(), with_pip=True, clear=True)
    pip = [
        python_of(folder()),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--retries",
        "1",
        *PACKAGES,
    ]
    try:
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=900)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
        lines = (getattr(failure, "stderr", None) or "pip took too long").strip().splitlines()
        print(f"numba and polars could not be installed, the rest goes on: {str(lines[-1]).strip()}", file=sys.stderr)
        return
    (folder() / "complete").touch()
    print("installed", file=sys.stderr)


def run_twins() -> None:
    """Run twins.py where the peers are, on this process's cores and with one thread each."""
    python = interpreter()
    if python is None:
        print("\nnumba and polars are not installed: `--peers` installs them aside and compares with them")
        return
    package = Path(str(find_spec("tradekernels").origin)).parent
    with tempfile.TemporaryDirectory() as aside:
        shutil.copytree(package, Path(aside) / "tradekernels", ignore=shutil.ignore_patterns("__pycache__"))
        script = Path(__file__).with_name("twins.py")
        failed = subprocess.run([python, script], env=os.environ | ONE_THREAD | {"PYTHONPATH": aside}).returncode
    if failed:
        print("the comparison with numba and polars failed, as told above", file=sys.stderr)
