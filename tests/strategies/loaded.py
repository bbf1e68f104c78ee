"""A strategy in Freqtrade's own class, and a trade of it, without a bot. To: the tests of columns and trades."""

from pathlib import Path
from types import SimpleNamespace

from freqtrade.resolvers.strategy_resolver import StrategyResolver

ROOT = Path(__file__).resolve().parents[2]

PAIR = {"futures": "BTC/USDT:USDT", "spot": "BTC/USDT"}


def load(name, url="http://127.0.0.1:9", mode="futures", timeframe="15m", runmode="backtest", **settings):
    config = {
        "strategy": name, "strategy_path": str(ROOT / "strategies"), "user_data_dir": ROOT / "user_data",
        "trading_mode": mode, "runmode": runmode, "timeframe": timeframe,
        "candlewright": {"service_url": url, **settings},
    }  # fmt: skip
    strategy = StrategyResolver.load_strategy(config)
    strategy.dp = SimpleNamespace(runmode=SimpleNamespace(value=runmode))
    strategy.ft_bot_start()
    return strategy


def analysed(strategy, frame, mode="futures"):
    metadata = {"pair": PAIR[mode]}
    return strategy.ft_advise_signals(strategy.advise_indicators(frame.copy(), metadata), metadata)


def trade_at(rate, opened, short=False):
    stored, sign = {}, -1 if short else 1
    return SimpleNamespace(
        pair="BTC/USDT:USDT", open_rate=rate, open_date=opened, open_date_utc=opened, is_short=short, leverage=1.0,
        entry_side="sell" if short else "buy", enter_tag="x", trade_direction="short" if short else "long",
        nr_of_successful_entries=1, set_custom_data=stored.__setitem__, get_custom_data=stored.get, stored=stored,
        calc_profit_ratio=lambda at: sign * (at / rate - 1) - 0.001,
    )  # fmt: skip
