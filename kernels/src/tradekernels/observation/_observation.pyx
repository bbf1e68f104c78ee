"""Turns raw market values into the observation. From: rows of the feature engine, accounts. To: rows the caller owns.

A row of the engine holds the raw values of slots 0..20 and 27..52, and then what stands for an unknown ATR (market.py).
One function makes the slots of it, for a batch and for a stream alike, so both agree to the last bit.
"""

from libc.math cimport NAN

cdef enum:
    N_MARKET = 47  # slots that the market fills
    AGENT = 21
    METADATA = 27
    TOKEN = 53
    LOG_VOLUME = 1
    REL_VOLUME = 2
    VOL_PROXY = 4
    ATR = 13

ctypedef fused number:
    float
    double

cdef struct Scaling:
    double[N_MARKET] shift
    double[N_MARKET] scale
    double[N_MARKET] bend     # 1: through tanh
    double[N_MARKET] missing  # the slot's value where the engine's is NaN
    double[N_MARKET] low
    double[N_MARKET] high


cdef inline double tanh_of_log(double z) noexcept nogil:
    """tanh(ln(1 + z)) for z >= 0, which needs neither: ((1 + z)^2 - 1)/((1 + z)^2 + 1)."""
    z = 1e9 if z > 1e9 else z  # NaN stays NaN
    return z * (z + 2.0) / (z * (z + 2.0) + 2.0)


cdef inline void market_slots(const number* raw, const Scaling* s, number* out) noexcept nogil:
    """Write slots 0..20 and 27..52 of one bar."""
    cdef double[N_MARKET] y
    cdef double z, bent
    cdef Py_ssize_t k
    for k in range(N_MARKET):
        z = (<double> raw[k] - s.shift[k]) / s.scale[k]
        bent = tanh(z)
        y[k] = bent if s.bend[k] != 0.0 else z
    y[LOG_VOLUME] = tanh_of_log(y[LOG_VOLUME])
    y[REL_VOLUME] = tanh_of_log(y[REL_VOLUME])
    y[VOL_PROXY] = tanh_of_log(y[VOL_PROXY])
    for k in range(N_MARKET):
        z = y[k]
        bent = z if z > s.low[k] else s.low[k]
        bent = bent if bent < s.high[k] else s.high[k]
        y[k] = bent if z == z else s.missing[k]
    if raw[ATR] != raw[ATR]:
        z = (<double> raw[N_MARKET] - s.shift[ATR]) / s.scale[ATR]
        y[ATR] = tanh(z) if z == z else 0.0
    for k in range(AGENT):
        out[k] = <number> y[k]
    for k in range(AGENT, N_MARKET):
        out[k + N_AGENT_SLOTS] = <number> y[k]


cdef inline void neutral_agent(number* out) noexcept nogil:
    """Write slots 21 to 26 of a flat account: all cash, no trades."""
    cdef Py_ssize_t k
    out[AGENT] = 1
    for k in range(AGENT + 1, METADATA):
        out[k] = 0


cdef inline void own_agent(const double* agent, double price, number* out) noexcept nogil:
    cdef double[N_AGENT_SLOTS] slots
    cdef Py_ssize_t k
    agent_slots(agent, price, slots)
    for k in range(N_AGENT_SLOTS):
        out[AGENT + k] = <number> slots[k]


cdef class Assembler:
    """The scaling of one observation set. Immutable: batches and streams share it."""

    cdef Scaling scaling
    cdef const double[:, ::1] tokens  # the token block of every token

    def __init__(self, const double[:, ::1] scaling, const double[:, ::1] tokens):
        cdef Py_ssize_t k
        for k in range(N_MARKET):
            self.scaling.shift[k] = scaling[0, k]
            self.scaling.scale[k] = scaling[1, k]
            self.scaling.bend[k] = scaling[2, k]
            self.scaling.missing[k] = scaling[3, k]
            self.scaling.low[k] = scaling[4, k]
            self.scaling.high[k] = scaling[5, k]
        self.tokens = tokens

    def market(self, const number[:, ::1] raw, Py_ssize_t token, number[:, ::1] out):
        """Write whole rows, the agent slots those of a flat account."""
        cdef Py_ssize_t t, k
        with nogil:
            for t in range(raw.shape[0]):
                market_slots(&raw[t, 0], &self.scaling, &out[t, 0])
                neutral_agent(&out[t, 0])
                for k in range(TOKEN, out.shape[1]):
                    out[t, k] = <number> self.tokens[token, k - TOKEN]


def fill_agent(const double[:, ::1] agent, const double[::1] price, number[:, ::1] out):
    """Write slots 21 to 26 of every row."""
    cdef Py_ssize_t t
    with nogil:
        for t in range(out.shape[0]):
            own_agent(&agent[t, 0], price[t], &out[t, 0])


