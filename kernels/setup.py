"""Compiles the loops. From: the .pyx and .pxd files under src. To: extension modules inside the wheel."""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

# Speed that changes no value: no fused multiply-add, so that batch, stream and twin round alike, and never -ffast-math.
# errno and floating-point traps are not read by anyone, and without them square roots and comparisons vectorise.
FLAGS = ["/O2", "/fp:precise"] if sys.platform == "win32" else [
    "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
]  # fmt: skip
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}

SOURCES = "src/tradekernels/features"
engine = Extension(
    "tradekernels.features._engine",
    [f"{SOURCES}/_engine.pyx"],
    depends=[f"{SOURCES}/_{part}.pxd" for part in ("pointwise", "windows", "recursive")],
    extra_compile_args=FLAGS,
)
# force: a change in a .pxd alone would not be noticed.
setup(ext_modules=cythonize([engine], compiler_directives=DIRECTIVES, force=True))
