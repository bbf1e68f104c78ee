"""Read a Freqtrade backtest result without running any of it.

From: `backtest-result-*.zip` (Freqtrade 2026.9), the bare `.json` inside it, or the folder that holds them.
To: `Backtest`, whose trades and fills are checked tables; every other room of the report reads only that.
"""

import hashlib
import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

LAST_RESULT = ".last_result.json"
MAX_MEMBER_BYTES = 512 * 2**20  # unpacked; a year of five-minute scalping is about 40 MB
# What `zipfile` raises: damage, an unknown compression (NotImplementedError), a password (RuntimeError).
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class BadResult(ValueError):
    """A result that cannot be reported; the message is one line for people."""


@dataclass(frozen=True)
class Backtest:
    """One strategy's run. Times are UTC milliseconds, money is in `stake_currency`."""

    strategy: str
    other_strategies: tuple[str, ...]
    stats: dict[str, Any]
    trades: pd.DataFrame  # one row a trade, see TRADE_COLUMNS
    fills: pd.DataFrame  # one row a filled order: trade, time, signed_amount, price, fee_rate, is_entry
    lineage: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """Return a statistic that every Freqtrade result carries."""
        try:
            return self.stats[key]
        except KeyError:
            raise BadResult(f"result of {self.strategy} has no {key!r}: not a Freqtrade 2026 backtest result") from None

    def number(self, key: str) -> float:
        """Return a statistic that must be a finite number."""
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadResult(f"result of {self.strategy} has {key} = {value!r}, expected a number")
        return float(value)


def read_result(path: Path, strategy: str | None = None) -> Backtest:
    """Read one strategy of a result; without a name, the first one.

    Raises
    ------
    BadResult
        If the file is missing, damaged, too large, or does not hold that strategy.
    """
    path = newest_result(path) if path.is_dir() else path
    if not path.is_file():
        raise BadResult(f"{path}: no such result file")
    members = _read_zip(path) if path.suffix == ".zip" else {"result": _bounded(path)}
    content = _parse(members["result"], path)
    strategies = content.get("strategy") if isinstance(content, dict) else None
    if not isinstance(strategies, dict) or not strategies:
        raise BadResult(f"{path}: holds no strategy; expected a Freqtrade backtest result")
    name = strategy or next(iter(strategies))
    if name not in strategies:
        raise BadResult(f"{path}: no strategy {name!r}; it holds {', '.join(strategies)}")
    stats = strategies[name]
    if not isinstance(stats, dict) or not isinstance(stats.get("trades"), list):
        raise BadResult(f"{path}: strategy {name!r} has no list of trades")
    trades, fills = _tables(stats["trades"], path)
    others = tuple(other for other in strategies if other != name)
    return Backtest(name, others, stats, trades, fills, _lineage(path, name, members))


def newest_result(folder: Path) -> Path:
    """Return the result that Freqtrade's `.last_result.json` points at."""
    pointer = folder / LAST_RESULT
    if not pointer.is_file():
        raise BadResult(f"{folder}: no {LAST_RESULT}; run `freqtrade backtesting` first or name a result file")
    content = _parse(_bounded(pointer), pointer)
    name = content.get("latest_backtest") if isinstance(content, dict) else None
    if not isinstance(name, str) or PurePosixPath(name).name != name:
        raise BadResult(f"{pointer}: latest_backtest is {name!r}, expected a file name")
    return folder / name


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > MAX_MEMBER_BYTES:
        raise BadResult(f"{path}: {path.stat().st_size} bytes, at most {MAX_MEMBER_BYTES} are read")
    return path.read_bytes()


