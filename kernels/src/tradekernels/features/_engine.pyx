"""Runs a feature program over bars. From: a compiled program (program.py) and checked columns. To: rows the caller owns.

There is one driver. A block of bars goes through the program instruction by instruction, the slots between them stay
in the cache. A stream is the same driver with a block of one bar, so batch and stream agree to the last bit.
"""

from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport INFINITY, NAN, floor, isfinite

from . cimport _calendar, _order, _paths, _pointwise, _recursive, _roughness, _statistics, _timed, _windows


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
    long long d
    long long n      # window, in bars
    long long start  # bar of the first valid input; for STORE the feature's warm-up
    long long state  # offset of the node's state
    long long reach  # rows before the first one asked for from which on what it gives is read
    long long lanes  # this recursive mean and those after it that read nothing of each other and run side by side
    double alpha     # weight of the newest value in a recursive mean, a quantile's place, a field of the calendar


cdef enum Code:
    STORE, CLOSE_TIME, OPEN_TIME
    ADD, SUBTRACT, MULTIPLY, DIVIDE, RATIO, MAXIMUM, MINIMUM, GREATER, GREATER_EQUAL, SELECT, MODULO, FIRST_KNOWN
    ABSOLUTE, SIGN, SQUARE_ROOT, LOGARITHM, EXPONENTIAL, SINE_OF_TURNS, ROUND_DOWN, NORMAL_CDF, KNOWN, CALENDAR
    LAG, SUM, MAX, MIN, SINCE_MAX, SINCE_MIN, STD, MEAN_DEVIATION, COVARIANCE, SLOPE, SKEW, KURTOSIS
    HURST, HIGUCHI, RANK_BELOW, ENTROPY, TAIL_MEAN, BUCKET_IMBALANCE, RUN_LENGTH
    TIMED_LAG, TIMED_SUM, TIMED_STD, TIMED_QUANTILE, TIMED_GARCH, TIMED_MEAN
    RECURSIVE_MEAN, RESTARTING_MEAN, PSAR, PREVIOUS_DAY


CODES = {
    "store": STORE, "close_time": CLOSE_TIME, "open_time": OPEN_TIME,
    "add": ADD, "subtract": SUBTRACT, "multiply": MULTIPLY, "divide": DIVIDE, "ratio": RATIO, "maximum": MAXIMUM,
    "minimum": MINIMUM, "greater": GREATER, "greater_equal": GREATER_EQUAL, "select": SELECT, "modulo": MODULO,
    "first_known": FIRST_KNOWN, "absolute": ABSOLUTE, "sign": SIGN, "square_root": SQUARE_ROOT,
    "logarithm": LOGARITHM, "exponential": EXPONENTIAL, "sine_of_turns": SINE_OF_TURNS, "round_down": ROUND_DOWN,
    "normal_cdf": NORMAL_CDF, "known": KNOWN, "calendar": CALENDAR,
    "lag": LAG, "sum": SUM, "max": MAX, "min": MIN, "since_max": SINCE_MAX, "since_min": SINCE_MIN, "std": STD,
    "mean_deviation": MEAN_DEVIATION, "covariance": COVARIANCE, "slope": SLOPE, "skew": SKEW, "kurtosis": KURTOSIS,
    "hurst": HURST, "higuchi": HIGUCHI, "rank_below": RANK_BELOW, "entropy": ENTROPY, "tail_mean": TAIL_MEAN,
    "bucket_imbalance": BUCKET_IMBALANCE, "run_length": RUN_LENGTH,
    "timed_lag": TIMED_LAG, "timed_sum": TIMED_SUM, "timed_std": TIMED_STD, "timed_quantile": TIMED_QUANTILE,
    "timed_garch": TIMED_GARCH, "timed_mean": TIMED_MEAN,
    "recursive_mean": RECURSIVE_MEAN, "restarting_mean": RESTARTING_MEAN, "psar": PSAR, "previous_day": PREVIOUS_DAY,
}
HEADER = 3  # doubles at the head of a state: bars seen, open time of the last one in ms (NaN before the first), bars missing


cdef enum:
    PADDING = 16  # values between the columns of a block: a power of two apart, they would share few places in the cache


ctypedef fused output:
    float
    double


cdef void store(const double* x, output* column, Py_ssize_t n_bars, Py_ssize_t cold) noexcept nogil:
    """Write one output column of a block: NaN for its first `cold` bars."""
    cdef Py_ssize_t i
    for i in range(min(cold, n_bars)):
        column[i] = NAN
    for i in range(max(cold, 0), n_bars):
        column[i] = <output> x[i]


