"""Runs a feature program over bars. From: a compiled program (program.py) and checked columns. To: rows the caller owns.

There is one driver. A block of bars goes through the program instruction by instruction, the slots between them stay
in the cache. A stream is the same driver with a block of one bar, so batch and stream agree to the last bit.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport NAN, isfinite

from . cimport _pointwise, _recursive, _windows


cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    static int tradekernels_has_avx512(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    }
    #else
    static int tradekernels_has_avx512(void) { return 0; }
    #endif
    """
    bint tradekernels_has_avx512()


cdef packed struct Instruction:
    long long code
    long long out    # slot written, or the output column for STORE
    long long a      # slots read
    long long b
    long long c
    long long n      # window, in bars
    long long start  # bar of the first valid input; for STORE the feature's warm-up
    long long state  # offset of the node's state
    long long lanes  # 4: this recursive mean and the three after it read nothing of each other and run side by side
    double alpha     # weight of the newest value in a recursive mean


cdef enum Code:
    STORE, CLOSE_TIME, ADD, SUBTRACT, MULTIPLY, DIVIDE, RATIO, MAXIMUM, MINIMUM, GREATER, GREATER_EQUAL, SELECT, MODULO
    ABSOLUTE, SIGN, SQUARE_ROOT, LOGARITHM, SINE_OF_TURNS, ROUND_DOWN
    LAG, SUM, MAX, MIN, SINCE_MAX, SINCE_MIN, STD, MEAN_DEVIATION, RECURSIVE_MEAN


CODES = {
    "store": STORE, "close_time": CLOSE_TIME, "add": ADD, "subtract": SUBTRACT, "multiply": MULTIPLY,
    "divide": DIVIDE, "ratio": RATIO, "maximum": MAXIMUM, "minimum": MINIMUM, "greater": GREATER,
    "greater_equal": GREATER_EQUAL, "select": SELECT, "modulo": MODULO, "absolute": ABSOLUTE, "sign": SIGN,
    "square_root": SQUARE_ROOT, "logarithm": LOGARITHM, "sine_of_turns": SINE_OF_TURNS, "round_down": ROUND_DOWN,
    "lag": LAG, "sum": SUM, "max": MAX, "min": MIN, "since_max": SINCE_MAX, "since_min": SINCE_MIN, "std": STD,
    "mean_deviation": MEAN_DEVIATION, "recursive_mean": RECURSIVE_MEAN,
}
HEADER = 2  # doubles at the head of a state: bars seen, open time of the last one in ms (NaN before the first)


ctypedef fused output:
    float
    double


cdef void store(const double* x, output* out, Py_ssize_t n_bars, Py_ssize_t stride, Py_ssize_t cold) noexcept nogil:
    """Write one output column of a block: NaN for its first `cold` bars."""
    cdef Py_ssize_t i
    for i in range(min(cold, n_bars)):
        out[i * stride] = NAN
    for i in range(max(cold, 0), n_bars):
        out[i * stride] = <output> x[i]


cdef bint side_by_side(const Instruction* it, double** slots, double* state, Py_ssize_t n_bars) noexcept nogil:
    """Run four recursive means together, unless one of them is still at its seed."""
    cdef Py_ssize_t k
    cdef double* x[4]
    cdef double* y[4]
    cdef double* own[4]
    cdef double alpha[4]
    for k in range(4):
        x[k], y[k], own[k], alpha[k] = slots[it[k].a], slots[it[k].out], state + it[k].state, it[k].alpha
        if own[k][0] < it[k].start + it[k].n:
            return False
    _recursive.four_recursive_means(x, y, n_bars, own, alpha)
    return True


