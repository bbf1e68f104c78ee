"""Types of the wide build: those of `_engine`."""

from ._engine import *  # noqa: F403
