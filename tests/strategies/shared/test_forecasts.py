"""The forecast source against a real socket: right answers land on their own candles, every fault is NaN (CLT-4, 5)."""

import json
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from stub_service import DIRECTION_CONTEXT, WARMUP, decision_columns, running

from strategies.shared import client, complaints, history, live
from strategies.shared.cache import ForecastCache
from strategies.shared.forecasts import ForecastSource, forecast_source
from strategies.shared.forms import NUMBERS
from strategies.shared.replies import AGE, COLUMNS
from strategies.shared.settings import Settings

PAIR, TIMEFRAME = "BTC/USDT:USDT", "15m"
FIRST = WARMUP + DIRECTION_CONTEXT - 1


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def source_of(stub, live=False, clock=None):
    return ForecastSource(Settings(service_url=stub.url), live=live, **({"clock": clock} if clock else {}))


def ask(source, frame, as_of=None):
    return source.columns(PAIR, TIMEFRAME, frame, as_of)


def all_missing(answer):
    return answer[list(NUMBERS)].isna().all(axis=None) and answer["model_version"].isna().all()


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_every_candle_gets_its_own_forecast_by_the_version_of_its_time(stub, make_candles):
    """ASO-1, ASO-4: two versions share the frame, the second from its valid_from on."""
    frame = make_candles(1500)
    frame.index = frame.index + 7  # whatever the index is, the answer has it
    answer = ask(source_of(stub), frame)
    expected = decision_columns(*(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))
    assert answer.index.equals(frame.index)
    assert answer["expected_return_4h"].iloc[:FIRST].isna().all()
    assert np.array_equal(
        answer["expected_return_4h"].iloc[FIRST:], expected["expected_return_4h"][FIRST:].astype("f4")
    )
    close_time = frame["date"] + pd.Timedelta("15min")
    second = close_time >= pd.Timestamp("2025-02-01", tz="UTC")
    assert (answer["model_version"][second] == "v2").all()
    assert (answer["model_version"][~second].iloc[FIRST:] == "v1").all()
    assert set(answer["direction_version"].iloc[FIRST:]) == {"d2"}
    assert answer[AGE].isna().all()  # time does not pass in a backtest


def test_a_repeated_question_costs_no_bulk_request(stub, make_candles):
    """CLT-3, SRV-6: the second run asks for the model list only."""
    frame = make_candles(700)
    first = ask(source_of(stub), frame)
    second = ask(source_of(stub), frame)
    assert [method for method, *_ in stub.requests] == ["GET", "POST", "GET"]
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("change", ["candle", "chain", "direction chain"])
def test_a_changed_question_is_asked_again(stub, make_candles, change):
    frame = make_candles(700)
    ask(source_of(stub), frame)
    if change == "candle":
        frame.loc[650, "close"] = np.nextafter(frame.loc[650, "close"], np.inf)
    elif change == "chain":
        stub.chain_digest = "b" * 64
    else:
        stub.direction_digest = "b" * 64
    ask(source_of(stub), frame)
    assert [method for method, *_ in stub.requests].count("POST") == 2


def test_a_service_that_is_away_leaves_a_backtest_what_it_answered_before(make_candles, caplog):
    """Hyperopt works on cached answers; what was never asked is missing, and so is everything live."""
    frame = make_candles(800)
    with running() as stub:
        before = ask(source_of(stub), frame)
    again = source_of(stub)
    pd.testing.assert_frame_equal(ask(again, frame), before)
    pd.testing.assert_frame_equal(ask(again, frame), before)
    assert [words for words in warnings_of(caplog) if "given before are used" in words] == warnings_of(caplog)
    assert len(warnings_of(caplog)) == 1
    assert all_missing(ask(again, frame.iloc[:790]))
    assert "No entries will be made" in warnings_of(caplog)[-1]
    assert all_missing(ask(source_of(stub, live=True), frame))


def test_a_service_that_refuses_is_not_away(stub, make_candles, monkeypatch):
    """A wrong key is not helped by what another key was told."""
    frame = make_candles(800)
    assert not all_missing(ask(source_of(stub), frame))
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "w" * 40)
    assert all_missing(ask(source_of(stub), frame))