cdef void execute(const Instruction* program, Py_ssize_t n_instructions, double** slots, double* state,
                  const long long* date, double bar_ms, Py_ssize_t n_bars, output* out,
                  Py_ssize_t n_features) noexcept nogil:
    """Take one block of bars through every instruction."""
    cdef Py_ssize_t k = -1, i
    cdef Py_ssize_t seen = <Py_ssize_t> state[0]
    cdef const Instruction* it
    cdef const double* a
    cdef const double* b
    cdef double* y
    cdef double* own
    while k + 1 < n_instructions:
        k += 1
        it = &program[k]
        a = slots[it.a]
        b = slots[it.b]
        own = state + it.state
        if it.code == STORE:
            store(a, out + it.out, n_bars, n_features, it.start - seen)
            continue
        y = slots[it.out]
        if it.code == CLOSE_TIME:
            for i in range(n_bars):
                y[i] = <double> date[i] + bar_ms
        elif it.code == ADD:
            _pointwise.add(a, b, y, n_bars)
        elif it.code == SUBTRACT:
            _pointwise.subtract(a, b, y, n_bars)
        elif it.code == MULTIPLY:
            _pointwise.multiply(a, b, y, n_bars)
        elif it.code == DIVIDE:
            _pointwise.divide(a, b, y, n_bars)
        elif it.code == RATIO:
            _pointwise.ratio(a, b, y, n_bars)
        elif it.code == MAXIMUM:
            _pointwise.maximum(a, b, y, n_bars)
        elif it.code == MINIMUM:
            _pointwise.minimum(a, b, y, n_bars)
        elif it.code == GREATER:
            _pointwise.greater(a, b, y, n_bars)
        elif it.code == GREATER_EQUAL:
            _pointwise.greater_equal(a, b, y, n_bars)
        elif it.code == SELECT:
            _pointwise.select(a, b, slots[it.c], y, n_bars)
        elif it.code == MODULO:
            _pointwise.modulo(a, b, y, n_bars)
        elif it.code == ABSOLUTE:
            _pointwise.absolute(a, y, n_bars)
        elif it.code == SIGN:
            _pointwise.sign(a, y, n_bars)
        elif it.code == SQUARE_ROOT:
            _pointwise.square_root(a, y, n_bars)
        elif it.code == LOGARITHM:
            _pointwise.logarithm(a, y, n_bars)
        elif it.code == SINE_OF_TURNS:
            _pointwise.sine_of_turns(a, y, n_bars)
        elif it.code == ROUND_DOWN:
            _pointwise.round_down(a, y, n_bars)
        elif it.code == LAG:
            _windows.lag(a, y, n_bars, own, it.n)
        elif it.code == SUM:
            _windows.window_sum(a, y, n_bars, own, it.n)
        elif it.code == MAX:
            _windows.window_extreme(a, y, n_bars, own, it.n, 1.0)
        elif it.code == MIN:
            _windows.window_extreme(a, y, n_bars, own, it.n, -1.0)
        elif it.code == SINCE_MAX:
            _windows.bars_since_extreme(a, y, n_bars, own, it.n, 1.0)
        elif it.code == SINCE_MIN:
            _windows.bars_since_extreme(a, y, n_bars, own, it.n, -1.0)
        elif it.code == STD:
            _windows.window_std(a, y, n_bars, own, it.n)
        elif it.code == MEAN_DEVIATION:
            _windows.mean_deviation(a, y, n_bars, own, it.n)
        elif it.code == RECURSIVE_MEAN:
            if it.lanes == 4 and side_by_side(it, slots, state, n_bars):
                k += 3
            else:
                _recursive.recursive_mean(a, y, n_bars, own, it.n, it.start, it.alpha)
    state[0] = seen + n_bars
    state[1] = <double> date[n_bars - 1]


cdef class Machine:
    """A program with one state: what a stream keeps, and what a batch uses once.

    Slots are numbered columns first, then constants, then the scratch slots of the program.
    """

    cdef const Instruction[::1] program
    cdef readonly double[::1] state
    cdef double[:, ::1] scratch
    cdef double** slots
    cdef const double** columns
    cdef Py_ssize_t n_columns, block
    cdef double bar_ms

    def __cinit__(self, const Instruction[::1] program, double[::1] state, double[:, ::1] scratch,
                  Py_ssize_t n_columns, double bar_ms):
        cdef Py_ssize_t k, n_scratch = scratch.shape[0]
        self.program, self.state, self.scratch = program, state, scratch
        self.n_columns, self.block, self.bar_ms = n_columns, scratch.shape[1], bar_ms
        self.columns = <const double**> PyMem_Malloc((n_columns + 1) * sizeof(double*))
        self.slots = <double**> PyMem_Malloc((n_columns + n_scratch) * sizeof(double*))
        if self.columns == NULL or self.slots == NULL:
            raise MemoryError
        for k in range(n_scratch):
            self.slots[n_columns + k] = &scratch[k, 0]

    def __dealloc__(self):
        PyMem_Free(self.columns)
        PyMem_Free(self.slots)

    def run(self, const long long[::1] date, tuple columns, output[:, ::1] out):
        """Write the rows of `date` and `columns` (contiguous, checked, of equal length) to `out`."""
        cdef Py_ssize_t n_bars = out.shape[0], n_features = out.shape[1], done = 0, size, k
        cdef const double[::1] column
        if n_bars == 0:
            return
        for k in range(self.n_columns):
            column = columns[k]
            self.columns[k] = &column[0]
        with nogil:
            while done < n_bars:
                size = min(self.block, n_bars - done)
                for k in range(self.n_columns):
                    self.slots[k] = <double*> self.columns[k] + done  # instructions never write to a column
                execute(&self.program[0], self.program.shape[0], self.slots, &self.state[0], &date[done],
                        self.bar_ms, size, &out[done, 0], n_features)
                done += size


FAULTS = (
    "", "time does not increase", "open", "high", "low", "close", "volume", "open above high or below low",
    "close above high or below low", "high below low",
)


def first_fault(const long long[::1] date, const double[::1] open, const double[::1] high, const double[::1] low,
                const double[::1] close, const double[::1] volume):
    """Return (row, index into FAULTS) of the first row that is no candle, or (-1, 0)."""
    cdef Py_ssize_t t, n_bars = date.shape[0]
    cdef int fault = 0
    with nogil:
        for t in range(n_bars):
            if t > 0 and date[t] <= date[t - 1]:
                fault = 1
            elif not (open[t] > 0.0 and isfinite(open[t])):
                fault = 2
            elif not (high[t] > 0.0 and isfinite(high[t])):
                fault = 3
            elif not (low[t] > 0.0 and isfinite(low[t])):
                fault = 4
            elif not (close[t] > 0.0 and isfinite(close[t])):
                fault = 5
            elif not (volume[t] >= 0.0 and isfinite(volume[t])):
                fault = 6
            elif high[t] < low[t]:
                fault = 9
            elif open[t] > high[t] or open[t] < low[t]:
                fault = 7
            elif close[t] > high[t] or close[t] < low[t]:
                fault = 8
            if fault:
                break
        else:
            t = -1
    return (t if fault else -1), fault


def has_avx512():
    """Return whether this processor runs the wide build of this module (engine.py)."""
    return bool(tradekernels_has_avx512())
