"""What is refused, by name, value and expectation (OBS-56, OBS-57, OBS-59)."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tradekernels.observation import Statistics, fit, observation_set, slots_of

FLAT = (1000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_prices_and_volumes_must_be_numbers(sets, observed_frame, column, value):
    """OBS-56."""
    frame = observed_frame(30)
    frame[column][7] = value
    with pytest.raises(ValueError, match=rf"{column} in row 7 is {value}, expected a finite"):
        sets().compute(frame)


@pytest.mark.parametrize("field", ["cash", "units"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cash_and_units_must_be_finite(sets, observed_frame, field, value):
    """OBS-56."""
    agent = np.tile(FLAT, (30, 1))
    agent[4, ["cash", "units"].index(field)] = value
    with pytest.raises(ValueError, match=f"{field} in row 4 is {value}, expected a finite number"):
        sets().compute(observed_frame(30), agent)
    with pytest.raises(ValueError, match=f"{field} in row 4 is {value}, expected a finite number"):
        sets().fill_agent(sets().market(observed_frame(30)), agent, np.ones(30))


@pytest.mark.parametrize("trained", ["candles", "taker", "book"])
@pytest.mark.parametrize("served", ["candles", "taker", "book"])
def test_one_source_is_not_served_with_another(sets, observed_frame, trained, served):
    """OBS-59."""
    if trained == served:
        sets(trained).compute(observed_frame(5, source=served))
        return
    with pytest.raises(ValueError, match=f"micro source is '{served}', expected '{trained}' as in training"):
        sets(trained).compute(observed_frame(5, source=served))


def test_half_a_book_is_no_book(sets, observed_frame):
    """OBS-59: all eight columns, or the next source."""
    frame = observed_frame(5, source="book")
    del frame["bid_size_5"]
    sets("taker").compute(frame)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("fear_greed", 100.5),
        ("fear_greed", -1.0),
        ("hours_since_event", -0.1),
        ("event_high", 2.0),
        ("taker_buy_volume", -1.0),
        ("quote_volume", np.inf),
    ],
)
def test_an_input_out_of_its_range_is_refused(sets, observed_frame, column, value):
    """NaN means not known; any other number outside is a mistake of the caller's."""
    frame = observed_frame(30)
    frame[column][3] = value
    with pytest.raises(ValueError, match=f"{column} in row 3 is {value}, expected a"):
        sets().compute(frame)


@pytest.mark.parametrize("token", [1, -1, 0.0, True, "BTC/USDT", None])
def test_an_unknown_token_is_refused(sets, observed_frame, token):
    """OBS-54."""
    with pytest.raises(ValueError, match=r"token is .*, expected 0 to 0: BTC/USDT"):
        sets().compute(observed_frame(3), token=token)
    with pytest.raises(ValueError, match="token is"):
        sets().stream(token=token)


@pytest.mark.parametrize(
    ("tokens", "most", "message"),
    [
        ((), 1, "expected 1 to 1 different pairs"),
        (("A", "B"), 1, "expected 1 to 1 different pairs"),
        (("A", "A"), 2, "expected 1 to 2 different pairs"),
        ("BTC/USDT", 1, "expected a list of pairs"),
        (("A",), 0, "max_num_tokens is 0, expected a whole number from 1 on"),
    ],
)
def test_tokens_are_checked(sets, tokens, most, message):
    """OBS-58."""
    with pytest.raises(ValueError, match=message):
        observation_set(sets().statistics, tokens, most)
    with pytest.raises(ValueError, match="max_num_tokens"):
        slots_of(1.5)


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (FLAT, r"agent has shape \(9,\) of float64, expected numbers of shape \(30, 9\)"),
        (np.ones((29, 9)), r"agent has shape \(29, 9\)"),
        (np.full((30, 9), "x"), "agent has shape .* of <U1"),
        (-np.ones((30, 9)), "bought_20 in row 0 is -1.0, expected a finite number of at least 0"),
    ],
)
def test_accounts_are_checked(sets, observed_frame, agent, message):
    """OBS-56."""
    with pytest.raises(ValueError, match=message):
        sets().compute(observed_frame(30), agent)