@pytest.mark.parametrize("open_to", ["others", "another user"])
def test_what_other_users_may_have_written_is_not_read(make_candles, room, monkeypatch, caplog, open_to):
    """Neither cached answers nor the model list they are judged by."""
    frame = make_candles(800)
    with running() as stub:
        assert not all_missing(ask(source_of(stub), frame))
        (room / "cache").chmod(0o777) if open_to == "others" else monkeypatch.setattr("os.getuid", lambda: 12345)
        assert not all_missing(ask(source_of(stub), frame))  # asked again
        assert [method for method, *_ in stub.requests].count("POST") == 2
    assert all_missing(ask(source_of(stub), frame))
    assert "belongs to user" in caplog.text or "written by other users" in caplog.text


def test_an_answer_of_another_chain_under_this_ones_name_is_asked_again(stub, make_candles, room):
    """A kept answer says of itself which chains made it, under which name, and must be believed in both."""
    frame = make_candles(800)
    before = ask(source_of(stub), frame)
    (path,) = (room / "cache").glob("*.forecast")
    cache = ForecastCache(room / "cache", 10**9)
    table = cache.get(path.stem)
    digests = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    cache.put(path.stem, table.replace_schema_metadata(digests | {"chain_digest": "e" * 64}))
    pd.testing.assert_frame_equal(ask(source_of(stub), frame), before)
    other = cache.put("0" * 64, table) and (room / "cache" / ("0" * 64 + ".forecast"))
    other.replace(path)  # intact, under another name
    pd.testing.assert_frame_equal(ask(source_of(stub), frame), before)
    assert [method for method, *_ in stub.requests].count("POST") == 3


@pytest.mark.parametrize("damage", [b"", b"not json", b'{"lines": 1}', b"[1]"])
def test_a_damaged_model_list_is_none(make_candles, room, damage):
    frame = make_candles(800)
    with running() as stub:
        ask(source_of(stub), frame)
    (path,) = (room / "cache").glob("models.json")
    path.write_bytes(damage)
    assert all_missing(ask(source_of(stub), frame))


@pytest.mark.parametrize(("kind", "words"), [("direction", "unified"), ("unified_patchtst", "direction")])
@pytest.mark.parametrize("live", [True, False])
def test_one_line_alone_decides_nothing_and_the_other_is_named(stub, make_candles, caplog, kind, words, live):
    """ENS-1: a decision takes both, and the warning says which one to train."""
    stub.kinds = (kind,)
    assert all_missing(ask(source_of(stub, live=live), make_candles(800)))
    (warning,) = warnings_of(caplog)
    assert f"serves no {words} model for timeframe 15m" in warning
    assert f"train the {words} line" in warning


def wrong_row(table):
    dates = table["date"].cast(pa.int64()).to_numpy().copy()
    dates[3] += 1
    return table.set_column(0, "date", pa.array(dates, type=pa.timestamp("ms", "UTC")))


def with_metadata(**changes):
    def change(table):
        metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        return table.replace_schema_metadata(metadata | changes)

    return change


def with_value(name, value):
    def change(table):
        values = table[name].to_numpy(zero_copy_only=False).copy()
        values[:] = value
        return table.set_column(table.column_names.index(name), name, pa.array(values.astype("f4")))

    return change


def by_version(name, line="model_version"):
    def change(table):
        column = pa.array([name if value else None for value in table[line].to_pylist()]).dictionary_encode()
        return table.set_column(table.column_names.index(line), line, column)

    return change


