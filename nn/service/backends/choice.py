"""Which backend answers for a network: the fastest of those allowed that is ready now.

From: `settings`. To: `versions`, at loading and again when something faster has become ready.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from ...models.ensemble import Ensemble, Network
from .batches import Backend, EagerBackend
from .compiled import Compiler
from .shared import SharedBackend, size_of

AUTO, EAGER, SHARED, COMPILED = "auto", "eager", "shared", "compiled"
FP32, BF16 = "fp32", "bf16"


class Backends:
    """The choice for one service.

    Parameters
    ----------
    backend : {"auto", "eager", "shared", "compiled"}
        auto and compiled are the same where there is a compiler; without one, auto is shared and says nothing.
    precision : {"auto", "fp32", "bf16"}
        auto is bf16 on processors that multiply it by themselves, else fp32; the eager backend is always fp32.
    """

    def __init__(self, backend: str = SHARED, precision: str = FP32) -> None:
        self.backend, self.precision = backend, resolved(precision)
        self.compiler = Compiler(self.precision) if backend in (AUTO, COMPILED) else None

    def of(self, model: Network | Ensemble) -> Backend:
        """Return the best that is ready for this model now, and have a better one made where there could be one."""
        if self.backend == EAGER:
            return EagerBackend(model)
        if self.compiler is None:
            return SharedBackend(model, self.precision)
        size = size_of(model)
        self.compiler.want(size)
        return SharedBackend(model, self.precision, self.compiler.get(size))

    def is_slow(self, backend: Backend) -> bool:
        """Tell whether there could be something faster than this one."""
        return self.compiler is not None and backend.name.startswith(SHARED)

    def has_better(self, model: Network | Ensemble) -> bool:
        """Tell whether it is ready."""
        return self.compiler is not None and self.compiler.get(size_of(model)) is not None

    def is_pending(self, model: Network | Ensemble) -> bool:
        """Tell whether it is still being made."""
        return self.compiler is not None and self.compiler.is_pending(size_of(model))

    def close(self) -> None:
        if self.compiler is not None:
            self.compiler.close()


def resolved(precision: str) -> str:
    if precision != AUTO:
        return precision
    return BF16 if "avx512_bf16" in processor_flags() or "amx_bf16" in processor_flags() else FP32


def processor_flags() -> frozenset[str]:
    """Return what Linux says the processor can do; nothing where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def processor() -> str:
    """Return what matrix products are computed with: the libraries add up in the order that suits the processor."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
