"""Tells on stderr how training goes: a bar with the time left on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOG_WIDTH = 100  # characters of a table that goes to a file


class TrainingProgress:
    """Progress of a chain of versions; the bar counts batches, and an early stop takes its share off the total."""

    def __init__(self, n_versions: int, epochs: int) -> None:
        self.n_versions, self.epochs = n_versions, epochs
        self.console = Console(stderr=True, highlight=False)
        if not self.console.is_terminal:
            self.console = Console(stderr=True, highlight=False, width=LOG_WIDTH)
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.version, self.started, self.done_batches = 0, time.monotonic(), 0
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
            )

    def __enter__(self) -> TrainingProgress:
        if self.bar is not None:
            self.bar.start()
            self.task = self.bar.add_task("reading", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.bar is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self.bar.console.print(text, markup=False)

    def begin(self, version: int) -> None:
        """Turn to the next version, counted from 0."""
        self.version = version

    def batch(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Move the bar by one batch."""
        if self.bar is None or self.task is None:
            return
        per_version = self.epochs * steps  # later versions read a little more: the estimate is for a person
        self.bar.update(
            self.task,
            total=self.n_versions * per_version,
            completed=self.version * per_version + epoch * steps + step,
            description=f"version {self.version + 1}/{self.n_versions} epoch {epoch + 1}/{self.epochs} loss {loss:.3f}",
        )

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """Say what a pass has brought."""
        seconds = time.monotonic() - self.started
        share = (self.version * self.epochs + epoch + 1) / (self.n_versions * self.epochs)
        left = "" if self.bar is not None else f", at most {seconds / share - seconds:.0f} s left"
        self.say(
            f"  version {self.version + 1}/{self.n_versions} epoch {epoch + 1}/{self.epochs}: loss"
            f" {metrics['train_loss']:.4f}, validation {metrics['val_loss']:.4f},"
            f" direction right {metrics['val_accuracy']:.1%}{left}"
        )