FAULTS = {
    "401": (401, "401"),
    "400": (400, "as the test wants"),
    "409": (409, "409"),
    "413": (413, "413"),
    "429": (429, "429"),
    "500": (500, "500"),
    "503": (503, "tools/start.sh train"),
    "redirect": ("redirect", "307"),
    "garbage": ("garbage", "not the Arrow stream"),
    "short": (lambda table: table.slice(0, table.num_rows - 1), "rows, asked were"),
    "duplicated row": (
        lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, table.num_rows - 1)]),
        "row 1",
    ),
    "doubled": (lambda table: pa.concat_tables([table, table]), "1400 rows"),
    "other date": (wrong_row, "row 3"),
    "other pair": (with_metadata(pair="ETH/USDT:USDT"), "ETH/USDT:USDT"),
    "other timeframe": (with_metadata(timeframe="1h"), "'1h'"),
    "no digest": (with_metadata(chain_digest=""), "chain_digest"),
    "other digest": (with_metadata(chain_digest="c" * 64), "different chains"),
    "lost column": (lambda table: table.drop_columns(["stop_short"]), "stop_short"),
    "text for numbers": (
        lambda table: table.set_column(5, table.column_names[5], pa.array(["x"] * table.num_rows)),
        "not the Arrow stream",
    ),
    "NaN": (with_value("probability_up_4h", np.nan), "21 rows name their versions"),
    "infinite": (with_value("probability_up_4h", np.inf), "21 rows name their versions"),
    "probability above 1": (with_value("probability_up_1h", 1.01), "out of range"),
    "negative probability": (with_value("probability_down_12h", -0.01), "out of range"),
    "stake above what risk allows": (with_value("stake_multiplier", 1.5), "out of range"),
    "stop at the price": (with_value("stop_long", 0.0), "out of range"),
    "other direction digest": (with_metadata(direction_chain_digest="c" * 64), "different chains"),
    "unknown direction version": (by_version("d9", "direction_version"), "d9"),
    "direction version from the future": (by_version("d3", "direction_version"), "before its valid_from"),
    "unknown version": (by_version("v9"), "v9"),
    "version from the future": (by_version("v2"), "before its valid_from"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_answer_is_a_missing_one_and_says_so(stub, make_candles, caplog, name):
    """CLT-4, CLT-5, LIM-9; and it recovers by itself with the next good answer."""
    fault, words = FAULTS[name]
    frame = make_candles(700)
    late = {"version": "d3", "valid_from": "2025-03-01T00:00:00Z", "trained_until": "2025-02-28T00:00:00Z"}
    stub.direction_versions.append(late)
    stub.faults[:] = [fault]
    source = source_of(stub)
    answer = ask(source, frame)
    assert all_missing(answer)
    assert list(answer.columns) == list(COLUMNS)
    (warning,) = warnings_of(caplog)
    assert "No entries will be made" in warning
    assert words in warning
    assert not all_missing(ask(source, frame))


def test_a_service_that_is_not_there_is_told_once(make_candles, caplog):
    """One warning for three pairs, again after five minutes."""
    with running() as stub:
        pass
    clock = Clock()
    source = source_of(stub, clock=clock)
    for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT"):
        assert all_missing(source.columns(pair, TIMEFRAME, make_candles(700)))
    assert len(warnings_of(caplog)) == 1
    assert "tools/start.sh serve" in warnings_of(caplog)[0]
    clock.now += complaints.QUIET_SECONDS + 1
    ask(source, make_candles(700))
    assert "ConnectError" in warnings_of(caplog)[1]


def test_a_missing_key_is_named_and_a_key_never_logged(stub, make_candles, caplog, monkeypatch):
    """LIM-8."""
    caplog.set_level(logging.DEBUG)
    ask(source_of(stub), make_candles(700))
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "short")
    assert all_missing(ask(source_of(stub), make_candles(700)))
    assert "CANDLEWRIGHT_API_KEY" in warnings_of(caplog)[-1]
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "w" * 40)
    assert all_missing(ask(source_of(stub), make_candles(700)))
    assert "401" in warnings_of(caplog)[-1]
    assert not any(secret in caplog.text for secret in ("k" * 32, "w" * 40))


@pytest.mark.parametrize("frame", ["nothing", "one row", "no prices", "no date"])
def test_strange_frames_are_answered_with_nan(stub, make_candles, frame):
    whole = make_candles(700)
    frames = {
        "nothing": whole.iloc[:0],
        "one row": whole.iloc[:1],
        "no prices": whole[["date"]],
        "no date": whole[["close"]],
    }
    for as_of in ("each", "latest"):
        assert all_missing(ask(source_of(stub), frames[frame], as_of))


