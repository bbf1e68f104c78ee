"""The wire: keys, limits, warnings, statuses; over a real socket, with a source that a test controls (HUB-1..3)."""

import asyncio
import math

import httpx
import pandas as pd
import pytest
from hubs import KEY, NOW, OLD_KEY, PAIR, Scripted, frame, served

from nn.service.settings import ServiceSettings
from tools.datahub.source import BadAnswer, NoSuchPair, SourceDown

KEYED = ["/health", "/price/BTC_USDT_USDT", "/history/BTC_USDT_USDT", "/metrics", "/openapi.json", "/nothing"]


def error(answer):
    assert set(answer.json()) == {"error", "reason"}
    return answer.status_code, answer.json()["error"]


def test_ping_is_open_and_the_rest_is_not(client):
    assert httpx.get(f"{client.base_url}/ping").json() == {"status": "pong"}
    for path in KEYED:
        for headers in ({}, {"X-API-KEY": "wrong" * 8}, {"X-API-KEY": KEY[:-1]}, {"X-API-KEY": ""}):
            assert error(httpx.get(f"{client.base_url}{path}", headers=headers)) == (401, "unauthorized"), path


def test_two_keys_open_it_during_a_rotation(client):
    for key in (KEY, OLD_KEY):
        assert client.get("/price/BTC_USDT_USDT", headers={"X-API-KEY": key}).status_code == 200


def test_a_foreign_host_and_a_write_are_refused(client):
    assert error(client.get("/ping", headers={"Host": "evil.example"})) == (403, "foreign_host")
    for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        assert client.request(method, "/history/BTC_USDT_USDT").status_code == 405


def test_a_price_has_its_source_and_its_time(client):
    told = client.get("/price/BTC_USDT_USDT").json()
    assert told == {"symbol": PAIR, "price": 100.0, "time": told["time"], "source": "exchange"}
    assert pd.Timestamp(told["time"]).timestamp() == NOW


def test_a_price_that_cannot_be_is_502(client, source):
    for value in (0.0, -1.0, math.nan, math.inf, -math.inf):
        source.value = value
        assert error(client.get("/price/BTC_USDT_USDT")) == (502, "bad_answer"), value


def test_history_gives_the_newest_closed_candles_oldest_first(client):
    candles = client.get("/history/BTC_USDT_USDT").json()["candles"]
    opens = [pd.Timestamp(candle["open_time"]).timestamp() for candle in candles]
    assert len(candles) == 200
    assert opens == sorted(opens)
    assert opens[-1] == NOW // 900 * 900 - 900  # the candle that is still open is not told


@pytest.mark.parametrize("limit", [7, 1000])
def test_a_limit_is_honoured_from_the_source_and_from_the_cache(client, source, limit):
    source.answer = frame(1001)
    source.candles = lambda pair, timeframe, wanted: source._reply(source.answer)
    for _ in range(2):
        answer = client.get("/history/BTC_USDT_USDT", params={"limit": limit}).json()
        assert (len(answer["candles"]), answer["warning"]) == (limit, None)
    assert source.asked == 1


def test_a_larger_limit_is_cut_and_said_so(client, source):
    source.answer = frame(2000)
    source.candles = lambda pair, timeframe, wanted: source._reply(source.answer)
    answer = client.get("/history/BTC_USDT_USDT", params={"limit": 100_000}).json()
    assert len(answer["candles"]) == 1000
    assert "cut to 1000" in answer["warning"]


def test_a_query_that_is_not_understood_is_refused(client, source):
    wrong = ("limit=0", "limit=-1", "limit=x", "limit=1e3", "timeframe=7m", "timeframe=15M", "surprise=1")
    for query in (*wrong, "limit=" + "9" * 5000, "limit=5&surprise=1"):
        assert error(client.get(f"/history/BTC_USDT_USDT?{query}")) == (400, "bad_request"), query
    assert source.asked == 0


def test_each_fault_of_a_source_has_its_status(client, source):
    faults = {
        SourceDown("exchange does not answer"): (503, "source_down"),
        BadAnswer("no sense"): (502, "bad_answer"),
        NoSuchPair("not listed"): (404, "unknown_series"),
    }
    for source.fault, expected in faults.items():
        for path in ("/price/BTC_USDT_USDT", "/history/BTC_USDT_USDT"):
            assert error(client.get(path)) == expected


