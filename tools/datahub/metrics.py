"""Prometheus metrics of the datahub (MET-21). From: `door`, `hub`. To: GET /metrics.

Each hub has its own registry, so that tests may build several in one process. Label values are ours, never a caller's.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)  # seconds


class Metrics:
    """What was refused, what the cache spared, and how the sources behave."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "candlewright_datahub"
        self.errors = Counter(f"{name}_errors", "Requests refused, by error.", ["error"], registry=self.registry)
        self.cache = Counter(f"{name}_cache", "Series looked up, by outcome.", ["outcome"], registry=self.registry)
        self.requests = Counter(
            f"{name}_source_requests", "Questions to a source.", ["source", "outcome"], registry=self.registry
        )
        self.duration = Histogram(
            f"{name}_source_duration_seconds",
            "Time to its answer.",
            ["source"],
            buckets=BUCKETS,
            registry=self.registry,
        )

    def asked(self, source: str, outcome: str, duration_s: float) -> None:
        self.requests.labels(source, outcome).inc()
        self.duration.labels(source).observe(duration_s)

    def page(self) -> bytes:
        return generate_latest(self.registry)
