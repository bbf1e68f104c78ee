"""Counter-based random numbers. From: a key and a counter. To: flow, candle expansion; no state but the counter.

Draw n of a key is splitmix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) on key + n * golden ratio: the same numbers
whatever was drawn before, in whatever chunks, on whatever thread.
"""

from libc.math cimport log
from libc.stdint cimport int64_t, uint64_t


cdef inline uint64_t scramble(uint64_t x) noexcept nogil:
    x = (x ^ (x >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t> 0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint64_t join(uint64_t key, int64_t part) noexcept nogil:
    """Return a key for one part of what `key` stands for."""
    return scramble(key ^ scramble(<uint64_t> part + <uint64_t> 0x9E3779B97F4A7C15))


cdef inline uint64_t bits_at(uint64_t key, uint64_t counter) noexcept nogil:
    return scramble(key + (counter + 1) * <uint64_t> 0x9E3779B97F4A7C15)


cdef inline uint64_t next_bits(uint64_t key, uint64_t* counter) noexcept nogil:
    counter[0] += 1
    return scramble(key + counter[0] * <uint64_t> 0x9E3779B97F4A7C15)


cdef inline double next_unit(uint64_t key, uint64_t* counter) noexcept nogil:
    """Draw from (0, 1): 53 bits, and never 0, so that a logarithm may follow."""
    return ((next_bits(key, counter) >> 11) + 0.5) * (1.0 / 9007199254740992.0)


cdef inline double next_exponential(uint64_t key, uint64_t* counter) noexcept nogil:
    return -log(next_unit(key, counter))


cdef inline double next_normal(uint64_t key, uint64_t* counter) noexcept nogil:
    """Draw four 16-bit uniforms and add them: mean 0, variance 1, bounded at 3.46. Enough where no tail is asked of it."""
    cdef uint64_t bits = next_bits(key, counter)
    cdef int64_t total = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48)
    return (total - 131070) * 2.6429e-5  # 1 / (65536 sqrt(4 / 12)) with the deviation of the discrete sum
