"""A price-time priority book, driven without Python. From: messages. To: a tape of trades and order events.

Orders live in an arena of 64-byte slots, linked into the queue of their level; slot 0 is nobody. Ids are found through
an open hash table whose entries carry enough of the hash to be moved without looking at the orders. Everything here is
inline, so that the flow generator and the environment compile it into their own loops:

    cdef Book book
    cdef Tape tape
    book_start(&book, capacity, window); tape_start(&tape)
    submit(&book, &message, &tape)   # as often as wanted; read tape.trades[:tape.n_trades]
    book_stop(&book); tape_stop(&tape)
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from ._matching_levels cimport (
    MAX_TICK, NO_ASK, NO_BID, Ladder, Level, find_level, follow, is_dense, ladder_clear, ladder_start, ladder_stop, level_at, mark,
    next_above, next_below, prefetch, rarely, unmark, zeroed_block,
)


cdef enum Kind:
    LIMIT = 0, MARKET = 1, STOP = 2, STOP_LIMIT = 3, CANCEL = 4, REDUCE = 5, MODIFY = 6

cdef enum Policy:
    GTC = 0, IOC = 1, FOK = 2, POST_ONLY = 3

cdef enum SelfTrade:
    ALLOW = 0, CANCEL_NEWEST = 1, CANCEL_OLDEST = 2, CANCEL_BOTH = 3

cdef enum EventKind:
    RESTING = 1, WAITING = 2, TRIGGERED = 3, FILLED = 4, CANCELLED = 5, MODIFIED = 6, REFILLED = 7, REJECTED = 8

cdef enum Reason:
    NO_REASON = 0, REQUESTED = 1, UNFILLED = 2, SELF_TRADE = 3, WOULD_CROSS = 4
    BAD_KIND = 16, BAD_SIDE = 17, BAD_POLICY = 18, BAD_PRICE = 19, BAD_SIZE = 20, BAD_PEAK = 21, BAD_STOP = 22
    BAD_SELF_TRADE = 23, DUPLICATE_ID = 24, UNKNOWN_ID = 25, BOOK_FULL = 26, STILL_WAITING = 27

cdef enum:
    BUY = 1
    SELL = -1
    MAX_SLICES = 1000      # pieces an iceberg may be shown in: bounds the trades of a message
    MAX_CAPACITY = 1 << 22  # orders; with MAX_LOTS each, a level's total still fits 63 bits

cdef inline int64_t max_lots() noexcept nogil:
    return (<int64_t> 1) << 40


cdef packed struct Message:    # 48 bytes; matching.py has the same as a dtype
    int64_t time, id, lots, peak
    int32_t tick, stop_tick, owner
    uint8_t kind
    int8_t side
    uint8_t policy, self_trade

cdef packed struct Trade:      # 40 bytes
    int64_t time, taker, maker, lots
    int32_t tick, side

cdef packed struct Event:      # 32 bytes
    int64_t time, id, lots
    int32_t tick
    uint8_t kind, reason
    uint8_t reserved[2]

cdef struct Order:             # 64 bytes
    int64_t id, lots, hidden, peak
    int32_t tick, stop_tick, prev, next, owner
    int8_t side
    uint8_t kind, policy, self_trade, waiting, used
    uint8_t reserved[6]

cdef struct Entry:
    uint32_t mark              # upper half of the id's hash
    int32_t slot               # 0: empty


ctypedef bint (*Grow)(Tape* tape, bint trades) noexcept nogil

cdef struct Tape:
    Trade* trades
    Event* events
    int64_t n_trades, trade_room, n_events, event_room
    int64_t n_lost             # records that found no memory
    Grow grow
    void* owner


cdef struct Book:
    Order* orders              # slots 1 .. capacity
    Entry* table
    Level* spare
    Ladder resting, buy_stops, sell_stops
    int32_t bid, ask           # best ticks, NO_BID and NO_ASK on an empty side
    int32_t lowest_buy_stop, highest_sell_stop
    int32_t last_tick          # of the last trade, 0 before the first
    int32_t first_tick         # tick of the first trade of the execution at work, 0 before it: the other end of `last_tick`
    int32_t free_slot, n_live, n_waiting, capacity
    int32_t first_triggered, last_triggered
    int32_t bits               # log2 of the table's size
    int64_t volume_in, volume_resting, volume_traded, volume_cancelled


# ---- tape

cdef inline bint grow_by_realloc(Tape* tape, bint trades) noexcept nogil:
    cdef int64_t room
    cdef void* block
    if trades:
        room = max(2 * tape.trade_room, <int64_t> 256)
        block = realloc(tape.trades, room * sizeof(Trade))
        if block == NULL:
            return False
        tape.trades, tape.trade_room = <Trade*> block, room
    else:
        room = max(2 * tape.event_room, <int64_t> 256)
        block = realloc(tape.events, room * sizeof(Event))
        if block == NULL:
            return False
        tape.events, tape.event_room = <Event*> block, room
    return True


cdef inline void tape_start(Tape* tape) noexcept nogil:
    """Make an empty tape that grows by itself; end it with `tape_stop`. Set both counts to 0 to write it anew."""
    memset(tape, 0, sizeof(Tape))
    tape.grow = grow_by_realloc


cdef inline void tape_stop(Tape* tape) noexcept nogil:
    free(tape.trades)
    free(tape.events)
    memset(tape, 0, sizeof(Tape))


cdef inline void write_trade(Tape* tape, int64_t time, int64_t taker, int64_t maker, int64_t lots, int32_t tick,
                             int32_t side) noexcept nogil:
    cdef Trade* trade
    if rarely(tape.n_trades == tape.trade_room):
        if not tape.grow(tape, True):
            tape.n_lost += 1
            return
    trade = &tape.trades[tape.n_trades]
    tape.n_trades += 1
    trade.time, trade.taker, trade.maker, trade.lots, trade.tick, trade.side = time, taker, maker, lots, tick, side


cdef inline void write_event(Tape* tape, int64_t time, int64_t id, int64_t lots, int32_t tick, uint8_t kind,
                             uint8_t reason) noexcept nogil:
    cdef Event* event
    if rarely(tape.n_events == tape.event_room):
        if not tape.grow(tape, False):
            tape.n_lost += 1
            return
    event = &tape.events[tape.n_events]
    tape.n_events += 1
    event.time, event.id, event.lots, event.tick, event.kind, event.reason = time, id, lots, tick, kind, reason
    event.reserved[0] = event.reserved[1] = 0


# ---- ids

cdef inline uint32_t mark_of(int64_t id) noexcept nogil:
    return <uint32_t> ((<uint64_t> id * <uint64_t> 0x9E3779B97F4A7C15) >> 32)  # Fibonacci hashing, Knuth 6.4


cdef inline uint32_t home_of(const Book* book, uint32_t mark) noexcept nogil:
    return mark >> (32 - book.bits)


cdef inline int64_t find(const Book* book, int64_t id) noexcept nogil:
    """Return where the table has a live id, or -1."""
    cdef uint32_t wanted = mark_of(id), mask = (<uint32_t> 1 << book.bits) - 1, i = home_of(book, wanted)
    while book.table[i].slot:
        if book.table[i].mark == wanted and book.orders[book.table[i].slot].id == id:
            return i
        i = (i + 1) & mask
    return -1


cdef inline void remember(Book* book, int64_t id, int32_t slot) noexcept nogil:
    cdef uint32_t own = mark_of(id), mask = (<uint32_t> 1 << book.bits) - 1, i = home_of(book, own)
    while book.table[i].slot:
        i = (i + 1) & mask
    book.table[i].mark, book.table[i].slot = own, slot


cdef inline void forget(Book* book, int64_t place) noexcept nogil:
    """Empty an entry; those behind it that can move up do (Knuth 6.4, algorithm R)."""
    cdef uint32_t mask = (<uint32_t> 1 << book.bits) - 1, hole = <uint32_t> place, i = hole, home
    while True:
        i = (i + 1) & mask
        if book.table[i].slot == 0:
            break
        home = home_of(book, book.table[i].mark)
        if ((i - home) & mask) >= ((i - hole) & mask):
            book.table[hole] = book.table[i]
            hole = i
    book.table[hole].slot = 0


# ---- life of a book

cdef inline void book_clear(Book* book) noexcept nogil:
    """Forget every order and the last trade, keep the memory."""
    cdef int32_t k
    ladder_clear(&book.resting)
    ladder_clear(&book.buy_stops)
    ladder_clear(&book.sell_stops)
    memset(book.table, 0, (<size_t> 1 << book.bits) * sizeof(Entry))
    for k in range(1, book.capacity + 1):
        book.orders[k].used = 0
        book.orders[k].next = k + 1 if k < book.capacity else 0
    book.free_slot, book.n_live, book.n_waiting = 1, 0, 0
    book.bid, book.ask, book.lowest_buy_stop, book.highest_sell_stop = NO_BID, NO_ASK, NO_ASK, NO_BID
    book.last_tick = book.first_triggered = book.last_triggered = 0
    book.volume_in = book.volume_resting = book.volume_traded = book.volume_cancelled = 0


cdef inline void book_stop(Book* book) noexcept nogil:
    ladder_stop(&book.resting)
    ladder_stop(&book.buy_stops)
    ladder_stop(&book.sell_stops)
    free(book.orders)
    free(book.table)
    free(book.spare)
    memset(book, 0, sizeof(Book))


cdef inline bint book_start(Book* book, int32_t capacity, int32_t window) noexcept nogil:
    """Make an empty book for `capacity` live orders; window: ladder_start. False: no memory, and nothing to stop."""
    memset(book, 0, sizeof(Book))
    book.capacity, book.bits = capacity, 4
    while (<int64_t> 1 << book.bits) < 2 * <int64_t> capacity:
        book.bits += 1
    book.orders = <Order*> zeroed_block((capacity + 1) * sizeof(Order))
    book.table = <Entry*> zeroed_block((<size_t> 1 << book.bits) * sizeof(Entry))
    book.spare = <Level*> malloc((capacity + 1) * sizeof(Level))
    if not (ladder_start(&book.resting, window, capacity + 1) and ladder_start(&book.buy_stops, 64, capacity + 1)
            and ladder_start(&book.sell_stops, 64, capacity + 1)
            and book.orders != NULL and book.table != NULL and book.spare != NULL):
        book_stop(book)
        return False
    book_clear(book)
    return True


# ---- queues

cdef inline int32_t take_slot(Book* book) noexcept nogil:
    cdef int32_t slot = book.free_slot
    book.free_slot = book.orders[slot].next
    book.orders[slot].used = 1
    book.n_live += 1
    return slot


cdef inline void give_slot(Book* book, int32_t slot) noexcept nogil:
    book.orders[slot].used = 0
    book.orders[slot].next = book.free_slot
    book.free_slot = slot
    book.n_live -= 1


cdef inline void enqueue(Book* book, Ladder* ladder, int32_t tick, int32_t slot, int64_t lots,
                         int64_t hidden) noexcept nogil:
    """Put an order at the end of a level's queue. Its sizes come along: they were stored too short ago to be read."""
    cdef Order* order = &book.orders[slot]
    cdef Level* level = level_at(ladder, tick)
    order.prev, order.next = level.tail, 0
    if level.tail:
        book.orders[level.tail].next = slot
    else:
        level.head = slot
        mark(ladder, tick)
    level.tail = slot
    level.count += 1
    level.lots += lots
    level.hidden += hidden


