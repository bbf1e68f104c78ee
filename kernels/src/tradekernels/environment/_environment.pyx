"""The loop of `tradekernels.environment`. From: checked markets, settings and states. To: arrays that the caller owns.

A step of one copy: decide at the close of its row, fill at the next open, mark at the next close. No copy reads what
another one writes and every draw comes from its own counters, so neither their number nor threads change a path.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.math cimport isfinite
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from tradekernels.environment._book cimport FlowTable, Live
from tradekernels.environment._episode cimport begin, settle
from tradekernels.environment._fill cimport Trade, send
from tradekernels.environment._look cimport observe
from tradekernels.environment._order cimport wanted_lots
from tradekernels.environment._reward cimport Reward, potential, total
from tradekernels.environment._state cimport Copy, Pair, Row, Settings
from tradekernels.observation._observation cimport BAR, WINDOW
from tradekernels.orderbook._matching cimport book_start, book_stop, tape_start, tape_stop
from tradekernels.orderbook._machine cimport prefetch

ctypedef fused number:
    float
    double


cdef inline void fetch_lines(const char* address, Py_ssize_t n_bytes) noexcept nogil:
    cdef Py_ssize_t line
    for line in range(0, n_bytes, 64):
        prefetch(address + line)


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
        if min(observation.shape[0], reward.shape[0], terminated.shape[0], truncated.shape[0], action.shape[0]) < last:
            raise ValueError(f"an array was resized since its check, expected {self.n_copies} copies in each")
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
