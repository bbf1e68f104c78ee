"""When each resting order is looked at again: a binary heap by time. From: _flow.pxd. To: the earliest of them."""

from libc.stdint cimport int64_t
from libc.stdlib cimport realloc

cdef struct Review:
    double time     # seconds
    int64_t id

cdef struct Reviews:
    Review* first
    int64_t n, room


cdef inline bint push(Reviews* heap, double time, int64_t id) noexcept nogil:
    cdef int64_t i = heap.n, up
    cdef void* block
    if i == heap.room:
        block = realloc(heap.first, max(2 * heap.room, <int64_t> 1024) * sizeof(Review))
        if block == NULL:
            return False  # the order is never reviewed
        heap.first, heap.room = <Review*> block, max(2 * heap.room, <int64_t> 1024)
    heap.n += 1
    while i > 0:
        up = (i - 1) >> 1
        if heap.first[up].time <= time:
            break
        heap.first[i] = heap.first[up]
        i = up
    heap.first[i].time, heap.first[i].id = time, id
    return True


cdef inline int64_t pop(Reviews* heap) noexcept nogil:
    """Take the earliest review; the heap is not empty."""
    cdef int64_t id = heap.first[0].id, i = 0, child
    cdef Review last
    heap.n -= 1
    last = heap.first[heap.n]
    while True:
        child = 2 * i + 1
        if child >= heap.n:
            break
        if child + 1 < heap.n and heap.first[child + 1].time < heap.first[child].time:
            child += 1
        if heap.first[child].time >= last.time:
            break
        heap.first[i] = heap.first[child]
        i = child
    heap.first[i] = last
    return id
