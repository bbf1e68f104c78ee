"""Everything the report says, as one plain tree: the JSON file, and the only thing the page is made of.

From: a `Backtest`, its `Market`, the forecast log, the random runs.
To: `report.json` and `page.render`. README.md beside this file explains each key.
"""

import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import metrics
from .decisions import decisions, read_forecast_log
from .equity import Curve, Reconciliation, buy_and_hold, fees_paid, strategy_curve, volume
from .forecast import forecast_verdict, read_forecast
from .market import Market, read_market
from .micro import replay
from .random_entries import RandomRuns, random_runs
from .result import Backtest
from .tables import monthly, per_pair, per_tag
from .verdict import verdict

SCHEMA_VERSION = 1
CURVE_POINTS = 1500  # of a drawn curve; metrics are computed on every candle


def build(
    backtest: Backtest,
    datadir: Path,
    forecast_log: Path | None = None,
    seed: int = 7,
    runs: int = 200,
    evaluation: Path | None = None,
    micro: bool = False,
) -> tuple[dict[str, Any], Market]:
    """Return the document and the candles it was computed on."""
    start, end = int(backtest.number("backtest_start_ts")), int(backtest.number("backtest_end_ts"))
    pairs = dict.fromkeys([*map(str, backtest["pairlist"]), *backtest.trades["pair"]])
    market = read_market(datadir, pairs, str(backtest["timeframe"]), start, end)
    curve, account = strategy_curve(backtest, market)
    hold = buy_and_hold(backtest, market)
    drawn = _drawn(curve)
    chance = random_runs(backtest.trades, market, curve.times[drawn], runs, seed)
    log = read_forecast_log(forecast_log, str(backtest["timeframe"])) if forecast_log else None
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(backtest, market, curve),
        "summary": _summary(backtest, curve),
        "buy_and_hold": metrics.of_curve(hold.times, hold.values) if hold else None,
        "random_entries": _chance(chance, seed),
        "reconciliation": _reconciliation(backtest, account),
        "pairs": per_pair(backtest, market),
        "months": monthly(backtest, curve, hold),
        "enter_tags": per_tag(backtest.trades, "enter_tag"),
        "exit_reasons": per_tag(backtest.trades, "exit_reason"),
        "model_versions": decisions(log, backtest, market.step, start, end) if log is not None else None,
        "forecast": read_forecast(evaluation) if evaluation else None,
        "micro": replay(backtest, market, seed) if micro else None,
        "trades": _trades(backtest.trades, fees_paid(backtest), backtest.fills),
        "curves": _curves(curve, hold, chance, drawn),
        "lineage": backtest.lineage | {"data": {pair: each.fingerprint for pair, each in market.pairs.items()}},
    }
    document["verdict"] = verdict(document) + forecast_verdict(document["forecast"])
    return plain(document), market


def plain(value: Any) -> Any:
    """Return the tree with Python's own types only; what is not finite becomes None, which JSON can say."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def to_json(document: dict[str, Any]) -> str:
    """Return the document as strict JSON."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=1)


def _run(backtest: Backtest, market: Market, curve: Curve) -> dict[str, Any]:
    stats = backtest.stats
    return {
        "strategy": backtest.strategy,
        "other_strategies": list(backtest.other_strategies),
        "timeframe": backtest["timeframe"],
        "start": int(curve.times[0]),
        "end": int(curve.times[-1]),
        "days": float((curve.times[-1] - curve.times[0]) / metrics.DAY),
        "trading_mode": stats.get("trading_mode"),
        "margin_mode": stats.get("margin_mode"),
        "stake_currency": str(backtest["stake_currency"]),
        "stake_amount": stats.get("stake_amount"),
        "max_open_trades": stats.get("max_open_trades_setting", stats.get("max_open_trades")),
        "starting_balance": backtest.number("starting_balance"),
        "without_candles": dict(market.missing),
    }


