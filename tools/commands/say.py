"""The story a command tells while it works: on stderr, so that stdout stays the result.

From: every command. To: the terminal.
"""

from __future__ import annotations

import time

from rich.console import Console

console = Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    """Print one line of the story."""
    console.print(f"[dim]candlewright:[/dim] {sentence}", soft_wrap=True)


class Steps:
    """Numbered steps of a long job, each with the seconds since the start."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.began = total, 0, time.monotonic()

    def __call__(self, sentence: str) -> None:
        self.done += 1
        console.print(
            f"[bold]\\[{self.done}/{self.total}][/bold] {sentence} [dim]({self.seconds:.0f} s)[/dim]", soft_wrap=True
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began
