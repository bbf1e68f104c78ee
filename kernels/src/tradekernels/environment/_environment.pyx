"""The loop of `tradekernels.environment`. From: checked markets, settings and states. To: arrays that the caller owns.

A step of one copy: decide at the close of its row, fill at the next open, mark at the next close. No copy reads what
another one writes and every draw comes from its own counters, so neither their number nor threads change a path.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.math cimport fabs, isfinite, trunc
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from tradekernels.environment._book cimport FlowTable, Live
from tradekernels.environment._fill cimport FOR_START, Trade, money, price, send, units
from tradekernels.environment._reward cimport Reward, potential, total
from tradekernels.environment._risk cimport peak_of, push_peak, refusal, watch_bar
from tradekernels.environment._state cimport (
    BANKRUPTCY, BAR, Copy, MIN_NOTIONAL, ORDERS_PER_MINUTE, Pair, Row, Settings,
)
from tradekernels.execution._random cimport below, philox
from tradekernels.observation._observation cimport (
    BOUGHT, CASH, N_AGENT_FIELDS, N_AGENT_SLOTS, N_BAR_FIELDS, UNITS, WINDOW, agent_slots, clipped,
)
from tradekernels.orderbook._matching cimport book_start, book_stop, tape_start, tape_stop

ctypedef fused number:
    float
    double

cdef enum:
    AGENT = 21          # first agent slot

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define tradekernels_prefetch(p) __builtin_prefetch(p)
    #else
    #define tradekernels_prefetch(p) ((void) (p))
    #endif
    """
    void prefetch "tradekernels_prefetch" (const void* address) noexcept nogil


cdef inline void fetch_lines(const char* address, Py_ssize_t n_bytes) noexcept nogil:
    cdef Py_ssize_t line
    for line in range(0, n_bytes, 64):
        prefetch(address + line)


cdef inline double wanted_lots(Copy* it, const Settings* s, const Pair* pair, const Row* now,
                               double weight) noexcept nogil:
    """Return the order (lots, negative to sell) towards a weight of the worth: the difference, quantised (ENV-2)."""
    cdef double close = price(pair, now.close), target, order
    cdef int reason
    weight = clipped(weight, s.lowest_weight, 1.0)
    if weight != 0.0 and fabs(weight - units(pair, it.lots) * close / it.worth) < s.dead_band:
        return 0.0
    target = trunc(weight * it.worth / (close * pair.lot_part / pair.lot_whole))
    order = target - it.lots
    if order == 0.0:
        return 0.0
    if fabs(order) * now.close < pair.least:
        it.refusals[MIN_NOTIONAL] += 1
        return 0.0
    if fabs(target) > fabs(it.lots) or target * it.lots < 0.0:
        reason = refusal(it, s, now.close_time, units(pair, target), units(pair, fabs(order)) * close)
        if reason >= 0:
            it.refusals[reason] += 1
            # A reversal that is refused still closes: exits are always allowed.
            order = -it.lots if target * it.lots < 0.0 and fabs(it.lots) * now.close >= pair.least else 0.0
    return order


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


cdef inline void begin(Copy* it, const Settings* s, const Pair* pairs, const Row** rows, Py_ssize_t n_pairs,
                       unsigned long long seed, unsigned long long stream, long long at_pair,
                       long long at_row) noexcept nogil:
    """Start a new episode, at the given pair and row where they are not negative."""
    cdef unsigned long long[4] words
    cdef const Pair* pair
    cdef int k
    it.episode += 1
    philox(seed, stream, <unsigned long long> it.episode, 0, FOR_START, words)
    it.pair = (at_pair if at_pair >= 0 else <long long> below(words[0], n_pairs) if s.random_start
               else <long long> (stream % <unsigned long long> n_pairs))
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


cdef inline void window_sums(const double* bars, Py_ssize_t newest, double* out) noexcept nogil:
    """Write what `window_sums` of the observation does, in the same order of additions, eight lanes at a time."""
    cdef double[BAR] sums
    cdef Py_ssize_t row, k
    for k in range(BAR):
        sums[k] = 0.0
    for row in range(newest + 1, WINDOW):
        for k in range(BAR):
            sums[k] += bars[row * BAR + k]
    for row in range(newest + 1):
        for k in range(BAR):
            sums[k] += bars[row * BAR + k]
    memcpy(out, sums, N_BAR_FIELDS * sizeof(double))


