"""Prometheus metrics of the service (MET-13..MET-15, MET-17). From: `guard` and `app`. To: GET /metrics.

Each service has its own registry, so that tests may build several in one process. Label values are bounded: error
words, endpoints, three signals, and the versions that are loaded now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily

from .decision import SIGNALS

disable_created_metrics()  # every counter would otherwise be two series

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds
CONFIDENCE_BUCKETS = tuple(tenth / 10 for tenth in range(4, 10))  # of the most probable of three classes


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
            "Time from the whole body read to the answer found; of a live one, written too.",
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
            "Candles scored, by the signal or the most probable class.",
            ["signal"],
            registry=self.registry,
        )
        self.confidence = Histogram(
            "candlewright_prediction_confidence",
            "Probability of that signal or class, live answers only.",
            buckets=CONFIDENCE_BUCKETS,
            registry=self.registry,
        )
        self.last_success = Gauge(
            "candlewright_last_successful_inference_timestamp",
            "Unix time of the last answer with a forecast in it, seconds.",
            registry=self.registry,
        )

        self.shadow_scored = Counter(
            "candlewright_shadow_scored", "Candles scored by a challenger.", ["kind"], registry=self.registry
        )
        self.shadow_dropped = Counter(
            "candlewright_shadow_dropped",
            "Live requests that no challenger scored: queue full, service busy, store refused, failed, other layout.",
            ["reason"],
            registry=self.registry,
        )
        self.shadow_disagreements = Counter(
            "candlewright_shadow_disagreements",
            "Candles on which both hold another class for the likeliest, or weights further apart than the dead band.",
            ["kind"],
            registry=self.registry,
        )
        self.shadow_agreement = Gauge(
            "candlewright_shadow_agreement_ratio",
            "Share of the newest 500 candles on which challenger and champion agree.",
            ["kind"],
            registry=self.registry,
        )

    def count_signals(
        self, signals: NDArray[np.integer], probabilities: NDArray[np.float32], live: bool, now_s: float
    ) -> None:
        """Count scored candles by signal, an index into SIGNALS with its probability."""
        if not len(signals):
            return
        for signal, count in zip(SIGNALS, np.bincount(signals, minlength=len(SIGNALS)), strict=True):
            self.predictions.labels(signal).inc(int(count))
        if live:
            for probability in probabilities:
                self.confidence.observe(float(probability))
        self.last_success.set(now_s)

    def answered(self, endpoint: str, started: float) -> dict[str, str]:
        """Count an answer that was begun at `started` of `time.perf_counter`; return the header that tells how long.

        Server-Timing of the W3C, in ms (SRV-5): in the body it would make equal answers differ.
        """
        seconds = time.perf_counter() - started
        self.latency.observe(seconds)
        self.requests.labels(endpoint).inc()
        return {"server-timing": f"answer;dur={1000 * seconds:.1f}"}

    def text(self) -> bytes:
        return generate_latest(self.registry)
