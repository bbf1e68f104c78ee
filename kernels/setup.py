"""Compiles the loops. From: the .pyx and .pxd files under src. To: extension modules inside the wheel."""

import platform
import sys
from glob import glob

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
WIDE_FLAGS = ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw"]  # no -mfma: the bits must not differ


def engine(name: str, *more_flags: str, optional: bool = False) -> Extension:
    """Return one build of the engine."""
    return Extension(
        f"tradekernels.features.{name}",
        [f"{SOURCES}/{name}.pyx"],
        depends=[*glob(f"{SOURCES}/*.pxd"), f"{SOURCES}/_engine.pyx"],
        extra_compile_args=[*FLAGS, *more_flags],
        optional=optional,  # an old compiler may fail on it: then the plain build serves alone
    )


engines = [engine("_engine")]
if sys.platform == "linux" and platform.machine() == "x86_64":
    engines.append(engine("_engine_avx512", *WIDE_FLAGS, optional=True))
# force: a change in a .pxd alone would not be noticed.
setup(ext_modules=cythonize(engines, compiler_directives=DIRECTIVES, force=True))