cdef inline bint dequeue(Book* book, Ladder* ladder, Level* level, int32_t tick, int32_t slot) noexcept nogil:
    """Take an order out of its queue; True if the level is now empty, and gone if it was far."""
    cdef Order* order = &book.orders[slot]
    if order.prev:
        book.orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next:
        book.orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    level.count -= 1
    level.lots -= order.lots
    level.hidden -= order.hidden
    if level.head == 0:
        unmark(ladder, tick)
        return True
    return False


cdef inline void drop_resting(Book* book, int32_t slot, int64_t place) noexcept nogil:
    """Remove a resting order from queue, table and arena. `place` is where the table has it."""
    cdef Order* order = &book.orders[slot]
    cdef int32_t tick = order.tick
    book.volume_resting -= order.lots + order.hidden
    if dequeue(book, &book.resting, level_at(&book.resting, tick), tick, slot):
        if tick == book.bid:
            book.bid = next_below(&book.resting, tick)
        elif tick == book.ask:
            book.ask = next_above(&book.resting, tick)
    forget(book, place)
    give_slot(book, slot)


cdef inline void drop_waiting(Book* book, int32_t slot) noexcept nogil:
    """Take a stop order out of its queue; it stays in table and arena."""
    cdef Order* order = &book.orders[slot]
    cdef Ladder* ladder = &book.buy_stops if order.side == BUY else &book.sell_stops
    cdef int32_t tick = order.stop_tick
    book.n_waiting -= 1
    book.volume_resting -= order.lots
    if dequeue(book, ladder, level_at(ladder, tick), tick, slot):
        if order.side == BUY and tick == book.lowest_buy_stop:
            book.lowest_buy_stop = next_above(ladder, tick)
        elif order.side == SELL and tick == book.highest_sell_stop:
            book.highest_sell_stop = next_below(ladder, tick)


