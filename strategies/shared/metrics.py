"""Counters of a bot: its questions to the service, refused entries, the age of its signals (MET-6, 16, 20, 21).

From: the client, the guards and the forecast source. To: a Prometheus exporter on loopback, if the config names a port.
This module is imported once per process, while /reload_config runs strategy files again: nothing is registered twice.
Without prometheus_client in Freqtrade's environment nothing is counted, and nothing else changes.
"""

import logging
import threading

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
except ImportError:  # an environment with Freqtrade alone
    CollectorRegistry = None  # type: ignore[assignment,misc]

logger = logging.getLogger(__name__)

CLIENT = "forecasts"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0)  # seconds

if CollectorRegistry is not None:
    REGISTRY = CollectorRegistry()
    _requests = Counter("http_client_requests", "Requests sent", ["client"], registry=REGISTRY)
    _errors = Counter("http_client_errors", "Requests without a usable answer", ["client", "cause"], registry=REGISTRY)
    _latency = Histogram(
        "http_client_latency_seconds",
        "From request to answer or failure",
        ["client"],
        registry=REGISTRY,
        buckets=BUCKETS,
    )
    _rejected = Counter("rejected_entries", "Entries refused", ["reason"], registry=REGISTRY)
    _age = Histogram(
        "candle_to_signal_seconds", "From a candle's close to its decision", registry=REGISTRY, buckets=BUCKETS
    )
    _gates = Gauge("gate_pass_ratio", "Share of candles that pass a gate", ["pair", "side", "gate"], registry=REGISTRY)

_exporters: dict[int, bool] = {}
_lock = threading.Lock()


def asked(seconds: float, cause: str | None) -> None:
    """Count one request; `cause` is why it has no usable answer."""
    if CollectorRegistry is not None:
        _requests.labels(CLIENT).inc()
        _latency.labels(CLIENT).observe(seconds)
        if cause is not None:
            _errors.labels(CLIENT, cause).inc()


def rejected(reason: str, number: int = 1) -> None:
    """Count refused entries."""
    if CollectorRegistry is not None and number:
        _rejected.labels(reason).inc(number)


def decided(age: float) -> None:
    """Note how long after its candle's close a decision arrived, seconds."""
    if CollectorRegistry is not None:
        _age.observe(age)


def passed(pair: str, side: str, gate: str, share: float) -> None:
    """Note the share of candles that pass a gate."""
    if CollectorRegistry is not None:
        _gates.labels(pair, side, gate).set(share)


def export(port: int) -> None:
    """Serve the counters on loopback from now on; 0 serves nothing, a port that serves already is left alone."""
    if not port:
        return
    if CollectorRegistry is None:
        logger.warning("candlewright.metrics_port is %d, but prometheus_client is not installed: no metrics.", port)
        return
    with _lock:
        if _exporters.get(port):
            return
        try:
            start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
            _exporters[port] = True
        except OSError as error:
            logger.warning("No metrics on port %d: %s. Trading goes on without.", port, error)
