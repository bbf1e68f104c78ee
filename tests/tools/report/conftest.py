"""A small synthetic market and Freqtrade results on it, made by Freqtrade's own arithmetic, in code and seeded."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

START = pd.Timestamp("2025-01-05", tz="UTC")
STEP = 900_000  # 15 minutes in ms
START_MS = START.value // 1_000_000
FEE = 0.0005


@dataclass
class World:
    """A data directory with candles, and a pen for results."""

    folder: Path
    frames: dict[str, pd.DataFrame]

    @property
    def datadir(self):
        return self.folder / "data"

    def trade(
        self,
        pair,
        bar,
        bars,
        *,
        short=False,
        stake=100.0,
        leverage=1.0,
        funding=0.0,
        tag="a",
        reason="roi",
        is_open=False,
    ):
        """Return a trade as Freqtrade exports it, entered and left at the opens of its candles."""
        opens = self.frames[pair]["open"].to_numpy()
        entry, leave = float(opens[bar]), float(opens[min(bar + bars, len(opens) - 1)])
        amount = stake * leverage / entry
        side = -1.0 if short else 1.0
        profit = side * amount * (leave - entry) - amount * FEE * (entry + leave) + funding
        begin, end = START_MS + bar * STEP, START_MS + (bar + bars) * STEP
        orders = [
            {"amount": amount, "safe_price": entry, "ft_order_side": "sell" if short else "buy", "ft_is_entry": True,
             "order_filled_timestamp": begin, "ft_order_tag": tag, "cost": amount * entry},
            {"amount": amount, "safe_price": leave, "ft_order_side": "buy" if short else "sell", "ft_is_entry": False,
             "order_filled_timestamp": end, "ft_order_tag": reason, "cost": amount * leave},
        ]  # fmt: skip
        return {
            "pair": pair, "stake_amount": stake, "max_stake_amount": stake, "amount": amount,
            "open_rate": entry, "close_rate": None if is_open else leave, "fee_open": FEE, "fee_close": FEE,
            "profit_abs": None if is_open else round(profit, 8), "profit_ratio": None if is_open else profit / stake,
            "exit_reason": None if is_open else reason, "is_open": is_open, "enter_tag": tag, "leverage": leverage,
            "is_short": bool(short), "open_timestamp": begin, "close_timestamp": None if is_open else end,
            "orders": orders[:1] if is_open else orders, "funding_fees": funding,
        }  # fmt: skip

    def stats(self, trades, *, pairs=None, bars=None, balance=1000.0, **changes):
        """Return a strategy's entry of the result."""
        bars = bars or len(next(iter(self.frames.values())))
        closed = [trade for trade in trades if not trade["is_open"]]
        profit = sum(trade["profit_abs"] for trade in closed)
        return {
            "trades": trades, "pairlist": pairs or list(self.frames), "timeframe": "15m", "stake_currency": "USDT",
            "starting_balance": balance, "final_balance": balance + profit, "backtest_start_ts": START_MS,
            "backtest_end_ts": START_MS + (bars - 1) * STEP, "trading_mode": "futures", "margin_mode": "isolated",
            "stake_amount": 100, "max_open_trades": 3, "profit_total_abs": profit, "sharpe": 1.0, "sortino": 1.0,
            "calmar": 1.0, "max_drawdown_account": 0.01, "total_trades": len(trades),
        } | changes  # fmt: skip

    def write(self, strategies, name="backtest-result-2025-02-01_00-00-00"):
        """Write a result as Freqtrade's zip with its metadata and return its path."""
        folder = self.folder / "results"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                zipfile.ZipInfo(f"{name}.json"), json.dumps({"strategy": strategies, "strategy_comparison": []})
            )
            archive.writestr(zipfile.ZipInfo(f"{name}_config.json"), json.dumps({"stake_currency": "USDT"}))
            for strategy in strategies:
                if "/" not in strategy and "<" not in strategy:
                    archive.writestr(zipfile.ZipInfo(f"{name}_{strategy}.py"), f"class {strategy}: ...")
        (folder / f"{name}.meta.json").write_text(json.dumps({each: {"run_id": "abc123"} for each in strategies}))
        (folder / ".last_result.json").write_text(json.dumps({"latest_backtest": path.name}))
        return path

    def busy(self, count=60, seed=3):
        """Return trades at regular places on every pair, long and short, winners and losers."""
        rng = np.random.default_rng(seed)
        pairs = list(self.frames)
        trades = []
        for number in range(count):
            pair = pairs[number % len(pairs)]
            length = int(rng.integers(1, 30))
            room = len(self.frames[pair]) // (count // len(pairs) + 1)
            begin = (number // len(pairs)) * room
            trades.append(
                self.trade(
                    pair,
                    begin + int(rng.integers(0, max(1, room - 31))),
                    length,
                    short=bool(rng.integers(0, 2)),
                    leverage=float(rng.integers(1, 4)),
                    funding=float(rng.normal(0, 0.05)),
                    tag=("breakout", "pullback")[number % 2],
                    reason=("roi", "stop_loss", "exit_signal")[number % 3],
                )
            )
        return sorted(trades, key=lambda trade: trade["open_timestamp"])


def random_walk(bars, seed, price=100.0, volatility=0.003):
    """Return candles of a driftless random walk."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0.0, volatility, bars)))
    opened = np.concatenate([[price], close[:-1]])
    spread = np.abs(rng.normal(0.0, volatility / 2, bars))
    return pd.DataFrame(
        {
            "date": START + pd.to_timedelta(np.arange(bars) * 15, unit="min"),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + spread),
            "low": np.minimum(opened, close) * (1 - spread),
            "close": close,
            "volume": rng.uniform(1, 10, bars),
        }
    )


@pytest.fixture
def make_world(tmp_path):
    """Return a function that makes a World of some pairs."""

    def make(pairs=("BTC/USDT:USDT", "ETH/USDT:USDT"), bars=96 * 45, seed=1):
        futures = tmp_path / "data" / "futures"
        futures.mkdir(parents=True, exist_ok=True)
        frames = {pair: random_walk(bars, seed + number) for number, pair in enumerate(pairs)}
        for pair, frame in frames.items():
            frame.to_feather(futures / f"{pair.replace('/', '_').replace(':', '_')}-15m-futures.feather")
        return World(tmp_path, frames)

    return make


@pytest.fixture
def world(make_world):
    return make_world()
