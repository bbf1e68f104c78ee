"""HTTP to the inference service: one pool per process, short timeouts, one retry, a circuit breaker (CLT-2).

From: the forecast source, which hands over encoded requests. To: the service at the one configured URL, and back.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson

from strategies.shared import metrics
from strategies.shared.breaker import CircuitBreaker
from strategies.shared.patience import Patience
from strategies.shared.settings import read_api_key

ARROW_STREAM, JSON = "application/vnd.apache.arrow.stream", "application/json"
CONNECT_SECONDS = 0.3
LATEST_SECONDS = 1.5
BULK_SECONDS = 120.0
MAX_REPLY_BYTES = 256 * 2**20  # 500 000 rows of 18 float32 and 5 words are below 50 MB
CONNECTION_FAULTS = (httpx.ConnectTimeout, httpx.NetworkError, httpx.RemoteProtocolError)


class ForecastUnavailable(Exception):
    """No usable answer. `cause` is a short word that the warning's remedy is chosen by."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


class ForecastClient:
    """Ask one service. Redirects are not followed and proxies of the environment are ignored.

    Parameters
    ----------
    url : str
        Scheme, host and port of the service.
    clock : callable
        Monotonic seconds; the breaker and the total time limit read it.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url.rstrip("/")
        self.breaker = CircuitBreaker(clock)
        self.patience: Patience | None = None  # of a live bot: bounds all short questions of one loop together
        self._clock = clock
        self._pool = httpx.Client(trust_env=False, follow_redirects=False, limits=httpx.Limits(max_connections=8))

    def models(self) -> list[dict[str, Any]]:
        """Return the model lines that the service serves."""
        body = self.get("/models")
        try:
            lines = orjson.loads(body)["lines"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ForecastUnavailable("mismatch", f"{self.url}/models did not answer with model lines") from error
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise ForecastUnavailable("mismatch", f"{self.url}/models did not answer with model lines")
        return lines

    def post(self, path: str, request: bytes, bulk: bool, media: str = ARROW_STREAM) -> bytes:
        """Post one Arrow stream, or a body of another media type, and return what came back, of the same type."""
        return self._request("POST", path, BULK_SECONDS if bulk else LATEST_SECONDS, request, media)

    def get(self, path: str) -> bytes:
        """Return a short answer's body."""
        return self._request("GET", path, LATEST_SECONDS)

    def close(self) -> None:
        """Close the pool's connections."""
        self._pool.close()

    def _request(
        self, method: str, path: str, total_seconds: float, body: bytes | None = None, media: str = ARROW_STREAM
    ) -> bytes:
        patience = self.patience if total_seconds <= LATEST_SECONDS else None
        limit = patience.limit(total_seconds) if patience else total_seconds
        if patience and not limit:
            words = f"questions of this loop have taken the {patience.seconds:g} s that they may take in all"
            raise ForecastUnavailable("waited", words)
        wait = self.breaker.wait_seconds()
        if wait > 0:
            raise ForecastUnavailable("paused", f"{self.url} failed too often, it is asked again in {wait:.0f} s")
        started = self._clock()
        try:
            reply = self._send(method, path, limit, body, media)
        except ForecastUnavailable as error:
            metrics.asked(self._clock() - started, error.cause)
            # A refusal (401, 400, 409, 429, ...) is an answer: the service lives, waiting would cure nothing.
            (self.breaker.succeeded if error.cause in ("key", "refused", "busy", "layout") else self.breaker.failed)()
            raise
        finally:
            if patience:
                patience.spend(self._clock() - started)
        metrics.asked(self._clock() - started, None)
        self.breaker.succeeded()
        return reply

    def _send(self, method: str, path: str, total_seconds: float, body: bytes | None, media: str) -> bytes:
        key = read_api_key()  # read each time: a rotated key needs no restart, and none is kept in memory
        if key is None:
            raise ForecastUnavailable("key", "there is no API key of at least 32 characters")
        headers = {"X-API-KEY": key}
        if body is not None:
            headers |= {"Content-Type": media, "Accept": media}
        deadline = self._clock() + total_seconds
        for attempt in (1, 2):
            left = max(deadline - self._clock(), 0.001)
            timeout = httpx.Timeout(left, connect=min(CONNECT_SECONDS, left))
            try:
                request = self._pool.build_request(
                    method, self.url + path, content=body, headers=headers, timeout=timeout
                )
                response = self._pool.send(request, stream=True)
                with contextlib.closing(response):
                    return self._read(response, deadline, total_seconds)
            except CONNECTION_FAULTS as error:
                if attempt == 2 or self._clock() >= deadline:
                    raise ForecastUnavailable("unreachable", f"{self.url}: {type(error).__name__}: {error}") from error
            except httpx.TimeoutException as error:
                raise ForecastUnavailable("slow", f"{self.url}{path} took longer than {total_seconds:g} s") from error
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise ForecastUnavailable("unreachable", f"{self.url}: {type(error).__name__}: {error}") from error
        raise AssertionError("unreachable: the second attempt returns or raises")

    def _read(self, response: httpx.Response, deadline: float, total_seconds: float) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_REPLY_BYTES:
                raise ForecastUnavailable("mismatch", f"{self.url}: reply is larger than {MAX_REPLY_BYTES} bytes")
            if self._clock() > deadline:
                raise ForecastUnavailable("slow", f"{self.url} took longer than {total_seconds:g} s")
        body = b"".join(chunks)
        if response.status_code != 200:
            causes = {401: "key", 403: "key", 409: "layout", 429: "busy", 503: "not_ready"}
            cause = causes.get(response.status_code, "refused" if response.status_code < 500 else "fault")
            raise ForecastUnavailable(cause, f"{self.url} answered {response.status_code}{_reason(body)}")
        return body


def _reason(body: bytes) -> str:
    """Return the service's own words (LIM-8), kept short and printable, as they come from outside."""
    try:
        answer = orjson.loads(body)
        words = str(answer.get("reason") or answer.get("error") or "") if isinstance(answer, dict) else ""
    except orjson.JSONDecodeError:
        words = ""
    words = "".join(letter for letter in words[:200] if letter.isprintable())
    return f": {words}" if words else ""


_clients: dict[str, ForecastClient] = {}
_lock = threading.Lock()


def client_for(url: str) -> ForecastClient:
    """Return the process's client of a URL; strategy files are run again on /reload_config, the pool stays."""
    with _lock:
        if url not in _clients:
            _clients[url] = ForecastClient(url)
        return _clients[url]
