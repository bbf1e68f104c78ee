"""Compiling happens beside the service, is tried before it serves, and costs nothing but speed when it fails."""

import logging
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nn.models.shared_patches import encode
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.service import versions
from nn.service.backends import compiled
from nn.service.backends.choice import Backends
from nn.service.backends.shared import SharedBackend, size_of
from nn.service.versions import chain_digest, load_line, quickened


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(compiled, "WORTH", 0)
    config = PatchTSTConfig(
        n_features=7, context_length=24, patch_length=8, stride=8, d_model=16, n_heads=2, n_layers=1, d_ff=16
    )
    return UnifiedPatchTST(config).eval().requires_grad_(False)


def until(condition):
    """Wait; the limit only ends a test that waits for what never comes, as the compiler's own limit does there."""
    deadline = time.monotonic() + compiled.LIMIT_S + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def no_compiler(monkeypatch, command):
    """Let the compiling process be this command instead."""
    real = compiled.subprocess.Popen
    monkeypatch.setattr(compiled.subprocess, "Popen", lambda _, **rest: real(command, **rest))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
def test_a_line_is_quickened_once_its_encoder_is_compiled(chain, monkeypatch):
    """From shared to compiled: another digest, the same numbers up to the order of sums, the same bits everywhere."""
    monkeypatch.setattr(compiled, "WORTH", 0)
    monkeypatch.setattr(compiled, "NICE", 0)
    backends = Backends("auto", "fp32")
    shelf = chain.shelf()
    shelf.backends = backends
    (line,) = shelf.lines
    assert quickened(line, backends) is line
    backends.of(line.champion.model)
    until(lambda: not backends.is_pending(line.champion.model))
    assert backends.has_better(line.champion.model)
    fast = quickened(line, backends)
    assert {version.backend.name for version in fast.versions} == {"compiled fp32"}
    assert fast.champion is fast.chain[-1]
    assert fast.chain_digest != line.chain_digest
    assert quickened(fast, backends) is fast
    rows = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)
    ends = np.arange(15, 90)
    answer = fast.champion.forecast(rows, ends)
    np.testing.assert_allclose(answer, line.champion.forecast(rows, ends), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(fast.champion.forecast(rows, ends[30:31]), answer[30:31])
    backends.close()


@pytest.fixture
def two_sizes(registry):
    """Return a line of two versions whose networks differ in size."""
    config = PatchTSTConfig(
        n_features=6, context_length=16, patch_length=8, stride=4, d_model=16, n_heads=2, n_layers=1, d_ff=32
    )
    names = [registry.add(120, 0, config=config), registry.add(160, 1, config=replace(config, d_ff=16))]
    registry.publish(*names)
    return registry


def compiling(monkeypatch, compile_one):
    """Let compiling be a function of the size that returns the plain encoder, or raises."""
    monkeypatch.setattr(compiled, "WORTH", 0)

    def compile_plain(self, size):
        compile_one(size)
        return lambda tokens, weights: encode(tokens, weights, size.n_heads)

    monkeypatch.setattr(compiled.Compiler, "compile", compile_plain)


def names_of(line):
    return [version.backend.name for version in line.chain]


def test_a_network_that_cannot_be_compiled_keeps_no_other_back(two_sizes, monkeypatch, caplog):
    """Each runs on the best that there is for it; the digest says so."""

    def fail_for_16(size):
        if size.d_ff == 16:
            raise RuntimeError("of this size there is no code")

    compiling(monkeypatch, fail_for_16)
    backends = Backends("auto", "fp32")
    line = load_line(two_sizes.folder / "unified-15m", two_sizes.keys, backends=backends)
    until(lambda: not any(backends.is_pending(version.model) for version in line.chain))
    fast = quickened(line, backends)
    assert names_of(fast) == ["compiled fp32", "shared fp32"]
    assert fast.chain[1] is line.chain[1]
    assert fast.champion is fast.chain[1]
    assert fast.chain_digest == chain_digest(fast.chain)
    assert quickened(fast, backends) is fast
    assert "of this size there is no code" in caplog.text


def test_a_line_changes_once_when_all_its_encoders_are_there(two_sizes, monkeypatch):
    """A digest between would have clients ask for all history twice."""
    go_on = threading.Event()
    compiling(monkeypatch, lambda size: size.d_ff == 16 and go_on.wait(120))
    backends = Backends("auto", "fp32")
    line = load_line(two_sizes.folder / "unified-15m", two_sizes.keys, backends=backends)
    until(lambda: backends.has_better(line.chain[0].model))
    assert backends.is_pending(line.chain[1].model)
    assert quickened(line, backends) is line
    go_on.set()
    until(lambda: not backends.is_pending(line.chain[1].model))
    assert names_of(quickened(line, backends)) == ["compiled fp32"] * 2


def test_the_digest_of_compiled_code_names_its_compiler(two_sizes, monkeypatch):
    """Another compiler may round otherwise; where nothing is compiled, which one there is does not matter."""
    compiling(monkeypatch, lambda size: None)
    backends = Backends("auto", "fp32")
    line = load_line(two_sizes.folder / "unified-15m", two_sizes.keys, backends=backends)
    until(lambda: not any(backends.is_pending(version.model) for version in line.chain))
    fast, plain = quickened(line, backends).chain, two_sizes.shelf().lines[0].chain
    before = [chain_digest(chain) for chain in (fast, plain)]
    monkeypatch.setattr(versions, "compiler", lambda: "g++ 99")
    after = [chain_digest(chain) for chain in (fast, plain)]
    assert names_of(quickened(line, backends)) == ["compiled fp32"] * 2
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_without_a_compiler_the_shared_backend_stays_and_says_so_once(small, monkeypatch, caplog):
    no_compiler(monkeypatch, ["sh", "-c", "echo 'no C++ compiler found' >&2; exit 1"])
    caplog.set_level(logging.WARNING)
    backends = Backends("auto", "fp32")
    assert backends.of(small).name == "shared fp32"
    until(lambda: caplog.records)
    assert backends.of(small).name == "shared fp32"
    assert not backends.has_better(small)
    assert [record.getMessage() for record in caplog.records] == [
        "the encoder stays as it is, compiling it failed: no C++ compiler found"
    ]


def test_a_compiler_that_hangs_is_ended(small, monkeypatch, caplog):
    no_compiler(monkeypatch, ["sleep", "60"])
    monkeypatch.setattr(compiled, "LIMIT_S", 0.1)
    backends = Backends("auto", "fp32")
    backends.of(small)
    until(lambda: caplog.records)
    assert "timed out" in caplog.text
    assert backends.compiler._process.poll() is not None


def test_a_service_that_ends_takes_the_compiler_along(small, monkeypatch, caplog):
    no_compiler(monkeypatch, ["sleep", "60"])
    backends = Backends("auto", "fp32")
    backends.of(small)
    until(lambda: backends.compiler._process is not None)
    backends.close()
    assert backends.compiler._process.wait(120) != 0
    assert not caplog.records


def test_a_compiled_encoder_that_is_wrong_is_not_used(small, monkeypatch):
    size = size_of(small)
    monkeypatch.setattr(compiled.torch._inductor, "aoti_load_package", lambda path: lambda tokens, weights: tokens * 2)
    with pytest.raises(RuntimeError, match="off the plain one"):
        compiled.loaded("nowhere", size, "fp32")


def test_a_small_network_is_not_compiled(small, monkeypatch):
    monkeypatch.setattr(compiled, "WORTH", 16 * 16 + 1)
    backends = Backends("auto", "fp32")
    backends.of(small)
    assert not backends.compiler._found


def test_the_compiling_process_ends_with_the_service(tmp_path):
    """Killed with -9, too: the operating system ends the child."""
    child = "import os, time; from nn.service.backends.compiled import end_with; end_with(os.getppid());"
    child += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent])
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process.kill()
    process.wait(120)
    pid = (tmp_path / "pid").read_text()
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1])


def test_the_compiling_process_gets_no_key(monkeypatch, tmp_path):
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "secret")
    assert not [name for name in compiled._environment(tmp_path) if name.startswith("CANDLEWRIGHT")]


def test_eager_and_shared_never_start_a_compiler(small):
    for name in ("eager", "shared"):
        backends = Backends(name, "fp32")
        assert backends.of(small).name == f"{name} fp32"
        assert backends.compiler is None
    assert isinstance(Backends("shared", "bf16").of(small), SharedBackend)
