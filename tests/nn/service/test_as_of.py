"""Over random chains and requests, nothing is scored by a version with valid_from after the candle's close (ASO-1)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
