"""Which source answers, what is remembered, and when one is left alone (HUB-4, HUB-5)."""

import asyncio

import pytest
from hubs import NOW, PAIR, Scripted, frame

from nn.service.errors import Refused
from tools.datahub import breaker, hub
from tools.datahub.breaker import Breaker
from tools.datahub.source import BadAnswer, NoSuchPair, SourceDown


def ask(made, pair=PAIR, limit=10):
    return asyncio.run(made.history(pair, "15m", limit))


def refusal(made, pair=PAIR):
    with pytest.raises(Refused) as caught:
        ask(made, pair)
    return caught.value


def test_the_cache_answers_until_the_next_candle_closes_then_the_source(make_hub, source, clock):
    made = make_hub(source)
    for _ in range(3):
        ask(made)
    assert source.asked == 1
    clock.now = NOW // 900 * 900 + 900 + 60
    source.answer = frame(end=clock.now)
    assert ask(made).frame["date"].iloc[-1] / 1000 == NOW // 900 * 900
    assert source.asked == 2


def test_another_hub_on_the_same_folder_answers_from_what_the_first_fetched(make_hub):
    first, second = Scripted(), Scripted()
    ask(make_hub(first))
    assert ask(make_hub(second)).source == "exchange"
    assert (first.asked, second.asked) == (1, 0)


def test_a_source_that_hangs_is_down_and_is_left_alone_after_five_times(make_hub, source, monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT_S", 0.02)
    source.delay = 10.0
    made = make_hub(source)
    for _ in range(breaker.FAILURES):
        assert "did not answer within" in refusal(made).reason
    assert "left alone" in refusal(made).reason
    assert source.asked == breaker.FAILURES


def test_a_pair_with_bad_data_or_none_closes_no_other(make_hub, source):
    made = make_hub(source)
    for source.fault in (BadAnswer("no sense"), NoSuchPair("not listed")) * breaker.FAILURES:
        refusal(made, "BAD/USDT")
    source.fault = None
    assert len(ask(made).frame) == 10


def test_one_may_try_after_the_pause_and_its_success_closes_the_breaker():
    clock = iter([0.0] * breaker.FAILURES + [1.0, 31.0, 31.0, 32.0])
    tried = Breaker(lambda: next(clock))
    for _ in range(breaker.FAILURES):
        tried.failed()
    assert [tried.allows() for _ in range(3)] == [False, True, False]
    tried.succeeded()
    assert tried.allows()


def test_no_source_knows_it_is_404_and_one_that_could_but_is_down_is_503(make_hub):
    bot, exchange = Scripted("bot"), Scripted("exchange")
    made = make_hub(bot, exchange)
    bot.fault = exchange.fault = NoSuchPair("not listed")
    assert refusal(made).status == 404
    exchange.fault = SourceDown("exchange does not answer")
    assert refusal(made).status == 503


def test_a_candle_that_is_heard_continues_the_series_and_anything_else_does_not(make_hub, source, clock):
    made = make_hub(source)
    before = ask(made).frame
    clock.now = NOW // 900 * 900 + 901
    for end, close in ((clock.now + 1800, 100.0), (NOW - 1800, 100.0), (clock.now, -1.0)):
        made.heard(PAIR, "15m", frame(2, end, close=close).head(1))
    source.fault = SourceDown("exchange does not answer")
    assert refusal(made).status == 503
    made.heard(PAIR, "15m", frame(2, clock.now, close=101.0).head(1))
    after = ask(made).frame
    assert after["date"].iloc[-1] == before["date"].iloc[-1] + 900_000
    assert after["close"].iloc[-1] == 101.0
