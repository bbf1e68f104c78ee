"""The LIM table, row by row, through the whole application (LIM-1..LIM-8)."""

import asyncio

import orjson
import pytest

from nn.service.guard import ENDPOINTS, TokenBucket, without_port
from nn.service.keys import ApiKeys
from nn.service.settings import read_settings

JSON = {"content-type": "application/json"}


def refused(response, status, error):
    """Errors are JSON {error, reason}, and their headers do not name the software (LIM-8)."""
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert set(response.json()) == {"error", "reason"}
    assert not {"server", "x-powered-by"} & set(response.headers)
    return True


@pytest.mark.parametrize("key", [None, "", "wrong" * 8, "toy-key-that-opens-only-this-test-servic", "kéy" * 20])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/forecast"), ("POST", "/direction"), ("POST", "/predict"), ("GET", "/models"), ("GET", "/metrics")],
)
def test_no_key_or_a_wrong_one_is_401(ask, method, path, key):
    """LIM-1, SEC-2."""
    headers = {"x-api-key": key.encode("latin-1")} if key is not None else {}
    assert refused(ask(method, path, key=None, headers=headers), 401, "unauthorized")


def test_two_key_headers_are_401(ask, kit):
    async def send(messages):
        scope = {
            "type": "http", "method": "GET", "path": "/models", "query_string": b"",
            "headers": [(b"host", b"localhost"), *[(b"x-api-key", kit.api_key.encode())] * 2],
        }  # fmt: skip

        async def receive():
            return {"type": "http.request"}

        async def answer(message):
            messages.append(message)

        await ask.app.asgi(scope, receive, answer)

    messages = []
    asyncio.run(send(messages))
    assert messages[0]["status"] == 401


def test_both_keys_of_a_rotation_open(serve, chain, kit):
    """LIM-1."""
    ask = serve(chain, keys=ApiKeys.of("n" * 40, kit.api_key))
    assert [ask("GET", "/models", key=key).status_code for key in ("n" * 40, kit.api_key, "x" * 40)] == [200, 200, 401]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "", "127.0.0.2", "[::2]:1"]
)
@pytest.mark.parametrize("path", ["/models", "/livez", "/nothing"])
def test_a_foreign_host_is_403(ask, host, path):
    """LIM-7, THR-12: even for the open paths."""
    assert refused(ask("GET", path, headers={"host": host}), 403, "foreign_host")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:3000", "LOCALHOST:80", "[::1]:3000", "[::1]"])
