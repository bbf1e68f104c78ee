"""Compiles the encoder of a size into machine code of this processor, in a process of its own, while others serve.

From: the sizes of networks that serve. To: `choice`, functions that take any weights of that size.

PyTorch's ahead-of-time Inductor writes C++ and has the system's compiler build it. It takes a quarter of a minute, so
nothing waits for it: the process runs beside the service at a low priority and ends with it, and whatever goes wrong
there costs one line in the log and the speed. What it builds lies in a folder that only this user may open, until it is
loaded; nothing is ever loaded that this service did not build itself.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import orjson
import torch
from torch import Tensor

from ...models.shared_patches import Size, encode
from .batches import BATCH
from .shared import TYPES, Encode

logger = logging.getLogger(__name__)

LIMIT_S = 600.0  # for one size, on a machine that is busy with other work
NICE = 10  # of the compiling process: it runs in what the others leave
PACKAGE = "encoder.pt2"
WORTH = 1 << 15  # weights of a layer's largest matrix from which on compiling pays: small networks gain too little
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


class Encoder(torch.nn.Module):
    """`encode` for the exporter, which wants a module."""

    def __init__(self, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads

    def forward(self, tokens: Tensor, weights: list[Tensor]) -> Tensor:
        return encode(tokens, weights, self.n_heads)


class Compiler:
    """Compiled encoders by size; `want` asks for one, `get` returns it once it is there.

    Parameters
    ----------
    precision : {"fp32", "bf16"}
    """

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self._found: dict[Size, Encode | None] = {}  # None: wanted, not there, or never will be
        self._queue: list[Size] = []  # the first is at work
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def get(self, size: Size) -> Encode | None:
        return self._found.get(size)

    def is_pending(self, size: Size) -> bool:
        with self._lock:
            return size in self._queue and not self._closed

    def want(self, size: Size) -> None:
        """Have this size compiled in the background, unless it is small or was tried before."""
        with self._lock:
            if size in self._found or self._closed or size.d_model * size.d_ff < WORTH:
                return
            self._found[size] = None
            self._queue.append(size)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="compiler", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._closed:
                    self._thread = None
                    return
                size = self._queue[0]
            encoder: Encode | None = None
            try:
                encoder = self.compile(size)
                logger.info("the encoder of %s is compiled (%s)", size, self.precision)
            except Exception as error:  # the compiler's faults are many, and none of them may end the service
                if not self._closed:
                    logger.warning("the encoder stays as it is, compiling it failed: %s", _last_line(error))
            with self._lock:
                self._queue.remove(size)  # first, so that what is found is never still pending
                self._found[size] = encoder

    def compile(self, size: Size) -> Encode:
        """Return the compiled encoder of this size; takes a quarter of a minute, all of it outside this process."""
        folder = Path(tempfile.mkdtemp(prefix="candlewright-compiled-"))
        try:
            request = orjson.dumps(
                asdict(size) | {"precision": self.precision, "parent": os.getpid(), "nice": NICE}
            ).decode()
            command = [sys.executable, "-m", "nn.service.backends.compiled", request, str(folder)]
            self._process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment(folder)
            )
            try:
                _, said = self._process.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
                raise
            if self._process.returncode:
                raise RuntimeError(said.decode(errors="replace").strip() or f"exit status {self._process.returncode}")
            return loaded(folder / PACKAGE, size, self.precision)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what is loaded stays in memory

    def close(self) -> None:
        """End the compiling process, if one runs."""
        self._closed = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


@cache
def compiler() -> str:
    """Return which C++ compiler builds the encoders, as it names itself: another one may round otherwise."""
    command = torch._inductor.cpp_builder.get_cpp_compiler()
    said = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    return said.partition("\n")[0]


def loaded(package: Path, size: Size, precision: str) -> Encode:
    """Return the encoder in a package after trying it against the plain one; RuntimeError if they do not agree."""
    runner = torch._inductor.aoti_load_package(str(package))
    tokens, weights = example(size, precision, seed=8)  # other weights than it was compiled with
    with torch.inference_mode():
        found, expected = runner(tokens, weights), encode(tokens, weights, size.n_heads)
    error = (found - expected).abs().max().item() if found.shape == expected.shape else float("inf")
    limit = {"fp32": 1e-3, "bf16": 0.25}[precision]  # of numbers around 1 in size: a wrong kernel is far beyond
    if not error < limit:
        raise RuntimeError(f"the compiled encoder is {error:.2g} off the plain one, expected below {limit}")
    return runner


def example(size: Size, precision: str, seed: int = 7) -> tuple[Tensor, list[Tensor]]:
    """Return random tokens and weights of this size, the same for the same seed; no two weights are alike."""
    generator = torch.Generator().manual_seed(seed)
    D, hidden, kind = size.d_model, size.d_ff, TYPES[precision]

    def drawn(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=generator) * scale

    weights = [drawn(size.n_tokens, D)]
    for _ in range(size.n_layers):
        for _ in range(2):  # each a tensor of its own: of two that are one, the compiler reads the first for both
            weights += [1 + drawn(D, scale=0.3), drawn(D, scale=0.1)]
        for rows, columns in ((3 * D, D), (D, D), (hidden, D), (D, hidden)):
            weights += [drawn(rows, columns, scale=columns**-0.5).to(kind), drawn(rows, scale=0.1).to(kind)]
    weights += [1 + drawn(D, scale=0.1), drawn(D, scale=0.1)]
    return drawn(BATCH, size.n_tokens, D), weights


def main(arguments: Sequence[str]) -> None:
    """Compile the size in the first argument into the folder in the second."""
    request = orjson.loads(arguments[0])
    precision, parent = request.pop("precision"), request.pop("parent")
    end_with(parent)
    os.nice(request.pop("nice"))
    size = Size(**request)
    torch.set_num_threads(1)
    with torch.no_grad():
        program = torch.export.export(Encoder(size.n_heads), example(size, precision))
        torch._inductor.aoti_compile_and_package(program, package_path=str(Path(arguments[1]) / PACKAGE))


def end_with(parent: int) -> None:
    """Have this process killed when the one that started it is gone, however it went; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the service is gone already")


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment without keys: the compiling process has no use for them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT_")}
    kept["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    return kept | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "work"), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}


def _last_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[-1][:300]


if __name__ == "__main__":
    main(sys.argv[1:])
