"""Compiled loop of `tradekernels.execution.expansion`. From: checked candles in ticks and lots. To: the caller's prints."""

from libc.math cimport exp, fabs, floor, sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t

from ..orderbook._flow_random cimport join, next_bits, next_exponential, next_normal, next_unit


cdef packed struct Print:     # 24 bytes; expansion.py has the same as a dtype
    int64_t time, lots
    int32_t tick, side

cdef struct Candle:
    int64_t time, open, high, low, close, lots
    int64_t close_before, lots_before  # of the candle before; its own open and lots where there is none

cdef struct Path:
    int64_t anchor[4]         # prices that must print, in order: open, one extreme, the other, close
    int64_t n_anchors         # without repetitions next to each other
    int64_t n_prints
    uint64_t key, counter


cdef inline void visit(Path* path, int64_t tick) noexcept nogil:
    if path.n_anchors == 0 or path.anchor[path.n_anchors - 1] != tick:
        path.anchor[path.n_anchors] = tick
        path.n_anchors += 1


cdef void route(const Candle* c, bint high_first, Path* path) noexcept nogil:
    """Put down what must print if the high comes first, or the low. An extreme that opens or closes needs no more."""
    cdef int64_t first = c.high if high_first else c.low, second = c.low if high_first else c.high
    path.n_anchors = 0
    visit(path, c.open)
    if c.close != first:
        visit(path, first)
    if c.open != second:
        visit(path, second)
    visit(path, c.close)


cdef void plan(const Candle* c, uint64_t seed, double prints_per_candle, Path* path) noexcept nogil:
    """Decide which extreme comes first and how many prints there are. The key is the candle itself: no place in a batch."""
    cdef double rise, wanted
    path.key = join(join(join(join(join(seed, c.time), c.open), c.high), c.low), c.close)
    path.key = join(path.key, c.lots)
    path.counter = 0
    path.n_anchors = path.n_prints = 0
    if c.lots == 0:
        return
    # A rising candle rather falls first: a bridge to a high close is seldom at its high early on.
    rise = (c.close - c.open) / <double> max(c.high - c.low, <int64_t> 1)
    route(c, next_unit(path.key, &path.counter) > 0.5 + 0.45 * rise, path)
    wanted = prints_per_candle * sqrt(2.0 * c.lots / (c.lots + c.lots_before))
    wanted *= exp(0.5 * next_normal(path.key, &path.counter) - 0.125)
    path.n_prints = max(min(<int64_t> (wanted + 0.5), c.lots), path.n_anchors)


cdef void draw(const Candle* c, Path* path, int64_t duration, Print* out) noexcept nogil:
    """Write the prints: prices, then times and sizes, each from what `plan` left of the random numbers."""
    cdef int64_t n = path.n_prints, legs = path.n_anchors - 1, spare = n - path.n_anchors, leg, k, steps, at = 0, tick
    cdef int64_t given = 0, was, spread_over, room
    cdef double[3] weight
    cdef double total = 0.0, share = 0.0, x, noise = (c.high - c.low) / (1.6 * sqrt(<double> n))  # Feller (1951)
    cdef double gap = 0.0, size = 0.0
    cdef int32_t side = 1 if c.open > c.close_before else -1
    if c.open == c.close_before and next_bits(path.key, &path.counter) >> 63:
        side = 1

    # Prices: a bridge from anchor to anchor, mirrored at high and low; the longer way gets the more prints.
    for leg in range(legs):
        weight[leg] = fabs(<double> (path.anchor[leg + 1] - path.anchor[leg])) * (0.5 + next_unit(path.key, &path.counter))
        total += weight[leg]
    out[0].tick = <int32_t> c.open
    for leg in range(legs):
        share += weight[leg]
        steps = (spare if leg == legs - 1 else <int64_t> (spare * (share / total))) - given
        given += steps
        steps += 1
        x = path.anchor[leg]
        for k in range(steps, 1, -1):
            x += (path.anchor[leg + 1] - x) / k + noise * sqrt((k - 1.0) / k) * next_normal(path.key, &path.counter)
            x = c.high - (x - c.high) if x > c.high else c.low + (c.low - x) if x < c.low else x
            x = min(max(x, <double> c.low), <double> c.high)
            at += 1
            out[at].tick = <int32_t> floor(x + 0.5)
        at += 1
        out[at].tick = <int32_t> path.anchor[leg + 1]
    while at < n - 1:  # a candle without range
        at += 1
        out[at].tick = <int32_t> c.open

    # Sides by the tick rule; where the price stands still the side mostly goes on.
    tick = out[0].tick
    for k in range(n):
        if out[k].tick != tick:
            side = 1 if out[k].tick > tick else -1
            tick = out[k].tick
        elif next_unit(path.key, &path.counter) > 0.7:
            side = -side
        out[k].side = side

    # Times and sizes: running totals first, so that rounding adds up to the whole exactly.
    for k in range(n):
        gap += next_exponential(path.key, &path.counter)
        size += exp(1.2 * next_normal(path.key, &path.counter))
        out[k].time = <int64_t> (gap * 1048576.0)
        out[k].lots = <int64_t> (size * 1048576.0)
    gap += next_exponential(path.key, &path.counter)
    spread_over, room, was = c.lots - n, duration - 2 - n, 0
    for k in range(n):
        out[k].time = c.time + 1 + k + <int64_t> (room * (out[k].time / (gap * 1048576.0)))
        steps = spread_over if k == n - 1 else <int64_t> (spread_over * (out[k].lots / (size * 1048576.0)))
        out[k].lots = 1 + steps - was
        was = steps


cdef inline Candle candle_at(const int64_t[:, ::1] candles, Py_ssize_t k) noexcept nogil:
    cdef Candle c
    cdef Py_ssize_t before = k - 1 if k else 0
    c.time, c.open, c.high, c.low = candles[0, k], candles[1, k], candles[2, k], candles[3, k]
    c.close, c.lots = candles[4, k], candles[5, k]
    c.close_before = candles[4, before] if k else c.open
    c.lots_before = candles[5, before]
    return c


def count(const int64_t[:, ::1] candles, uint64_t seed, double prints_per_candle, int64_t[::1] first):
    """Write where the prints of each candle start and the total; return the first candle with too few lots.

    `candles` has rows time, open, high, low, close, volume; -1 is returned where every candle can be drawn.
    """
    cdef Py_ssize_t k, wrong = -1
    cdef Candle c
    cdef Path path
    with nogil:
        for k in range(candles.shape[1]):
            c = candle_at(candles, k)
            plan(&c, seed, prints_per_candle, &path)
            if path.n_prints > c.lots or (c.lots == 0 and c.high != c.low):
                wrong = k
                break
            first[k + 1] = first[k] + path.n_prints
    return wrong


def expand(const int64_t[:, ::1] candles, uint64_t seed, double prints_per_candle, int64_t duration,
           const int64_t[::1] first, char[::1] out):
    """Write the prints of every candle to `out`, the bytes of an array as long as `count` has said."""
    cdef Py_ssize_t k
    cdef Candle c
    cdef Path path
    if out.shape[0] == 0:
        return
    with nogil:
        for k in range(candles.shape[1]):
            if first[k + 1] == first[k]:
                continue
            c = candle_at(candles, k)
            plan(&c, seed, prints_per_candle, &path)
            draw(&c, &path, duration, <Print*> &out[0] + first[k])
