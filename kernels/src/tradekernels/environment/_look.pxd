"""What a copy sees (ENV-3): the market's slots of its row and its own. From: one copy. To: a row that the caller owns."""

from libc.string cimport memcpy

from tradekernels.environment._fill cimport money, price, units
from tradekernels.environment._state cimport Copy, Pair, Row
from tradekernels.observation._observation cimport (
    BOUGHT, CASH, N_AGENT_FIELDS, N_AGENT_SLOTS, UNITS, agent_slots, window_sums,
)

cdef enum:
    AGENT = 21          # first agent slot


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