# ---- matching

cdef inline int64_t available(Book* book, int32_t side, int32_t limit, int64_t wanted, int32_t owner,
                              uint8_t self_trade) noexcept nogil:
    """Return how much of `wanted` can be bought up to `limit` (or sold down to it), hidden reserve included."""
    cdef int32_t tick = book.ask if side == BUY else book.bid, slot
    cdef int64_t found = 0
    cdef Level* level
    while found < wanted and side * tick <= side * limit and tick != NO_BID and tick != NO_ASK:
        level = level_at(&book.resting, tick)
        if self_trade == ALLOW or owner == 0:
            found += level.lots + level.hidden
        else:
            slot = level.head
            while slot and found < wanted:
                if book.orders[slot].owner != owner:
                    found += book.orders[slot].lots  # what an iceberg hides stands behind the whole queue
                elif self_trade != CANCEL_OLDEST:
                    return found
                slot = book.orders[slot].next
            slot = level.head
            while slot and found < wanted:
                if book.orders[slot].owner != owner:
                    found += book.orders[slot].hidden
                slot = book.orders[slot].next
        tick = next_above(&book.resting, tick) if side == BUY else next_below(&book.resting, tick)
    return min(found, wanted)


cdef inline int64_t sweep(Book* book, Tape* tape, int64_t time, int64_t taker, int32_t side, int32_t limit,
                          int64_t lots, int32_t owner, uint8_t self_trade) noexcept nogil:
    """Trade up to `limit`; return the lots left, or minus them if self-trade prevention ended the taker."""
    cdef int32_t* best = &book.ask if side == BUY else &book.bid
    cdef int32_t tick, slot
    cdef int64_t size
    cdef Level* level
    cdef Order* maker
    cdef bint guarded = self_trade != ALLOW and owner != 0
    while lots > 0 and side * best[0] <= side * limit:
        tick = best[0]
        level = level_at(&book.resting, tick)
        slot = level.head
        while True:
            maker = &book.orders[slot]
            if rarely(guarded and maker.owner == owner):
                if self_trade != CANCEL_NEWEST:
                    size = maker.lots + maker.hidden
                    book.volume_cancelled += size
                    write_event(tape, time, maker.id, size, tick, CANCELLED, SELF_TRADE)
                    drop_resting(book, slot, find(book, maker.id))
                if self_trade != CANCEL_OLDEST:
                    return -lots
                break  # the level may be gone: look at the best again
            size = min(lots, maker.lots)
            write_trade(tape, time, taker, maker.id, size, tick, side)
            lots -= size
            maker.lots -= size
            level.lots -= size
            book.volume_traded += size
            book.volume_resting -= size
            book.last_tick = tick
            if book.first_tick == 0:
                book.first_tick = tick
            if maker.lots > 0:
                break
            if rarely(maker.hidden > 0):
                size = min(maker.peak, maker.hidden)
                dequeue(book, &book.resting, level, tick, slot)  # shown anew, it stands behind everyone at its price
                maker.lots = size
                maker.hidden -= size
                enqueue(book, &book.resting, tick, slot, size, maker.hidden)
                write_event(tape, time, maker.id, size, tick, REFILLED, NO_REASON)
                break
            write_event(tape, time, maker.id, 0, tick, FILLED, NO_REASON)
            forget(book, find(book, maker.id))
            level.head = maker.next
            level.count -= 1
            give_slot(book, slot)
            slot = level.head
            if slot == 0:
                level.tail = 0
                unmark(&book.resting, tick)
                best[0] = next_above(&book.resting, tick) if side == BUY else next_below(&book.resting, tick)
                break
            book.orders[slot].prev = 0
            if lots == 0:
                break
    return lots