def test_a_range_without_any_version_is_explained(stub, make_candles, caplog):
    stub.versions[:] = stub.versions[1:]
    assert all_missing(ask(source_of(stub), make_candles(700, start="2025-01-01")))
    assert "no_version, warmup; both lines have a version from 2025-02-01T00:00:00+00:00 on" in warnings_of(caplog)[0]


def test_another_timeframe_than_the_models_is_explained(stub, make_candles, caplog):
    answer = source_of(stub).columns(PAIR, "5m", make_candles(700, timeframe="5m"))
    assert all_missing(answer)
    assert "no unified model for timeframe 5m" in warnings_of(caplog)[0]


def test_a_request_above_the_limit_is_split_and_the_rows_are_the_same(stub, make_candles, monkeypatch):
    """LIM-4: the parts overlap by what a score reads."""
    frame = make_candles(2000)
    whole = ask(source_of(stub), frame)
    monkeypatch.setattr(history.wire.split_ranges, "__defaults__", (900,))
    stub.chain_digest = "b" * 64  # ask again
    parts = ask(source_of(stub), frame)
    pd.testing.assert_frame_equal(whole, parts)
    assert [rows for method, _, rows, _ in stub.requests if method == "POST"] == [2000] + [900] * 6


def test_live_asks_for_the_newest_candle_and_never_spreads_the_reply(stub, make_candles):
    """ASO-4, CLT-1, CLT-3: one request per new candle, answers stay with their candle."""
    frame = make_candles(1000)
    source = source_of(stub, live=True)
    first = ask(source, frame.iloc[:998])
    assert first["model_version"].notna().to_numpy().nonzero()[0].tolist() == [997]
    ask(source, frame.iloc[:998])  # the same candle again
    ask(source, frame.iloc[:999])
    answer = ask(source, frame.iloc[3:1000])
    assert answer["model_version"].notna().to_numpy().nonzero()[0].tolist() == [994, 995, 996]
    rows = [rows for method, _, rows, as_of in stub.requests if method == "POST" and as_of == "latest"]
    assert rows == [WARMUP + DIRECTION_CONTEXT + live.MARGIN] * 3
    each = ask(source, frame, "each")
    pd.testing.assert_frame_equal(answer.drop(columns=AGE).iloc[-3:], each.drop(columns=AGE).iloc[-3:])


PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")


class DataProvider:
    """Freqtrade's, as far as a prefetch reads it."""

    def __init__(self, frames):
        self.frames = frames

    def current_whitelist(self):
        return list(self.frames)

    def get_pair_dataframe(self, pair, timeframe):
        return self.frames[pair]


def posts(stub):
    return [(rows, as_of) for method, _, rows, as_of in stub.requests if method == "POST"]


def test_one_request_brings_the_newest_candle_of_all_pairs(stub, make_candles):
    """SRV-6: and every pair gets the very answer that it would have got on its own."""
    frames = {pair: make_candles(800, seed=seed) for seed, pair in enumerate(PAIRS)}
    together, alone = source_of(stub, live=True), source_of(stub, live=True)
    for _ in range(3):  # one question per candle, however often the loop turns
        together.prefetch(DataProvider(frames), TIMEFRAME)
    assert posts(stub) == [(3 * (WARMUP + DIRECTION_CONTEXT + live.MARGIN), "latest")]
    answers = {pair: together.columns(pair, TIMEFRAME, frame) for pair, frame in frames.items()}
    assert len(posts(stub)) == 1
    for pair, frame in frames.items():
        expected = alone.columns(pair, TIMEFRAME, frame)
        pd.testing.assert_frame_equal(answers[pair].drop(columns=AGE), expected.drop(columns=AGE))
        assert answers[pair]["expected_return_4h"].notna().iloc[-1]
        assert answers[pair][AGE].iloc[-1] > 0


