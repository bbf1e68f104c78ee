"""Compiles the loops. From: the .pyx and .pxd files under src. To: extension modules inside the wheel."""

import os
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

WIDE_FLAGS = ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw"]  # no -mfma: the bits must not differ
HEADERS = glob("src/tradekernels/**/*.pxd", recursive=True)


def module(path: str, *more_flags: str, optional: bool = False) -> Extension:
    """Return the build of one .pyx file, under its own name in the package."""
    return Extension(
        path.removeprefix("src/").removesuffix(".pyx").replace("/", "."),
        [path],
        depends=HEADERS,
        extra_compile_args=[*FLAGS, *more_flags],
        optional=optional,  # an old compiler may fail on it: then the plain build serves alone
    )


# Every .pyx is a module; those named for an instruction set are a second, faster build of another one.
modules = []
for path in sorted(glob("src/tradekernels/**/*.pyx", recursive=True)):
    if not path.endswith("_avx512.pyx"):
        modules.append(module(path))
    elif sys.platform == "linux" and platform.machine() == "x86_64":
        modules.append(module(path, *WIDE_FLAGS, optional=True))
# force: a change in a .pxd alone would not be noticed.
setup(
    ext_modules=cythonize(modules, compiler_directives=DIRECTIVES, include_path=["src"], force=True),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
