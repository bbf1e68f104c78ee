"""How an episode begins, and how each of its bars ends (ENV-1, ENV-4 to ENV-8). From: one copy. To: the same copy.

A reward is that of the bar in which the order was filled, at its close.
"""

from libc.string cimport memset

from tradekernels.environment._fill cimport FOR_START, Trade, money, units
from tradekernels.environment._reward cimport potential, total
from tradekernels.environment._risk cimport peak_of, push_peak, watch_bar
from tradekernels.environment._state cimport BANKRUPTCY, ORDERS_PER_MINUTE, Copy, Pair, Row, Settings
from tradekernels.execution._random cimport below, philox


cdef inline double settle(Copy* it, const Settings* s, const Pair* pair, const Row* now, const Row* next,
                          const Trade* trade) noexcept nogil:
    """Mark the copy at the close of `next`, set `done` (1 ruined, 2 at its end) and return the reward."""
    cdef double was = it.worth, phi = it.potential, gain
    cdef double worst = it.cash + it.lots * (next.low if it.lots > 0.0 else next.high) * pair.atoms
    cdef bint ruined = worst <= 0.0
    if ruined:  # liquidated inside the bar
        it.cash = it.lots = worst = 0.0
    it.row += 1
    it.worth = money(pair, it.cash + it.lots * next.close * pair.atoms)
    ruined = ruined or it.worth <= s.ruin * it.start_worth
    watch_bar(it, s, next.close_time, was, money(pair, worst))
    push_peak(it)
    # A potential of 0 at the true end keeps the best policy what it is (Ng, Harada and Russell, ICML 1999).
    it.potential = 0.0 if ruined else potential(&s.reward, units(pair, it.lots), next.atr, it.worth, peak_of(it))
    gain = total(&s.reward, it.worth, was, it.potential, phi, trade.notional, now.daily_volume, trade.closed)
    it.reward += gain
    it.done = 1 if ruined else 2 if it.row >= it.end else 0
    it.refusals[BANKRUPTCY] += ruined
    return gain


cdef inline Py_ssize_t pair_of(const Pair* pairs, Py_ssize_t n_pairs, long long start) noexcept nogil:
    """Return the pair in which the start of this number lies, all pairs' starts counted one after the other."""
    cdef Py_ssize_t low = 0, high = n_pairs - 1, middle
    while low < high:
        middle = (low + high) // 2
        if pairs[middle].starts <= start:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void begin(Copy* it, const Settings* s, const Pair* pairs, const Row** rows, Py_ssize_t n_pairs,
                       unsigned long long seed, unsigned long long stream, long long at_pair,
                       long long at_row) noexcept nogil:
    """Start a new episode, at the given pair and row where they are not negative."""
    cdef unsigned long long[4] words
    cdef const Pair* pair
    cdef int k
    it.episode += 1
    philox(seed, stream, <unsigned long long> it.episode, 0, FOR_START, words)
    if at_pair >= 0:
        it.pair = at_pair
    elif s.random_start:
        it.pair = pair_of(pairs, n_pairs, <long long> below(words[0], pairs[n_pairs - 1].starts))
    else:
        it.pair = <long long> (stream % <unsigned long long> n_pairs)
    pair = &pairs[it.pair]
    it.start = pair.first
    if at_row >= 0:
        it.start = at_row
    elif s.random_start:
        it.start += <long long> below(words[1], pair.last - pair.first + 1 - (s.episode_length or 1))
    it.end = pair.last
    if s.episode_length and it.start + s.episode_length < it.end:
        it.end = it.start + s.episode_length
    it.row = it.start
    it.cash = pair.cash
    it.worth = it.start_worth = money(pair, pair.cash)
    it.lots = it.opened = it.fees = it.slippage = it.turnover = it.reward = 0.0
    it.done = it.n_trades = it.order_at = it.newest = it.peak_head = it.peak_count = it.pause_reason = 0
    it.paused_until = -(1LL << 62)
    memset(it.refusals, 0, sizeof(it.refusals))
    memset(it.bars, 0, sizeof(it.bars))
    for k in range(ORDERS_PER_MINUTE):
        it.order_times[k] = -(1LL << 62)
    push_peak(it)
    it.potential = potential(&s.reward, 0.0, rows[it.pair][it.row].atr, it.worth, it.worth)