cdef inline void observe(const Copy* it, const Pair* pair, const Row* row, const float* market, Py_ssize_t n_slots,
                         float* out) noexcept nogil:
    """Write the market's slots of this row and the copy's own (OBS-21 to OBS-26)."""
    cdef double[N_AGENT_FIELDS] agent
    cdef double[N_AGENT_SLOTS] slots
    cdef int k
    agent[CASH] = money(pair, it.cash)
    agent[UNITS] = units(pair, it.lots)
    window_sums(it.bars, it.newest, &agent[BOUGHT])
    agent_slots(agent, price(pair, row.close), slots)
    memcpy(out, market, n_slots * sizeof(float))
    for k in range(N_AGENT_SLOTS):
        out[AGENT + k] = <float> slots[k]


cdef inline double step_one(Copy* it, const Settings* s, const FlowTable* flow, Live* live, const Pair* pairs,
                            const Row** rows, Py_ssize_t n_pairs, double weight, unsigned long long seed,
                            unsigned long long stream) noexcept nogil:
    """Carry one copy one bar on, or begin its next episode if the last one is over (next-step autoreset)."""
    cdef const Pair* pair = &pairs[it.pair]
    cdef const Row* now
    cdef Trade trade
    cdef double order
    if it.done:
        begin(it, s, pairs, rows, n_pairs, seed, stream, -1, -1)
        return 0.0
    now = &rows[it.pair][it.row]
    trade.notional = trade.closed = 0.0
    order = wanted_lots(it, s, pair, now, weight)
    it.newest = (it.newest + 1) % WINDOW
    memset(&it.bars[it.newest * BAR], 0, BAR * sizeof(double))
    if order != 0.0:
        trade = send(it, s, flow, live, pair, now, now + 1, order, seed, stream)
    return settle(it, s, pair, now, now + 1, &trade)


def sizes():
    """Return the bytes of Row, Pair, Settings, FlowTable and Copy."""
    return sizeof(Row), sizeof(Pair), sizeof(Settings), sizeof(FlowTable), sizeof(Copy)


