"""How an order is filled and what that does to an account. From: an order of whole lots. To: _environment.pyx.

Candle fidelity fills at a formula's price near the next open, book fidelity in a live book inside the candle.
"""

from libc.math cimport ceil, fabs, floor, fmax, fmin
from libc.stdint cimport int32_t, int64_t, uint64_t

from tradekernels.environment._book cimport (
    CENTRE, MOST_LOTS, FlowTable, Live, best_of, happen, open_book, queue, take,
)
from tradekernels.environment._risk cimport count_order
from tradekernels.environment._state cimport Copy, Pair, Row, Settings, TIMEOUT
from tradekernels.execution._costs cimport fill_ticks, late_price, latency_ms, slippage_bps, steps_up
from tradekernels.execution._random cimport philox
from tradekernels.observation._observation cimport BAR, BOUGHT, FILLED, FILLS, PLACED, SOLD, SPREAD_COUNT, SPREAD_SUM
from tradekernels.orderbook._matching cimport BUY, SELL

cdef enum:              # purposes of a counter
    FOR_LATENCY = 0
    FOR_START = 1
    FOR_BOOK = 2

cdef struct Fill:       # of one order
    double lots, notional  # whole lots; ticks x lots
    bint maker

cdef struct Trade:      # what one step has done
    double notional     # quote currency
    double closed       # profit of a position that was closed, quote currency; 0 if none was


cdef inline double money(const Pair* pair, double atoms) noexcept nogil:
    return atoms * pair.atom_part / pair.atom_whole


cdef inline double units(const Pair* pair, double lots) noexcept nogil:
    return lots * pair.lot_part / pair.lot_whole


cdef inline double price(const Pair* pair, double ticks) noexcept nogil:
    return ticks * pair.tick_part / pair.tick_whole


cdef inline double fee_atoms(const Pair* pair, double notional, bint maker) noexcept nogil:
    """Return the fee of a trade of `notional` ticks x lots, rounded up to the quote step."""
    cdef double part = pair.maker_part if maker else pair.fee_part
    cdef double whole = pair.maker_whole if maker else pair.fee_whole
    return steps_up(notional, part, whole) * pair.fee_atoms if part > 0.0 else 0.0


cdef inline double cost_atoms(const Pair* pair, double notional, bint maker) noexcept nogil:
    return notional * pair.atoms + fee_atoms(pair, notional, maker)


cdef inline double affordable(const Pair* pair, double cash, double spent, double ticks, double lots,
                              bint maker) noexcept nogil:
    """Return how many of `lots` at `ticks` the cash pays for, fee included, after a notional `spent` before them."""
    cdef double part = pair.maker_part if maker else pair.fee_part
    cdef double whole = pair.maker_whole if maker else pair.fee_whole
    cdef double most, middle, low = 0.0, each = ticks * pair.atoms
    cdef int k
    if cost_atoms(pair, spent + lots * ticks, maker) <= cash:
        return lots
    if part > 0.0:
        each += ticks * whole / part * pair.fee_atoms
    most = floor((cash - cost_atoms(pair, spent, maker)) / each) + 1.0  # the fees of both may round up once
    most = most if most < lots else lots
    for k in range(2):
        if most <= 0.0:
            return 0.0
        if cost_atoms(pair, spent + most * ticks, maker) <= cash:
            return most
        most -= 1.0
    for k in range(64):  # a quote step is worth many lots: halve the range, in which the cost never falls
        middle = floor(0.5 * (low + most + 1.0))
        if middle <= low:
            break
        if cost_atoms(pair, spent + middle * ticks, maker) <= cash:
            low = middle
        else:
            most = middle - 1.0
    return low


cdef inline Fill fill_at_open(const Settings* s, const Pair* pair, const Row* now, const Row* next, double cash,
                              double side, double size, double delay) noexcept nogil:
    """Candle fidelity: the whole order at one price, slipped from the open (EXE-1 to EXE-3, EXE-6)."""
    cdef Fill got
    cdef double slip = slippage_bps(now.spread_bps, s.k, now.volatility_bps, units(pair, size), now.liquidity)
    cdef double ticks = fill_ticks(late_price(next.open, next.high if side > 0.0 else next.low, delay, pair.bar_ms),
                                   side, slip)
    got.maker = False
    got.lots = affordable(pair, cash, 0.0, ticks, size, False) if side > 0.0 else size
    got.notional = got.lots * ticks
    return got


cdef inline double ticks_of(double anchor, double spacing, int32_t level, double rounding) noexcept nogil:
    """Return the price of a level of the book, rounded up for 1 and down for -1, at least 1 tick."""
    cdef double ticks = anchor + (<double> (level - CENTRE) - 0.5) * spacing
    ticks = ceil(ticks - 1e-6) if rounding > 0.0 else floor(ticks + 1e-6)
    return ticks if ticks > 1.0 else 1.0


