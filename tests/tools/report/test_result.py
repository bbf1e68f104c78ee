"""Reading Freqtrade's result: what is there, and one line about everything that is not."""

import json
import zipfile

import pytest

from tools.report import result
from tools.report.result import BadResult, read_result


def test_the_newest_result_of_a_folder_is_read_with_its_lineage(world):
    """EVA-8: strategy file, config and result are named by their hash."""
    world.write({"Old": world.stats([])}, "backtest-result-1")
    path = world.write({"New": world.stats(world.busy(4))})
    backtest = read_result(path.parent)
    assert backtest.strategy == "New"
    assert len(backtest.trades) == 4
    assert len(backtest.fills) == 8
    assert backtest.lineage["run_id"] == "abc123"
    assert all(len(backtest.lineage[key]) == 64 for key in ("result_sha256", "config_sha256", "strategy_sha256"))


def test_the_bare_json_and_a_renamed_zip_say_the_same(world, tmp_path):
    path = world.write({"A": world.stats(world.busy(4))})
    renamed = path.rename(tmp_path / "mine.zip")
    with zipfile.ZipFile(renamed) as archive:
        (tmp_path / "mine.json").write_bytes(archive.read("backtest-result-2025-02-01_00-00-00.json"))
    one, other = read_result(renamed), read_result(tmp_path / "mine.json")
    assert one.trades.equals(other.trades)


def test_a_strategy_is_chosen_by_name_and_an_unknown_one_is_refused_with_the_known(world):
    path = world.write({"First": world.stats([]), "Second": world.stats(world.busy(2))})
    assert read_result(path).other_strategies == ("Second",)
    assert len(read_result(path, "Second").trades) == 2
    with pytest.raises(BadResult, match="no strategy 'Third'; it holds First, Second"):
        read_result(path, "Third")


def test_a_result_without_orders_gets_one_fill_in_and_one_out(world):
    trade = world.trade("BTC/USDT:USDT", 5, 3, short=True)
    trade.pop("orders")
    backtest = read_result(world.write({"A": world.stats([trade])}))
    assert backtest.fills["signed_amount"].tolist() == [-trade["amount"], trade["amount"]]


def _truncated(world, path):
    path.write_bytes(path.read_bytes()[:-200])


def _bit_flipped(world, path):
    raw = bytearray(path.read_bytes())
    raw[200] ^= 0xFF
    path.write_bytes(raw)


def _no_json(world, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def _not_json(world, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.with_suffix(".json").name, "{")


def _deeply_nested(world, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.with_suffix(".json").name, "[" * 200_000)


def _no_strategy(world, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.with_suffix(".json").name, json.dumps({"strategy": {}}))


def _no_trades(world, path):
    world.write({"A": {"pairlist": []}})


def _bad_trade(world, path):
    trade = world.trade("BTC/USDT:USDT", 5, 3) | {"open_rate": "cheap"}
    world.write({"A": world.stats([]) | {"trades": [trade]}})


def _no_price(world, path):
    trade = world.trade("BTC/USDT:USDT", 5, 3)
    trade["orders"][0]["safe_price"] = float("nan")
    world.write({"A": world.stats([]) | {"trades": [trade]}})


@pytest.mark.parametrize(
    "spoil",
    [_truncated, _bit_flipped, _no_json, _not_json, _deeply_nested, _no_strategy, _no_trades, _bad_trade, _no_price],
)
def test_a_spoilt_result_is_refused_with_its_name(world, spoil):
    path = world.write({"A": world.stats(world.busy(4))})
    spoil(world, path)
    with pytest.raises(BadResult, match=path.name):
        read_result(path)


def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_does(world, monkeypatch):
    path = world.write({"A": world.stats(world.busy(4))})
    monkeypatch.setattr(result, "MAX_MEMBER_BYTES", 1000)
    with pytest.raises(BadResult, match="at most 1000 are read"):
        read_result(path)


@pytest.mark.parametrize("pointer", ["{}", '{"latest_backtest": "../../etc/passwd"}', "no json", '["a"]'])
def test_a_bad_pointer_to_the_newest_result_is_refused(tmp_path, pointer):
    (tmp_path / ".last_result.json").write_text(pointer)
    with pytest.raises(BadResult, match="last_result"):
        read_result(tmp_path)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(BadResult, match="no such result file"):
        read_result(tmp_path / "none.zip")
    with pytest.raises(BadResult, match="freqtrade backtesting"):
        read_result(tmp_path)