def first_agent_fault(const double[:, ::1] agent):
    """Return (row, field) of the first number that no account has, or (-1, -1)."""
    cdef Py_ssize_t t
    cdef int k
    for t in range(agent.shape[0]):
        k = agent_fault(&agent[t, 0])
        if k >= 0:
            return t, k
    return -1, -1


def window_of(const double[:, ::1] bars, Py_ssize_t newest):
    """Return the sums of a window of 20 bars as a tuple."""
    cdef double[N_BAR_FIELDS] out
    window_sums(&bars[0, 0], newest, out)
    return out[0], out[1], out[2], out[3], out[4], out[5], out[6]


cdef int read_agent(object agent, double* out) except -1:
    """Copy an account to `out`; 0 if it is nothing that can be read at once, or not one."""
    cdef Py_ssize_t k
    cdef const double[::1] view
    if type(agent) is tuple:
        if len(<tuple> agent) != N_AGENT_FIELDS:
            return 0
        for k in range(N_AGENT_FIELDS):
            out[k] = (<tuple> agent)[k]
    else:
        view = agent
        if view.shape[0] != N_AGENT_FIELDS:
            return 0
        for k in range(N_AGENT_FIELDS):
            out[k] = view[k]
    return agent_fault(out) < 0


def observe(const float[::1] row, object agent, double price, float[::1] out):
    """Copy a market row to `out` with its agent slots filled; False, and nothing done, if that is no account."""
    cdef double[N_AGENT_FIELDS] fields
    if not (price > 0.0 and isfinite(price)) or not read_agent(agent, fields):
        return False
    memcpy(&out[0], &row[0], row.shape[0] * sizeof(float))
    own_agent(fields, price, &out[0])
    return True


cdef class Feed:
    """One pair, bar by bar: the way of a live bot, without a step of Python between its parts."""

    cdef Assembler assembler
    cdef object push, copy
    cdef double[::1] bar
    cdef const float[:, ::1] raw
    cdef float[::1] row
    cdef const double[:, ::1] bounds
    cdef Py_ssize_t n_inputs
    cdef bint needs_inputs

    def __init__(self, Assembler assembler, object machine, const double[:, ::1] bounds, bint needs_inputs,
                 Py_ssize_t token, object row):
        cdef Py_ssize_t k
        self.assembler, self.push, self.copy = assembler, machine.push, row.copy
        self.bar, self.raw, self.row, self.bounds = machine.bar, machine.row, row, bounds
        self.n_inputs, self.needs_inputs = bounds.shape[0], needs_inputs
        for k in range(TOKEN, self.row.shape[0]):
            self.row[k] = <float> assembler.tokens[token, k - TOKEN]

    def update(self, bar, agent=None):
        """Return the observation of a new closed candle: float32 of shape (n_slots,), always finite.

        Parameters
        ----------
        bar : Mapping, or sequence of six or of 6 + len(inputs)
            date (open time; int milliseconds, datetime64 or a time with a zone), open, high, low, close, volume, and
            the set's `inputs`, in their order, NaN where not known. Six alone will do where the micro source is
            "candles".
        agent : ndarray or sequence of nine, optional
            `AGENT_FIELDS` as of the close; a flat account by default.

        Raises
        ------
        ValueError
            If the bar is no candle or not later than the last one, an input or a field of the account is out of its
            range, or a mapping's micro source is not that of the statistics. The stream then stays as it was.
        """
        cdef double[N_AGENT_FIELDS] fields
        cdef bint taken = False
        if type(bar) is tuple:
            try:
                taken = (agent is None or read_agent(agent, fields)) and self.take(<tuple> bar)
            except (TypeError, ValueError, OverflowError):
                pass  # not a tuple of numbers: read with care below
        if not taken:
            bar, agent = self._read_with_care(bar, agent)
            if not self.take(<tuple?> bar) or (agent is not None and not read_agent(agent, fields)):
                raise AssertionError(f"bar {bar} passed every check and was refused")
        market_slots(&self.raw[0, 0], &self.assembler.scaling, &self.row[0])
        if agent is None:
            neutral_agent(&self.row[0])
        else:
            own_agent(fields, self.bar[3], &self.row[0])
        return self.copy()

    cdef bint take(self, tuple bar) except -1:
        """Give the engine a bar; False, and nothing done, if it is none."""
        cdef Py_ssize_t k, given = len(bar) - 6
        cdef double value
        if given != self.n_inputs and (given != 0 or self.needs_inputs):
            return False
        if type(bar[0]) is not int:  # a float would do, and lose its fraction
            return False
        for k in range(self.n_inputs):
            value = bar[6 + k] if given else NAN
            if value < self.bounds[k, 0] or value > self.bounds[k, 1]:
                return False
            self.bar[5 + k] = value
        return self.push(bar[:6] if given else bar)