def _summary(backtest: Backtest, curve: Curve) -> dict[str, Any]:
    trades = backtest.trades
    closed = trades.loc[~trades["is_open"], "profit"].to_numpy()
    traded, fees = float(volume(backtest).sum()), float(fees_paid(backtest).sum())
    funding = trades["funding"]
    return metrics.of_curve(curve.times, curve.values) | {
        "trades": len(trades),
        "long": int((~trades["is_short"]).sum()),
        "short": int(trades["is_short"].sum()),
        "open_trades": int(trades["is_open"].sum()),
        "win_rate": metrics.win_rate(closed),
        "profit_factor": metrics.profit_factor(closed),
        "volume": traded,
        "turnover": metrics.turnover(traded, float(curve.values.mean())),
        "fees_paid": fees,
        "funding_paid": float(-funding[funding < 0].sum()),
        "funding_received": float(funding[funding > 0].sum()),
        "funding_net": float(funding.sum()),
        "profit_before_costs": float(curve.values[-1] - curve.values[0]) + fees - float(funding.sum()),
    }


def _chance(chance: RandomRuns | None, seed: int) -> dict[str, Any] | None:
    if chance is None:
        return None
    return {
        "runs": len(chance.profits),
        "seed": seed,
        "trades": chance.trades,
        "strategy_profit": chance.strategy_profit,
        "percentile": chance.percentile,
        "at_least_as_good": chance.at_least_as_good,
        "p_value": chance.p_value,
        "profit_5": np.quantile(chance.profits, 0.05),
        "profit_median": np.median(chance.profits),
        "profit_95": np.quantile(chance.profits, 0.95),
        "profits": np.round(np.sort(chance.profits), 8),
    }


def _reconciliation(backtest: Backtest, account: Reconciliation) -> dict[str, Any]:
    own = ("profit_total_abs", "profit_total", "cagr", "sharpe", "sortino", "calmar", "max_drawdown_account",
           "profit_factor", "winrate", "total_trades", "total_volume", "market_change")  # fmt: skip
    return {
        "final_equity": account.final_equity,
        "open_profit": account.open_profit,
        "freqtrade_final_balance": account.freqtrade_final_balance,
        "difference": account.difference,
        "largest_trade_gap": account.largest_trade_gap,
        "to_the_cent": account.to_the_cent,
        "freqtrade": {key: backtest.stats.get(key) for key in own},
    }


def _trades(trades: pd.DataFrame, fees: pd.Series, fills: pd.DataFrame) -> list[dict[Hashable, Any]]:
    paid = np.bincount(fills["trade"], weights=fees, minlength=len(trades))
    return trades.astype(object).assign(fees=paid).to_dict(orient="records")


def _drawn(curve: Curve) -> np.ndarray:
    """Return the points worth drawing: evenly spaced, and the extremes."""
    points = np.linspace(0, len(curve.times) - 1, min(CURVE_POINTS, len(curve.times))).astype(int)
    below = int(np.argmax(metrics.drawdown(curve.values)))
    extremes = [int(np.argmax(curve.values)), int(np.argmin(curve.values)), below]
    return np.unique(np.concatenate([points, extremes]))


def _curves(curve: Curve, hold: Curve | None, chance: RandomRuns | None, drawn: np.ndarray) -> dict[str, Any]:
    start = curve.values[0]
    band = np.quantile(start + chance.curves, [0.05, 0.5, 0.95], axis=0) if chance else None
    return {
        "times": curve.times[drawn],
        "equity": np.round(curve.values[drawn], 6),
        "drawdown": np.round(metrics.drawdown(curve.values)[drawn], 6),
        "buy_and_hold": np.round(hold.values[drawn], 6) if hold else None,
        "buy_and_hold_drawdown": np.round(metrics.drawdown(hold.values)[drawn], 6) if hold else None,
        "random_5": np.round(band[0], 6) if band is not None else None,
        "random_median": np.round(band[1], 6) if band is not None else None,
        "random_95": np.round(band[2], 6) if band is not None else None,
    }