def test_rows_to_fill_are_checked(sets, observed_frame):
    """They are the caller's, and written in place."""
    market, agent, prices = sets().market(observed_frame(3)), np.tile(FLAT, (3, 1)), np.ones(3)
    fixed = market.copy()
    fixed.flags.writeable = False
    for rows in (fixed, market[:, ::-1], market[:, :40], market.astype(int), market.tolist()):
        with pytest.raises(ValueError, match=r"rows are .*, expected writable C-contiguous floats"):
            sets().fill_agent(rows, agent, prices)
    with pytest.raises(ValueError, match=r"price in row 1 is 0\.0, expected a finite price above 0"):
        sets().fill_agent(market, agent, [1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match=r"prices have shape \(2,\)"):
        sets().fill_agent(market, agent, [1.0, 2.0])
    for row, account, price, message in [
        (market[0], FLAT, 0.0, "price in row 0"),
        (market[0], FLAT, np.nan, "price in row 0"),
        (market[0], FLAT[:8], 1.0, "agent has shape"),
        (market[0], (np.nan, *FLAT[1:]), 1.0, "cash in row 0 is nan"),
        (market[0, :40], FLAT, 1.0, "row is float32 of shape"),
        (market[0].astype(int), FLAT, 1.0, "row is int64 of shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            sets().observe(row, account, price)


def test_only_the_two_float_types_come_out(sets, observed_frame):
    """What is not float32 or float64 is refused."""
    with pytest.raises(ValueError, match=r"dtype is .*int"):
        sets().compute(observed_frame(3), dtype=np.int64)


@pytest.mark.parametrize("source", ["candles", "taker", "book"])
def test_statistics_come_back_from_json_bit_for_bit(sets, source):
    """The manifest carries them: every float exactly, in any order of keys."""
    statistics = sets(source).statistics
    assert Statistics.from_json(statistics.to_json()) == statistics
    reordered = json.dumps(json.loads(statistics.to_json()), sort_keys=True)
    assert Statistics.from_json(reordered) == statistics
    assert observation_set(Statistics.from_json(reordered)).digest == sets(source).digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "tape"}, "source is 'tape' and absent"),
        ({"absent": []}, "expected 'book' with that"),
        ({"absent": ["taker_buy_volume", "best_bid"]}, "expected 'candles' with that"),
        ({"absent": ["volume"]}, "absent"),
        ({"absent": "event_high"}, "absent is 'event_high', expected an array"),
        ({"window_table": "4h and above"}, "window_table is '4h and above', expected '15m to 1h'"),
        ({"timeframe": "soon"}, "timeframe is 'soon'"),
        ({"rows": 0}, "training range is 0 rows"),
        ({"rows": 1.5}, "rows is 1.5, expected a whole number"),
        ({"quote_scale": -1.0}, "quote_scale is -1.0, expected a finite number of at least 0"),
        ({"volume_scale": "1"}, "volume_scale is '1', expected a finite number"),
        ({"means": {"price": 1.0}}, "mean of ma5 is None, expected a finite number"),
        ({"means": 3}, "means is 3, expected an object"),
        ({"parameters": {"garch_alpha": 2.0}}, "garch_alpha is 2.0"),
        ({"parameters": {}}, "parameters is {}, expected"),
        ({"layout": "0" * 64}, "layout is '0000"),
        ({"surprise": 1}, "expected an object with"),
    ],
)
def test_statistics_that_no_training_gives_are_refused(sets, change, message):
    """A manifest is checked when it is read, not when it trades."""
    content = json.loads(sets().statistics.to_json()) | change
    with pytest.raises(ValueError, match=message):
        Statistics.from_json(json.dumps(content))


def test_json_that_is_none_or_names_a_key_twice_is_refused(sets):
    """Strictly one value per key."""
    for text in ("", "[]", "3", '{"rows": 1, "rows": 2}'):
        with pytest.raises(ValueError):
            Statistics.from_json(text)
    with pytest.raises(ValueError, match=r"std of price is -1\.0, expected a finite number of at least 0"):
        dataclasses.replace(sets().statistics, stds=sets().statistics.stds | {"price": -1.0})


