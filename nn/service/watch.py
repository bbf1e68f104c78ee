"""Drift and calibration of what serves: are the inputs those learned from, is it right as often as it says (MET-17).

From: `app`, live requests that have been answered, by way of a bounded queue that drops rather than waits. To: the
metrics `feature_psi` and `calibration_error`; nothing else reads them, and no answer depends on them.

Each candle of a pair counts once, however many bots ask about it. Drift is the stability index of the newest row of the
champion's inputs over the newest WINDOW candles, against the bins in its manifest. Calibration needs to know what came:
candles of a later request tell it, so an answer waits until the candles of its horizon have been sent. One thread does
both, while no live request is in progress. After a restart, or with another champion, both begin anew.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ..data.target_table import DIRECTIONS, TARGET_NAMES
from ..data.targets import Labels
from ..evaluation.drift import N_BINS, TrainBins
from ..evaluation.figures import calibration_error, calibration_sums
from .decision import SIGNAL_HORIZON
from .scoring import UNCLOSED, Forecasts
from .versions import Line, ServedVersion
from .wire import Block, Question

logger = logging.getLogger(__name__)

WINDOW = 2000  # newest candles of all pairs together: a week of three pairs at 15m
FEWEST = 200  # candles from which on a figure is shown; drift of 200 rows like the train rows is 0.045 on average
WAITING = 64  # requests; the next is not watched
STREAMS = 400  # pairs of all lines that are remembered, the least recently asked out first
PENDING = 512  # answers of a pair that wait for what came
BUSY_S, PAUSE_S = 10.0, 0.02
CLASS = TARGET_NAMES.index(f"direction_{SIGNAL_HORIZON}")
CLASSES = tuple(f"direction_{SIGNAL_HORIZON}_{word}" for word in DIRECTIONS)
Job = tuple[Question, Line, Forecasts, list[int]]  # and which rows have not been seen before


class Drift:
    """Counts of the newest WINDOW rows in the bins of the train rows."""

    def __init__(self, names: tuple[str, ...], bins: TrainBins) -> None:
        self.names, self.bins = names, bins
        self.rows: deque[NDArray[np.uint8]] = deque()
        self.counts = np.zeros((len(names), N_BINS), dtype=np.int64)
        self.place = np.arange(len(names))

    def add(self, row: NDArray[np.float32]) -> None:
        """Count a scaled row (F,)."""
        self.rows.append(self.bins.of(row[None])[0])
        self.counts[self.place, self.rows[-1]] += 1
        if len(self.rows) > WINDOW:
            self.counts[self.place, self.rows.popleft()] -= 1

    def figures(self) -> dict[str, float]:
        """Return the stability index of each input; nothing while there are too few rows."""
        if len(self.rows) < FEWEST:
            return {}
        return dict(zip(self.names, self.bins.stability(self.counts).tolist(), strict=True))


class Watched:
    """What is known of the champion of a line."""

    def __init__(self, version: ServedVersion) -> None:
        self.version = version
        self.drift = None if version.bins is None else Drift(version.feature_set.names, version.bins)
        self.settled: deque[tuple[float, bool]] = deque(maxlen=WINDOW)  # said of the likeliest class; was it right

    def calibration(self) -> float | None:
        if len(self.settled) < FEWEST:
            return None
        said, right = (np.array(each) for each in zip(*self.settled, strict=True))
        known = np.ones(len(said), dtype=bool)
        return float(calibration_error(calibration_sums(said, right, known).sum(0)))


Pending = OrderedDict[int, tuple[Watched, float, int]]  # answers by open time of their candle: what was said, its class


class Watch:
    """`offer` takes what was answered and returns at once; `collect` is read at each scrape."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        self.idle = idle
        self.jobs: queue.Queue[Job | None] = queue.Queue(WAITING)
        self.lines: dict[str, Watched] = {}
        self.seen: OrderedDict[tuple[str, str], int] = OrderedDict()  # newest candle of each line and pair
        self.pending: OrderedDict[tuple[str, str], Pending] = OrderedDict()
        self.dropped = 0
        self.lock = threading.Lock()  # of what both the thread and a scrape read
        self.thread: threading.Thread | None = None
        self.ended = threading.Event()

    def offer(self, asked: Question, lines: Iterable[Line], found: Iterable[Forecasts]) -> None:
        for line, forecasts in zip(lines, found, strict=True):
            rows = [row for row in range(len(forecasts.block)) if self._is_new(asked, line, forecasts, row)]
            if line.champion is None or not rows:
                continue
            try:
                self.jobs.put_nowait((asked, line, forecasts, rows))
            except queue.Full:
                self.dropped += len(rows)
                continue
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="watch", daemon=True)
                self.thread.start()

    def _is_new(self, asked: Question, line: Line, found: Forecasts, row: int) -> bool:
        """Tell whether this candle is later than all before it, and remember it; one that is still open is none yet."""
        if found.reason_codes[row] == UNCLOSED:
            return False
        name, opened = (line.name, asked.blocks[found.block[row]].pair), int(found.open_ms[row])
        if self.seen.get(name, -1) >= opened:
            return False
        self.seen[name] = opened
        self.seen.move_to_end(name)
        while len(self.seen) > STREAMS:
            self.seen.popitem(last=False)
        return True

    def close(self) -> None:
        """End the thread; what still waits is given up."""
        self.ended.set()
        if self.thread is None:
            return
        while True:
            try:
                self.jobs.put_nowait(None)
                break
            except queue.Full:
                self.jobs.get()
        self.thread.join(timeout=5)

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None:
            end = time.monotonic() + BUSY_S
            while not self.idle() and time.monotonic() < end:
                if self.ended.wait(PAUSE_S):
                    return
            try:
                self.see(*job)
            except Exception:
                logger.exception("an answer of %s could not be watched", job[1].name)
            self.jobs.task_done()

    def see(self, asked: Question, line: Line, found: Forecasts, rows: list[int]) -> None:
        """Count the newest candles in these rows of a live answer."""
        assert line.champion is not None
        watched = self.lines.get(line.name)
        if watched is None or watched.version.version != line.champion.version:
            watched = Watched(line.champion)
            with self.lock:
                self.lines[line.name] = watched
        version = watched.version
        for row in rows:
            block = asked.blocks[found.block[row]]
            if watched.drift is not None:
                newest = version.scaled(version.features(block.candles, len(block) - 1))[-1]
                if np.isfinite(newest).all():
                    with self.lock:
                        watched.drift.add(newest)
            pending = self._pending(line.name, block.pair)
            self._settle(pending, block, asked.timeframe)
            if found.scored[row] and found.versions[found.version[row]] == version.version:
                classes = found.values[row, [found.columns.index(name) for name in CLASSES]]
                pending[int(found.open_ms[row])] = watched, float(classes.max()), int(classes.argmax())
                while len(pending) > PENDING:
                    pending.popitem(last=False)

    def _pending(self, line: str, pair: str) -> Pending:
        pending = self.pending.setdefault((line, pair), OrderedDict())
        self.pending.move_to_end((line, pair))
        while len(self.pending) > STREAMS:
            self.pending.popitem(last=False)
        return pending

    def _settle(self, pending: Pending, block: Block, timeframe: str) -> None:
        """Compare answers with what came, where these candles know it."""
        opened = block.candles["date"].astype(np.int64, copy=False)
        waiting = np.array(list(pending), dtype=np.int64)
        places = np.searchsorted(opened, waiting)
        places = places[np.isin(waiting, opened)]
        if not len(places):
            return
        frame = pd.DataFrame(dict(block.candles)).assign(date=pd.to_datetime(opened, unit="ms", utc=True))
        came = Labels(frame, timeframe).columns(places, range(CLASS, CLASS + 1))[:, 0]
        with self.lock:
            for time_ms, happened in zip(opened[places].tolist(), came, strict=True):
                if np.isfinite(happened):
                    watched, said, answered = pending.pop(time_ms)
                    watched.settled.append((said, answered == int(happened)))

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield both metrics; labels are the lines that serve and the names in their manifests."""
        drift = GaugeMetricFamily(
            "candlewright_feature_psi",
            f"Population stability index of the champion's inputs against its train rows, newest {WINDOW} candles.",
            labels=["line", "feature"],
        )
        calibration = GaugeMetricFamily(
            "candlewright_calibration_error",
            f"Expected calibration error of the likeliest class at {SIGNAL_HORIZON}, newest {WINDOW} settled candles.",
            labels=["line"],
        )
        with self.lock:
            for name, watched in sorted(self.lines.items()):
                for feature, value in (watched.drift.figures() if watched.drift else {}).items():
                    drift.add_metric([name, feature], value)
                if (error := watched.calibration()) is not None:
                    calibration.add_metric([name], error)
        yield drift
        yield calibration
        yield CounterMetricFamily(
            "candlewright_watch_dropped", "Newest candles that were not watched, queue full.", value=self.dropped
        )