def test_candles_that_no_market_makes_are_502_and_are_not_cached(client, source):
    impossible = {
        "close": (0.0, -5.0),
        "open": (math.nan,),
        "high": (math.inf, 1.0),
        "low": (500.0,),
        "volume": (-1.0,),
    }
    for column, values in impossible.items():
        for value in values:
            source.answer = frame()
            source.answer.loc[500, column] = value
            assert error(client.get("/history/BTC_USDT_USDT")) == (502, "bad_answer"), (column, value)
    source.answer = frame()
    assert client.get("/history/BTC_USDT_USDT").status_code == 200


def test_a_fault_of_ours_is_a_500_that_tells_nothing(client, source, caplog):
    source.fault = RuntimeError("/secret/path")
    answer = client.get("/price/BTC_USDT_USDT")
    assert error(answer) == (500, "internal")
    assert "secret" not in answer.text


def test_health_tells_the_last_closed_candle_and_its_age(client, source):
    health = client.get("/health").json()
    (series,) = health["pairs"]
    assert health["status"] == "ok"
    assert series["age_s"] == NOW % 900
    assert pd.Timestamp(series["last_closed"]).timestamp() == NOW // 900 * 900


def test_health_is_degraded_when_candles_are_old_or_the_source_is_down(make_hub, source, clock):
    source.answer = frame(end=NOW - 3600)
    with served(make_hub(source)) as client:
        assert client.get("/health").json()["status"] == "degraded"
        clock.now += 900
        source.fault = SourceDown("exchange does not answer")
        health = client.get("/health").json()
    assert health["status"] == "degraded"
    assert health["pairs"][0] == {
        "symbol": PAIR, "timeframe": "15m", "last_closed": None, "age_s": None, "error": "exchange does not answer",
    }  # fmt: skip


def test_the_page_lists_every_path_and_status_that_it_answers_with(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/ping", "/health", "/price/{symbol}", "/history/{symbol}"}
    assert set(paths["/history/{symbol}"]["get"]["responses"]) == {
        "200", "400", "401", "403", "404", "405", "429", "502", "503",
    }  # fmt: skip


def test_a_key_that_asks_too_often_is_told_to_wait(make_hub, source, monkeypatch):
    """With a request an hour, however long a busy machine takes for four."""
    few = ServiceSettings(requests_per_second=1 / 3600, requests_burst=2)
    monkeypatch.setattr(ServiceSettings, "model_validate", lambda _: few)
    with served(make_hub(source)) as client:
        assert [client.get("/nothing").status_code for _ in range(4)] == [404, 404, 429, 429]


def test_many_who_ask_for_the_same_make_one_question(make_hub, source):
    """The herd at a candle's close: the exchange counts requests."""
    source.delay = 0.2

    async def herd(address):
        async with httpx.AsyncClient(base_url=address, headers={"X-API-KEY": KEY}) as client:
            return await asyncio.gather(*(client.get("/history/BTC_USDT_USDT") for _ in range(20)))

    with served(make_hub(source)) as client:
        answers = asyncio.run(herd(client.base_url))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert source.asked == 1


def test_a_second_source_is_asked_when_the_first_is_down_and_the_answer_says_so(make_hub):
    bot, exchange = Scripted("bot"), Scripted("exchange")
    bot.fault = SourceDown("the bot does not answer")
    with served(make_hub(bot, exchange)) as client:
        answer = client.get("/history/BTC_USDT_USDT").json()
    assert answer["source"] == "exchange"
    assert "the bot does not answer" in answer["warning"]


def test_an_old_price_of_the_data_directory_never_stands_in_for_the_exchange(make_hub):
    exchange, datadir = Scripted("exchange"), Scripted("datadir")
    exchange.fault = SourceDown("exchange does not answer")
    with served(make_hub(exchange, datadir)) as client:
        assert client.get("/price/BTC_USDT_USDT").status_code == 503
        assert client.get("/history/BTC_USDT_USDT").json()["source"] == "datadir"
    assert datadir.asked == 1
