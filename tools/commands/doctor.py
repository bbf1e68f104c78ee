"""`doctor`: one look at everything that a working installation needs, with what to do about each finding.

From: the interpreter, the file system, ports, the registry, the data directory, the services. To: stdout (a table, or
JSON) and the exit code: 0 all good, 1 warnings, 2 failures (DOC-1 to DOC-3).
"""

from __future__ import annotations

import importlib.metadata
import json as json_format
import os
import shutil
import socket
import stat
import sys
import sysconfig
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tools.commands.train import DOWNLOAD
from tools.home import VARIABLES, Home
from tools.ports import holder, is_free
from tools.services import DEFAULT_PORTS, all_running

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = {"good": 0, "warning": 1, "failure": 2}
SECRET_LENGTH = 32  # characters; a shorter key is refused by whoever reads it


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, and what to do about it."""

    subject: str
    level: str
    sentence: str
    remedy: str = ""


def doctor(json: bool) -> int:
    """Print the findings and return the worst of them as the exit code."""
    home = Home.find()
    findings = [finding for check in CHECKS for finding in check(home)]
    if json:
        print(json_format.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{finding.level:8} {finding.subject:12} {finding.sentence}")
            if finding.remedy:
                print(f"{'':21} -> {finding.remedy}")
    return max(LEVELS[finding.level] for finding in findings)


def check_python(home: Home) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("python", "good", f"{version} at {sys.executable}")
    else:
        yield Finding(
            "python", "failure", f"{version}; expected 3.11 to 3.13", "PYTHON=python3.11 tools/start.sh setup"
        )
    compiler = shutil.which("cc")
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if compiler and header.exists():
        yield Finding("compiler", "good", compiler)
    else:
        missing = "no C compiler" if not compiler else f"no {header}"
        yield Finding("compiler", "warning", f"{missing}; needed to rebuild kernels", "tools/system-packages.sh build")


def check_packages(home: Home) -> Iterator[Finding]:
    pins = {}
    for line in (home.root / "constraints.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[name.strip()] = version.strip()
    wrong = []
    for name in ("freqtrade", "bentoml", "mlflow", "torch", "numpy", "pandas", "pyarrow"):
        try:
            found = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != pins.get(name, found):
            wrong.append(f"{name} {found} (tried: {pins[name]})")
    if wrong:
        yield Finding("packages", "failure", "; ".join(wrong), "tools/start.sh setup")
    else:
        yield Finding("packages", "good", "freqtrade, bentoml, mlflow, torch, numpy, pandas, pyarrow as pinned")
    try:
        from tradekernels.features import CATALOG
    except ImportError as error:
        yield Finding("kernels", "failure", f"tradekernels does not load: {error}", "tools/start.sh setup")
    else:
        yield Finding("kernels", "good", f"compiled, {len(CATALOG)} features")


def check_secrets(home: Home) -> Iterator[Finding]:
    for name, variable in VARIABLES.items():
        subject = f"{name} key"
        if value := os.environ.get(variable):
            long_enough = len(value) >= SECRET_LENGTH
            yield Finding(
                subject,
                "good" if long_enough else "failure",
                f"from {variable}, {len(value)} characters",
                "" if long_enough else f"set {variable} to at least {SECRET_LENGTH} characters",
            )
            continue
        path = Path(os.environ.get(f"{variable}_FILE") or home.secret_file(name))
        if not path.exists():
            yield Finding(subject, "failure", f"{path} is missing", "tools/start.sh setup makes it")
        elif mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(subject, "failure", f"{path} is open to others (mode {mode:03o})", f"chmod 600 {path}")
        elif len(path.read_text().strip()) < SECRET_LENGTH:
            yield Finding(
                subject,
                "failure",
                f"{path} is shorter than {SECRET_LENGTH} characters",
                "delete it and run tools/start.sh setup; what the old key signed must be made again",
            )
        else:
            yield Finding(subject, "good", str(path))


def check_ports(home: Home) -> Iterator[Finding]:
    ours = {service.port: service for service in all_running(home)}
    for name, port in DEFAULT_PORTS.items():
        if port in ours:
            service = ours[port]
            if service.ready():
                yield Finding(f"port {port}", "good", f"{service.name}, answers (pid {service.pid})")
            else:
                yield Finding(
                    f"port {port}",
                    "warning",
                    f"{service.name} (pid {service.pid}) does not answer",
                    f"see {service.log}; {home.typed(f'stop {service.name}')}",
                )
        elif is_free(port):
            yield Finding(f"port {port}", "good", f"free for {name}")
        else:
            yield Finding(
                f"port {port}",
                "warning",
                f"wanted by {name}, held by {holder(port)}",
                f"stop that, or use --port with tools/start.sh {name.replace('service', 'serve')}",
            )


def check_disk(home: Home) -> Iterator[Finding]:
    folder = home.user_data if home.user_data.exists() else home.root
    usage = shutil.disk_usage(folder)
    free = usage.free / 2**30
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "failure", f"{folder} cannot be written", f"chown it to {os.environ.get('USER', 'you')}")
    elif free < 1:
        yield Finding("disk", "failure", f"{free:.2f} GiB free for {folder}; expected 1 or more", "delete old results")
    else:
        level = "good" if free > 5 else "warning"
        yield Finding(
            "disk", level, f"{free:.1f} GiB free for {folder}", "" if level == "good" else "delete old results"
        )


def check_data(home: Home) -> Iterator[Finding]:
    folder = home.user_data / "data" / "binance"
    files = sorted(folder.glob("**/*-15m*.feather")) if folder.is_dir() else []
    if not files:
        yield Finding(
            "data",
            "warning",
            f"no 15m candles in {folder}",
            home.typed(DOWNLOAD),
        )
        return
    from nn.data.candles import BadCandles, list_pairs, read_candles

    for pair in list_pairs(folder, "15m"):
        try:
            _, report = read_candles(folder, pair, "15m")
        except BadCandles as error:
            yield Finding("data", "failure", str(error), "download the pair again")
            continue
        if report.last is None:
            continue
        age = (datetime.now(UTC) - report.last).total_seconds() / 86_400
        level = "warning" if report.missing_bars or age > 2 else "good"
        yield Finding(
            "data",
            level,
            f"{pair} 15m: {report.rows} candles to {report.last:%Y-%m-%d}, {report.missing_bars} missing, "
            f"{report.zero_volume} without volume, {report.jumps} jumps, fingerprint {report.fingerprint[:12]}",
            "" if level == "good" else f"{home.typed(DOWNLOAD)} brings it up to date",
        )


def check_registry(home: Home) -> Iterator[Finding]:
    lines = [path for path in sorted(home.registry.glob("*")) if (path / "aliases.json").exists()]
    if not lines:
        yield Finding("registry", "warning", f"no model in {home.registry}", home.typed("train"))
        return
    from nn.registry.keys import KeyProblem, read_keys
    from nn.registry.manifest import ModelRefused, load_aliases, load_version

    for line in lines:
        verb = "train-policy" if line.name.startswith("policy-") else "train"
        try:
            keys = read_keys(home.child_environment())
            aliases = load_aliases(line, keys)
            champion = aliases.aliases.get("champion")
            for version in {*aliases.chain, *aliases.aliases.values()}:
                load_version(line / version, keys)
        except (ModelRefused, KeyProblem, OSError) as error:
            yield Finding("registry", "failure", f"{line.name}: {error}", f"{home.typed(verb)} writes a new chain")
            continue
        found = f"{line.name}: {len(aliases.chain)} versions, signatures good"
        if champion is None:
            yield Finding(
                "registry",
                "warning",
                f"{found}; no champion: a backtest works, the newest candle gets no answer",
                home.typed(f"promote --line {line.name}"),
            )
        else:
            yield Finding("registry", "good", f"{found}, champion {champion}")


def check_clock(home: Home) -> Iterator[Finding]:
    now = datetime.now(UTC)
    newest = max((path.stat().st_mtime for path in (home.root / "tools").glob("*.py")), default=0.0)
    if now.timestamp() + 60 < newest:
        yield Finding(
            "clock", "warning", f"{now:%Y-%m-%d %H:%M} UTC is before this code was written", "set the clock (NTP)"
        )
    else:
        yield Finding("clock", "good", f"{now:%Y-%m-%d %H:%M:%S} UTC on {socket.gethostname()}")


CHECKS = (
    check_python,
    check_packages,
    check_secrets,
    check_ports,
    check_disk,
    check_data,
    check_registry,
    check_clock,
)
