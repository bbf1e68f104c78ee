"""The slow twin of one copy of the environment. From: a market, settings, actions. To: what the loop must give.

Money is exact (fractions), the window of own fills is `AgentWindow`, random words are NumPy's; written from ENV-1..8
and EXE-1..6 rather than from the loop.
"""

import math
from fractions import Fraction

import numpy as np
from slow_book import CENTRE, MOST, OWN, SlowBook

from tradekernels.environment import REASONS
from tradekernels.observation import AgentWindow


def words(seed, stream, *counter):
    """Return four random words of a counter."""
    value = sum(word << (64 * k) for k, word in enumerate(counter))
    key = np.array([seed, stream], dtype=np.uint64)
    return [int(word) for word in np.random.Philox(key=key, counter=(value - 1) % 2**256).random_raw(4)]


def unit(word):
    return (word >> 11) / 2**53


class SlowEnvironment:
    """One copy, in plain Python."""

    def __init__(self, markets, settings, seed, stream):
        self.markets, self.settings, self.seed, self.stream = markets, settings, seed, stream
        self.episode, self.all_trades = -1, 0

    def reset(self):
        settings = self.settings
        self.episode += 1
        draw = words(self.seed, self.stream, self.episode, 0, 1)
        count, length = len(self.markets), settings.episode_length
        starts = [one.last - one.first + 1 - (length or 1) for one in self.markets]
        anywhere = [number for number, n_starts in enumerate(starts) for _ in range(n_starts)]
        which = anywhere[draw[0] * len(anywhere) >> 64] if settings.random_start else self.stream % count
        self.market = market = self.markets[which]
        self.row = self.start = market.first
        if settings.random_start:
            self.row = self.start = market.first + (draw[1] * (market.last - market.first + 1 - (length or 1)) >> 64)
        self.end = min(self.start + length, market.last) if length else market.last
        self.tick, self.lot = market.grid.tick, market.grid.lot
        self.cash, self.lots, self.opened = Fraction(str(settings.cash)), 0, None
        self.fees = self.slippage = self.turnover = Fraction(0)
        self.trades, self.done = 0, None
        self.window, self.worths, self.orders = AgentWindow(), [self.worth()], []
        self.paused_until, self.pause_reason = -math.inf, None
        self.refusals = dict.fromkeys(REASONS, 0)
        self.potential = self.phi()
        return self.observation()

    def ticks(self, name, row=None):
        return int(self.market.rows[name][self.row if row is None else row])

    def value(self, ticks):
        return self.cash + self.lots * ticks * self.tick * self.lot

    def worth(self):
        return float(self.value(self.ticks("close")))

    def peak(self):
        return max(self.worths[-500:])

    def phi(self):
        reward = self.settings.reward
        atr, worth = float(self.market.rows["atr"][self.row]), self.worths[-1]
        exposed = reward.variance * float(abs(self.lots) * self.lot) * atr / worth
        return reward.shaping * math.tanh(-exposed - reward.drawdown * (self.peak() - worth) / self.peak())

    def step(self, action):
        if self.done:
            return self.reset(), 0.0, False, False
        closed, notional = self.trade(action)
        return self.settle(closed, notional)

    def trade(self, action):
        """Send the order of one action and return (profit of what it closed, notional)."""
        now = int(self.market.rows["close_time"][self.row])
        order = self.order(float(action), now)
        self.window.next_bar()
        if not order:
            return 0.0, Fraction(0)
        self.orders.append(now)
        self.window.place(float(abs(order) * self.lot))
        delay = self.delay()
        if delay is None:
            self.refusals["TIMEOUT"] += 1
            return 0.0, Fraction(0)
        if self.settings.book:
            lots, notional, maker = self.fill_in_book(order, delay)
        else:
            ticks, maker = self.fill_price(order, delay), False
            lots = self.affordable(ticks, order) if order > 0 else -order
            notional = lots * ticks
        return self.account(1 if order > 0 else -1, lots, notional, maker) if lots else (0.0, Fraction(0))

    def order(self, action, now):
        settings, close = self.settings, float(self.ticks("close") * self.tick)
        worth = self.worths[-1]
        weight = min(max(action, -1.0 if settings.can_short else 0.0), 1.0)
        held = float(self.lots * self.lot) * close / worth
        if weight != 0 and abs(weight - held) < settings.dead_band:
            return 0
        target = math.trunc(
            weight * worth / (close * self.market.grid.lot.numerator / self.market.grid.lot.denominator)
        )
        order = target - self.lots
        if order == 0:
            return 0
        least = self.market.grid.least
        if abs(order) * self.ticks("close") < least:
            self.refusals["MIN_NOTIONAL"] += 1
            return 0
        reverses = target * self.lots < 0
        if abs(target) > abs(self.lots) or reverses:
            reason = self.refusal(float(target * self.lot), float(abs(order) * self.lot) * close, now)
            if reason:
                self.refusals[reason] += 1
                return -self.lots if reverses and abs(self.lots) * self.ticks("close") >= least else 0
        return order

    def refusal(self, units, notional, now):
        risk = self.settings.risk
        if abs(units) > risk.position_limit:
            return "POSITION_LIMIT"
        if notional > risk.notional_limit:
            return "NOTIONAL_LIMIT"
        if self.peak() - self.worths[-1] >= risk.max_drawdown * self.peak():
            return "DRAWDOWN"
        if now < self.paused_until:
            return self.pause_reason
        if sum(order > now - 60_000 for order in self.orders) >= 60:
            self.paused_until, self.pause_reason = now + risk.pause_s * 1000, "ORDER_RATE"
            return "ORDER_RATE"
        return None

    def delay(self):
        latency = self.settings.costs.latency
        draw = words(self.seed, self.stream, self.row - self.start, self.episode, 0)
        waited = 0.0
        for attempt in range(1 + latency.retries):
            hour = (int(self.market.rows["close_time"][self.row]) // 3_600_000 + 72) % 168
            one = (latency.base_ms + latency.jitter_ms * unit(draw[2 * attempt])) * latency.hour_of_week[hour]
            if unit(draw[2 * attempt + 1]) < latency.spike_probability:
                one *= latency.spike_multiple
            if one <= latency.timeout_ms:
                return waited + one
            waited += latency.timeout_ms
        return None

    def late(self, side, delay):
        open_ = self.ticks("open", self.row + 1)
        worst = self.ticks("high" if side > 0 else "low", self.row + 1)
        return open_ + (worst - open_) * math.sqrt(min(delay / self.market.bar_ms, 1.0))

    def half_spread(self):
        slippage, spread = self.settings.costs.slippage, float(self.market.rows["spread_bps"][self.row])
        return max((slippage.spread_bps if math.isnan(spread) else spread) / 2, slippage.min_half_spread_bps)

    def fill_price(self, order, delay):
        rows, side = self.market.rows[self.row], 1 if order > 0 else -1
        share = float(abs(order) * self.lot) / float(rows["liquidity"]) if rows["liquidity"] > 0 else 1.0
        slip = self.half_spread() + self.settings.costs.slippage.k * rows["volatility_bps"] * math.sqrt(share)
        slipped = self.late(side, delay) * (1 + side * slip * 1e-4)
        return math.ceil(slipped - 1e-6) if side > 0 else max(math.floor(slipped + 1e-6), 1)

    def fill_in_book(self, order, delay):
        """Return (lots, notional in ticks x lots, maker) of an order in a live book (LOB-42)."""
        flow, side, size = self.settings.book, 1 if order > 0 else -1, min(abs(order), MOST)
        anchor, bar_ms = self.late(side, delay), self.market.bar_ms
        spacing = max(math.floor(2e-4 * self.half_spread() * anchor + 0.5), 1)
        volume = float(self.market.rows["liquidity"][self.row]) * self.lot.denominator / self.lot.numerator
        key = words(self.seed, self.stream, self.row - self.start, self.episode, 2)[0]
        book = SlowBook(flow, key, volume * 60_000 / bar_ms)
        before = int(flow.events * min(delay / bar_ms, 1.0))
        book.happen(before)

        def price(level, rounding):
            ticks = anchor + (level - CENTRE - 0.5) * spacing
            return max(math.ceil(ticks - 1e-6) if rounding > 0 else math.floor(ticks + 1e-6), 1)

        if flow.orders == "limit":
            best = book.best(side)
            level = (CENTRE if side > 0 else CENTRE + 1) if best is None else best
            ticks = price(level, -side)
            size = self.affordable(ticks, size, maker=True) if side > 0 else size
            if not size:
                return 0, 0, True
            book.rest(side, level, size, OWN)
            book.happen(flow.events - before)
            open_, low, high = (self.ticks(name, self.row + 1) for name in ("open", "low", "high"))
            traded_through = low < min(ticks, open_) if side > 0 else high > max(ticks, open_)
            lots = min(size, math.floor(volume)) if traded_through else sum(book.own_fills)
            return lots, lots * ticks, True
        got, notional = 0, 0
        for tick, lots in book.take(side, size):
            ticks = price(tick, side)
            paid = self.affordable(ticks, lots, notional) if side > 0 else lots
            got, notional = got + paid, notional + paid * ticks
            if paid < lots:
                break
        return got, notional, False

    def fee(self, notional, maker=False):
        step = Fraction(str(self.settings.costs.fees.quote_step))
        return math.ceil(notional * self.settings.costs.fees.rate(maker) / step) * step

    def affordable(self, ticks, lots, spent=0, maker=False):
        """Return how many lots the cash pays for after `spent` ticks x lots, fee included."""
        each = self.tick * self.lot

        def cost(count):
            notional = (spent + count * ticks) * each
            return notional + self.fee(notional, maker)

        if cost(lots) <= self.cash:
            return lots
        rate = self.settings.costs.fees.rate(maker)
        lots = max(0, math.floor((self.cash - cost(0)) / (ticks * each * (1 + rate))) + 2)
        while lots and cost(lots) > self.cash:
            lots -= 1
        return lots

    def account(self, side, lots, ticks_lots, maker):
        """Change cash and position by a fill."""
        notional, was, before = ticks_lots * self.tick * self.lot, self.lots, self.cash
        open_ = self.ticks("open", self.row + 1)
        self.cash -= side * notional + self.fee(notional, maker)
        self.lots += side * lots
        assert self.cash >= 0
        closed, value = 0.0, self.value(Fraction(ticks_lots, lots))
        if was and self.lots * was <= 0:
            closed, self.opened = float(value - self.opened), value
        elif not was:
            self.opened = before
        self.trades += 1
        self.all_trades += 1
        self.fees += self.fee(notional, maker)
        self.slippage += side * (ticks_lots - open_ * lots) * self.tick * self.lot
        self.turnover += notional
        price, mid = float(Fraction(ticks_lots, lots) * self.tick), float(open_ * self.tick)
        self.window.fill("buy" if side > 0 else "sell", float(lots * self.lot), price, mid)
        return closed, notional

    def settle(self, closed, notional):
        settings, before = self.settings, self.worths[-1]
        daily_volume = float(self.market.rows["daily_volume"][self.row])
        self.row += 1
        worst = self.value(self.ticks("low" if self.lots > 0 else "high"))
        ruined = worst <= 0
        if ruined:
            self.cash, self.lots, worst = Fraction(0), 0, 0
        worth = self.worth()
        ruined = ruined or worth <= settings.risk.ruin * float(settings.cash)
        if before - float(worst) >= settings.risk.max_intrabar_drawdown * before:
            self.paused_until = int(self.market.rows["close_time"][self.row]) + settings.risk.pause_s * 1000
            self.pause_reason = "INTRABAR_DRAWDOWN"
        self.worths.append(worth)
        phi, self.potential = self.potential, 0.0 if ruined else self.phi()
        gain = self.gain(worth, before) + settings.reward.gamma * self.potential - phi
        gain -= self.penalties(float(notional), daily_volume, min(max(worth, 0.1 * before), 10 * before))
        gain += settings.reward.gain_bonus * (closed > 0) - settings.reward.loss_penalty * (closed < 0)
        self.refusals["BANKRUPTCY"] += ruined
        self.done = "ruined" if ruined else "end" if self.row == self.end else None
        return self.observation(), min(max(gain, -10), 10), self.done == "ruined", self.done == "end"

    def gain(self, worth, before):
        if self.settings.reward.form == "log":
            return math.log(min(max(worth / before, 0.1), 10.0))
        return (worth - before) / abs(before)

    def penalties(self, notional, daily_volume, worth):
        reward = self.settings.reward
        if not notional:
            return 0.0
        bps = reward.taker_bps + reward.half_spread_bps
        bps += reward.impact_bps * (notional / daily_volume if daily_volume else 1.0) ** reward.impact_exponent
        return reward.per_trade + notional * bps * 1e-4 / worth + reward.turnover * notional / worth

    def observation(self):
        """Return the market's row with slots 21 to 26 by OBS-21..26."""
        row = self.market.observation[self.row].astype(np.float64)
        cash, units, bought, sold, fills, spreads, count, filled, placed = self.window.fields(
            float(self.cash), float(self.lots * self.lot)
        )
        worth, position = self.worths[-1], units * float(self.ticks("close") * self.tick)
        row[21] = min(max(cash / worth, 0), 1) if worth > 0 else 1
        row[22] = math.tanh(position / worth) if worth > 0 else 0
        row[23] = math.tanh((bought - sold) / (bought + sold)) if bought + sold else 0
        row[24] = math.tanh(fills / 20)
        row[25] = min(max(spreads / count, -0.1), 0.1) if count else 0
        row[26] = min(filled / placed, 1) if placed else 0
        return row.astype(np.float32)
