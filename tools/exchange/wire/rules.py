"""Trading rules in exchangeInfo's shape: filters, order types and, for perpetuals, margins and leverage brackets.

From: an `Instrument` and its price. To: `/exchangeInfo`, `/leverageBracket`.
"""

from __future__ import annotations

from ..market import Listing, Venue
from .numbers import decimal, step

SPOT_ORDERS = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]
FUTURES_ORDERS = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
SPOT_MIN_NOTIONAL = 5.0
NEVER = 4133404800000  # 2100-12-25: Binance's delivery date of a perpetual
MAX_NOTIONAL = 9_000_000.0
LARGEST_ORDER = 30_000_000.0  # quote currency, at the last price
BRACKETS = (  # notional floor, maximum leverage, maintenance margin: the shape of Binance's ladder
    (0, 75, 0.005),
    (50_000, 50, 0.01),
    (250_000, 25, 0.02),
    (1_000_000, 20, 0.025),
    (5_000_000, 10, 0.05),
    (20_000_000, 5, 0.1),
    (50_000_000, 2, 0.25),
    (100_000_000, 1, 0.5),
)
LAST_CAP = 300_000_000


def futures_min_notional(price: float) -> float:
    """Return Binance's smallest order value: larger for the coins whose smallest lot is dear."""
    return 100.0 if price >= 10_000 else 20.0 if price >= 1_000 else 5.0


def filters(listing: Listing) -> list[dict]:
    """Return the filters an order must pass."""
    instrument, price = listing.instrument, listing.last_price
    tick, lot = step(instrument.price_decimals), step(instrument.lot_decimals)
    largest = decimal(max(float(lot), round(LARGEST_ORDER / price, instrument.lot_decimals)))
    highest = decimal(round(price * 1_000, instrument.price_decimals))
    shared = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": highest, "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": largest, "stepSize": lot},
        {"filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": largest, "stepSize": lot},
    ]
    if instrument.venue == "futures":
        return [*shared, {"filterType": "MIN_NOTIONAL", "notional": decimal(futures_min_notional(price))}]
    notional = {"minNotional": decimal(SPOT_MIN_NOTIONAL), "maxNotional": decimal(MAX_NOTIONAL)}
    return [*shared, {"filterType": "NOTIONAL", **notional, "applyMinToMarket": True, "applyMaxToMarket": False}]


def spot_rules(listing: Listing) -> dict:
    instrument = listing.instrument
    return {
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": SPOT_ORDERS,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(listing),
        "permissions": ["SPOT"],
    }


def futures_rules(listing: Listing) -> dict:
    instrument = listing.instrument
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER,
        "onboardDate": listing.first_time,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.lot_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "triggerProtect": "0.0500",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "orderTypes": FUTURES_ORDERS,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "filters": filters(listing),
    }


def leverage_brackets(listing: Listing) -> dict:
    """Return the ladder of position sizes; `cum` makes the maintenance margin continuous where two brackets meet."""
    caps = [floor for floor, _, _ in BRACKETS[1:]] + [LAST_CAP]
    rows: list[dict] = []
    deduction, rate_below = 0.0, BRACKETS[0][2]
    for number, ((floor, leverage, rate), cap) in enumerate(zip(BRACKETS, caps, strict=True), start=1):
        deduction += floor * (rate - rate_below)
        rate_below = rate
        rows.append(
            {
                "bracket": number,
                "initialLeverage": leverage,
                "notionalCap": cap,
                "notionalFloor": floor,
                "maintMarginRatio": rate,
                "cum": round(deduction, 8),
            }
        )
    return {"symbol": listing.instrument.symbol, "brackets": rows}


def exchange_info(venue: Venue, listings: list[Listing], server_time: int) -> dict:
    rules = spot_rules if venue == "spot" else futures_rules
    assets = sorted({name for listing in listings for name in (listing.instrument.base, listing.instrument.quote)})
    answer: dict = {
        "timezone": "UTC",
        "serverTime": server_time,
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}],
        "exchangeFilters": [],
        "symbols": [rules(listing) for listing in listings],
    }
    if venue == "futures":
        answer["assets"] = [{"asset": asset, "marginAvailable": asset == "USDT"} for asset in assets]
    return answer
