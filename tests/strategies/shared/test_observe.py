"""A bot observes what its policy was trained with, or nothing: what stands in for it is another thing (OBS-59)."""

import os
from pathlib import Path

import numpy as np
import pytest
from tradekernels.observation import fit, observation_set
from tradekernels.observation.market import BOOK
from tradekernels.orderbook import Feed, Instrument, candle_columns, depth, read_capture
from tradekernels.orderbook.book import flows

from strategies.shared.client import ForecastUnavailable
from strategies.shared.observe import observe

PAIR, FLAT = "BTC/USDT:USDT", (1000.0, *[0.0] * 8)
EXTRA = {
    "candles": {},
    "taker": {"taker_buy_volume": lambda frame: (0.5 + 0.3 * np.sin(frame.index)) * frame["volume"]},
    "book": {
        **{name: lambda frame: 1 + 0.1 * np.sin(frame.index) for name in BOOK},
        "best_bid": lambda frame: frame["close"] * 0.9999,
        "best_ask": lambda frame: frame["close"] * 1.0001,
    },
    "quote volume": {"quote_volume": lambda frame: frame["volume"] * frame["open"]},
    "fear and greed": {"fear_greed": lambda frame: 40.0},
}
SOURCE = {"taker": "taker", "book": "book"}


def trained_on(what, make_candles):
    """Return an observation of candles and these columns, and a frame that has them."""
    frame = make_candles(2890, start="2025-01-01")
    frame = frame.assign(**{name: make(frame) for name, make in EXTRA[what].items()})
    observations = observation_set(fit(frame[:600], "15m"), [PAIR])
    assert set(observations.inputs) == set(EXTRA[what])
    assert observations.statistics.source == SOURCE.get(what, "candles")
    return observations, frame


@pytest.mark.parametrize("what", EXTRA)
def test_what_was_trained_with_is_observed_to_the_bit(make_candles, what):
    observations, frame = trained_on(what, make_candles)
    expected = observations.market(frame)[-1]
    assert observe(observations, PAIR, frame, FLAT).tobytes() == expected.tobytes()


@pytest.mark.parametrize("what", [what for what in EXTRA if EXTRA[what]])
@pytest.mark.parametrize("loss", ["no column", "unknown now"])
def test_what_lacks_now_is_no_observation(make_candles, what, loss):
    observations, frame = trained_on(what, make_candles)
    for name in EXTRA[what]:
        less = frame.drop(columns=name) if loss == "no column" else frame.copy()
        if loss == "unknown now":
            less.loc[less.index[-1], name] = np.nan
        with pytest.raises(ForecastUnavailable, match=f"trained with {name}, unknown here") as refused:
            observe(observations, PAIR, less, FLAT)
        assert refused.value.cause == "unobservable"


def test_a_policy_of_candles_does_not_look_at_more(make_candles):
    """Freqtrade's frames may hold anything: the slots keep the formulas that were trained."""
    observations, frame = trained_on("candles", make_candles)
    richer = frame.assign(**{name: make(frame) for what in EXTRA.values() for name, make in what.items()})
    assert observe(observations, PAIR, richer, FLAT).tobytes() == observe(observations, PAIR, frame, FLAT).tobytes()


S, POLL_S = 10**9, 5  # ns; seconds between two looks of a bot at the book
REAL = Path(os.environ.get("CANDLEWRIGHT_MARKET_DATA", "/nowhere")) / "l2" / "btcusdt_20240808.gz"
BID, ASK = 0, 1


def test_no_snapshots_tell_the_flow_that_was_learned():
    """OBS-18: two minutes that look alike at every look have another flow, so no function of looks is that slot.

    A level grows while it lies behind a better one and shrinks again as the best: four changes between two looks.
    """
    quiet = [(BID, 100, 5, 0), (ASK, 102, 4, 0), (ASK, 102, 4, 61 * S)]
    between = [(BID, 101, 3, 11 * S), (BID, 100, 20, 12 * S), (BID, 101, 0, 13 * S), (BID, 100, 5, 14 * S)]
    feeds = [
        Feed.from_rows(Instrument("X", "0.5", "0.1"), *(np.array(part) for part in zip(*rows, strict=True)), times)
        for rows in (quiet, [*quiet[:2], *between, quiet[2]])
        for times in [np.array([row[3] for row in rows])]
    ]
    looks = np.arange(1, 13) * POLL_S * S - 1
    np.testing.assert_array_equal(*(depth(feed, looks, levels=5) for feed in feeds))
    one, other = (candle_columns(feed, "1m") for feed in feeds)
    for name in ("best_bid", "best_ask", "best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5"):
        assert one[name][0] == other[name][0]
    assert one["order_flow_imbalance"][0] == 0
    assert other["order_flow_imbalance"][0] == pytest.approx(-1.5)


@pytest.mark.skipif(not REAL.exists(), reason="set CANDLEWRIGHT_MARKET_DATA to recorded markets with a book")
def test_a_recorded_book_polled_by_a_bot_shows_another_market():
    """The figures of docs/policy.md: signs of the flow of a minute, and of five levels two seconds after its close."""
    feed = read_capture(REAL, Instrument("BTCUSDT", "0.1", "0.001"))
    times = feed.stream_times("trader")
    begins = np.arange(times[0] + S, times[-1] - 63 * S, 4 * S)
    learned, polled, sizes = [], [], []
    for begin in begins:
        learned.append(flows(feed, np.array([begin, begin + 60 * S]))[0, 0])
        polled.append(flow_between(depth(feed, begin + np.arange(0, 61, POLL_S) * S - 1, levels=1)[:, :, 0]))
        lots = depth(feed, begin + np.array([60 * S - 1, 62 * S - 1]), levels=5)[..., 1].sum(2)
        sizes.append((lots[:, 0] - lots[:, 1]) / lots.sum(1))
    assert len(begins) > 60
    assert (np.sign(learned) != np.sign(polled)).mean() > 0.05
    assert (np.sign(sizes)[:, 0] != np.sign(sizes)[:, 1]).mean() > 0.2
    assert np.abs(np.diff(sizes)).mean() > 0.3


def flow_between(best):
    """Return the order flow imbalance of looks (n, side, tick and lots): Cont, Kukanov, Stoikov 2014, equation 5."""
    (bid, bids), (ask, asks) = best[:, 0].T, best[:, 1].T
    came = (bid[1:] >= bid[:-1]) * bids[1:] - (bid[1:] <= bid[:-1]) * bids[:-1]
    return (came - (ask[1:] <= ask[:-1]) * asks[1:] + (ask[1:] >= ask[:-1]) * asks[:-1]).sum()