def test_our_own_host_is_let_in(ask, host):
    assert ask("GET", "/livez", key=None, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs.json",
        "/schema.json",
        "/healthz",
        "/static_content/index.html",
        "/forecast/",
        "/models/x",
        "//models",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_framework_would_show_is_404(ask, path, method):
    """SRV-3, KTW-13."""
    assert refused(ask(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/forecast"), ("GET", "/predict"), ("PUT", "/direction"), ("POST", "/models"), ("DELETE", "/livez")],
)
def test_another_method_is_405(ask, method, path):
    """TST-2: a GET where the API is POST."""
    assert refused(ask(method, path), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/vnd.bentoml+pickle",
        "application/vnd.bentoml+pickle; charset=utf-8",
        " application/vnd.bentoml+pickle ",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, application/vnd.bentoml+pickle",
        "application/json; boundary=x",
        "application/vnd.apache.arrow.stream; x=1",
        "application/vnd.apache.arrow.file",
    ],
)
def test_another_content_type_is_415(ask, kit, content_type):
    """LIM-3: pickled ones with parameters or spaces included."""
    headers = {"content-type": content_type} if content_type else {}
    response = ask("POST", "/forecast", content=kit.json_body(kit.candles(5)), headers=headers)
    assert refused(response, 415, "content_type")


@pytest.mark.parametrize("query", ["?x=1", "?pair=BTC/USDT", "?timeframe=15m"])
@pytest.mark.parametrize("path", ["/forecast", "/predict", "/action", "/rollout"])
def test_a_question_beside_its_body_is_400(ask, kit, path, query):
    """LIM-5: the framework alone ignores what stands beside the top parameter."""
    response = ask("POST", path + query, content=kit.json_body(kit.candles(5)), headers=JSON)
    assert refused(response, 400, "bad_request")


def test_a_content_encoding_is_415(ask, kit):
    """LIM-4: what arrives is what is counted."""
    response = ask("POST", "/forecast", content=b"x", headers=JSON | {"content-encoding": "gzip"})
    assert refused(response, 415, "content_type")


def test_json_may_name_its_charset(ask, kit):
    headers = {"content-type": "application/json; charset=utf-8"}
    assert ask("POST", "/forecast", content=kit.json_body(kit.candles(5)), headers=headers).status_code == 200


def test_more_than_the_allowed_size_is_413(ask):
    """LIM-4."""
    assert refused(ask("POST", "/forecast", content=b" " * ((256 << 10) + 1), headers=JSON), 413, "too_large")


def test_a_key_may_send_its_rate_and_no_more(serve, chain):
    """LIM-6; open paths are not counted."""
    ask = serve(chain, requests_per_second=3, requests_burst=3)
    answers = [ask("GET", "/models").status_code for _ in range(5)]
    assert answers[:3] == [200] * 3
    assert answers[-1] == 429
    assert ask("GET", "/readyz", key=None).status_code == 200


def test_a_bucket_fills_with_time():
    """LIM-6, against a clock that stands still."""
    time = [0.0]
    bucket = TokenBucket(2, 3, lambda: time[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    time[0] = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    time[0] = 100.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_fifty_bots_on_one_key_may_ask_twice_in_the_second_a_candle_closes():
    """LIM-6: with the settings that ship; and what goes on asking is still held to the rate."""
    time, settings = [0.0], read_settings()
    bucket = TokenBucket(settings.requests_per_second, settings.requests_burst, lambda: time[0])
    for _ in range(10):  # candles of one minute
        assert all(bucket.take() for _ in range(2 * 50))
        time[0] += 60.0
    let_in = 0
    for _ in range(1000):
        time[0] += 0.01
        let_in += sum(bucket.take() for _ in range(5))
    assert let_in == pytest.approx(settings.requests_burst + 10 * settings.requests_per_second, abs=1)


def test_more_requests_at_a_time_than_allowed_are_429(serve, chain, kit):
    """SRV-8: at once, while liveness still answers."""
    ask = serve(chain, max_concurrency=2)
    ask.app.asgi.places.taken["reading"] = 2
    response = ask.json(kit.candles(5))
    assert refused(response, 429, "overload")
    assert response.headers["retry-after"] == "1"
    assert ask("GET", "/livez", key=None).status_code == 200


def test_a_failure_inside_is_500_without_a_word_about_it(ask, kit, monkeypatch, caplog):
    """LIM-8: no stack, path or version in the answer; the log has them, but no key and no body."""

    def fail(timeframe, kind):
        raise RuntimeError("secret detail at /some/path")

    monkeypatch.setattr(ask.app.shelf, "line_of", fail)
    response = ask.json(kit.candles(5))
    assert refused(response, 500, "internal")
    assert "secret" not in response.text
    assert "secret detail" in caplog.text
    assert kit.api_key not in caplog.text


def test_neither_keys_nor_bodies_reach_the_log(ask, kit, caplog):
    """LIM-8, THR-14."""
    caplog.set_level("DEBUG")
    ask.json(kit.candles(5), pair="SECRET-BODY")
    ask("POST", "/forecast", key="offered-key-offered-key-offered-key-1")
    ask("GET", "/secret-path")
    for secret in (kit.api_key, "SECRET-BODY", "offered-key", "secret-path"):
        assert not any(secret in record.getMessage() for record in caplog.records if record.name.startswith("nn."))


def test_websockets_are_closed(ask):
    """LIM-10: nothing but the endpoints."""
    sent = []

    async def run():
        async def send(message):
            sent.append(message)

        await ask.app.asgi({"type": "websocket", "path": "/forecast", "headers": []}, None, send)

    asyncio.run(run())
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_only_liveness_is_open():
    """LIM-1."""
    assert {path for path, endpoint in ENDPOINTS.items() if not endpoint.keyed} == {"/livez", "/readyz"}


@pytest.mark.parametrize(
    ("host", "name"), [("a:1", "a"), ("[::1]", "[::1]"), ("[::1]:1", "[::1]"), ("a:", "a:"), ("a", "a")]
)
def test_ports_are_cut_off_hosts(host, name):
    assert without_port(host) == name


def test_metrics_tell_what_happened(ask, kit):
    """MET-13..MET-15."""
    ask.json(kit.candles(300))
    ask.json(kit.candles(300), as_of="latest")
    ask("GET", "/models", key=None)
    response = ask("GET", "/metrics")
    lines = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
    assert response.headers["content-type"].startswith("text/plain")
    assert float(lines['candlewright_inference_requests_total{endpoint="forecast"}']) == 2
    assert float(lines['candlewright_inference_errors_total{kind="unauthorized"}']) == 1
    assert float(lines["candlewright_inference_latency_seconds_count"]) == 2
    predictions = [float(value) for name, value in lines.items() if name.startswith("candlewright_predictions_total")]
    assert sum(predictions) == (300 - 149) + 1  # every candle, then the newest alone
    champion = ask("GET", "/models").json()["lines"][0]["champion"]
    assert lines[f'candlewright_model_info{{alias="champion",version="{champion}"}}'] == "1.0"
    assert all(name.startswith("candlewright_") for name in lines)


def test_an_answer_is_json_that_orjson_reads(ask, kit):
    assert orjson.loads(ask.json(kit.candles(150)).content)["schema_version"] == 1
