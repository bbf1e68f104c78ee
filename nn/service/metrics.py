"""Prometheus metrics of the service (MET-13..MET-15). From: `guard` and `app`. To: GET /metrics.

Each service has its own registry, so that tests may build several in one process. Label values are bounded: error
words, endpoints, three signals, and the versions that are loaded now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily

disable_created_metrics()  # every counter would otherwise be two series

SIGNALS = ("BUY", "SELL", "HOLD")  # best_action long, short, hold
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds
CONFIDENCE_BUCKETS = tuple(tenth / 10 for tenth in range(4, 10))  # of the most probable of three actions


class LoadedModels:
    """model_info, made at each scrape from the (version, alias) pairs that are loaded then."""

    def __init__(self, loaded: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self.loaded = loaded

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "candlewright_model_info", "1 for each alias of a version.", labels=["version", "alias"]
        )
        for version, alias in self.loaded():
            family.add_metric([version, alias], 1)
        yield family


class Metrics:
    """`loaded` returns the (version, alias) pairs of now."""

    def __init__(self, loaded: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(LoadedModels(loaded))
        self.latency = Histogram(
            "candlewright_inference_latency_seconds",
            "Time from the whole body read to the answer built.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.requests = Counter(
            "candlewright_inference_requests", "Forecast requests answered.", ["endpoint"], registry=self.registry
        )
        self.errors = Counter(
            "candlewright_inference_errors", "Requests refused, by the error word.", ["kind"], registry=self.registry
        )
        self.predictions = Counter(
            "candlewright_predictions",
            "Candles scored, by the most probable action.",
            ["signal"],
            registry=self.registry,
        )
        self.confidence = Histogram(
            "candlewright_prediction_confidence",
            "Probability of the most probable action, live forecasts only.",
            buckets=CONFIDENCE_BUCKETS,
            registry=self.registry,
        )
        self.last_success = Gauge(
            "candlewright_last_successful_inference_timestamp",
            "Unix time of the last answer with a forecast in it, seconds.",
            registry=self.registry,
        )

    def count_actions(self, best_action: NDArray[np.float32], live: bool, now_s: float) -> None:
        """Count scored candles by action; `best_action` is (rows, 3): long, short, hold."""
        if not len(best_action):
            return
        for signal, count in zip(SIGNALS, np.bincount(best_action.argmax(1), minlength=3), strict=True):
            self.predictions.labels(signal).inc(int(count))
        if live:
            self.confidence.observe(float(best_action[-1].max()))
        self.last_success.set(now_s)

    def text(self) -> bytes:
        return generate_latest(self.registry)
