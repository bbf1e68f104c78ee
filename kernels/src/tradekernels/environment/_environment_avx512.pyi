"""Types of the wide build: those of `_environment`."""

from ._environment import *  # noqa: F403