def test_a_training_range_is_checked(observed_frame):
    """No row, other sources, sources without data."""
    with pytest.raises(ValueError, match="frames have no row"):
        fit([], "15m")
    with pytest.raises(ValueError, match="B has micro source 'candles', expected 'taker' as the pairs before it"):
        fit({"A": observed_frame(5), "B": observed_frame(5, source="candles")}, "15m")
    frame = observed_frame(5)
    frame["taker_buy_volume"][:] = np.nan
    with pytest.raises(ValueError, match="taker_buy_volume is known in no row: without it the source is not 'taker'"):
        fit(frame, "15m")
    frame["close"][1] = -1
    with pytest.raises(ValueError, match=r"ETH/USDT: close in row 1 is -1\.0"):
        fit({"ETH/USDT": frame}, "15m")


def test_frames_may_come_alone_in_a_list_by_pair_or_as_pandas(observed_frame):
    """They are the same training range."""
    pd = pytest.importorskip("pandas")
    frame = observed_frame(50)
    table = pd.DataFrame(frame | {"date": pd.to_datetime(frame["date"], unit="ms", utc=True)})
    for frames in (frame, [frame], {"A": frame}, table, [table], {"A": table}):
        assert fit(frames, "15m") == fit(frame, "15m")


def test_statistics_say_what_the_training_range_was(observed_frame):
    """OBS-59, OBS-62: flags for the manifest."""
    frame = observed_frame(40, source="candles")
    frame["fear_greed"][:] = np.nan
    statistics = fit([frame, {name: values[:10] for name, values in frame.items()}], "15m")
    assert (statistics.rows, statistics.source, statistics.window_table) == (50, "candles", "15m to 1h")
    assert (statistics.first_ms, statistics.last_ms) == (frame["date"][0], frame["date"][-1] + 900_000)
    assert "fear_greed" in statistics.absent
    assert "taker_buy_volume" in statistics.absent
    assert statistics.inputs == ("event_high", "hours_since_event")
    assert observation_set(statistics).sources["absent"] == list(statistics.absent)
    assert math.isclose(statistics.volume_scale, np.concatenate([frame["volume"], frame["volume"][:10]]).mean())


@pytest.mark.parametrize(
    ("timeframe", "table"),
    [("5m", "up to 5m"), ("15m", "15m to 1h"), ("1h", "15m to 1h"), ("4h", "4h and above"), ("1m", "up to 5m")],
)
def test_the_window_table_follows_the_timeframe(observed_frame, timeframe, table):
    """OBS-62."""
    assert fit(observed_frame(5, timeframe=timeframe), timeframe).window_table == table


def test_every_ingredient_changes_the_digest(sets, observed_frame):
    """What a model is refused for if it is another one."""
    statistics = sets().statistics
    replaced = dataclasses.replace
    garch = fit(observed_frame(100), "15m", {"garch_alpha": 0.1, "garch_beta": 0.85})
    digests = [
        observation_set(statistics).digest,
        observation_set(statistics, ("ETH/USDT",)).digest,
        observation_set(statistics, max_num_tokens=2).digest,
        observation_set(replaced(statistics, means=statistics.means | {"price": 1.0})).digest,
        observation_set(replaced(statistics, stds=statistics.stds | {"cvd_24h": 1.0})).digest,
        observation_set(replaced(statistics, quote_scale=1.0)).digest,
        observation_set(replaced(statistics, rows=2)).digest,
        observation_set(replaced(statistics, absent=(*statistics.absent, "fear_greed"))).digest,
        observation_set(replaced(statistics, timeframe="1h")).digest,
        observation_set(garch).digest,
        observation_set(replaced(garch, parameters=statistics.parameters)).digest,
        sets("candles").digest,
        sets("book").digest,
    ]
    assert len(set(digests)) == len(digests)
    assert observation_set(fit(observed_frame(3200, 77), "15m")).digest == digests[0]


def test_parameters_are_a_check(sets):
    """CAT-9: fitted once, on the training range."""
    observation_set(sets().statistics, parameters={"garch_alpha": 0.05})
    with pytest.raises(ValueError, match="expected those of the statistics"):
        observation_set(sets().statistics, parameters={"garch_alpha": 0.06})
    with pytest.raises(ValueError, match="no parameter is called 'garch_gamma'"):
        observation_set(sets().statistics, parameters={"garch_gamma": 0.06})
