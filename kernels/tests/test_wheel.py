"""The package stands alone: wheel, empty virtual environment, numpy, and it computes (KER-1)."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SMOKE = """
import sys
import numpy as np
from tradekernels.features import BASE_40, CATALOG, feature_set
random = np.random.default_rng(0)
close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, 700)))
frame = {"date": 900_000 * np.arange(700), "open": close, "high": close * 1.01, "low": close * 0.99, "close": close,
         "volume": np.ones(700)}
features = feature_set(BASE_40)
rows = features.compute(frame)
stream = features.stream()
columns = ("date", "open", "high", "low", "close", "volume")
live = [stream.update(bar) for bar in zip(*(frame[name].tolist() for name in columns))]
assert np.array_equal(rows, np.array(live), equal_nan=True)
assert np.isfinite(rows[features.warmup:]).all()
from tradekernels.observation import fit, observation_set
seen = observation_set(fit(frame, "15m")).compute(frame)
assert seen.shape == (700, 56) and np.isfinite(seen).all()
others = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"cython_runtime"}
print(len(CATALOG), sorted(name for name in others if not name.startswith("_") and name[0].islower()))
"""
FIRST_OF_EACH = '''
"""Runs each test function once, on its first case."""

def pytest_collection_modifyitems(items):
    first = {}
    for item in items:
        first.setdefault(item.nodeid.partition("[")[0], item)
    items[:] = first.values()
'''


@pytest.mark.slow
def test_the_wheel_installs_and_computes_where_only_numpy_is(tmp_path):
    """From a clean copy of the sources, so that no compiled file is carried over."""
    copy = tmp_path / "kernels"
    files = ("pyproject.toml", "setup.py", "README.md", "src")
    copy.mkdir()
    for name in files:
        subprocess.run(["cp", "-r", str(PROJECT / name), str(copy / name)], check=True)
    for leftover in (*copy.rglob("*.c"), *copy.rglob("*.so")):
        leftover.unlink()
    # Half the time of the build, and the same bits. Whether all is in the wheel is asked here; how the loops do as they
    # ship, every other test asks.
    setup = (copy / "setup.py").read_text()
    assert '"-O3"' in setup
    (copy / "setup.py").write_text(setup.replace('"-O3"', '"-O1"'))
    wheels = tmp_path / "wheels"
    run = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*run, "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(wheels), str(copy)]
    built = subprocess.run(build, capture_output=True, text=True)
    if "No module named 'Cython'" in built.stderr:
        pytest.skip("Cython is not installed here, so no wheel can be built without build isolation")
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("tradekernels-*.whl")

    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", str(wheel)]
    installed = subprocess.run(install, capture_output=True, text=True)
    if "No matching distribution found for numpy" in installed.stderr:
        pytest.skip("the package index cannot be reached, so numpy cannot be installed")
    assert installed.returncode == 0, installed.stderr
    done = subprocess.run([str(python), "-c", SMOKE], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("['numpy', 'tradekernels']"), done.stdout

    # Its own tests pass there too, in one case each; those that need pandas or TA-Lib say so and are skipped.
    subprocess.run([*install[:-1], "pytest>=9", "hypothesis>=6.150"], check=True, capture_output=True)
    for folder in ("tests", "examples"):  # beside the wheel, not in it
        subprocess.run(["cp", "-r", str(PROJECT / folder), str(tmp_path / folder)], check=True)
    markers = "\n    slow: long\n    real_data: recorded\n"
    settings = f"[pytest]\naddopts = --import-mode=importlib\nmarkers ={markers}"
    (tmp_path / "pytest.ini").write_text(settings)
    (tmp_path / "first_of_each.py").write_text(FIRST_OF_EACH)
    suite = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "first_of_each"]
    suite += ["-m", "not slow", "tests"]
    tested = subprocess.run(
        suite, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert tested.returncode == 0, tested.stdout[-4000:]
    assert " passed" in tested.stdout
