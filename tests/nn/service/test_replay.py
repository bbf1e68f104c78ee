"""The signed table of decisions: as the service answers, and worth nothing once it is changed (ASO-2, ASO-3, ASO-5)."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from nn.registry.signature import sign
from nn.service.replay import MAGIC, main
from strategies.shared import replay
from strategies.shared.forecasts import ForecastSource, forecast_source
from strategies.shared.forms import DECISION, NUMBERS
from strategies.shared.settings import Settings

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
HEAD = len(MAGIC) + 65


@pytest.fixture(scope="module")
def frames(kit):
    """Freqtrade's candles by pair."""
    made = {pair: kit.candles(240 + seed, seed=seed) for seed, pair in enumerate(PAIRS)}
    return {
        pair: frame.assign(date=pd.to_datetime(frame["date"], unit="ms", utc=True).astype("datetime64[ms, UTC]"))
        for pair, frame in made.items()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory, frames, both_lines, kit):
    """A replay file as the command makes it."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "data" / "futures").mkdir(parents=True)
    for pair, frame in frames.items():
        name = pair.replace("/", "_").replace(":", "_")
        frame.to_feather(folder / "data" / "futures" / f"{name}-15m-futures.feather")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANDLEWRIGHT_REGISTRY", str(both_lines.folder))
        patch.setenv("CANDLEWRIGHT_MODEL_KEY", kit.model_key)
        (folder / "service.yaml").write_text("precision: fp32\n")  # as the toy service
        patch.setenv("CANDLEWRIGHT_SERVICE_CONFIG", str(folder / "service.yaml"))
        torch.set_num_threads(3)
        words = ["--datadir", str(folder / "data"), "--out", str(folder / "decisions.replay"), "--pairs", *PAIRS]
        assert main(words) == 0
        patch.setenv("CANDLEWRIGHT_REGISTRY", str(folder / "none"))
        assert main(words) == 2
        torch.set_num_threads(1)
    return folder / "decisions.replay"


@pytest.fixture
def read(tmp_path, monkeypatch, kit):
    """Return a function that asks a source about a pair, from these bytes as its file."""
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", kit.model_key)
    monkeypatch.chdir(tmp_path)

    def read(content: bytes, frame, pair=PAIRS[0], timeframe="15m"):
        (tmp_path / "some.replay").write_bytes(content)
        source = ForecastSource(Settings(replay_file=str(tmp_path / "some.replay"), service_url="http://127.0.0.1:9"))
        return source.columns(pair, timeframe, frame)

    return read


def signed(stream: bytes, key: bytes) -> bytes:
    return MAGIC + sign(MAGIC + stream, key) + b"\n" + stream


@pytest.mark.parametrize("pair", PAIRS)
def test_each_row_is_what_the_service_answers(serve, both_lines, written, read, frames, kit, pair):
    """ASO-2, ASO-5: bit by bit, on its own candle, for a frame that begins elsewhere and goes on further."""
    raw = kit.candles(240 + PAIRS.index(pair), seed=PAIRS.index(pair))
    answer = kit.read_reply(serve(both_lines).arrow(kit.arrow_body(raw, pair=pair), "/predict").content)
    made = kit.read_reply(written.read_bytes()[HEAD:]).schema.metadata
    for name in DECISION.digests:  # with the service's number of threads, too
        assert made[name.encode()] == answer.schema.metadata[name.encode()]
    frame = frames[pair]
    later = frame.iloc[[-1]].assign(date=frame["date"].iloc[-1] + pd.Timedelta("15min"))
    columns = read(written.read_bytes(), pd.concat([frame.iloc[30:], later]), pair)
    assert columns["model_version"].notna().sum() == len(frame) - 159
    for name in NUMBERS:
        expected = answer[name].fill_null(float("nan")).to_numpy()[30:]
        np.testing.assert_array_equal(columns[name].to_numpy()[:-1], expected, err_msg=name)
    for name in DECISION.texts:
        assert (
            columns[name].astype(object).where(columns[name].notna(), None).tolist()[:-1]
            == answer[name].to_pylist()[30:]
        )
    assert columns.iloc[-1][[*NUMBERS, *DECISION.texts]].isna().all()


@pytest.mark.parametrize(
    ("pair", "rows", "bars_later", "decided", "said"),
    [
        (PAIRS[0], slice(20, None), 0, 81, ""),
        (PAIRS[0], slice(20, None), 100, 81, r"no row of 100 of 220 candles"),
        (PAIRS[0], slice(0, 150), 0, 0, r"none of 150 candles is scored \(no_version\)"),
        ("XRP/USDT", slice(20, None), 0, 0, r"no row of 220 of 220 candles.* make the file again"),
    ],
)
def test_what_a_file_decides_nothing_about_is_told(
    written, read, frames, caplog, pair, rows, bars_later, decided, said
):
    """STR-4: a backtest that goes beyond its file, or on another pair, does not trade there, and must not be silent."""
    frame = frames[PAIRS[0]].iloc[rows]
    frame = frame.assign(date=frame["date"] + bars_later * pd.Timedelta("15min"))
    columns = read(written.read_bytes(), frame, pair)
    assert columns["signal"].notna().sum() == decided
    assert bool(caplog.records) == bool(said)
    assert re.search(said, caplog.text)


def test_a_pair_that_is_not_in_the_file_is_told_beside_one_that_lacks_a_candle(
    written, frames, monkeypatch, caplog, kit
):
    """Each cause is told once: a candle that the exchange left out must not silence a whole pair."""
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", kit.model_key)
    source, frame = ForecastSource(Settings(replay_file=str(written))), frames[PAIRS[0]]
    longer = pd.concat([frame, frame.iloc[[-1]].assign(date=frame["date"].iloc[-1] + pd.Timedelta("15min"))])
    for pair, each in ((PAIRS[0], longer), ("XRP/USDT", frame)):
        source.columns(pair, "15m", each)
    assert ["XRP/USDT" in record.getMessage() for record in caplog.records] == [False, True]


def test_what_is_not_signed_as_it_is_decides_nothing(written, read, frames, monkeypatch, caplog):
    """ASO-3: any byte, another key, another file's signature; and nothing is parsed before."""
    whole, frame = written.read_bytes(), frames[PAIRS[0]]
    stream = whole[HEAD:]
    monkeypatch.setattr(replay.wire, "decode", lambda *_: pytest.fail("parsed before its signature was checked"))
    flipped = [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in (0, len(MAGIC) + 3, HEAD, len(whole) - 9)]
    unsigned = [stream, whole[:-1], b"", MAGIC, signed(stream, b"k" * 32)]
    unsigned.append(MAGIC + sign(stream, bytes.fromhex("6d" * 32)) + b"\n" + stream)  # as a model's file is signed
    for content in (*flipped, *unsigned):
        assert read(content, frame)[[*NUMBERS, "signal"]].isna().all(axis=None)
    assert "is not signed with the model key" in caplog.text
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", "short")
    assert read(whole, frame)["signal"].isna().all()


