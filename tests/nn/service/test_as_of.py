"""Over random chains and requests, nothing is scored by a version with valid_from after the candle's close (ASO-1)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tradekernels.features import feature_set

from nn.service.backends.choice import Backends
from nn.service.shelf import Shelf

PATHS = {"/forecast": ["unified-15m"], "/direction": ["direction-15m"], "/predict": ["unified-15m", "direction-15m"]}
NAMES = {"unified-15m": "model_version", "direction-15m": "direction_version"}
BARS = st.lists(st.integers(100, 330), min_size=1, max_size=3, unique=True).map(sorted)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bars=st.tuples(BARS, BARS),
    champions=st.tuples(st.integers(100, 400), st.integers(100, 400)),
    begin=st.integers(0, 60),
    n_rows=st.integers(1, 300),
    as_of=st.sampled_from(["each", "latest"]),
    seed=st.integers(0, 3),
)
def test_nothing_is_scored_by_a_version_from_its_future(
    kit, serve, make_registry, bars, champions, begin, n_rows, as_of, seed
):
    """By the newest allowed one of the chain over history, by the champion or nobody for the newest candle."""
    registry = make_registry()
    valid_from, champion_of = {}, {}
    for line, mine, champion in zip(NAMES, bars, champions, strict=True):
        names = [registry.add(bar, index, line) for index, bar in enumerate(mine)]
        champion_of[line] = registry.add(champion, 9, line)
        registry.publish(*names, champion=champion_of[line], line=line)
        valid_from |= dict(zip([*names, champion_of[line]], [*mine, champion], strict=True))
    chains = {
        line: [name for name in valid_from if name.startswith(line) and name != champion_of[line]] for line in NAMES
    }
    ask, frame = serve(registry), kit.candles(begin + n_rows, seed).iloc[begin:]
    scored = {}
    for path, lines in PATHS.items():
        rows = ask.json(frame, path, as_of=as_of).json()["rows"]
        assert len(rows) == (n_rows if as_of == "each" else 1)
        for row in rows:
            bar = (row["close_time"] - int(kit.start.timestamp() * 1000)) / kit.bar_ms  # when it closed, in bars
            for line in lines:
                version = row[NAMES[line] if path == "/predict" else "model_version"]
                if version is None:
                    continue
                assert valid_from[version] <= bar
                allowed = [name for name in chains[line] if valid_from[name] <= bar]
                assert version == (champion_of[line] if as_of == "latest" else allowed[-1])
            scored[path, row["date"]] = row["model_version"] is not None
    for (path, date), known in scored.items():
        if path == "/predict":  # a decision needs both, and never less
            assert known <= (scored["/forecast", date] and scored["/direction", date])


@pytest.fixture
def make_registry(registry, tmp_path):
    """Return a function that makes an empty registry, another one at each call."""
    count = iter(range(10_000))
    return lambda: type(registry)(tmp_path / f"registry{next(count)}")


def test_a_version_counts_from_the_close_of_its_first_candle(serve, registry, kit):
    """By hand: valid from the open of candle 200, which is the close of candle 199."""
    for line in NAMES:
        registry.publish(registry.add(200, line=line), line=line)
    rows = serve(registry).json(kit.candles(230), "/predict").json()["rows"]
    assert [row["reason"] for row in rows[:199]] == ["no_version"] * 199
    assert all(row["model_version"] for row in rows[199:])


@pytest.fixture
def mixed(registry, kit) -> object:
    """A line whose versions read other features, another warm-up and another length of context."""
    features = feature_set((*kit.features.names[:4], "ema_20_ratio", "hour_cos"), "15m")
    longer = replace(kit.config, context_length=32)
    other = {"feature_names": features.names, "feature_digest": features.digest, "warmup": features.warmup}
    assert features.warmup != kit.features.warmup
    registry.publish(
        registry.add(200), registry.add(250, 1, config=longer, **other), registry.add(380, 2, config=longer)
    )
    return registry


@pytest.mark.parametrize("backend", ["eager", "shared"])
def test_a_range_asked_in_parts_has_the_same_bits_and_digest(mixed, serve, kit, backend):
    """ASO-1, SRV-6: parts that overlap by warm-up and context, as clients cut them, of a line of unlike versions."""
    ask, frame = serve(mixed), kit.candles(460)
    ask.app.shelf = Shelf(
        mixed.folder, environ={"CANDLEWRIGHT_MODEL_KEY": kit.model_key}, backends=Backends(backend, "fp32")
    )
    ask.app.shelf.look()
    [line] = ask("GET", "/models").json()["lines"]
    overlap = line["warmup"] + line["context_length"]

    def forecasts(first: int, end: int) -> pa.Table:
        table = kit.read_reply(ask.arrow(kit.arrow_body(frame.iloc[first:end])).content)
        assert table.schema.metadata[b"chain_digest"].decode() == line["chain_digest"]
        return table

    whole = forecasts(0, 460)
    assert len(set(whole["model_version"].to_pylist()) - {None}) == 3
    for cut in (overlap, 300, 379, 380, 459):
        part = forecasts(cut - overlap, 460).slice(overlap)
        for name in part.column_names:
            assert part[name].to_pylist() == whole[name].slice(cut).to_pylist(), (cut, name)


def test_backends_with_other_bits_have_other_digests(mixed, kit):
    """A client that cuts a range in two sees when the arithmetic changed between its halves."""
    environ = {"CANDLEWRIGHT_MODEL_KEY": kit.model_key}
    digests, bits = [], []
    rows = np.random.default_rng(7).normal(size=(80, kit.config.n_features)).astype(np.float32)
    for backend, precision in (("eager", "fp32"), ("shared", "fp32"), ("shared", "bf16"), ("shared", "fp32")):
        shelf = Shelf(mixed.folder, environ=environ, backends=Backends(backend, precision))
        shelf.look()
        line = shelf.line_of("15m")
        digests.append(line.chain_digest)
        bits.append(line.chain[0].forecast(rows, np.arange(20, 80)).tobytes())
    assert len(set(digests)) == 3
    assert (digests[1], bits[1]) == (digests[3], bits[3])
    assert bits[2] != bits[1]