cdef inline void rest(Book* book, Tape* tape, int64_t time, int64_t id, int32_t side, int32_t tick, int64_t lots,
                      int64_t peak, int32_t owner) noexcept nogil:
    cdef int32_t slot = take_slot(book)
    cdef Order* order = &book.orders[slot]
    cdef int64_t shown = min(lots, peak) if peak > 0 else lots
    order.id, order.tick, order.owner, order.side, order.waiting, order.peak = id, tick, owner, side, 0, peak
    order.lots = shown
    order.hidden = lots - shown
    if rarely(book.bid == NO_BID and book.ask == NO_ASK and not is_dense(&book.resting, tick)):
        book.resting.base = max(tick - book.resting.window // 2, 0)
    enqueue(book, &book.resting, tick, slot, shown, lots - shown)
    remember(book, id, slot)
    if side == BUY:
        book.bid = max(book.bid, tick)
    else:
        book.ask = min(book.ask, tick)
    book.volume_resting += lots
    write_event(tape, time, id, lots, tick, RESTING, NO_REASON)


cdef inline void note_triggered(Book* book, int32_t slot) noexcept nogil:
    """Put a stop whose price has traded at the end of the line of those to be executed."""
    drop_waiting(book, slot)
    book.orders[slot].next = 0
    if book.last_triggered:
        book.orders[book.last_triggered].next = slot
    else:
        book.first_triggered = slot
    book.last_triggered = slot


cdef inline void execute(Book* book, Tape* tape, int64_t time, int64_t id, int32_t side, bint market, int32_t tick,
                         int64_t lots, int64_t peak, uint8_t policy, int32_t owner, uint8_t self_trade) noexcept nogil:
    """Match an order that has passed every check, and rest, cancel or finish what is left of it."""
    cdef int32_t limit = tick if not market else MAX_TICK if side == BUY else 1, shown = 0 if market else tick
    cdef int64_t left
    cdef bint crosses = book.ask <= limit if side == BUY else book.bid >= limit
    if crosses:
        if rarely(policy == POST_ONLY or policy == FOK):
            if policy == POST_ONLY or available(book, side, limit, lots, owner, self_trade) < lots:
                book.volume_cancelled += lots
                write_event(tape, time, id, lots, shown, CANCELLED, WOULD_CROSS if policy == POST_ONLY else UNFILLED)
                return
        book.first_tick = 0
        left = sweep(book, tape, time, id, side, limit, lots, owner, self_trade)
        if rarely(book.n_waiting > 0):
            collect_triggered(book, side, lots - (left if left >= 0 else -left))
        book.volume_traded += lots - (left if left >= 0 else -left)
        lots = left
        if lots == 0:
            write_event(tape, time, id, 0, shown, FILLED, NO_REASON)
            return
        if rarely(lots < 0):
            book.volume_cancelled -= lots
            write_event(tape, time, id, -lots, shown, CANCELLED, SELF_TRADE)
            return
    if market or policy == IOC or policy == FOK:
        book.volume_cancelled += lots
        write_event(tape, time, id, lots, shown, CANCELLED, UNFILLED)
        return
    rest(book, tape, time, id, side, tick, lots, peak, owner)


cdef inline void collect_triggered(Book* book, int32_t side, int64_t traded) noexcept nogil:
    """Take the stops whose price this execution has traded: buys by rising, then sells by falling price, old ones first.

    Trades of one execution run one way, so the first and the last tick of it are its low and high.
    """
    cdef int32_t low, high
    if traded == 0:
        return
    low = book.first_tick if side == BUY else book.last_tick
    high = book.last_tick if side == BUY else book.first_tick
    while book.lowest_buy_stop <= high:
        note_triggered(book, level_at(&book.buy_stops, book.lowest_buy_stop).head)
    while book.highest_sell_stop >= low:
        note_triggered(book, level_at(&book.sell_stops, book.highest_sell_stop).head)


cdef inline void run_triggered(Book* book, Tape* tape, int64_t time) noexcept nogil:
    cdef int32_t slot
    cdef Order order
    while book.first_triggered:
        slot = book.first_triggered
        order = book.orders[slot]
        book.first_triggered = order.next
        if order.next == 0:
            book.last_triggered = 0
        forget(book, find(book, order.id))
        give_slot(book, slot)
        write_event(tape, time, order.id, order.lots, order.stop_tick, TRIGGERED, NO_REASON)
        execute(book, tape, time, order.id, order.side, order.kind == STOP, order.tick, order.lots, order.peak,
                order.policy, order.owner, order.self_trade)


# ---- messages

cdef inline uint8_t fault_of(const Book* book, const Message* m) noexcept nogil:
    """Return what is wrong with a new order, or NO_REASON."""
    cdef bint priced = m.kind == LIMIT or m.kind == STOP_LIMIT
    if m.side != BUY and m.side != SELL:
        return BAD_SIDE
    if m.policy > POST_ONLY or (m.policy == POST_ONLY and not priced):
        return BAD_POLICY
    if m.self_trade > CANCEL_BOTH:
        return BAD_SELF_TRADE
    if priced and not (1 <= m.tick <= MAX_TICK):
        return BAD_PRICE
    if m.lots <= 0 or m.lots > max_lots():
        return BAD_SIZE
    if m.peak != 0 and (m.peak < 0 or not priced or m.policy == IOC or m.policy == FOK
                        or (m.lots - 1) // m.peak >= MAX_SLICES):
        return BAD_PEAK
    if (m.kind == STOP or m.kind == STOP_LIMIT) and not (1 <= m.stop_tick <= MAX_TICK):
        return BAD_STOP
    if find(book, m.id) >= 0:
        return DUPLICATE_ID
    if book.free_slot == 0 and (m.kind >= STOP or (m.kind == LIMIT and m.policy != IOC and m.policy != FOK)):
        return BOOK_FULL
    return NO_REASON


cdef inline void reject(Tape* tape, const Message* m, uint8_t reason) noexcept nogil:
    write_event(tape, m.time, m.id, m.lots, m.tick, REJECTED, reason)


cdef inline void wait_for_price(Book* book, Tape* tape, const Message* m) noexcept nogil:
    """Keep a stop order until its price trades."""
    cdef int32_t slot = take_slot(book)
    cdef Order* order = &book.orders[slot]
    order.id, order.lots, order.hidden, order.peak = m.id, m.lots, 0, m.peak
    order.tick, order.stop_tick, order.owner, order.side = m.tick, m.stop_tick, m.owner, m.side
    order.kind, order.policy, order.self_trade, order.waiting = m.kind, m.policy, m.self_trade, 1
    remember(book, m.id, slot)
    book.n_waiting += 1
    book.volume_resting += m.lots
    if m.side == BUY:
        enqueue(book, &book.buy_stops, m.stop_tick, slot, m.lots, 0)
        book.lowest_buy_stop = min(book.lowest_buy_stop, m.stop_tick)
    else:
        enqueue(book, &book.sell_stops, m.stop_tick, slot, m.lots, 0)
        book.highest_sell_stop = max(book.highest_sell_stop, m.stop_tick)
    write_event(tape, m.time, m.id, m.lots, m.stop_tick, WAITING, NO_REASON)


cdef inline void cancel(Book* book, Tape* tape, const Message* m) noexcept nogil:
    cdef int64_t place = find(book, m.id), lots
    cdef int32_t slot
    cdef Order* order
    if rarely(place < 0):
        reject(tape, m, UNKNOWN_ID)
        return
    slot = book.table[place].slot
    order = &book.orders[slot]
    lots = order.lots + order.hidden
    book.volume_cancelled += lots
    write_event(tape, m.time, m.id, lots, order.tick, CANCELLED, REQUESTED)
    if rarely(order.waiting):
        drop_waiting(book, slot)
        forget(book, place)
        give_slot(book, slot)
    else:
        drop_resting(book, slot, place)


cdef inline void shrink(Book* book, Tape* tape, int64_t time, Order* order, int64_t lots) noexcept nogil:
    """Take lots from an order that keeps its place: from an iceberg's reserve first."""
    cdef Level* level = level_at(&book.resting, order.tick)
    cdef int64_t reserve = min(lots, order.hidden)
    order.hidden -= reserve
    level.hidden -= reserve
    order.lots -= lots - reserve
    level.lots -= lots - reserve
    book.volume_cancelled += lots
    book.volume_resting -= lots
    write_event(tape, time, order.id, order.lots + order.hidden, order.tick, MODIFIED, NO_REASON)


cdef inline void change(Book* book, Tape* tape, const Message* m) noexcept nogil:
    """REDUCE by `lots`, or MODIFY to `tick` and `lots`: a smaller order at its price keeps its place, any other loses it."""
    cdef int64_t place = find(book, m.id), lots, peak
    cdef int32_t slot, owner
    cdef int8_t side
    cdef Order* order
    if rarely(place < 0):
        reject(tape, m, UNKNOWN_ID)
        return
    slot = book.table[place].slot
    order = &book.orders[slot]
    lots, peak, owner, side = order.lots + order.hidden, order.peak, order.owner, order.side
    if order.waiting:
        reject(tape, m, STILL_WAITING)
    elif m.lots <= 0 or m.lots > max_lots():
        reject(tape, m, BAD_SIZE)
    elif m.kind == REDUCE:
        if m.lots >= lots:
            cancel(book, tape, m)
        else:
            shrink(book, tape, m.time, order, m.lots)
    elif not (1 <= m.tick <= MAX_TICK):
        reject(tape, m, BAD_PRICE)
    elif m.policy != GTC and m.policy != POST_ONLY:
        reject(tape, m, BAD_POLICY)
    elif m.self_trade > CANCEL_BOTH:
        reject(tape, m, BAD_SELF_TRADE)
    elif m.tick == order.tick and m.lots <= lots:
        shrink(book, tape, m.time, order, lots - m.lots)
    elif peak > 0 and (m.lots - 1) // peak >= MAX_SLICES:
        reject(tape, m, BAD_PEAK)
    elif m.policy == POST_ONLY and (book.ask <= m.tick if side == BUY else book.bid >= m.tick):
        reject(tape, m, WOULD_CROSS)
    else:
        book.volume_cancelled += lots
        book.volume_in += m.lots
        drop_resting(book, slot, place)
        write_event(tape, m.time, m.id, m.lots, m.tick, MODIFIED, NO_REASON)
        execute(book, tape, m.time, m.id, side, False, m.tick, m.lots, peak, GTC, owner, m.self_trade)
        run_triggered(book, tape, m.time)


cdef inline void submit(Book* book, const Message* m, Tape* tape) noexcept nogil:
    """Take one message; whatever comes of it is on the tape."""
    cdef uint8_t fault
    if m.kind == CANCEL:
        cancel(book, tape, m)
    elif m.kind <= STOP_LIMIT:
        fault = fault_of(book, m)
        if rarely(fault == NO_REASON and m.policy == POST_ONLY and m.kind == LIMIT
                  and (book.ask <= m.tick if m.side == BUY else book.bid >= m.tick)):
            fault = WOULD_CROSS
        if rarely(fault != NO_REASON):
            reject(tape, m, fault)
            return
        book.volume_in += m.lots
        if rarely(m.kind >= STOP and not (book.last_tick > 0 and m.side * m.stop_tick <= m.side * book.last_tick)):
            wait_for_price(book, tape, m)
        else:
            if rarely(m.kind >= STOP):
                write_event(tape, m.time, m.id, m.lots, m.stop_tick, TRIGGERED, NO_REASON)
            execute(book, tape, m.time, m.id, m.side, m.kind == MARKET or m.kind == STOP, m.tick, m.lots, m.peak,
                    m.policy, m.owner, m.self_trade)
            if rarely(book.first_triggered):
                run_triggered(book, tape, m.time)
    elif m.kind <= MODIFY:
        change(book, tape, m)
    else:
        reject(tape, m, BAD_KIND)
    follow(&book.resting, book.bid, book.ask, book.spare)


cdef inline Py_ssize_t depth_of(Book* book, int side, int64_t[:, ::1] out) noexcept nogil:
    """Write (tick, displayed lots, orders) of the best levels; return how many there are."""
    cdef int32_t tick = book.bid if side == BUY else book.ask
    cdef Py_ssize_t k = 0
    cdef const Level* level
    while k < out.shape[0] and tick != NO_BID and tick != NO_ASK:
        level = find_level(&book.resting, tick)
        out[k, 0], out[k, 1], out[k, 2] = tick, level.lots, level.count
        tick = next_below(&book.resting, tick) if side == BUY else next_above(&book.resting, tick)
        k += 1
    return k


cdef inline void look_ahead(const Book* book, const Message* messages, int64_t left) noexcept nogil:
    """Fetch what the next messages will read: the table's entry, then the order, then its neighbours and its level."""
    cdef const Entry* entry
    cdef const Order* order
    cdef const Message* m
    cdef int32_t tick
    if left <= 16 or book.n_live < 4096:  # a small book lies in the cache
        return
    prefetch(&book.table[home_of(book, mark_of(messages[16].id))])
    entry = &book.table[home_of(book, mark_of(messages[10].id))]
    prefetch(&book.orders[entry.slot])
    m = &messages[5]
    tick = m.tick
    if m.kind >= CANCEL:
        entry = &book.table[home_of(book, mark_of(m.id))]
        order = &book.orders[entry.slot]
        prefetch(&book.orders[order.next])
        prefetch(&book.orders[order.prev])
        tick = order.tick
    if is_dense(&book.resting, tick):
        prefetch(&book.resting.dense[tick - book.resting.base])
