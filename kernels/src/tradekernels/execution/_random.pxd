"""Philox4x64-10, the counter-based generator of Salmon et al. (SC 2011), as `numpy.random.Philox` computes it.

A draw is a function of key and counter alone: there is no state to keep, and copies that are stepped by other threads
or in other numbers draw the same.

From: (seed, stream) and a counter of three words. To: four words of 64 random bits.
"""

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define tradekernels_high_word(a, b) __umulh(a, b)
    #else
    #define tradekernels_high_word(a, b) ((unsigned long long) (((unsigned __int128) (a) * (b)) >> 64))
    #endif
    """
    unsigned long long high_word "tradekernels_high_word" (unsigned long long a, unsigned long long b) noexcept nogil


cdef inline void philox(unsigned long long seed, unsigned long long stream, unsigned long long c0,
                        unsigned long long c1, unsigned long long c2, unsigned long long* out) noexcept nogil:
    cdef unsigned long long c3 = 0, x0, x1, x2, x3
    cdef int turn
    for turn in range(10):
        x0 = high_word(0xCA5A826395121157ULL, c2) ^ c1 ^ seed
        x1 = 0xCA5A826395121157ULL * c2
        x2 = high_word(0xD2E7470EE14C6C93ULL, c0) ^ c3 ^ stream
        x3 = 0xD2E7470EE14C6C93ULL * c0
        c0, c1, c2, c3 = x0, x1, x2, x3
        seed += 0x9E3779B97F4A7C15ULL
        stream += 0xBB67AE8584CAA73BULL
    out[0], out[1], out[2], out[3] = c0, c1, c2, c3


cdef inline double unit(unsigned long long word) noexcept nogil:
    """Return a number in [0, 1) from 53 of 64 random bits, as NumPy does."""
    return (word >> 11) * (1.0 / 9007199254740992.0)


cdef inline unsigned long long below(unsigned long long word, unsigned long long n) noexcept nogil:
    """Return a whole number in [0, n); its bias is below n / 2^64."""
    return high_word(word, n)