def _read_zip(path: Path) -> dict[str, bytes]:
    """Read the result, the config and the strategy files; signals (pickles) are never touched."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {info.filename: info.file_size for info in archive.infolist()}
            result = _result_name(path, list(names))
            stem = result.removesuffix(".json")
            wanted = {"result": result, "config": f"{stem}_config.json"}
            wanted |= {name: name for name in names if name.startswith(f"{stem}_") and name.endswith(".py")}
            members = {}
            for key, name in wanted.items():
                if names.get(name, 0) > MAX_MEMBER_BYTES:
                    raise BadResult(
                        f"{path}: {name} unpacks to {names[name]} bytes, at most {MAX_MEMBER_BYTES} are read"
                    )
                if name in names:
                    with archive.open(name) as member:
                        members[key] = member.read(MAX_MEMBER_BYTES)
            return members
    except UNREADABLE as error:
        raise BadResult(f"{path}: damaged zip ({error})") from error


def _result_name(path: Path, names: list[str]) -> str:
    if path.with_suffix(".json").name in names:
        return path.with_suffix(".json").name
    # A renamed zip: the result is the member that the others are named after.
    shortest = min((name for name in names if name.endswith(".json")), key=len, default=None)
    if shortest is None:
        raise BadResult(f"{path}: holds no .json result")
    return shortest


def _parse(raw: bytes, path: Path) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadResult(f"{path}: not JSON ({error})") from error


TRADE_COLUMNS = {
    "pair": "str", "is_short": "bool", "is_open": "bool", "open_time": "int64", "close_time": "Int64",
    "open_rate": "float64", "close_rate": "float64", "amount": "float64", "stake": "float64", "leverage": "float64",
    "fee_open": "float64", "fee_close": "float64", "funding": "float64", "profit": "float64", "profit_ratio": "float64",
    "enter_tag": "str", "exit_reason": "str",
}  # fmt: skip
FILL_COLUMNS = {"trade": "int64", "time": "int64", "signed_amount": "float64", "price": "float64",
                "fee_rate": "float64", "is_entry": "bool"}  # fmt: skip


def _tables(raw_trades: list[dict[str, Any]], path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    trades, fills = [], []
    for number, raw in enumerate(raw_trades):
        try:
            trade = _trade(raw)
            trades.append(trade)
            fills += [{"trade": number, **fill} for fill in _fills(raw, trade)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadResult(f"{path}: trade {number} is malformed ({type(error).__name__}: {error})") from error
    return (pd.DataFrame(trades, columns=list(TRADE_COLUMNS)).astype(TRADE_COLUMNS),
            pd.DataFrame(fills, columns=list(FILL_COLUMNS)).astype(FILL_COLUMNS))  # fmt: skip


def _trade(raw: dict[str, Any]) -> dict[str, Any]:
    is_open = bool(raw.get("is_open")) or raw.get("close_timestamp") is None
    return {
        "pair": str(raw["pair"]),
        "is_short": bool(raw.get("is_short", False)),
        "is_open": is_open,
        "open_time": int(raw["open_timestamp"]),
        "close_time": None if is_open else int(raw["close_timestamp"]),
        "open_rate": float(raw["open_rate"]),
        "close_rate": float("nan") if is_open else float(raw["close_rate"]),
        "amount": float(raw["amount"]),
        "stake": float(raw.get("max_stake_amount") or raw["stake_amount"]),
        "leverage": float(raw.get("leverage") or 1.0),
        "fee_open": float(raw.get("fee_open") or 0.0),
        "fee_close": float(raw.get("fee_close") or 0.0),
        "funding": float(raw.get("funding_fees") or 0.0),  # positive: received
        "profit": float("nan") if is_open else float(raw["profit_abs"]),
        "profit_ratio": float("nan") if is_open else float(raw["profit_ratio"]),
        "enter_tag": str(raw.get("enter_tag") or ""),
        "exit_reason": "still open" if is_open else str(raw.get("exit_reason") or ""),
    }


def _fills(raw: dict[str, Any], trade: dict[str, Any]) -> list[dict[str, Any]]:
    side = -1.0 if trade["is_short"] else 1.0
    orders = [order for order in raw.get("orders") or [] if order.get("order_filled_timestamp") is not None]
    if not orders:  # results of older Freqtrade, or exports without orders: one fill in, one out
        orders = [_order(True, trade["open_time"], trade["amount"], trade["open_rate"])]
        if not trade["is_open"]:
            orders.append(_order(False, trade["close_time"], trade["amount"], trade["close_rate"]))
    return [
        {
            "time": int(order["order_filled_timestamp"]),
            "signed_amount": _finite(order["amount"]) * (side if order["ft_is_entry"] else -side),
            "price": _finite(order["safe_price"]),
            "fee_rate": trade["fee_open"] if order["ft_is_entry"] else trade["fee_close"],
            "is_entry": bool(order["ft_is_entry"]),
        }
        for order in orders
    ]


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a fill has {number}")
    return number


def _order(is_entry: bool, time: int, amount: float, price: float) -> dict[str, Any]:
    return {"ft_is_entry": is_entry, "order_filled_timestamp": time, "amount": amount, "safe_price": price}


def _lineage(path: Path, strategy: str, members: dict[str, bytes]) -> dict[str, Any]:
    """Return the hashes that tie this report to its inputs (EVA-8)."""
    source = next((raw for name, raw in members.items() if name.endswith(f"_{strategy}.py")), None)
    run: dict[str, Any] = {}
    metadata = path.with_suffix(".meta.json")
    if metadata.is_file():
        content = _parse(_bounded(metadata), metadata)
        run = content.get(strategy) or {} if isinstance(content, dict) else {}
    return {
        "result_file": path.name,
        "result_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "config_sha256": hashlib.sha256(members["config"]).hexdigest() if "config" in members else None,
        "strategy_sha256": hashlib.sha256(source).hexdigest() if source is not None else None,
        "run_id": run.get("run_id"),
    }
