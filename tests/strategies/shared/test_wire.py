"""The client's side of the wire contract: the same names as the service's file and table (SRV-7)."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from strategies.shared import wire
from strategies.shared.client import ForecastUnavailable
from strategies.shared.forms import DECISION, LEVELS, NUMBERS, ROLLOUT, SHARES
from strategies.shared.model_lines import LINE_KEYS
from strategies.shared.wire import MAX_ROWS, split_ranges

CONTRACTS = Path(__file__).resolve().parents[3] / "configs" / "contracts"


CANDLES = pa.table(
    {"date": pa.array([0, 900_000], pa.timestamp("ms", "UTC")), **{name: [1.0, 2.0] for name in wire.PRICES}}
)


def test_the_contract_has_the_columns_that_the_client_reads():
    """SRV-7: by name, kind and range."""
    row = json.loads((CONTRACTS / "decision_reply.v1.json").read_text())["properties"]["rows"]["items"]["properties"]
    assert set(row) == {"date", "close_time", *NUMBERS, *DECISION.texts, "reason"}
    assert all("number" in row[name]["type"] for name in NUMBERS)
    assert {name for name in NUMBERS if row[name].get("maximum") == 1} == set(SHARES)
    assert {name for name in NUMBERS if row[name].get("exclusiveMinimum") == 0} == set(LEVELS)


def test_the_contract_of_rollouts_has_the_columns_that_the_client_reads():
    """SRV-7: by name, kind and range."""
    row = json.loads((CONTRACTS / "rollout_reply.v1.json").read_text())["properties"]["rows"]["items"]["properties"]
    assert set(row) == {"date", "close_time", *ROLLOUT.numbers, *ROLLOUT.texts, "reason"}
    assert all("number" in row[name]["type"] for name in ROLLOUT.numbers)
    assert (row["target_weight"]["minimum"], row["target_weight"]["maximum"]) == (-1, 1)


def test_the_service_decides_in_these_columns():
    from nn.service.decision import DECISION_COLUMNS

    assert {*DECISION_COLUMNS, "signal_probability"} == set(NUMBERS)


def test_the_model_list_of_the_contract_has_what_the_client_reads():
    text = (CONTRACTS / "models_reply.v1.json").read_text()
    keys = ("lines", "kind", "timeframe", *LINE_KEYS, "version", "valid_from", *DECISION.lines.values())
    assert [key for key in keys if f'"{key}"' not in text] == []


def test_the_service_reads_a_question_as_it_was_put():
    """One pair with its name as a parameter, several with a column of names: the service's own reader takes both."""
    from nn.service.arrow import read_arrow

    one = read_arrow(wire.encode(CANDLES, "15m", "latest", "BTC/USDT"))
    several = read_arrow(wire.encode_pairs({"BTC/USDT": CANDLES, "ETH/USDT:USDT": CANDLES}, "15m"))
    assert [block.pair for block in one.blocks] == ["BTC/USDT"]
    assert [block.pair for block in several.blocks] == ["BTC/USDT", "ETH/USDT:USDT"]
    assert (one.live, several.live) == (True, True)


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 1000])
def test_parts_keep_every_row_once_and_read_enough_before_it(rows):
    """LIM-4."""
    ranges = split_ranges(rows, overlap=40, max_rows=100)
    assert [row for start, keep, end in ranges for row in range(keep, end)] == list(range(rows))
    assert all(end - start <= 100 and (keep - start == 40 or start == 0) for start, keep, end in ranges)


def test_a_window_larger_than_a_request_is_refused():
    with pytest.raises(ForecastUnavailable, match=f"at most {MAX_ROWS}"):
        split_ranges(10, overlap=MAX_ROWS)
