"""Picks the build of the loop that suits this processor. From: _environment.pyx, built twice. To: environment.py.

Both give the same bits: nothing is fused, reordered or approximated (test_laws.py).
"""

from importlib import import_module
from importlib.util import find_spec

from ..features._engine import has_avx512
from . import _environment

Engine, WIDE = _environment.Engine, False

# The compiler that built this package may not have made the wide build: then the plain one serves.
if has_avx512() and find_spec("._environment_avx512", __package__):
    Engine, WIDE = import_module("._environment_avx512", __package__).Engine, True
