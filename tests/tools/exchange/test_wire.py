"""Binance's protocol over a real socket: pages, filters, tickers, and refusals with Binance's codes (SIM-2)."""

import time
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tools.exchange.intervals import FUTURES_INTERVALS, SPOT_INTERVALS

VENUES = {"spot": "/api/v3", "futures": "/fapi/v1"}
LAST_BAR = 1_759_276_800_000 - 300_000  # of 5m before 2025-10-01


def get(client, path, **query):
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def columns(rows):
    """Return what Freqtrade keeps of klines: open time and OHLCV as numbers."""
    return [np.array([float(row[column]) for row in rows]) for column in range(6)]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("interval", ["5m", "15m", "4h"])
def test_pages_in_a_row_are_the_whole_series(client, market, venue, interval):
    rows, start = [], 0
    query = {"symbol": "ETHUSDT", "interval": interval, "limit": 499}
    while page := get(client, f"{VENUES[venue]}/klines", startTime=start, **query):
        rows += page
        start = page[-1][6] + 1
    expected = market.venues[venue]["ETHUSDT"].trades.candles(interval)
    for column, values in zip(columns(rows), expected.columns(), strict=True):
        assert_array_equal(column, values)


@pytest.mark.parametrize(("venue", "most"), [("spot", 1000), ("futures", 1500)])
def test_a_page_has_500_candles_and_at_most_the_venues_limit(client, venue, most):
    path = f"{VENUES[venue]}/klines"
    assert len(get(client, path, symbol="BTCUSDT", interval="5m")) == 500
    assert len(get(client, path, symbol="BTCUSDT", interval="5m", limit=most)) == most
    above = client.get(path, params={"symbol": "BTCUSDT", "interval": "5m", "limit": most + 1})
    if venue == "spot":
        assert len(above.json()) == most
    else:
        assert (above.status_code, above.json()["code"]) == (400, -1130)


def test_time_bounds_are_inclusive_and_without_them_the_newest_candles_come(client):
    def opened(**query):
        return [row[0] for row in get(client, "/api/v3/klines", symbol="BTCUSDT", interval="5m", **query)]

    step = 300_000
    assert opened(startTime=LAST_BAR - 2 * step, endTime=LAST_BAR) == [LAST_BAR - 2 * step, LAST_BAR - step, LAST_BAR]
    assert opened(startTime=LAST_BAR - 2 * step + 1, endTime=LAST_BAR - 1) == [LAST_BAR - step]
    assert opened(endTime=LAST_BAR, limit=2) == [LAST_BAR - step, LAST_BAR]
    assert opened(limit=2) == [LAST_BAR, LAST_BAR + step]  # the last is in progress
    assert opened(startTime=LAST_BAR + 2 * step) == []


@pytest.mark.parametrize(("venue", "intervals"), [("spot", SPOT_INTERVALS), ("futures", FUTURES_INTERVALS)])
def test_every_interval_from_the_base_upwards_is_served(client, venue, intervals):
    for interval in intervals[intervals.index("5m") :]:
        row = get(client, f"{VENUES[venue]}/klines", symbol="SOLUSDT", interval=interval, limit=1)[0]
        assert len(row) == 12
        assert row[6] > row[0]