@pytest.mark.parametrize(
    "fault",
    [400, 503, "garbage", "drop", lambda table: table.slice(1), lambda table: table.take([1, 0, 2]),
     lambda table: pa.concat_tables([table, table]), with_metadata(timeframe="1h"),
     lambda table: table.drop_columns(["pair"])],
    ids=["400", "503", "garbage", "drop", "one pair less", "swapped", "twice", "other timeframe", "no pairs"],
)  # fmt: skip
def test_pairs_are_asked_one_by_one_when_the_common_question_fails(stub, make_candles, fault):
    frames = {pair: make_candles(800, seed=seed) for seed, pair in enumerate(PAIRS)}
    source = source_of(stub, live=True)
    stub.faults[:] = [fault, fault] if fault == "drop" else [fault]
    source.prefetch(DataProvider(frames), TIMEFRAME)
    for pair, frame in frames.items():
        alone = source_of(stub, live=True).columns(pair, TIMEFRAME, frame)
        pd.testing.assert_frame_equal(source.columns(pair, TIMEFRAME, frame).drop(columns=AGE), alone.drop(columns=AGE))
        assert alone["model_version"].notna().iloc[-1]


def many(make_candles, number):
    """Return so many pairs, all of the same walk: what is tested is how they are asked about."""
    frame = make_candles(800)
    return {f"C{index:03}/USDT:USDT": frame for index in range(number)}


