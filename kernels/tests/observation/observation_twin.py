"""The observation, slowly. From: a frame and training statistics. To: the tests that hold the compiled one to it.

Written from the specification's table with NumPy and loops alone. The external block is the features' own slow twins.
"""

import numpy as np
from twins import TWINS, Market
from twins.external import span
from twins.market import add, back, divide, rolling, sma, std

EXTERNAL = (
    "cvd_24h", "cvd_168h", "yang_zhang_24h", "yang_zhang_168h", "garch_12h", "garch_24h", "ret_15m", "ret_60m",
    "ret_5m", "sma_60", "yang_zhang_720h", "parkinson_24h", "parkinson_168h", "garch_500m", "taker_buy_ratio",
    "tbr_sma_24h", "tbr_sma_6h", "tbr_sma_12h", "tbr_momentum_1h", "tbr_momentum_6h", "tbr_momentum_12h",
)  # fmt: skip


def smooth(x, n, alpha):
    """Return the recursive mean begun with the mean of its first n values; NaN before."""
    out, known = np.full(len(x), np.nan), np.flatnonzero(np.isfinite(x))
    if len(known) < n:
        return out
    first = known[0] + n - 1
    level = out[first] = np.mean(x[known[0] : first + 1])
    for t in range(first + 1, len(x)):
        level = out[t] = (1 - alpha) * level + alpha * x[t]
    return out


def ema(x, n):
    return smooth(x, n, 2 / (n + 1))


def wilder(x, n):
    return smooth(x, n, 1 / n)


def rsi(m):
    change = m.C - m.was
    gain, loss = wilder(np.maximum(change, 0), 14), wilder(np.maximum(-change, 0), 14)
    return 100 * divide(gain, gain + loss)


def raw_values(frame, timeframe, parameters=None):
    """Return what is standardised, by slot, and the other series that slots are made of; NaN where not known."""
    with np.errstate(all="ignore"):
        m = Market(frame, timeframe, parameters=parameters)
        line = ema(m.C, 12) - ema(m.C, 26)
        deviation = rolling(m.tp, 20, lambda w, axis: np.abs(w - w.mean(axis, keepdims=True)).mean(axis))
        raw = {
            "price": m.C,
            "ma5": sma(m.C, 5),
            "ma20": sma(m.C, 20),
            "macd": line,
            "macd_signal": ema(line, 9),
            "momentum": m.C - back(m.C, 10),
            "atr": wilder(m.tr, 14),
            "cci": divide(m.tp - sma(m.tp, 20), 0.015 * deviation),
            "obv": add(np.sign(m.C - m.was) * m.V, 200),
            **{name: np.asarray(TWINS[name](m), dtype=float) for name in EXTERNAL},
        }
        for name in EXTERNAL:
            if name.startswith(
                ("yang_zhang", "garch", "ret", "tbr_momentum")
            ):  # known from bar n on, also where bars miss
                raw[name][: m.bars(span(m, name))] = np.nan
    return m, raw


def or_else(x, default):
    return np.where(np.isnan(x), default, x)


def observe(frame, statistics, agent=None, token=0, n_tokens=1, max_num_tokens=1):
    """Return the observation, float64 of shape (n_rows, 55 + max_num_tokens)."""
    m, raw = raw_values(frame, statistics.timeframe, statistics.parameters)
    n_rows, tanh = len(m.C), np.tanh
    unknown = np.full(n_rows, np.nan)
    raw["atr"] = or_else(raw["atr"], 0.01 * m.C)

    def standard(name):
        deviation = statistics.stds[name]
        z = (raw[name] - statistics.means[name]) / deviation if deviation else 0.0 * raw[name]
        return or_else(tanh(np.clip(z, -100, 100)), 0.0)

    with np.errstate(all="ignore"):
        up, low = sma(m.C, 20) + 2 * std(m.C, 20), sma(m.C, 20) - 2 * std(m.C, 20)
        momentum, signal_gap = raw["momentum"] / (0.01 * m.C), (raw["macd"] - raw["macd_signal"]) / (0.01 * m.C)
        flow, queue, micro = tanh(momentum), tanh((up - low) / m.C), tanh(signal_gap)
        if statistics.source == "taker":
            flow = np.where(m.V == 0, 0 * m.taker_buy_volume, 2 * m.taker_buy_volume / m.V - 1)
        if statistics.source == "book":
            flow = tanh(divide(m.order_flow_imbalance, m.mean_top_depth))
            queue = divide(m.bid_size_5 - m.ask_size_5, m.bid_size_5 + m.ask_size_5)
            mid, sizes = (m.best_bid + m.best_ask) / 2, m.best_bid_size + m.best_ask_size
            weighted = (m.best_bid * m.best_ask_size + m.best_ask * m.best_bid_size) / sizes
            micro = tanh(np.where(sizes == 0, 0.0, 1e4 * (weighted - mid) / mid))
        position = np.where(up - low <= 1e-4 * m.C, 0.5, np.clip((m.C - low) / (up - low), -1, 2))
        event, hours, greed = (frame.get(name, unknown) for name in ("event_high", "hours_since_event", "fear_greed"))
        columns = [
            standard("price"),
            tanh(np.log(1 + m.Q / (statistics.quote_scale or np.inf))),
            tanh(np.log(1 + m.V / (statistics.volume_scale or np.inf))),
            or_else(tanh((m.C - m.was) / m.was), 0.0),
            tanh(np.log(1 + raw["atr"] / m.C)),
            standard("ma5"), np.arange(n_rows) >= 4, standard("ma20"), np.arange(n_rows) >= 19,
            or_else((rsi(m) - 50) / 50, 0.0),
            standard("macd"), standard("macd_signal"), standard("momentum"), standard("atr"), standard("cci"),
            standard("obv"), or_else(position, 0.5), or_else(np.clip((up - low) / m.C, 0, 10), 0.0),
            or_else(flow, 0.0), or_else(queue, 0.0), or_else(micro, 0.0),
            *agent_slots(agent, m.C),
            event == 1, or_else(tanh(hours / 24), 0.0), greed < 25, or_else(greed / 100, 0.0), ~np.isnan(greed),
            *(np.clip(standard(name), -3, 3) for name in EXTERNAL),
            np.full(n_rows, n_tokens / max_num_tokens), np.full(n_rows, token / max_num_tokens),
            *(np.full(n_rows, float(token == k)) for k in range(max_num_tokens)),
        ]  # fmt: skip
    return np.array(columns, dtype=float).T


def agent_slots(agent, price):
    """Return slots 21 to 26, one array each."""
    rows = [(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)] * len(price) if agent is None else map(account, agent, price)
    return np.array(list(rows)).reshape(len(price), 6).T


def account(fields, price):
    cash, units, bought, sold, fills, spread, counted, filled, placed = (float(x) for x in fields)
    worth = cash + units * price
    return (
        min(max(cash / worth, 0.0), 1.0) if worth > 0 else 1.0,
        np.tanh(units * price / worth) if worth > 0 else 0.0,
        np.tanh((bought - sold) / (bought + sold)) if bought + sold > 0 else 0.0,
        np.tanh(fills / 20),
        min(max(spread / counted, -0.1), 0.1) if counted > 0 else 0.0,
        min(filled / placed, 1.0) if placed > 0 else 0.0,
    )
