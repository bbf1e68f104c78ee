"""The flow generator (LOB-30): reproducible however it is cut, sound, and nothing like a Poisson flow."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tradekernels.orderbook import Feed, Instrument
from tradekernels.orderbook.calibrate import aims, calibrate
from tradekernels.orderbook.facts import (
    BUY_TRADE,
    CLEAR_ASK,
    CLEAR_BID,
    FEED,
    N_BINS,
    SELL_TRADE,
    SET_ASK,
    SET_BID,
    autocorrelation,
    excess_kurtosis,
    facts,
    fano_factor,
    gates,
    market_orders,
    moved,
    observe,
)
from tradekernels.orderbook.fits import DECAYS, fit_hawkes, fit_parents
from tradekernels.orderbook.flow import FlowParameters, OrderFlow
from tradekernels.orderbook.flow_measured import closings, measured, moves

SECOND = 1_000_000_000


def some_parameters(**changes):
    """Return the parameters of a small, lively market that no feed was measured for."""
    depth = [400.0, 60.0, 80.0, 120.0, 200.0, 400.0, 800.0, 1600.0, 3000.0, 6000.0, 9000.0]
    rate = [60.0, 4.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0, 40.0]
    size = [np.log(10.0)] * N_BINS
    life = [2 * d / (r * 10.0) for d, r in zip(depth, rate, strict=True)]
    random = np.random.default_rng(0)
    lots = np.sort(np.rint(random.lognormal(2.0, 1.5, 256)) + 1)
    values = {
        "mean_rate": 10.0, "base_rate": 3.0, "branching": (0.3, 0.2, 0.1, 0.05, 0.05), "decay": tuple(DECAYS.tolist()),
        "parent_share": 0.6, "parent_tail": 1.5, "parent_limit": 1000.0, "add_rate": tuple(rate),
        "add_log_mean": tuple(size),
        "add_log_deviation": (0.8,) * N_BINS, "life": tuple(life), "depth": tuple(depth), "gap_rate": 200.0,
        "follow": 0.7, "lean": 0.0, "fade_rate": 20.0, "requotes": 5.0, "requote_power": 0.5, "elasticity": 0.5,
        "mark_power": 0.4, "order_lots": tuple(lots.tolist()),
        "order_span": tuple(np.where(lots > 60, 20.0, 0.0).tolist()), "message_ns": 50_000_000, "centre": 50_000,
    }  # fmt: skip
    return FlowParameters(**(values | changes))


def test_a_run_cut_into_pieces_is_the_same_run():
    whole = OrderFlow(some_parameters(), seed=5).run(20.0)
    flow = OrderFlow(some_parameters(), seed=5)
    pieces = [flow.run(seconds) for seconds in (0.0, 0.013, 1.0, 0.05, 7.137, 11.8)]
    assert len(whole) > 1000
    assert_array_equal(np.concatenate(pieces), whole)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.one_of(st.just(0.0), st.just(0.1), st.just(1e-9), st.floats(0, 0.3)), max_size=30))
def test_no_way_of_cutting_changes_the_rows(cuts):
    """Times are kept in whole ns: ten times a tenth is one, and no event falls on the other side of a message."""
    flow = OrderFlow(some_parameters(), seed=9)
    pieces = [flow.run(seconds) for seconds in cuts]
    end = flow.now_ns
    pieces.append(flow.run(10.0 - end / SECOND))
    assert flow.now_ns == 10 * SECOND
    assert_array_equal(np.concatenate(pieces), OrderFlow(some_parameters(), seed=9).run(10.0))


def test_tenths_add_up_to_a_second():
    flow = OrderFlow(some_parameters(), seed=5)
    for _ in range(10):
        flow.run(0.1)
    assert flow.now_ns == SECOND


def test_rows_may_be_changed():
    rows = OrderFlow(some_parameters(), seed=5).run(1.0)
    rows["time"] += 1


def test_times_ascend_where_messages_fall_between_two_milliseconds():
    rows = OrderFlow(some_parameters(message_ns=1_500_000), seed=5).run(20.0)
    assert (np.diff(rows["time"]) >= 0).all()


def test_a_step_of_ten_ticks_is_a_market_on_a_coarser_grid():
    plain, coarse = (OrderFlow(some_parameters(step=step), seed=5) for step in (1, 10))
    rows, wide = plain.feed(60.0), coarse.feed(60.0)
    assert_array_equal(10 * rows["tick"], wide["tick"])
    assert_array_equal(10 * plain.levels(1)[:, 0], coarse.levels(1)[:, 0])
    seen, same = observe(rows), observe(wide)
    assert (seen.grid, same.grid) == (1, 10)
    assert facts(seen) == facts(same)
    assert_array_equal(measured(wide).add_rate, measured(rows).add_rate)
    assert measured(wide).step == 10


def test_parameters_that_explode_are_told_and_do_not_hang():
    wild = some_parameters(add_rate=(1e9,) * N_BINS, life=(1e-9,) * N_BINS)
    with pytest.raises(RuntimeError, match="events a second"):
        OrderFlow(wild, 1).run(1.0)
    still = some_parameters(base_rate=0.0, branching=(0.0,) * 5, add_rate=(0.0,) * N_BINS)
    assert (OrderFlow(still, 1).run(60.0)["kind"] < BUY_TRADE).all()


def test_bounds_of_a_run_are_told():
    for wrong in (-1.0, float("nan"), 1e10):
        with pytest.raises(ValueError, match="seconds is"):
            OrderFlow(some_parameters(), 1).run(wrong)
    with pytest.raises(ValueError, match="start_ns is"):
        OrderFlow(some_parameters(), 1, start_ns=2**62 + 1)
    with pytest.raises(ValueError, match="capacity is 0"):
        OrderFlow(some_parameters(), 1, capacity=0)


def test_seeds_differ_and_the_start_only_shifts_times():
    first, again = OrderFlow(some_parameters(), seed=5).run(5.0), OrderFlow(some_parameters(), seed=6).run(5.0)
    assert not np.array_equal(first[:50], again[:50])
    later = OrderFlow(some_parameters(), seed=5, start_ns=10**18).run(5.0)
    assert_array_equal(later["time"] - 10**18, first["time"])
    assert_array_equal(later[["lots", "tick", "kind"]], first[["lots", "tick", "kind"]])


def test_the_rows_are_a_feed():
    """Times ascend, quotes never cross, sizes are never negative, and trades print between the books around them."""
    rows = OrderFlow(some_parameters(), seed=1).feed(60.0)
    assert (np.diff(rows["time"]) >= 0).all()
    assert (rows["lots"] >= 0).all()
    assert (rows["lots"][rows["kind"] >= BUY_TRADE] > 0).all()
    seen = observe(rows)
    assert (seen.bid < seen.ask).all()
    assert abs(len(seen.time) / seen.seconds - 20) < 1
    assert 5 < len(seen.order_time) / seen.seconds < 20


def test_the_last_published_book_is_the_book():
    """What a reader of the rows has in the end is what rests in the engine."""
    flow = OrderFlow(some_parameters(), seed=2)
    rows = flow.run(30.0)  # 600 depth messages to the end
    for kind, side in ((SET_BID, 1), (SET_ASK, -1)):
        sets = rows[rows["kind"] == kind]
        levels = dict(zip(sets["tick"].tolist(), sets["lots"].tolist(), strict=True))
        read = sorted(((tick, lots) for tick, lots in levels.items() if lots), reverse=side == 1)
        assert_array_equal(flow.levels(side, 200)[:, :2], read[:200])


def test_the_flow_clusters_and_remembers_and_a_poisson_flow_does_not():
    lively = OrderFlow(some_parameters(), seed=3).feed(900.0)
    poisson = some_parameters(base_rate=10.0, branching=(0.0,) * 5, parent_share=0.0)
    dull = OrderFlow(poisson, seed=3).feed(900.0)
    for rows, clusters in ((lively, True), (dull, False)):
        time, side, *_ = market_orders(rows)
        assert (fano_factor(time, SECOND) > 2.5) == clusters
        assert (autocorrelation(side.astype(float), 1) > 0.1) == clusters
        assert (autocorrelation(side.astype(float), 10) > 0.05) == clusters
    real, flat = facts(observe(lively)), facts(observe(dull))
    assert not all(gate.passed for gate in gates(real, flat))


def test_parameters_survive_json_bit_for_bit():
    parameters = some_parameters(parent_share=1 / 3)
    assert FlowParameters.from_json(parameters.to_json()) == parameters
    text = json.loads(parameters.to_json())
    with pytest.raises(ValueError, match="colour"):
        FlowParameters.from_json(json.dumps(text | {"colour": 1}))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"mean_rate": "fast"}, "mean_rate is 'fast'"), ({"mean_rate": None}, "mean_rate is None"),
        ({"life": 3.0}, "life is 3.0"), ({"life": [[1.0]] * N_BINS}, "life is"), ({"message_ns": 5e7}, "message_ns is"),
        ({"gap_rate": float("nan")}, "gap_rate is nan"), ({"gap_rate": float("inf")}, "gap_rate is inf"),
        ({"gap_rate": True}, "gap_rate is True"), ({"order_lots": [], "order_span": []}, "order_lots has 0"),
        ({"centre": 2**31}, "centre is"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)  # fmt: skip
def test_bad_json_is_told_by_name_and_value(change, what):
    text = json.dumps(json.loads(some_parameters().to_json()) | change)
    with pytest.raises(ValueError, match=what):
        FlowParameters.from_json(text)


def test_json_that_is_no_object_is_refused():
    for text in ("", "[]", "3", '{"mean_rate": '):
        with pytest.raises(ValueError):
            FlowParameters.from_json(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"life": (1.0,)}, {"branching": (0.5, 0.5, 0.0, 0.0, 0.0)}, {"mean_rate": 0.0}, {"gap_rate": -1.0},
        {"order_span": (1.0,)}, {"follow": 1.5}, {"message_ns": 0}, {"fade_rate": float("nan")},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        some_parameters(**wrong)


def test_a_full_book_turns_orders_away_and_goes_on():
    flow = OrderFlow(some_parameters(), seed=1, capacity=64, window=64)
    rows = flow.run(5.0)
    assert flow.resting <= 64
    assert (rows["kind"] >= BUY_TRADE).any()


def test_hawkes_kernels_are_found_again():
    """Simulated with known children a kernel, by clusters: immigrants and their descendants."""
    random, base, children, decay = np.random.default_rng(1), 2.0, 0.6, DECAYS[2]
    generation = np.sort(random.uniform(0, 2000, random.poisson(base * 2000)))
    times = [generation]
    while len(generation):
        n = random.poisson(children, len(generation))
        generation = np.repeat(generation, n) + random.exponential(1 / decay, n.sum())
        times.append(generation[generation < 2000])
        generation = times[-1]
    found, branching, power = fit_hawkes(np.sort(np.concatenate(times)), np.ones(sum(map(len, times))))
    assert branching.sum() == pytest.approx(children, abs=0.1)
    assert branching[2] > 0.4
    assert found == pytest.approx(base, rel=0.2)
    assert power == 0.0


def test_parents_are_found_again():
    random = np.random.default_rng(2)
    children = np.minimum(random.random(40_000) ** (-1 / 1.5), 5000).astype(int)
    signs = np.repeat(random.choice([-1, 1], 40_000), children)
    noise = random.random(len(signs)) > 0.6
    signs[noise] = random.choice([-1, 1], noise.sum())
    share, tail, most = fit_parents(signs)
    assert share == pytest.approx(0.6, abs=0.1)
    assert tail == pytest.approx(1.5, abs=0.25)
    assert most >= 300


def test_facts_by_hand():
    """One book, four trades that are two orders, and a move."""
    rows = np.array(
        [
            (0, 5, 100, SET_BID), (0, 3, 101, SET_ASK), (0, 7, 103, SET_ASK),
            (10, 3, 101, BUY_TRADE), (10, 1, 103, BUY_TRADE), (20, 2, 100, SELL_TRADE), (30, 1, 100, SELL_TRADE),
            (40, 0, 101, SET_ASK), (40, 2, 100, SET_BID), (50, 0, 100, CLEAR_BID), (50, 9, 99, SET_BID),
            (60, 1, 1, CLEAR_ASK),
        ],
        FEED,
    )  # fmt: skip
    time, side, lots, span = market_orders(rows)
    assert (time.tolist(), side.tolist(), lots.tolist(), span.tolist()) == (
        [10, 20, 30],
        [1, -1, -1],
        [4, 2, 1],
        [2, 0, 0],
    )
    with pytest.raises(ValueError, match="3 market orders"):
        observe(rows)
    assert excess_kurtosis(np.array([-1.0, 1.0])) == -2.0
    assert fano_factor(np.arange(100) * SECOND // 10, SECOND) == 0.0


def test_a_feed_that_goes_back_in_time_or_has_no_books_is_refused():
    rows = OrderFlow(some_parameters(), seed=1).run(30.0)
    with pytest.raises(ValueError, match="expected no time before"):
        observe(rows[::-1])
    with pytest.raises(ValueError, match="expected a depth feed"):
        observe(rows[rows["kind"] >= BUY_TRADE])
    with pytest.raises(ValueError, match="dtype"):
        observe(rows["lots"])


def test_what_is_measured_is_what_was_set():
    """Rates, sizes and memory of a simulated feed come back; the rest is for the corrections."""
    truth = some_parameters()
    rows = OrderFlow(truth, seed=4).feed(900.0)
    found = measured(rows, observe(rows))
    assert found.mean_rate == pytest.approx(truth.mean_rate, rel=0.25)
    assert np.median(found.order_lots) == pytest.approx(np.median(truth.order_lots), rel=0.25)
    assert found.parent_share == pytest.approx(truth.parent_share, abs=0.2)


def as_feed(rows):
    """Return FEED rows as a Feed that was received 4 ms later."""
    times = rows["time"] + 10**15
    return Feed.from_rows(
        Instrument("X", "0.1", "0.001"), rows["kind"], rows["tick"], rows["lots"], times, times + 4_000_000
    )


def test_a_feed_does_where_rows_do_and_the_work_tells_how_far_it_is():
    rows = OrderFlow(some_parameters(), seed=4).feed(60.0)
    feed = as_feed(rows)
    assert facts(feed) == facts(rows) == facts(observe(feed))
    assert [gate.passed for gate in gates(feed, facts(rows))] == [gate.passed for gate in gates(rows, rows)]
    told = []
    found = calibrate(feed, rounds=2, seconds=30.0, progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]
    assert found == calibrate(rows, rounds=2, seconds=30.0)


def test_feeds_that_cannot_be_calibrated_are_told_why():
    rows = OrderFlow(some_parameters(), seed=4).feed(60.0)
    kind = rows["kind"]
    for wrong, what in (
        (rows[kind < BUY_TRADE], "0 market orders"), (rows[kind >= BUY_TRADE], "set no level"),
        (rows[kind != SET_ASK], "0 books with two sides"), (rows[:0], "set no level"), ([1, 2], "type .*list"),
        (rows[:400], "market orders, expected 100"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=what):
            calibrate(wrong)
    broken = rows.copy()
    broken["kind"][7] = 9
    with pytest.raises(ValueError, match="row 7 has kind 9"):
        calibrate(broken)


def test_a_wide_market_keeps_its_spread():
    """The usual spread, what closes an open one, and the share of queues at the best are measured."""
    wide = some_parameters(
        tight=4, closed_to=(3.0, 4.0, 4.0, 5.0), join=0.9,
        add_rate=(0.5, 0.5, 60.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0, 40.0),
        life=(0.5, 0.5, 1.3, 4.0, 5.0, 8.0, 10.0, 16.0, 20.0, 30.0, 45.0),
    )  # fmt: skip
    rows = OrderFlow(wide, seed=3).feed(300.0)
    spread = observe(rows).spread
    assert np.median(spread) in (3, 4)
    found = measured(rows)
    assert found.tight in (3, 4)
    again = observe(OrderFlow(found, seed=5).feed(300.0)).spread
    assert np.median(again) in (3, 4)


def test_closings_and_bands_by_hand():
    assert set(closings(np.array([1, 5, 2, 9, 9, 3, 1]), 1)) == {1.0, 2.0, 3.0}
    assert closings(np.ones(5, int), 1) == (1.0,)
    assert moved(60.0, 8.0, 30.0) == (45.0, 75.0)
    assert moved(31.0, 8.0, 30.0) == (8.0, 31.0)
    assert moved(-0.014, 0.01, np.inf) == (pytest.approx(-0.024), np.inf)


def test_a_market_outside_a_band_is_asked_for_what_it_shows():
    rows = OrderFlow(some_parameters(), seed=4).feed(600.0)
    real = facts(rows) | {"Fano factor 1 s": 60.0, "up above 0.8": float("nan")}
    kinds = {gate.name: gate for gate in gates(real, real)}
    assert kinds["Fano factor 1 s"].kind == "moved"
    assert kinds["Fano factor 1 s"].passed
    assert kinds["up above 0.8"].kind == "none"
    assert kinds["up above 0.8"].passed
    assert aims(real)["Fano factor 1 s"] == 60.0
    assert aims(real | {"Fano factor 1 s": 31.0})["Fano factor 1 s"] < 30.0


def test_a_thin_bin_beside_a_deep_one_is_asked_for_its_own_depth():
    """What rests far away, a thousand times as much, loosens no gate near the market; an empty bin may hold crumbs."""
    real = facts(OrderFlow(some_parameters(), seed=4).feed(60.0)) | {"depth 2": 300.0, "depth 513-1024": 3e5}
    passed = {gate.name: gate.passed for gate in gates(real, real | {"depth 2": 390.0})}
    assert not passed["depth 2"]
    assert {gate.name: gate.passed for gate in gates(real | {"depth 1": 0.0}, real | {"depth 1": 0.5})}["depth 1"]


def volatility(**changes):
    """Return the standard deviation of one-second moves of the mid of a flow, steps."""
    return facts(OrderFlow(some_parameters(**changes), seed=4).feed(600.0))["volatility 1 s"]


def test_quotes_that_go_take_with_them_what_stood_near():
    """The farther the makers go the more the price moves, and the more so if market orders scare them."""
    still, far = volatility(), volatility(retreats=(10.0, 20.0, 60.0), caution=1.0)
    assert far > 1.5 * still
    assert volatility(retreats=(10.0, 20.0, 60.0), caution=1.0, alarm=0.05) > 1.2 * far


def test_a_retreat_leaves_the_farthest_level():
    """However far makers go, each side keeps a price."""
    flow = OrderFlow(some_parameters(retreats=(1e6,), alarm=1.0, caution=1.0), seed=4)
    for _ in range(20):
        flow.run(0.5)
        assert len(flow.levels(1))
        assert len(flow.levels(-1))


def test_moves_by_hand():
    """The ask goes by 3 and stays; the bid goes by 2, closed at once by the ask, and comes back within the second."""
    rows = observe(OrderFlow(some_parameters(), seed=4).feed(60.0))
    time = np.arange(8) * 600_000_000
    bid = np.array([10, 10, 12, 12, 10, 12, 12, 12])
    ask = np.array([11, 14, 13, 13, 11, 13, 13, 13])
    far, closing, held = moves(replace(rows, time=time, bid=bid, ask=ask, seconds=4.2), 1)
    assert far == (2.0, 2.0, 3.0)
    assert closing == pytest.approx(2 / 3 * 4 / 3 * 3 * 8 / 4.2)  # one of the three was open when the message came
    assert held == pytest.approx(2 / 3)
    assert moves(replace(rows, bid=np.full(8, 10), ask=np.full(8, 11), time=time), 1)[0] == (1.0,)


def test_volatility_is_a_gate_of_ours_and_close_to_the_real_one():
    real = facts(OrderFlow(some_parameters(), seed=4).feed(60.0))
    name = "volatility 1 s"
    for factor, passed in ((1.29, True), (0.71, True), (1.31, False), (0.69, False)):
        gate = next(gate for gate in gates(real, real | {name: factor * real[name]}) if gate.name == name)
        assert (gate.passed, gate.ours, gate.kind) == (passed, True, "close")
    assert sum(not gate.ours for gate in gates(real, real)) == 27


def test_an_empty_side_is_filled_again_near_where_it_was():
    """Without bids the best ask is no distance: a sell that joined the best stood at twice the price."""
    bare = some_parameters(
        tight=600, join=1.0, closed_to=(600.0,), order_lots=(1e6,), order_span=(0.0,), depth=(0.0,) * 10 + (50.0,),
        add_rate=(0.0,) * 10 + (30.0,),
    )  # fmt: skip
    rows = OrderFlow(bare, seed=4).run(200.0)
    assert rows["tick"].max() < 75_000
