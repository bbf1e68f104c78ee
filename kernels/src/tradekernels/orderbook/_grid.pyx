"""Compiled grid market makers over one replay (LOB-16, LOB-17). From: parameters that grid.py has checked. To: letters.

Every maker decides at the same times from the same book; orders, positions and letters are its own.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from . cimport _desk
from ._account cimport Account
from ._book cimport L2
from ._engine cimport Engine
from ._levels cimport EMPTY, NEVER, i64
from ._own_orders cimport CANCEL, GTX, NOTHING, PARTLY_FILLED, WORKING, Order
from ._venue cimport Trader


cdef packed struct Grid:
    i64 levels
    i64 step          # ticks between levels
    i64 half_spread   # ticks
    i64 lots          # per order
    i64 most          # lots of position at which a side stops


cdef struct Wanted:   # what a maker wanted when it last looked
    i64 bid, ask
    bint buys, sells
    bint done         # nothing is left for it to wait for


cdef inline i64 floor_to(i64 x, i64 step) noexcept nogil:
    cdef i64 q = x // step  # cdivision truncates
    return q - (x % step < 0)


cdef void decide(Engine e, int who, const Grid* g, Wanted* was, unsigned char* have, i64 bid, i64 ask) noexcept nogil:
    """Cancel what is not wanted, keep what is, submit what is missing."""
    cdef Trader* t = &e.floor.trader[who]
    cdef i64 position = t.account.position
    cdef Order* o
    cdef Wanted now
    cdef i64 place, distance
    cdef int k, following, side
    now.bid = floor_to(bid + ask - 2 * g.half_spread, 2 * g.step) * g.step
    now.ask = -floor_to(-(bid + ask + 2 * g.half_spread), 2 * g.step) * g.step
    if not t.changed and now.bid == was.bid and now.ask == was.ask:
        return  # nothing is new, so nothing is left to do
    now.buys, now.sells = position < g.most, position > -g.most
    now.done = False
    was[0], t.changed = now, False
    memset(have, 0, 2 * g.levels)
    k = t.first_own
    while k >= 0:
        o = &e.floor.orders.order[k]
        following = o.next_own
        if o.finished:
            if o.in_flight == 0:
                _desk.forget(&e.floor, k)
        else:
            distance = o.tick - now.ask if o.side else now.bid - o.tick
            place = distance // g.step
            if (now.sells if o.side else now.buys) and distance >= 0 and place < g.levels and place * g.step == distance:
                have[o.side * g.levels + place] = True
            elif o.pending == NOTHING and (o.status == WORKING or o.status == PARTLY_FILLED):
                _desk.request(&e.floor, k, CANCEL, o.tick, 0)
        k = following
    for side in range(2):
        if not (now.sells if side else now.buys):
            continue
        for place in range(g.levels):
            if have[side * g.levels + place]:
                continue
            distance = now.ask + place * g.step if side else now.bid - place * g.step
            if 0 < distance < 0x7fffffff:
                _desk.submit(&e.floor, who, t.account.n_submits, <unsigned char> side, <int> distance, g.lots, GTX)


def run(Engine e, const Grid[::1] grids, i64 interval, i64 warm_up, i64 sample_every, i64[:, :, ::1] samples,
        i64[::1] sample_times, i64[:, ::1] counts):
    """Run to the end of the feed; count the decisions and the samples of every maker.

    A sample of every maker is (bid tick, ask tick, position, cash, fee, fills). The first is at the first decision time.
    """
    cdef i64 start = e.floor.now, time = start, sample_at = start + interval
    cdef i64[2] key
    cdef Py_ssize_t n_samples = 0, n = grids.shape[0], n_left = n, k, most = 1
    cdef L2* book = &e.view.book
    cdef Account* a
    for k in range(n):
        most = max(most, grids[k].levels)
    cdef unsigned char* have = <unsigned char*> calloc(2 * most, 1)
    cdef Wanted* wanted = <Wanted*> calloc(n, sizeof(Wanted))
    if have == NULL or wanted == NULL:
        free(have)
        free(wanted)
        raise MemoryError
    with nogil:
        for k in range(n):
            wanted[k].bid = EMPTY
        while n_left and not e.floor.failed:
            time += interval
            e.elapse_to(time)
            if e.over():  # each comes to its own end: it waits for its own letters only
                for k in range(n):
                    if not wanted[k].done and not e.goes_on(<int> k):
                        wanted[k].done, n_left = True, n_left - 1
            key[0], key[1] = book.side[0].best, book.side[1].best
            if time - start >= warm_up and key[0] != EMPTY and key[1] != EMPTY:
                for k in range(n):
                    if not wanted[k].done:
                        decide(e, <int> k, &grids[k], &wanted[k], have, key[0], -key[1])
            for k in range(n):
                counts[k, 0] += not wanted[k].done
            if time >= sample_at and n_samples < samples.shape[0]:
                sample_times[n_samples] = time
                for k in range(n):
                    a = &e.floor.trader[k].account
                    samples[n_samples, k, 0] = key[0] if key[0] != EMPTY else 0
                    samples[n_samples, k, 1] = -key[1] if key[1] != EMPTY else 0
                    samples[n_samples, k, 2], samples[n_samples, k, 3] = a.position, a.cash
                    samples[n_samples, k, 4], samples[n_samples, k, 5] = a.fee, a.n_fills
                    counts[k, 1] += not wanted[k].done
                n_samples += 1
                sample_at += sample_every
        e.elapse_to(NEVER - 1)  # what is on its way still arrives
    free(have)
    free(wanted)
    e.check()
