"""Runs a program in the foreground and lets it end in peace, however we are told to stop.

From: the commands. To: the child's exit code. A Ctrl-C reaches the child by itself, as it shares our terminal; a
SIGTERM is passed on. Either way it gets time to clean up (Freqtrade cancels orders) before it is killed.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

GRACE_S = 30.0


class Terminated(KeyboardInterrupt):
    """We were sent SIGTERM or SIGHUP: everything on the way out cleans up, as after Ctrl-C."""


def raise_on_termination() -> None:
    """Turn SIGTERM and SIGHUP into an exception, so that `finally` blocks run."""
    if threading.current_thread() is not threading.main_thread():
        return

    def terminate(signum: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)


def run_child(argv: Sequence[str], **options: Any) -> int:
    """Run a program to its end and return its exit code; options are those of `subprocess.Popen`."""
    process = subprocess.Popen(list(argv), **options)
    try:
        return process.wait()
    except BaseException as reason:
        if not isinstance(reason, KeyboardInterrupt) or isinstance(reason, Terminated):
            process.terminate()
        try:
            process.wait(GRACE_S)
        except BaseException:  # patience is over, ours or the user's
            process.kill()
            process.wait()
        raise
