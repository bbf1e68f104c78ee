"""Picks the build of the compiled loops that suits this processor. From: _engine.pyx, built twice. To: everyone else.

The builds give the same bits: wider vectors hold more bars at once, and nothing is fused, reordered or approximated.
"""

from . import _engine

WIDE = _engine.has_avx512()
if WIDE:
    try:
        from . import _engine_avx512 as best
    except ImportError:  # the compiler that built this package could not make it
        WIDE = False
if not WIDE:
    best = _engine

CODES, FAULTS, HEADER, Machine, first_fault = best.CODES, best.FAULTS, best.HEADER, best.Machine, best.first_fault

__all__ = ["CODES", "FAULTS", "HEADER", "WIDE", "Machine", "first_fault"]