cdef inline Fill fill_in_book(const FlowTable* flow, Live* live, const Pair* pair, const Row* now, const Row* next,
                              double cash, double side, double size, double delay, uint64_t key) noexcept nogil:
    """Book fidelity: what the levels of a live book give, or its queue until the candle ends (LOB-42)."""
    cdef Fill got
    cdef double anchor = late_price(next.open, next.high if side > 0.0 else next.low, delay, pair.bar_ms)
    cdef double spacing = floor(2e-4 * now.spread_bps * anchor + 0.5), ticks, lots
    cdef double volume = now.liquidity * pair.lot_whole / pair.lot_part
    cdef int64_t before = <int64_t> (flow.events * (delay / pair.bar_ms if delay < pair.bar_ms else 1.0)), k, first
    cdef int32_t direction = BUY if side > 0.0 else SELL, level
    spacing = spacing if spacing > 1.0 else 1.0  # a level is as wide as the spread
    size = size if size < MOST_LOTS else MOST_LOTS
    open_book(live, flow, key, volume * 60_000 / pair.bar_ms)
    happen(live, flow, before)
    got.lots = got.notional = 0.0
    got.maker = flow.limit_orders
    if got.maker:
        level = best_of(live, direction)
        ticks = ticks_of(anchor, spacing, level, -side)
        if side > 0.0:
            size = affordable(pair, cash, 0.0, ticks, size, True)
        if size > 0.0:
            # The market trades through it, whatever else happens. The open comes before the order does: a candle that
            # only runs away from it has a worst price beyond the order's, but never came back to fill it. Nobody fills
            # more than bars of late have traded.
            if (next.low < fmin(ticks, next.open)) if side > 0.0 else (next.high > fmax(ticks, next.open)):
                got.lots = fmin(size, floor(volume))
            else:
                got.lots = <double> queue(live, flow, direction, level, <int64_t> size, flow.events - before)
            got.notional = got.lots * ticks
        return got
    first = take(live, direction, <int64_t> size)
    for k in range(first, live.tape.n_trades):
        ticks, lots = ticks_of(anchor, spacing, live.tape.trades[k].tick, side), <double> live.tape.trades[k].lots
        if side > 0.0:
            lots = affordable(pair, cash, got.notional, ticks, lots, False)
        got.lots += lots
        got.notional += lots * ticks
        if lots < live.tape.trades[k].lots:
            break
    return got


cdef inline Trade account(Copy* it, const Pair* pair, const Row* next, const Fill* got, double side) noexcept nogil:
    """Change cash and position by a fill, and remember it for the slots of the next 20 bars."""
    cdef Trade trade
    cdef double* bar = &it.bars[it.newest * BAR]
    cdef double was = it.lots, cash_was = it.cash, amount = units(pair, got.lots), price = got.notional / got.lots
    cdef double fee = fee_atoms(pair, got.notional, got.maker), value
    trade.closed = 0.0
    it.cash -= side * got.notional * pair.atoms + fee
    it.lots += side * got.lots
    value = it.cash + it.lots * price * pair.atoms
    if was != 0.0 and it.lots * was <= 0.0:
        trade.closed = money(pair, value - it.opened)
        it.opened = value
    elif was == 0.0:
        it.opened = cash_was
    trade.notional = money(pair, got.notional * pair.atoms)
    it.n_trades += 1
    it.fees += money(pair, fee)
    it.slippage += money(pair, side * (got.notional - next.open * got.lots) * pair.atoms)
    it.turnover += trade.notional
    bar[(BOUGHT if side > 0.0 else SOLD) - BOUGHT] += amount
    bar[FILLED - BOUGHT] += amount
    bar[FILLS - BOUGHT] += 1.0
    bar[SPREAD_SUM - BOUGHT] += side * (price - next.open) / next.open
    bar[SPREAD_COUNT - BOUGHT] += 1.0
    return trade


cdef inline Trade send(Copy* it, const Settings* s, const FlowTable* flow, Live* live, const Pair* pair,
                       const Row* now, const Row* next, double order, unsigned long long seed,
                       unsigned long long stream) noexcept nogil:
    """Send an order at the close of `now`, to be filled in the bar `next`."""
    cdef Trade nothing
    cdef Fill got
    cdef unsigned long long[4] words
    cdef unsigned long long step = <unsigned long long> (it.row - it.start), episode = <unsigned long long> it.episode
    cdef double side = 1.0 if order > 0.0 else -1.0, size = fabs(order), delay
    cdef int attempts
    nothing.notional = nothing.closed = 0.0
    count_order(it, now.close_time)
    it.bars[it.newest * BAR + PLACED - BOUGHT] += units(pair, size)
    philox(seed, stream, step, episode, FOR_LATENCY, words)
    delay = latency_ms(&s.latency, <int> now.hour, words, &attempts)
    if attempts == 0:
        it.refusals[TIMEOUT] += 1
        return nothing
    if live == NULL:
        got = fill_at_open(s, pair, now, next, it.cash, side, size, delay)
    else:
        philox(seed, stream, step, episode, FOR_BOOK, words)
        got = fill_in_book(flow, live, pair, now, next, it.cash, side, size, delay, words[0])
    return account(it, pair, next, &got, side) if got.lots > 0.0 else nothing
