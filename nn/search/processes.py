"""A bounded pool of local worker processes: `python -m nn.search.processes module:name`, a task a line (SEA-4).

From: `workers`, tasks as lines of JSON on a worker's stdin. To: outcomes as lines on its stdout; whatever a task
prints goes to stderr. A worker is a fresh interpreter, not a fork, so it inherits no thread, lock or open file; it ends
by itself when whoever started it is gone, however that one was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

from .call import ONE_THREAD, Outcome, call

ROOT = Path(__file__).resolve().parents[2]  # of the package: a worker may be started from anywhere


class Processes:
    """Workers of this machine; one thread stands by each and waits for it."""

    def __init__(self, function: str, workers: int) -> None:
        self.function = function
        self._todo: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self._lock, self._closed = threading.Lock(), False
        self._children: set[subprocess.Popen[bytes]] = set()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, index: int, task: str) -> None:
        self._todo.put((index, task))

    def outcome(self) -> tuple[int, Outcome]:
        return self._ended.get()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        child: subprocess.Popen[bytes] | None = None
        try:
            while (item := self._todo.get()) is not None:
                index, task = item
                try:
                    child = child or self._start()
                    outcome = _ask(child, task)
                except OSError as error:  # no memory or no process left to start one with
                    outcome = Outcome(None, f"no worker process: {error}")
                if outcome.result is None:  # the next attempt gets a fresh process
                    self._end(child)
                    child = None
                self._ended.put((index, outcome))
        finally:
            self._end(child)

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self._lock:
            if self._closed:
                raise OSError("the pool is closed")
            child = subprocess.Popen(
                [sys.executable, "-m", "nn.search.processes", self.function],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            )
            self._children.add(child)
        return child

    def _end(self, child: subprocess.Popen[bytes] | None) -> None:
        if child is None:
            return
        child.kill()  # it holds nothing: what a task leaves behind, it has written before it answered
        child.wait()
        with self._lock:
            self._children.discard(child)
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(BrokenPipeError):  # a task that was never read
                pipe.close()  # type: ignore[union-attr]


def _ask(child: subprocess.Popen[bytes], task: str) -> Outcome:
    """Give a worker a task and wait for its end, or for the worker's."""
    with contextlib.suppress(BrokenPipeError):  # it died between two tasks: its exit code says how
        child.stdin.write(task.encode() + b"\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
        if (line := child.stdout.readline()).endswith(b"\n"):  # type: ignore[union-attr]
            return Outcome(*json.loads(line))
    code = child.wait()
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return Outcome(None, f"the worker process {how}")


def serve(function: str) -> None:
    """Work until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; whoever started us decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            tasks.put(line.decode())
        os._exit(0)  # the other end is gone: nobody wants the running task either

    threading.Thread(target=read, daemon=True).start()
    while True:
        answers.write(json.dumps(call(function, tasks.get())).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