cdef extern from *:
    """
    /* Turn four columns of four floats, `stride` apart, into four rows, `width` apart. */
    #if defined(__SSE__)
    #include <xmmintrin.h>
    static inline void turn_four(const float* columns, Py_ssize_t stride, float* rows, Py_ssize_t width) {
        __m128 a = _mm_loadu_ps(columns), b = _mm_loadu_ps(columns + stride);
        __m128 c = _mm_loadu_ps(columns + 2 * stride), d = _mm_loadu_ps(columns + 3 * stride);
        _MM_TRANSPOSE4_PS(a, b, c, d);
        _mm_storeu_ps(rows, a);
        _mm_storeu_ps(rows + width, b);
        _mm_storeu_ps(rows + 2 * width, c);
        _mm_storeu_ps(rows + 3 * width, d);
    }
    #else
    static inline void turn_four(const float* columns, Py_ssize_t stride, float* rows, Py_ssize_t width) {
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < 4; k++) rows[i * width + k] = columns[k * stride + i];
    }
    #endif
    """
    void turn_four(const float* columns, Py_ssize_t stride, float* rows, Py_ssize_t width) nogil


cdef void lay_out(const output* columns, output* rows, Py_ssize_t n_bars, Py_ssize_t n_features,
                  Py_ssize_t stride) noexcept nogil:
    """Turn the columns of a block, `stride` apart, into rows: in tiles, so that every cache line is written once."""
    cdef Py_ssize_t i, k, row, column, whole_rows = 0, whole_columns = 0
    if output is float:
        whole_rows, whole_columns = n_bars - n_bars % 4, n_features - n_features % 4
        for row in range(0, whole_rows, 4):
            for column in range(0, whole_columns, 4):
                turn_four(columns + column * stride + row, stride, rows + row * n_features + column, n_features)
    for row in range(0, n_bars, 16):
        for column in range(0, n_features, 16):
            for i in range(row, min(row + 16, n_bars)):
                for k in range(column if i >= whole_rows else max(column, whole_columns), min(column + 16, n_features)):
                    rows[i * n_features + k] = columns[k * stride + i]


cdef void side_by_side(const Instruction* it, double** slots, double* state, Py_ssize_t n_bars) noexcept nogil:
    """Run two to eight recursive means: one after the other until all are past their seeds, then together."""
    cdef Py_ssize_t k, lane, seeding = 0
    for k in range(it.lanes):
        seeding = max(seeding, it[k].start + it[k].n - <Py_ssize_t> state[it[k].state])
    seeding = min(seeding, n_bars)
    for k in range(it.lanes):
        _recursive.recursive_mean(slots[it[k].a], slots[it[k].out], seeding, state + it[k].state, it[k].n, it[k].start,
                                  it[k].alpha)
    cdef double* x[8]
    cdef double* y[8]
    cdef double* own[8]
    cdef double alpha[8]
    for k in range(8):
        lane = min(k, it.lanes - 1)  # lanes that are left over do the last one's work once more
        x[k], y[k] = slots[it[lane].a] + seeding, slots[it[lane].out] + seeding
        own[k], alpha[k] = state + it[lane].state, it[lane].alpha
    if it.lanes > 4:
        _recursive.eight_recursive_means(x, y, n_bars - seeding, own, alpha)
    else:
        _recursive.four_recursive_means(x, y, n_bars - seeding, own, alpha)


