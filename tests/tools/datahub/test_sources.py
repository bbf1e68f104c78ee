"""Each source against what it really reads: files, a bot's HTTP and websocket, an exchange gone mad (HUB-4)."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hubs import NOW, PAIR, frame
from websockets.sync.server import serve

from tools.datahub.bot import MAX_BYTES, Bot
from tools.datahub.data_directory import DataDirectory
from tools.datahub.exchange import Exchange
from tools.datahub.source import COLUMNS, BadAnswer, NoSuchPair, SourceDown
from tools.datahub.stream import follow


@contextmanager
def web(answer):
    """Run an HTTP server whose answers are `answer(method, path, body)`: status and bytes."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append((self.path, dict(self.headers), body))
            status, text = answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def used(source, call):
    async def once():
        try:
            return await call(source)
        finally:
            await source.close()

    return asyncio.run(once())


def of_freqtrade(rows):
    """Candles as Freqtrade 2026.9 answers `pair_candles`, with what a strategy adds."""
    columns = ["date", *COLUMNS[1:], "rsi", "enter_long", "__date_ts"]
    data = [["2025-10-09T09:00:00Z", *row[1:], None, 0, row[0]] for row in rows.to_numpy().tolist()]
    return json.dumps({"pair": PAIR, "timeframe": "15m", "columns": columns, "data": data}).encode()


def test_the_bot_is_asked_for_candles_alone_with_its_login():
    with web(lambda path: (200, of_freqtrade(frame(5)))) as (url, seen):
        found = used(Bot(url, "trader", "secret", "15m"), lambda bot: bot.candles(PAIR, "15m", 5))
    ((path, headers, body),) = seen
    assert path == "/api/v1/pair_candles"
    assert headers["Authorization"].startswith("Basic ")
    assert json.loads(body) == {"pair": PAIR, "timeframe": "15m", "limit": 5, "columns": []}
    assert found.equals(frame(5))


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [
        (401, b"{}", SourceDown),
        (502, b"", SourceDown),
        (200, b"<html>", BadAnswer),
        (200, b"[]", BadAnswer),
        (200, b"{}", BadAnswer),
        (200, b'{"columns": ["close"], "data": [[1]]}', BadAnswer),
        (200, b'{"columns": ["__date_ts", "open", "high", "low", "close", "volume"], "data": [[1, 2]]}', BadAnswer),
        (200, b'{"columns": ["__date_ts", "open", "high", "low", "close", "volume"], "data": ["x12345"]}', BadAnswer),
        (200, b'{"columns": [], "data": []}', NoSuchPair),
        (200, b" " * (MAX_BYTES + 1), BadAnswer),
    ],
)  # fmt: skip
def test_what_a_bot_should_not_say_has_a_name(status, text, fault):
    with web(lambda path: (status, text)) as (url, _), pytest.raises(fault) as caught:
        used(Bot(url, "", "", "15m"), lambda bot: bot.candles(PAIR, "15m", 5))
    assert url not in str(caught.value)


def test_a_bot_that_is_not_there_is_down():
    with web(lambda path: (200, b"")) as (url, _):
        pass
    with pytest.raises(SourceDown):
        used(Bot(url, "", "", "15m"), lambda bot: bot.price(PAIR))


@pytest.mark.parametrize("extension", ["feather", "parquet"])
def test_the_data_directory_is_read_in_both_formats(tmp_path, extension):
    rows = frame(50)
    stored = rows.assign(date=rows["date"].astype("datetime64[ms, UTC]"))
    (tmp_path / "futures").mkdir()
    getattr(stored, f"to_{extension}")(tmp_path / "futures" / f"BTC_USDT_USDT-15m-futures.{extension}")
    source = DataDirectory(tmp_path, "15m")
    assert used(source, lambda it: it.candles(PAIR, "15m", 10)).equals(rows.tail(10).reset_index(drop=True))
    assert used(source, lambda it: it.price(PAIR)).time_ms == rows["date"].iloc[-1] + 900_000
    with pytest.raises(NoSuchPair) as caught:
        used(source, lambda it: it.candles("ETH/USDT", "15m", 10))
    assert str(tmp_path) not in str(caught.value)


