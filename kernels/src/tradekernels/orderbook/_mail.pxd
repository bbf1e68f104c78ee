# cython: language_level=3
"""Letters between a trader and the venue, first in, first out. From, to: _desk.pxd, _venue.pxd."""

from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from ._levels cimport NEVER, i64


cdef struct Letter:
    i64 time      # of arrival, ns
    i64 lots      # size asked for, or filled
    i64 leaves    # what rests after it
    i64 fill      # its place on the tape
    int order     # slot in the arena
    int tick      # price asked for, or filled at
    int kind
    bint maker


cdef struct Mailbox:
    Letter* letter
    Py_ssize_t head, tail, room
    i64 newest    # time of the last letter ever posted: nothing overtakes


cdef inline bint post(Mailbox* box, const Letter* letter) noexcept nogil:
    """Append a letter, never before the one that was posted last. False: out of memory."""
    cdef Letter* grown
    if box.tail == box.room:
        if box.head > box.room // 2:
            memmove(box.letter, box.letter + box.head, (box.tail - box.head) * sizeof(Letter))
            box.tail -= box.head
            box.head = 0
        else:
            grown = <Letter*> realloc(box.letter, (2 * box.room + 64) * sizeof(Letter))
            if grown == NULL:
                return False
            box.letter, box.room = grown, 2 * box.room + 64
    if letter.time > box.newest:
        box.newest = letter.time
    box.letter[box.tail] = letter[0]
    box.letter[box.tail].time = box.newest
    box.tail += 1
    return True


cdef inline i64 next_time(const Mailbox* box) noexcept nogil:
    """Time of the first letter, or the end of time."""
    return box.letter[box.head].time if box.head < box.tail else NEVER


cdef inline Letter take(Mailbox* box) noexcept nogil:
    box.head += 1
    cdef Letter letter = box.letter[box.head - 1]
    if box.head == box.tail:
        box.head = box.tail = 0
    return letter