def test_mark_prices_and_funding_come_with_the_perpetual(client, market):
    listing = market.venues["futures"]["BTCUSDT"]
    rows = get(client, "/fapi/v1/markPriceKlines", symbol="BTCUSDT", interval="1h", limit=1000)
    for column, values in zip(columns(rows), listing.mark.candles("1h").columns(), strict=True):
        assert_array_equal(column, values)
    rates = get(client, "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=0, limit=1000)
    assert [rate["fundingTime"] for rate in rates] == listing.funding.time.tolist()
    assert [float(rate["fundingRate"]) for rate in rates] == listing.funding.rate.tolist()
    newest = get(client, "/fapi/v1/fundingRate", symbol="BTCUSDT", limit=2)
    assert newest == rates[-2:]
    premium = get(client, "/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert float(premium["markPrice"]) == listing.mark.load("5m").close[-1]
    assert premium["nextFundingTime"] == LAST_BAR + 300_000 + 8 * 3_600_000


@pytest.mark.parametrize("venue", VENUES)
def test_prices_and_volumes_fit_the_filters(client, venue):
    """Every traded price is a whole number of ticks, every volume a whole number of steps."""
    info = get(client, f"{VENUES[venue]}/exchangeInfo")
    assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    for rules in info["symbols"]:
        assert rules["status"] == "TRADING"
        assert {"LIMIT", "MARKET"} <= set(rules["orderTypes"])
        filters = {each["filterType"]: each for each in rules["filters"]}
        tick, step = float(filters["PRICE_FILTER"]["tickSize"]), float(filters["LOT_SIZE"]["stepSize"])
        rows = columns(get(client, f"{VENUES[venue]}/klines", symbol=rules["symbol"], interval="1h", limit=200))
        for values, size in ((np.concatenate(rows[1:5]), tick), (rows[5], step)):
            assert_array_equal(np.abs(values / size - np.rint(values / size)) < 1e-6 * values / size + 1e-9, True)
        price = rows[4][-1]
        assert float(filters["LOT_SIZE"]["minQty"]) * price < 25  # quote currency: small accounts can trade it
        assert 1e-7 < tick / price < 1e-3
        name, key = ("NOTIONAL", "minNotional") if venue == "spot" else ("MIN_NOTIONAL", "notional")
        assert 5 <= float(filters[name][key]) <= 100


def test_perpetuals_carry_what_freqtrade_asks_of_them(client):
    for rules in get(client, "/fapi/v1/exchangeInfo")["symbols"]:
        assert rules["contractType"] == "PERPETUAL"
        assert rules["marginAsset"] == "USDT"
        assert rules["deliveryDate"] == 4133404800000  # any other and Freqtrade thinks it is delisted


def test_maintenance_margin_does_not_jump_between_leverage_brackets(client):
    for ladder in get(client, "/fapi/v1/leverageBracket"):
        rows = ladder["brackets"]
        assert rows[0]["notionalFloor"] == 0
        for below, above in pairwise(rows):
            edge = above["notionalFloor"]
            assert below["notionalCap"] == edge
            assert below["initialLeverage"] > above["initialLeverage"]
            sides = [edge * row["maintMarginRatio"] - row["cum"] for row in (below, above)]
            assert sides[0] == pytest.approx(sides[1])


@pytest.mark.parametrize("venue", VENUES)
def test_the_book_is_in_order_and_around_the_last_price(client, venue):
    book = get(client, f"{VENUES[venue]}/depth", symbol="BTCUSDT", limit=50)
    bids, asks = ([float(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 50
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    last = float(get(client, f"{VENUES[venue]}/ticker/price", symbol="BTCUSDT")["price"])
    assert bids[0] < asks[0]
    assert last in (bids[0], asks[0])
    touch = get(client, f"{VENUES[venue]}/ticker/bookTicker", symbol="BTCUSDT")
    assert (float(touch["bidPrice"]), float(touch["askPrice"])) == (bids[0], asks[0])
    assert book == get(client, f"{VENUES[venue]}/depth", symbol="BTCUSDT", limit=50)


@pytest.mark.parametrize("venue", VENUES)
def test_the_day_ticker_sums_up_the_last_24_hours(client, market, venue):
    candles = market.venues[venue]["SOLUSDT"].trades.load("5m")[-288:]
    ticker = get(client, f"{VENUES[venue]}/ticker/24hr", symbol="SOLUSDT")
    assert float(ticker["openPrice"]) == candles.open[0]
    assert float(ticker["highPrice"]) == candles.high.max()
    assert float(ticker["lowPrice"]) == candles.low.min()
    assert float(ticker["lastPrice"]) == candles.close[-1]
    assert float(ticker["volume"]) == pytest.approx(candles.volume.sum())
    assert ("bidPrice" in ticker) is (venue == "spot")
    assert len(get(client, f"{VENUES[venue]}/ticker/24hr")) == 3


def test_several_symbols_are_asked_for_as_a_json_list(client):
    prices = get(client, "/api/v3/ticker/price", symbols='["SOLUSDT","BTCUSDT"]')
    assert [price["symbol"] for price in prices] == ["SOLUSDT", "BTCUSDT"]


@pytest.mark.parametrize("prefix", ["/api/v3", "/fapi/v1", "/dapi/v1"])
def test_every_venue_answers_ping_and_tells_the_real_time(client, prefix):
    """Signed requests and Freqtrade compare this clock with their own; only the history ends earlier."""
    assert get(client, f"{prefix}/ping") == {}
    asked = int(time.time() * 1000)
    assert asked <= get(client, f"{prefix}/time")["serverTime"] <= time.time() * 1000


def test_the_coin_margined_venue_is_open_and_empty(client):
    assert get(client, "/dapi/v1/exchangeInfo")["symbols"] == []


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/api/v3/klines", "symbol=NOPEUSDT&interval=1h", 400, -1121),
        ("/fapi/v1/exchangeInfo", "symbol=NOPEUSDT", 400, -1121),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=7m", 400, -1120),
        ("/fapi/v1/klines", "symbol=BTCUSDT&interval=1s", 400, -1120),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m", 400, -1120),  # finer than the base
        ("/api/v3/klines", "interval=1h", 400, -1102),
        ("/api/v3/klines", "symbol=BTCUSDT", 400, -1102),
        ("/api/v3/klines", "symbol=btc/usdt&interval=1h", 400, -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1h&startTime=yesterday", 400, -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1h&limit=-5", 400, -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1h&limit=0", 400, -1130),
        ("/fapi/v1/klines", "symbol=BTCUSDT&interval=1h&startTime=2&endTime=1", 400, -1023),
        ("/fapi/v1/fundingRate", "symbol=BTCUSDT&limit=1001", 400, -1130),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=7", 400, -4021),
        ("/api/v3/ticker/price", "symbols=BTCUSDT", 400, -1100),
        ("/api/v3/markPriceKlines", "symbol=BTCUSDT&interval=1h", 404, -5000),
        ("/fapi/v3/account", "", 404, -5000),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_with_binances_code(client, path, query, status, code):
    answer = client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["msg"]


def test_a_refused_interval_says_what_is_stored(client):
    answer = client.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1m"})
    assert answer.json()["msg"] == "Invalid interval. 1m candles cannot be built from the stored 5m."


def test_orders_have_no_route_yet(client):
    answer = client.post("/api/v3/order", data={"symbol": "BTCUSDT"})
    assert (answer.status_code, answer.json()["code"]) == (404, -5000)
