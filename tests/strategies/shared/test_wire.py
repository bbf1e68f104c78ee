"""The client's side of the wire contract: the same names as the service's file and table (SRV-7)."""

import json
from pathlib import Path

import pytest

from strategies.shared.client import ForecastUnavailable
from strategies.shared.wire import FORECAST_COLUMNS, MAX_ROWS, split_ranges

CONTRACTS = Path(__file__).resolve().parents[3] / "configs" / "contracts"


def test_the_columns_are_those_of_the_targets():
    from nn.data.targets import FORECAST_COLUMNS as service_columns

    assert tuple(service_columns) == FORECAST_COLUMNS


def test_the_contract_file_names_every_column():
    text = json.dumps(json.loads((CONTRACTS / "forecast_reply.v1.json").read_text()))
    assert [name for name in FORECAST_COLUMNS if f'"{name}"' not in text] == []


def test_the_model_list_of_the_contract_has_what_the_client_reads():
    text = (CONTRACTS / "models_reply.v1.json").read_text()
    keys = ("lines", "timeframe", "chain_digest", "versions", "version", "valid_from", "warmup", "context_length")
    assert [key for key in keys if f'"{key}"' not in text] == []


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 1000])
def test_parts_keep_every_row_once_and_read_enough_before_it(rows):
    """LIM-4."""
    ranges = split_ranges(rows, overlap=40, max_rows=100)
    assert [row for start, keep, end in ranges for row in range(keep, end)] == list(range(rows))
    assert all(end - start <= 100 and (keep - start == 40 or start == 0) for start, keep, end in ranges)


def test_a_window_larger_than_a_request_is_refused():
    with pytest.raises(ForecastUnavailable, match=f"at most {MAX_ROWS}"):
        split_ranges(10, overlap=MAX_ROWS)