cdef class Engine:
    """Markets, settings and the state of every copy; the wrapper owns the memory and has checked it."""

    cdef Settings settings
    cdef FlowTable flow
    cdef Live* books  # one for each thread; NULL in candle fidelity
    cdef Py_ssize_t n_pairs, n_slots, n_copies, n_books
    cdef const Pair* pairs
    cdef Copy* copies
    cdef const Row** rows
    cdef const float** markets
    cdef object owned
    cdef unsigned long long seed, first_stream

    def __cinit__(self, list rows, list markets, const unsigned char[::1] pairs, const unsigned char[::1] settings,
                  const unsigned char[::1] flow, unsigned char[::1] copies, Py_ssize_t threads,
                  unsigned long long first_stream):
        cdef const unsigned char[::1] raw
        cdef const float[:, ::1] market
        cdef Py_ssize_t k
        self.owned = (rows, markets, pairs, copies)
        self.n_pairs, self.first_stream = len(rows), first_stream
        self.n_copies = copies.shape[0] // <Py_ssize_t> sizeof(Copy)
        self.pairs, self.copies = <const Pair*> &pairs[0], <Copy*> &copies[0]
        memcpy(&self.settings, &settings[0], sizeof(Settings))
        self.rows = <const Row**> PyMem_Malloc(self.n_pairs * sizeof(Row*))
        self.markets = <const float**> PyMem_Malloc(self.n_pairs * sizeof(float*))
        if self.rows == NULL or self.markets == NULL:
            raise MemoryError
        for k in range(self.n_pairs):
            raw, market = rows[k], markets[k]
            self.rows[k], self.markets[k] = <const Row*> &raw[0], &market[0, 0]
            self.n_slots = market.shape[1]
        if flow.shape[0]:
            memcpy(&self.flow, &flow[0], sizeof(FlowTable))
            self.open_books(threads)

    cdef int open_books(self, Py_ssize_t threads) except -1:
        cdef int32_t capacity = <int32_t> (2 * self.flow.n_levels + self.flow.events + 8)
        self.books = <Live*> PyMem_Calloc(threads, sizeof(Live))
        if self.books == NULL:
            raise MemoryError
        while self.n_books < threads:
            if not book_start(&self.books[self.n_books].book, capacity, 64):
                raise MemoryError
            tape_start(&self.books[self.n_books].tape)
            self.n_books += 1
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t k
        for k in range(self.n_books):
            book_stop(&self.books[k].book)
            tape_stop(&self.books[k].tape)
        PyMem_Free(self.books)
        PyMem_Free(self.rows)
        PyMem_Free(self.markets)

    def reseed(self, unsigned long long seed):
        """Begin the random streams anew; `reset` comes next."""
        cdef Py_ssize_t k
        self.seed = seed
        for k in range(self.n_copies):
            self.copies[k].episode = -1

    def reset(self, const long long[::1] pairs, const long long[::1] rows, float[:, ::1] observation):
        """Begin an episode in every copy; negative pairs and rows are drawn."""
        cdef Py_ssize_t k
        with nogil:
            for k in range(self.n_copies):
                begin(&self.copies[k], &self.settings, self.pairs, self.rows, self.n_pairs, self.seed,
                      self.first_stream + k, pairs[k], rows[k])
                self.look(k, &observation[k, 0])

    cdef void look(self, Py_ssize_t k, float* out) noexcept nogil:
        cdef const Copy* it = &self.copies[k]
        observe(it, &self.pairs[it.pair], &self.rows[it.pair][it.row],
                self.markets[it.pair] + it.row * self.n_slots, self.n_slots, out)

    def first_bad(self, const number[::1] action):
        """Return the first action that is not finite, or -1."""
        cdef Py_ssize_t k, bad = -1
        with nogil:
            for k in range(action.shape[0]):
                if not isfinite(action[k]):
                    bad = k
                    break
        return bad

    def step(self, const number[::1] action, float[:, ::1] observation, double[::1] reward,
             unsigned char[::1] terminated, unsigned char[::1] truncated, Py_ssize_t first, Py_ssize_t last,
             Py_ssize_t thread):
        """Carry the copies `first` to `last` (excluded) one step on; `thread` is the number of the caller's part."""
        cdef Py_ssize_t k
        cdef Copy* it
        cdef Live* live = &self.books[thread] if self.books != NULL else NULL
        with nogil:
            for k in range(first, last):
                it = &self.copies[k]
                if k + 2 < last:  # the rows of other copies lie anywhere in the data
                    self.fetch(&self.copies[k + 2])
                if k + 4 < last:
                    fetch_lines(<const char*> &self.copies[k + 4], 256)
                    fetch_lines(<const char*> self.copies[k + 4].bars, sizeof(self.copies[k + 4].bars))
                reward[k] = step_one(it, &self.settings, &self.flow, live, self.pairs, self.rows, self.n_pairs,
                                     action[k], self.seed, self.first_stream + k)
                terminated[k] = it.done == 1
                truncated[k] = it.done == 2
                self.look(k, &observation[k, 0])

    cdef void fetch(self, const Copy* it) noexcept nogil:
        fetch_lines(<const char*> &self.rows[it.pair][it.row], 2 * sizeof(Row))
        fetch_lines(<const char*> (self.markets[it.pair] + (it.row + 1) * self.n_slots), self.n_slots * sizeof(float))


def rewards(const unsigned char[::1] reward, const double[::1] worth, const double[::1] was,
            const double[::1] phi_next, const double[::1] phi, const double[::1] notional,
            const double[::1] daily_volume, const double[::1] closed, double[::1] out):
    """Write the reward of every row of these columns."""
    cdef const Reward* r = <const Reward*> &reward[0]
    cdef Py_ssize_t k
    with nogil:
        for k in range(out.shape[0]):
            out[k] = total(r, worth[k], was[k], phi_next[k], phi[k], notional[k], daily_volume[k], closed[k])


def potentials(const unsigned char[::1] reward, const double[::1] units_held, const double[::1] atr,
               const double[::1] worth, const double[::1] peak, double[::1] out):
    """Write phi of every row of these columns."""
    cdef const Reward* r = <const Reward*> &reward[0]
    cdef Py_ssize_t k
    with nogil:
        for k in range(out.shape[0]):
            out[k] = potential(r, units_held[k], atr[k], worth[k], peak[k])
