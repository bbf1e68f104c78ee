# cython: language_level=3
"""Memory, bits and hints to the processor. From: C. To: the books, and whoever goes through much memory."""

from libc.stdint cimport uint64_t


cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #if defined(__linux__)
      #include <sys/mman.h>
    #endif
    /* Zeroed memory; large blocks in huge pages where the system lends them, which halves the cost of a deep book. */
    static inline void* tradekernels_block(size_t size) {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        void* block = NULL;
        if (size >= ((size_t)1 << 20)) {
            size = (size + ((size_t)1 << 21) - 1) & ~(((size_t)1 << 21) - 1);
            if (posix_memalign(&block, (size_t)1 << 21, size)) return NULL;
            madvise(block, size, MADV_HUGEPAGE);
            return memset(block, 0, size);
        }
    #endif
        return calloc(1, size);
    }
    #if defined(_MSC_VER)
      #include <intrin.h>
      static __inline int tradekernels_lowest_bit(unsigned long long x) { unsigned long i; _BitScanForward64(&i, x); return (int)i; }
      static __inline int tradekernels_highest_bit(unsigned long long x) { unsigned long i; _BitScanReverse64(&i, x); return (int)i; }
      #define tradekernels_prefetch(p) ((void)(p))
      #define tradekernels_rarely(x) (x)
    #else
      #define tradekernels_lowest_bit(x) __builtin_ctzll(x)
      #define tradekernels_highest_bit(x) (63 - __builtin_clzll(x))
      /* The empty statement keeps GCC 12 from finding that a function which only prefetches does nothing. */
      #define tradekernels_prefetch(p) do { __builtin_prefetch(p); __asm__ volatile(""); } while (0)
      #define tradekernels_rarely(x) __builtin_expect(!!(x), 0)
    #endif
    """
    void* zeroed_block "tradekernels_block"(size_t size) noexcept nogil
    int lowest_bit "tradekernels_lowest_bit"(uint64_t x) noexcept nogil
    int highest_bit "tradekernels_highest_bit"(uint64_t x) noexcept nogil
    void prefetch "tradekernels_prefetch"(const void* p) noexcept nogil
    bint rarely "tradekernels_rarely"(bint x) noexcept nogil