def test_many_pairs_are_asked_about_in_parts(stub, make_candles):
    """200 pairs in one question would be too slow for its time limit; one bad part leaves the others what they have."""
    frames = many(make_candles, 200)
    frames["C005/USDT:USDT"] = None  # no candles yet
    frames["C150/USDT:USDT"] = make_candles(799)  # a candle behind
    stub.faults[:] = [None, 400]
    source = source_of(stub, live=True)
    source.prefetch(DataProvider(frames), TIMEFRAME)
    each = WARMUP + DIRECTION_CONTEXT + live.MARGIN
    assert [rows // each for rows, _ in posts(stub)] == [32] * 6 + [7]
    for pair in ("C000/USDT:USDT", "C150/USDT:USDT", "C199/USDT:USDT"):
        assert source.columns(pair, TIMEFRAME, frames[pair])["model_version"].notna().iloc[-1]
    assert len(posts(stub)) == 7
    assert source.columns("C040/USDT:USDT", TIMEFRAME, frames["C040/USDT:USDT"])["model_version"].notna().iloc[-1]
    assert len(posts(stub)) == 8  # of the part that was refused: on its own


def test_a_slow_service_stops_no_loop(stub, make_candles, caplog):
    """All questions of one loop together wait less than Freqtrade's 5 s, however many pairs there are."""
    frames = many(make_candles, 60)
    source = ForecastSource(Settings(service_url=stub.url), live=True, wait_seconds=0.6)
    stub.faults[:] = [0.4] * 100
    source.prefetch(DataProvider(frames), TIMEFRAME)
    answers = [source.columns(pair, TIMEFRAME, frame) for pair, frame in frames.items()]
    clients = client._clients[stub.url]
    assert clients.patience.limit(1.5) == 0.0
    assert len(posts(stub)) <= 2  # one question may overrun once; nobody asks for the other pairs
    assert sum(not all_missing(answer) for answer in answers) <= 32
    assert "questions of this loop have taken the 0.6 s" in caplog.text
    stub.faults.clear()
    clients.patience.seconds = 600.0
    source.prefetch(DataProvider(frames), TIMEFRAME)  # the next loop has its own time
    assert not all_missing(source.columns("C059/USDT:USDT", TIMEFRAME, frames["C059/USDT:USDT"]))


def test_pairs_that_left_the_whitelist_are_forgotten(stub, make_candles):
    """A bot runs for months, and its whitelist turns over."""
    frame = make_candles(1700)
    source = source_of(stub, live=True)
    for rows, pairs in ((700, PAIRS), (701, PAIRS[:2]), (1650, PAIRS[:1])):
        for pair in pairs:
            shown = frame.iloc[max(0, rows - 800) : rows]
            source.prefetch(DataProvider(dict.fromkeys(pairs, shown)), TIMEFRAME)
            source.columns(pair, TIMEFRAME, shown)
    assert {pair for pair, _ in source._live._answered} == {pair for pair, _ in source._live._prefetched} == {PAIRS[0]}
    assert len(source._live._answered[PAIRS[0], TIMEFRAME]) == 1


def test_a_backtest_and_a_broken_data_provider_prefetch_nothing(stub, make_candles, caplog):
    source_of(stub).prefetch(DataProvider({pair: make_candles(800) for pair in PAIRS}), TIMEFRAME)
    source_of(stub, live=True).prefetch(object(), TIMEFRAME)
    assert stub.requests == []
    assert "No entries will be made" in warnings_of(caplog)[0]


def test_live_keeps_earlier_answers_when_the_newest_fails(stub, make_candles, caplog):
    frame = make_candles(1000)
    source = source_of(stub, live=True)
    ask(source, frame.iloc[:999])
    stub.faults[:] = [503]
    answer = ask(source, frame)
    assert answer["model_version"].notna().to_numpy().nonzero()[0].tolist() == [998]
    assert "No entries" in warnings_of(caplog)[0]
    assert ask(source, frame)["model_version"].notna().iloc[-1]


def test_live_drops_an_answer_whose_candle_was_corrected(stub, make_candles):
    frame = make_candles(800)
    source = source_of(stub, live=True)
    ask(source, frame)
    frame.loc[799, "volume"] *= 2
    stub.faults[:] = [503]
    assert all_missing(ask(source, frame))


def test_live_accepts_a_reply_of_the_newest_row_alone(stub, make_candles):
    stub.faults[:] = [lambda table: table.slice(table.num_rows - 1)]
    answer = ask(source_of(stub, live=True), make_candles(800))
    assert answer["model_version"].notna().to_numpy().nonzero()[0].tolist() == [799]


def test_which_version_decided_what_is_logged(stub, make_candles, room, monkeypatch):
    path = room / "forecasts.jsonl"
    monkeypatch.setenv("CANDLEWRIGHT_FORECAST_LOG", str(path))
    frame = make_candles(1500)
    ask(source_of(stub), frame)
    ask(source_of(stub), frame)
    service, cache = (json.loads(line) for line in path.read_text().splitlines())
    assert (service["source"], cache["source"]) == ("service", "cache")
    assert service["segments"] == cache["segments"]
    assert [segment["model_version"] for segment in service["segments"]] == ["v1", "v2"]
    assert sum(segment["rows"] for segment in service["segments"]) == 1500 - FIRST
    assert service["segments"][1]["first"] == "2025-01-31T23:45:00+00:00"  # closes at v2's valid_from
    assert service["unscored"] == {"warmup": FIRST}


def test_live_decisions_are_written_down_once_and_a_full_disk_stops_nothing(
    stub, make_candles, room, monkeypatch, caplog
):
    """ASO-6: a candle that is asked about again is one decision; without the variable nothing is written."""
    path, frame = room / "decisions.jsonl", make_candles(800)
    source = source_of(stub, live=True)
    ask(source, frame.iloc[:799])
    monkeypatch.setenv("CANDLEWRIGHT_DECISION_LOG", str(path))
    ask(source, frame)
    answer = ask(source, frame)
    (line,) = (json.loads(line) for line in path.read_text().splitlines())
    last = answer.iloc[-1]
    assert line["date"] == frame["date"].iloc[-1].isoformat()
    assert line["candle"]["close"] == frame["close"].iloc[-1]
    assert line["texts"] == {name: last[name] for name in ("signal", "model_version", "direction_version")}
    assert all(value == last[name] for name, value in line["numbers"].items())
    monkeypatch.setenv("CANDLEWRIGHT_DECISION_LOG", "/dev/full")
    assert ask(source_of(stub, live=True), frame)["model_version"].notna().sum() == 1
    assert "CANDLEWRIGHT_DECISION_LOG /dev/full cannot be written" in caplog.text


def test_the_run_mode_decides_what_is_asked():
    assert all(forecast_source({"runmode": mode}).live for mode in ("live", "dry_run"))
    assert not any(forecast_source({"runmode": mode}).live for mode in ("backtest", "hyperopt", "plot", "other"))
