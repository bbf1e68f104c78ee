"""The worked answers of the real feed, row for row: quotes, fills, equity (LOB-3 to LOB-6, LOB-13 to LOB-17)."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

sys.path.insert(0, str(Path(__file__).parent))

from real_feed import BTC, CAPTURE, FOLDER, needs_feed, real_feed

from tradekernels.orderbook import (
    ConstantLatency,
    Fees,
    Grid,
    Instrument,
    Queue,
    TradingModels,
    quotes,
    read_capture,
    run_grids,
)  # fmt: skip

pytestmark = [needs_feed, pytest.mark.real_data]

GRIDS = {"wide": Grid(20, 10, 10, 10, 200), "touch": Grid(3, 1, 0, 10, 200)}
QUEUES = {"risk": Queue("risk"), "power": Queue("power", 2), "log": Queue("log")}


def answer(name):
    return pytest.importorskip("pandas").read_parquet(FOLDER / "answers" / f"{name}.parquet")


def models(queue):
    return TradingModels(ConstantLatency(10_000_000, 10_000_000), QUEUES[queue], Fees("-0.00005", "0.0007"))


@pytest.mark.parametrize("name", ["bbo_1s", "bbo_each"])
def test_quotes_under_arrival_discipline_equal_the_answers_row_for_row(name):
    """LOB-4, LOB-5, LOB-6: at whole seconds, and after every distinct time but the last."""
    expected = answer(f"{name}_usdm_btcusdt")
    feed = real_feed("arrival")
    got = quotes(feed, expected["local_ts"].to_numpy()) if name == "bbo_1s" else quotes(feed)[:-1]
    assert feed.clock_shift_ns == 1272156851
    for ours, theirs in zip(got.dtype.names, expected.columns, strict=True):
        assert_array_equal(got[ours], expected[theirs], err_msg=ours)


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("grid", GRIDS)
def test_fills_and_equity_of_the_grid_market_maker_equal_the_answers_row_for_row(grid, queue):
    """LOB-17: fills exactly; positions exactly; balance and fee of every second to 1e-6."""
    (result,) = run_grids(real_feed("arrival"), GRIDS[grid], models(queue))
    expected = answer(f"fills_usdm_btcusdt_{grid}_{queue}")
    fills = np.sort(result.fills, order=["exchange_time_ns", "side", "tick"])
    # the answers' submit_ts is that of the newest request about the order, a cancellation under way for one
    ours = ("exchange_time_ns", "side", "tick", "lots", "request_time_ns")
    assert len(fills) == len(expected)
    for name, theirs in zip(ours, expected.columns, strict=True):
        assert_array_equal(fills[name], expected[theirs], err_msg=name)
    equity = answer(f"equity_usdm_btcusdt_{grid}_{queue}")
    assert_array_equal(result.samples["bid_tick"], equity["bid_tick"])
    assert_array_equal(result.samples["n_fills"], equity["num_trades"])
    assert_array_equal(result.samples["position_lots"], np.rint(equity["position"] * 1000))
    assert_allclose(result.balance(), equity["balance"], rtol=0, atol=1e-6)
    assert_allclose(result.fee(), equity["fee"], rtol=0, atol=1e-6)
    summary = json.loads((FOLDER / "answers" / "summary.json").read_text())[f"{grid}_{queue}"]
    account = result.account
    assert (account.n_submits, account.n_cancels, result.n_decisions) == (
        summary["submits"], summary["cancels"], summary["decisions"],
    )  # fmt: skip
    assert account.volume_lots == round(summary["volume"] * 1000)


def test_many_sets_in_one_pass_give_what_each_gives_alone():
    """LOB-16: different grids, queues and latencies over one pair of books."""
    feed = real_feed("arrival")
    sets = [(GRIDS[grid], models(queue)) for grid in GRIDS for queue in QUEUES]
    slow = TradingModels(
        ConstantLatency(35_000_000, 1_000_000), Queue("power3", 1.5), Fees("0.0001", "0.0005"), "partial"
    )
    sets += [(Grid(5, 7, 3, 4, 40), slow)]
    together = run_grids(feed, [grid for grid, _ in sets], [model for _, model in sets])
    for (grid, model), result in zip(sets, together, strict=True):
        (alone,) = run_grids(feed, grid, model)
        assert_array_equal(result.samples, alone.samples)
        for name in set(alone.fills.dtype.names) - {"trader"}:
            assert_array_equal(result.fills[name], alone.fills[name], err_msg=name)


@pytest.mark.parametrize("stream", ["venue", "trader"])
def test_the_venue_discipline_agrees_with_book_ticker_after_every_depth_message(stream):
    """LOB-3: price and quantity at the same update id, 6,547 of 6,547."""
    feed = real_feed("venue")
    tickers = feed.book_ticker
    order, _ = feed.stream_of(stream)
    book_messages = np.isin(feed.rows["kind"][feed.messages["first_row"][order]], (0, 1))
    ids = np.maximum.accumulate(feed.messages["update_id"][order][book_messages])
    at = np.searchsorted(tickers["update_id"], ids, side="right") - 1
    got = quotes_after(feed, order)[book_messages]
    expected = np.stack([tickers[name][at] for name in ("bid_tick", "ask_tick", "bid_lots", "ask_lots")], axis=1)
    assert len(ids) == 6547
    assert not len(feed.gaps)
    assert_array_equal(got, expected)


def quotes_after(feed, order):
    """Return the quotes after every entry of a stream, whatever their times."""
    from tradekernels.orderbook._book import BookState, quotes_at

    out, steps = np.empty((len(order), 4), np.int64), np.arange(len(order))
    quotes_at(BookState(), feed.rows, feed.messages, order, steps, steps, out)
    return out


@pytest.mark.parametrize("split", [1, 54, 40_000])
def test_two_files_give_what_one_gives(tmp_path, split):
    """Cut before and behind the snapshot: rows, streams and quotes are the same."""
    lines = gzip.decompress(CAPTURE.read_bytes()).splitlines(keepends=True)
    parts = []
    for k, part in enumerate((lines[:split], lines[split:])):
        parts.append(tmp_path / f"{k}")
        parts[k].write_bytes(b"".join(part))
    for sequence in ("arrival", "venue"):
        whole, chained = real_feed(sequence), read_capture(parts, BTC, sequence=sequence)
        for name in ("rows", "messages", "venue_stream", "trader_stream"):
            assert_array_equal(getattr(whole, name), getattr(chained, name))


def test_a_finer_tick_gives_the_same_fills_ten_times_as_many_ticks_up():
    """Nothing depends on the size of the tick, nor on a price that lies in the first window."""
    fine = read_capture(CAPTURE, Instrument("BTCUSDT", "0.01", "0.001"), sequence="arrival")
    (result,) = run_grids(fine, Grid(20, 100, 100, 10, 200), models("log"))
    (coarse,) = run_grids(real_feed("arrival"), GRIDS["wide"], models("log"))
    assert_array_equal(result.fills["tick"], 10 * coarse.fills["tick"])
    assert_array_equal(result.fills["exchange_time_ns"], coarse.fills["exchange_time_ns"])


@pytest.mark.parametrize("queue", QUEUES)
def test_partial_fills_survive_the_real_feed(queue):
    """The peer stops here; orders of 3 BTC are filled piece by piece, never beyond their size."""
    partial = TradingModels(
        ConstantLatency(10_000_000, 10_000_000), QUEUES[queue], Fees("-0.00005", "0.0007"), "partial"
    )
    (result,) = run_grids(real_feed("arrival"), Grid(3, 1, 0, 3000, 60_000), partial)
    fills = result.fills
    assert len(fills) > len(np.unique(fills["order_id"])) > 100
    assert np.bincount(fills["order_id"], weights=fills["lots"]).max() <= 3000
    assert result.account.position_lots == (fills["side"] * fills["lots"]).sum()


def spot_lines():
    """Return the real capture as spot would have sent it: event times only, no `pu`, no order type."""
    for line in gzip.decompress(CAPTURE.read_bytes()).splitlines():
        local, text = line.split(b" ", 1)
        message = json.loads(text)
        data = message.get("data", message)
        if data.get("e") != "trade":
            data.pop("T", None)
        if "lastUpdateId" in data or data.get("e") == "bookTicker":
            data.pop("E", None)
        for key in ("pu", "X", *(("e",) if data.get("e") == "bookTicker" else ())):
            data.pop(key, None)
        yield local + b" " + json.dumps(message, separators=(",", ":")).encode() + b"\n"


@pytest.mark.slow
def test_the_feed_in_the_format_of_spot_gives_the_same_book(tmp_path):
    """Rows are the same; the venue discipline places the snapshot, which has no time, by its id."""
    path = tmp_path / "spot"
    path.write_bytes(b"".join(spot_lines()))
    feed, futures = read_capture(path, BTC, book_ticker=True), real_feed("venue")
    assert_array_equal(feed.rows, futures.rows)
    assert_array_equal(feed.trader_stream, futures.trader_stream)
    assert_array_equal(feed.book_ticker[["update_id", "bid_lots"]], futures.book_ticker[["update_id", "bid_lots"]])
    for stream in ("venue", "trader"):
        order, _ = feed.stream_of(stream)
        assert_array_equal(quotes_after(feed, order)[-1], quotes_after(futures, futures.stream_of(stream)[0])[-1])