cdef inline Py_ssize_t first_bar(const Instruction* it, Py_ssize_t read) noexcept nogil:
    """Return the bar at which an instruction may begin, so that its values from bar `read` on are what they would be.

    At the end of a lap a window knows that lap and nothing before it: it may begin with the lap before `read`'s own.
    """
    if it.code < LAG:
        return read
    if it.code <= COVARIANCE or it.code == ENTROPY:
        return (read // it.n - 1) * it.n if read > 0 else 0
    return 0


cdef inline void begin_lap(const Instruction* it, double* own) noexcept nogil:
    """Forget the lap that a window is in: bars of it were passed over, and `first_bar` is where another one begins."""
    if SUM <= it.code <= STD or it.code == COVARIANCE:
        own[0] = 0.0  # its place; the deviations take their first value there
    if it.code == SUM:
        own[1] = 0.0
    elif MAX <= it.code <= SINCE_MIN:
        own[1] = -INFINITY


cdef void execute(const Instruction* program, Py_ssize_t n_instructions, double** slots, double* state,
                  const long long* date, const double* step, const double* inverse, double bar_ms,
                  Py_ssize_t n_bars, Py_ssize_t unread, output* columns, Py_ssize_t stride) noexcept nogil:
    """Take one block of bars through every instruction, to output columns that lie `stride` apart.

    The first `unread` rows are not written, and of them only what is remembered is worked out. `step` is the number of
    grid cells since the bar before, `inverse[k]` is 1 / k up to the longest window.
    """
    cdef Py_ssize_t k = -1, i, skip, read, total = n_bars
    cdef Py_ssize_t seen = <Py_ssize_t> state[0]
    cdef const Instruction* it
    cdef const double* a
    cdef const double* b
    cdef double* y
    cdef double* own
    cdef double before = state[1] if state[1] == state[1] else <double> date[0] - bar_ms
    while k + 1 < n_instructions:
        k += 1
        it = &program[k]
        read = seen + unread - it.reach  # the bar from which on its values are read
        skip = min(max(first_bar(it, read) - seen, 0), total) if unread else 0
        n_bars = total - skip
        a = slots[it.a] + skip
        b = slots[it.b] + skip
        own = state + it.state
        if skip:
            begin_lap(it, own)
        if it.code == STORE:
            store(a, columns + it.out * stride, n_bars, it.start - seen - skip)
            continue
        y = slots[it.out] + skip
        if it.code == CLOSE_TIME:
            for i in range(n_bars):
                y[i] = <double> date[skip + i] + bar_ms
        elif it.code == OPEN_TIME:
            for i in range(n_bars):
                y[i] = <double> date[skip + i]
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
            _pointwise.select(a, b, slots[it.c] + skip, y, n_bars)
        elif it.code == MODULO:
            _pointwise.modulo(a, b, y, n_bars)
        elif it.code == FIRST_KNOWN:
            _pointwise.first_known(a, b, y, n_bars)
        elif it.code == ABSOLUTE:
            _pointwise.absolute(a, y, n_bars)
        elif it.code == SIGN:
            _pointwise.sign(a, y, n_bars)
        elif it.code == SQUARE_ROOT:
            _pointwise.square_root(a, y, n_bars)
        elif it.code == LOGARITHM:
            _pointwise.logarithm(a, y, n_bars)
        elif it.code == EXPONENTIAL:
            _pointwise.exponential(a, y, n_bars)
        elif it.code == NORMAL_CDF:
            _pointwise.normal_cdf(a, y, n_bars)
        elif it.code == KNOWN:
            _pointwise.known(a, y, n_bars)
        elif it.code == CALENDAR:
            _calendar.calendar(a, y, n_bars, <Py_ssize_t> it.alpha)
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
            _windows.window_std(a, y, n_bars, own, it.n, inverse)
        elif it.code == MEAN_DEVIATION:
            _windows.mean_deviation(a, y, n_bars, own, it.n)
        elif it.code == COVARIANCE:
            _statistics.window_covariance(a, b, y, n_bars, own, it.n, inverse)
        elif it.code == SLOPE:
            _statistics.window_slope(a, y, n_bars, own, it.n, read - seen)
        elif it.code == SKEW:
            _statistics.window_skew(a, y, n_bars, own, it.n, read - seen)
        elif it.code == KURTOSIS:
            _statistics.window_kurtosis(a, y, n_bars, own, it.n, read - seen)
        elif it.code == HURST:
            _roughness.hurst(a, y, n_bars, own, it.n, read - seen)
        elif it.code == HIGUCHI:
            _roughness.higuchi(a, y, n_bars, own, it.n, read - seen)
        elif it.code == RANK_BELOW:
            _statistics.rank_below(a, y, n_bars, own, it.n, read - seen)
        elif it.code == ENTROPY:
            _statistics.entropy(a, y, n_bars, own, it.n)
        elif it.code == TAIL_MEAN:
            _order.tail_mean(a, y, n_bars, own, it.n, it.alpha)
        elif it.code == BUCKET_IMBALANCE:
            _paths.bucket_imbalance(a, b, y, n_bars, own, it.n, read - seen)
        elif it.code == RUN_LENGTH:
            _paths.run_length(a, y, n_bars, own, it.n)
        elif it.code == TIMED_LAG:
            _timed.timed_lag(a, step, y, n_bars, own, it.n)
        elif it.code == TIMED_SUM:
            _timed.timed_sum(a, step, y, n_bars, own, it.n)
        elif it.code == TIMED_STD:
            _statistics.timed_std(a, step, y, n_bars, own, it.n, inverse)
        elif it.code == TIMED_QUANTILE:
            _order.timed_quantile(a, step, y, n_bars, own, it.n, it.alpha)
        elif it.code == TIMED_GARCH:
            _paths.timed_garch(a, step, b, slots[it.c], slots[it.d], y, n_bars, own, it.n)
        elif it.code == TIMED_MEAN:
            _timed.timed_mean(a, step, y, n_bars, own, it.n, it.start, it.alpha)
        elif it.code == RESTARTING_MEAN:
            _timed.restarting_mean(a, y, n_bars, own, it.n, it.alpha)
        elif it.code == PSAR:
            _paths.psar(a, b, y, n_bars, own)
        elif it.code == PREVIOUS_DAY:
            _calendar.previous_day(a, b, y, n_bars, own, it.alpha)
        elif it.code == RECURSIVE_MEAN:
            if it.lanes > 1:
                side_by_side(it, slots, state, n_bars)
                k += it.lanes - 1
            else:
                _recursive.recursive_mean(a, y, n_bars, own, it.n, it.start, it.alpha)
    state[0] = seen + total
    state[1] = <double> date[total - 1]
    state[2] += floor(state[1] / bar_ms) - floor(before / bar_ms) - total


cdef void grid_steps(const long long* date, double last, double bar_ms, Py_ssize_t n_bars, double* step) noexcept nogil:
    """Write how many cells of the grid each bar lies after the one before it; 1 for the first bar of all."""
    cdef Py_ssize_t i
    cdef double cell, was = floor(last / bar_ms)
    for i in range(n_bars):
        cell = floor(<double> date[i] / bar_ms)
        step[i] = cell - was if was == was else 1.0
        was = cell


cdef class Machine:
    """A program with one state: what a stream keeps, and what a batch uses once.

    Slots are numbered columns first, then constants, then the scratch slots of the program.
    """

    cdef const Instruction[::1] program
    cdef readonly double[::1] state
    cdef readonly double[::1] bar  # columns of one bar: what `push` reads
    cdef readonly float[:, ::1] row  # what `push` writes
    cdef double[:, ::1] scratch
    cdef double[::1] unknown, step
    cdef const double[::1] inverse
    cdef double** slots
    cdef const double** columns
    cdef Py_ssize_t n_columns, block
    cdef double bar_ms
    cdef bint timed

    def __cinit__(self, const Instruction[::1] program, double[::1] state, double[:, ::1] scratch, double[:, ::1] block,
                  const double[::1] inverse, double[::1] bar, float[:, ::1] row, double bar_ms, bint timed):
        cdef Py_ssize_t k, n_scratch = scratch.shape[0]
        self.program, self.state, self.scratch, self.bar, self.row = program, state, scratch, bar, row
        self.unknown, self.step, self.inverse = block[0], block[1], inverse
        self.n_columns, self.block, self.bar_ms, self.timed = bar.shape[0], block.shape[1], bar_ms, timed
        self.columns = <const double**> PyMem_Malloc((self.n_columns + 1) * sizeof(double*))
        self.slots = <double**> PyMem_Malloc((self.n_columns + n_scratch) * sizeof(double*))
        if self.columns == NULL or self.slots == NULL:
            raise MemoryError
        for k in range(n_scratch):
            self.slots[self.n_columns + k] = &scratch[k, 0]

    def __dealloc__(self):
        PyMem_Free(self.columns)
        PyMem_Free(self.slots)

    def run(self, const long long[::1] date, tuple columns, output[:, ::1] out):
        """Take in bars (`date`, `columns`: contiguous, checked, of equal length; None is unknown) and write the last rows.

        As many as `out` has. The bars before them are passed over: of what goes on later, nothing is changed by that.
        """
        cdef Py_ssize_t n_bars = date.shape[0], n_features = out.shape[1], done = 0, size, k
        cdef Py_ssize_t first = n_bars - out.shape[0], skip, unread
        cdef const double[::1] column
        cdef output* block_columns
        if n_bars == 0:
            return
        for k in range(self.n_columns):
            if columns[k] is None:
                self.columns[k] = NULL
            else:
                column = columns[k]
                self.columns[k] = &column[0]
        block_columns = <output*> PyMem_Malloc(n_features * (self.block + PADDING) * sizeof(output))
        if block_columns == NULL:
            raise MemoryError
        with nogil:
            while done < n_bars:
                size = min(self.block, n_bars - done)
                for k in range(self.n_columns):  # instructions never write to a column
                    self.slots[k] = (<double*> self.columns[k] + done if self.columns[k] != NULL
                                     else &self.unknown[0])
                if self.timed:
                    grid_steps(&date[done], self.state[1], self.bar_ms, size, &self.step[0])
                unread = max(first - done, 0)
                skip = min(unread, size)
                execute(&self.program[0], self.program.shape[0], self.slots, &self.state[0], &date[done],
                        &self.step[0], &self.inverse[0], self.bar_ms, size, unread, block_columns,
                        self.block + PADDING)
                if skip < size:
                    lay_out(block_columns, &out[done + skip - first, 0], size - skip, n_features, self.block + PADDING)
                done += size
        PyMem_Free(block_columns)

    def push(self, tuple candle):
        """Take one bar (ms, open, high, low, close, volume) to `row`; False, and nothing done, if it is no candle.

        Columns beyond these are read from `bar`, where the caller has put them.
        """
        if candle is None or len(candle) != 6 or not PyLong_CheckExact(candle[0]):
            return False
        cdef long long date = candle[0]
        cdef double[5] values
        cdef Py_ssize_t k
        for k in range(5):
            values[k] = candle[k + 1]
        if not (-1000000000000000 < date < 1000000000000000) or fault_of(values[0], values[1], values[2], values[3], values[4]) or not (
            self.state[1] != self.state[1]
            or floor(<double> date / self.bar_ms) > floor(self.state[1] / self.bar_ms)
        ):
            return False
        for k in range(5):
            self.bar[k] = values[k]
        for k in range(self.n_columns):
            self.slots[k] = &self.bar[k]
        if self.timed:
            grid_steps(&date, self.state[1], self.bar_ms, 1, &self.step[0])
        execute(&self.program[0], self.program.shape[0], self.slots, &self.state[0], &date, &self.step[0],
                &self.inverse[0], self.bar_ms, 1, 0, &self.row[0, 0], 1)
        return True


FAULTS = (
    "", "time does not increase", "open", "high", "low", "close", "volume", "open above high or below low",
    "close above high or below low", "high below low", "off the grid",
)


cdef inline int fault_of(double open, double high, double low, double close, double volume) noexcept nogil:
    """Return the index into FAULTS of what makes these five numbers no candle, or 0."""
    if not (open > 0.0 and isfinite(open)):
        return 2
    if not (high > 0.0 and isfinite(high)):
        return 3
    if not (low > 0.0 and isfinite(low)):
        return 4
    if not (close > 0.0 and isfinite(close)):
        return 5
    if not (volume >= 0.0 and isfinite(volume)):
        return 6
    if high < low:
        return 9
    if open > high or open < low:
        return 7
    if close > high or close < low:
        return 8
    return 0


def first_fault(double bar_ms, const long long[::1] date, const double[::1] open, const double[::1] high,
                const double[::1] low, const double[::1] close, const double[::1] volume):
    """Return (row, index into FAULTS) of the first row that is no candle or not in a new cell, or (-1, 0)."""
    cdef Py_ssize_t t, n_bars = date.shape[0], odd = 0
    cdef int fault = 0
    cdef double highest = 1.7976931348623157e308
    with nogil:  # first without a branch, which is fast: hardly a frame has a fault
        for t in range(n_bars):
            odd += not ((low[t] > 0.0) & (high[t] <= highest) & (volume[t] >= 0.0) & (volume[t] <= highest)
                        & (open[t] <= high[t]) & (open[t] >= low[t]) & (close[t] <= high[t]) & (close[t] >= low[t]))
        for t in range(1, n_bars):
            odd += date[t] < date[t - 1] + <long long> bar_ms
        if odd == 0:
            n_bars = 0
        for t in range(n_bars):
            fault = fault_of(open[t], high[t], low[t], close[t], volume[t])
            if t > 0 and date[t] < date[t - 1] + <long long> bar_ms:
                if date[t] <= date[t - 1]:
                    fault = 1
                elif floor(<double> date[t] / bar_ms) == floor(<double> date[t - 1] / bar_ms):
                    fault = 10
            if fault:
                break
        else:
            t = -1
    return (t if fault else -1), fault


def as_of(const long long[::1] known_at, const double[::1] values, const long long[::1] at, long long max_age,
          double[::1] out):
    """Write the newest value known at each time, NaN before the first one and where it is `max_age` old or older."""
    cdef Py_ssize_t k = -1, t, n_known = known_at.shape[0]
    with nogil:
        for t in range(at.shape[0]):
            while k + 1 < n_known and known_at[k + 1] <= at[t]:
                k += 1
            out[t] = values[k] if k >= 0 and at[t] - known_at[k] < max_age else NAN


def has_avx512():
    """Return whether this processor runs the wide build of this module (engine.py)."""
    return bool(tradekernels_has_avx512())
