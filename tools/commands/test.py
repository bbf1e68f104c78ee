"""`test`: what tests need, then ruff, mypy, shellcheck and all tests; the same here, on a laptop and in CI.

From: the tree. To: the exit code, and a last line that counts the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tools.commands.say import say
from tools.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_TESTS = 5  # pytest's exit code when no test was asked for
TREES = ["nn", "strategies", "tools", "kernels", "tests", "benchmarks", "examples"]


def test(fast: bool, rest: Sequence[str]) -> int:
    """Run every check, go on after a failure, and return 1 if any failed."""
    home = Home.find()
    environment = {**home.child_environment(), "OMP_NUM_THREADS": "1"}
    # Tests make their own folders and keys; those of the user are out of their reach.
    for name in [
        name for name in environment if name.startswith("CANDLEWRIGHT_") and name != "CANDLEWRIGHT_MARKET_DATA"
    ]:
        del environment[name]
    del environment["MLFLOW_TRACKING_URI"]
    python = sys.executable
    if not fast:
        run(
            "system packages for the browser test",
            [str(home.root / "tools" / "system-packages.sh"), "test"],
            environment,
        )
    scripts = [str(path) for path in sorted((home.root / "tools").glob("*.sh"))] + [str(home.root / ".ci" / "run")]
    checks = [
        ("ruff", [python, "-m", "ruff", "check", *TREES]),
        ("mypy", [python, "-m", "mypy"]),
        ("shellcheck", ["shellcheck", *scripts]),
    ]
    workers = str(min(os.cpu_count() or 1, 4))
    quick, slow = ["-m", "not slow and not e2e"], ["-m", "slow or e2e", "--dist", "loadfile", "--durations", "15"]
    suites = [("tests", [python, "-m", "pytest", "-q", "-n", workers, *quick, *rest])]
    if not fast:
        # Servers take free ports and nothing is timed, so files run side by side; the tests of one share its servers.
        suites.append(("slow and end-to-end tests", [python, "-m", "pytest", "-q", "-n", workers, *slow, *rest]))
    codes = {name: run(name, command, environment) for name, command in checks + suites}
    if rest and any(codes[name] == 0 for name, _ in suites):  # `-k name` may fit tests of one suite alone
        codes = {name: 0 if code == NO_TESTS else code for name, code in codes.items()}
    failed = [name for name, code in codes.items() if code]
    say(f"[red]failed: {', '.join(failed)}[/red]" if failed else "[green]all checks passed[/green]")
    return 1 if failed else 0


def run(name: str, command: Sequence[str], environment: dict[str, str]) -> int:
    """Run one check in the root of the clone and return its exit code."""
    say(f"{name}: {' '.join(command[:6])}{' ...' if len(command) > 6 else ''}")
    return subprocess.run(list(command), env=environment, cwd=Home.find().root, check=False).returncode