def test_a_damaged_file_of_the_data_directory_is_a_bad_answer(tmp_path):
    (tmp_path / "BTC_USDT-15m.feather").write_bytes(b"ARROW1 and then nothing")
    with pytest.raises(BadAnswer) as caught:
        used(DataDirectory(tmp_path, "15m"), lambda it: it.candles("BTC/USDT", "15m", 10))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("text", [b"<html>sorry</html>", b"", b"[]", b"{}", b"null", b'{"symbols": 5}', b"\x00\xff"])
def test_an_exchange_that_talks_nonsense_is_down_bad_or_empty_and_never_a_crash(text):
    with web(lambda path: (200, text)) as (url, _), pytest.raises((SourceDown, BadAnswer, NoSuchPair)) as caught:
        used(binance_at(url), lambda it: it.candles("BTC/USDT", "15m", 10))
    assert "127.0.0.1" not in str(caught.value)


def test_an_exchange_that_comes_back_is_used_again():
    """ccxt keeps a failed load of its markets; a new client is made instead."""

    async def twice():
        source = binance_at(url)
        try:
            for _ in range(2):
                with pytest.raises((SourceDown, BadAnswer, NoSuchPair)):
                    await source.price("BTC/USDT")
        finally:
            await source.close()

    with web(lambda path: (503, b"")) as (url, seen):
        asyncio.run(twice())
    assert len(seen) >= 2


def test_an_unknown_exchange_is_refused_by_name():
    with pytest.raises(ValueError, match="exchange is binanse"):
        Exchange("binanse", {})


def binance_at(url):
    api = {"public": f"{url}/api/v3", "fapiPublic": f"{url}/fapi/v1"}
    return Exchange("binance", {"urls": {"api": api}, "options": {"fetchMarkets": {"types": ["spot"]}}})


MESSAGES = [
    "not json",
    "[]",
    json.dumps({"type": "whitelist", "data": ["BTC/USDT"]}),
    json.dumps({"type": "analyzed_df", "data": {"key": ["../../x", "15m", "futures"], "df": {"__value__": "{}"}}}),
    json.dumps(
        {"type": "analyzed_df", "data": {"key": [PAIR, "15m", "futures"], "df": {"__value__": '{"columns": []}'}}}
    ),
]


def analysed(row):
    table = json.dumps({"columns": [*COLUMNS, "rsi"], "index": [0], "data": [[*row, 50.0]]})
    frame_of_freqtrade = {"__type__": "dataframe", "__value__": table}
    return json.dumps(
        {"type": "analyzed_df", "data": {"key": [PAIR, "15m", "futures"], "df": frame_of_freqtrade, "la": ""}}
    )


def test_the_stream_hands_on_candles_drops_the_rest_and_comes_back_when_it_breaks(monkeypatch):
    monkeypatch.setattr("tools.datahub.stream.WAITS_S", (0.05,))
    row = frame(1).iloc[0].tolist()
    heard, paths = [], []

    def bot(channel):
        paths.append(channel.request.path)
        assert json.loads(channel.recv()) == {"type": "subscribe", "data": ["analyzed_df"]}
        for message in [*MESSAGES, analysed(row)]:
            channel.send(message)
        time.sleep(0.05)  # then it closes: the hub comes back

    async def listen(port):
        task = asyncio.ensure_future(follow(f"http://127.0.0.1:{port}", "t&k", lambda *found: heard.append(found)))
        async with asyncio.timeout(120):
            while len(heard) < 2:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with serve(bot, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        asyncio.run(listen(server.socket.getsockname()[1]))
        server.shutdown()
        thread.join()
    assert paths[:2] == ["/api/v1/message/ws?token=t%26k"] * 2
    assert heard[0][:2] == (PAIR, "15m")
    assert heard[0][2]["date"].tolist() == [NOW // 900 * 900 * 1000]
