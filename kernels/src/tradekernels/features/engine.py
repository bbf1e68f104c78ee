"""Picks the build of the compiled loops that suits this processor. From: _engine.pyx, built twice. To: everyone else.

The builds give the same bits: wider vectors hold more bars at once, and nothing is fused, reordered or approximated.
"""

from importlib import import_module
from importlib.util import find_spec

from . import _engine

CODES, FAULTS, HEADER = _engine.CODES, _engine.FAULTS, _engine.HEADER
Machine, first_fault, as_of = _engine.Machine, _engine.first_fault, _engine.as_of
WIDE = False

# The compiler that built this package may not have made the wide build: then the plain one serves.
if _engine.has_avx512() and find_spec("._engine_avx512", __package__):
    _wide = import_module("._engine_avx512", __package__)
    Machine, first_fault, as_of, WIDE = _wide.Machine, _wide.first_fault, _wide.as_of, True

__all__ = ["CODES", "FAULTS", "HEADER", "WIDE", "Machine", "as_of", "first_fault"]