def test_two_rows_of_one_candle_are_refused(written, read, frames, kit, caplog):
    """ASO-3: signed or not; so are another timeframe's rows, an unlisted version, and one before its valid_from."""
    stream = written.read_bytes()[HEAD:]
    table = kit.read_reply(stream)
    told = table.schema.metadata
    early = {**told, b"versions": told[b"versions"].replace(b"2025-01-0", b"2026-01-0")}
    broken = {
        "two rows": pa.concat_tables([table, table.slice(200, 1)]),
        "timeframe": table.replace_schema_metadata({**told, b"timeframe": b"1h"}),
        "does not tell its versions": table.replace_schema_metadata({**told, b"versions": b"{}x"}),
        "not one that /models lists": table.replace_schema_metadata({**told, b"versions": b"[]"}),
        "before its valid_from": table.replace_schema_metadata(early),
    }
    for words, each in broken.items():
        caplog.clear()
        content = signed(kit.stream_of(each), bytes.fromhex(kit.model_key))
        assert read(content, frames[PAIRS[0]])["signal"].isna().all(), words
        assert words in caplog.text


def test_a_live_bot_reads_no_file():
    with pytest.raises(ValueError, match=r"replay_file is for backtests"):
        forecast_source({"runmode": "dry_run", "candlewright": {"replay_file": "x"}})
