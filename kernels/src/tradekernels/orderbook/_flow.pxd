"""Order flow over a matching book, one event at a time and without Python. From: parameters, a key. To: a book, a tape.

Four things happen, each as a draw of one counter-based stream: a market order of a self-exciting process whose side is that
of a hidden parent order; a limit order at a distance from the opposite best; the review of a resting order, which
cancels it or lets it stay until the next; and, while the spread is open, somebody closing it. When a best quote goes, what
stood near it goes with it.
"""

from libc.math cimport exp, floor, pow, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from ._flow_random cimport next_bits, next_exponential, next_normal, next_unit
from ._flow_reviews cimport Reviews, pop, push
from ._matching cimport BUY, CANCEL, GTC, IOC, LIMIT, SELL, Book, Message, Tape, book_start, book_stop, find, max_lots, submit, tape_start, tape_stop
from ._matching_levels cimport NO_ASK, NO_BID, level_at, next_above, next_below, next_above, next_below

cdef enum:
    N_BINS = 11        # of distance; facts.py
    N_KERNELS = 5      # of excitation
    BUSIEST = 1000      # times the mean: no rate of limit orders rises further, whatever the parameters

cdef struct Settings:   # as flow.py packs them; rates a second, sizes lots
    double base_rate
    double[N_KERNELS] branching, decay
    double parent_share, parent_tail, parent_limit
    double[N_BINS] add_rate, add_log_mean, add_log_deviation, life
    double gap_rate, follow, lean, fade_rate, requotes, requote_power, elasticity, mean_rate, tight, join, highest, requote_decay, alarm, caution  # highest: the last tick
    int64_t n_orders, n_closed, n_retreats
    const double* order_lots
    const double* order_span
    const double* order_mark
    const double* closed_to
    const double* retreats

cdef struct Flow:
    Settings settings
    Book book
    Tape tape           # of the event at work
    Reviews reviews
    uint64_t key, counter
    double time, candidate  # seconds; a candidate below `time` is none
    double[N_KERNELS] excitation
    double total_add, requote  # orders a second that rebuild the best queues after a move
    int64_t next_id, parent_left, start_ns, n_events, n_market
    int32_t parent_side, centre, opened  # opened: the side whose best quote went last, 1 for asks
    int32_t alarmed     # the side whose makers a market order has just alarmed; 0 for none


cdef inline int32_t bin_of(int64_t distance) noexcept nogil:
    """Return the distance bin of a tick: 1, 2, 3-4, 5-8 .. by powers of two, the last one for all beyond."""
    cdef int32_t k = 0
    while k < N_BINS - 1 and (<int64_t> 1 << k) < distance:
        k += 1
    return k


cdef inline double excitation_of(const Flow* flow) noexcept nogil:
    cdef double total = 0.0
    cdef int k
    for k in range(N_KERNELS):
        total += flow.excitation[k]
    return total


cdef inline double activity(const Flow* flow) noexcept nogil:
    """Return how much faster limit orders come than on average: a power of the market orders' intensity."""
    return min(pow((flow.settings.base_rate + excitation_of(flow)) / flow.settings.mean_rate, flow.settings.elasticity), <double> BUSIEST)


cdef inline void pass_time(Flow* flow, double time) noexcept nogil:
    cdef int k
    for k in range(N_KERNELS):
        flow.excitation[k] *= exp(-flow.settings.decay[k] * (time - flow.time))
    flow.requote *= exp(-flow.settings.requote_decay * (time - flow.time))
    flow.time = time


cdef inline void send(Flow* flow, uint8_t kind, int32_t side, int32_t tick, int64_t lots, uint8_t policy, int64_t id) noexcept nogil:
    cdef Message m
    memset(&m, 0, sizeof(Message))
    m.time, m.id, m.lots, m.tick = flow.start_ns + <int64_t> (flow.time * 1e9), id, lots, tick
    m.kind, m.side, m.policy = kind, side, policy
    submit(&flow.book, &m, &flow.tape)


cdef inline void add_limit(Flow* flow, int32_t side, int32_t bin, int64_t distance) noexcept nogil:
    """Rest an order at a distance from the opposite best, or from where it last was."""
    cdef int32_t best = flow.book.ask if side == BUY else flow.book.bid, tick
    cdef const Settings* s = &flow.settings
    cdef int64_t lots, resting = flow.book.n_live
    if best == NO_BID or best == NO_ASK:
        best = flow.centre + side
    tick = best - side * <int32_t> distance
    lots = <int64_t> (min(exp(s.add_log_mean[bin] + s.add_log_deviation[bin] * next_normal(flow.key, &flow.counter)), <double> max_lots()) + 0.5)
    if tick < 1 or tick > s.highest:
        return
    send(flow, LIMIT, side, tick, max(lots, <int64_t> 1), GTC, flow.next_id)
    if flow.book.n_live == resting:  # a full book has turned it away
        return
    push(&flow.reviews, flow.time + 0.5 * s.life[bin] * next_exponential(flow.key, &flow.counter), flow.next_id)
    flow.next_id += 1


cdef inline double leaning(const Flow* flow) noexcept nogil:
    """Return (bid - ask) / (bid + ask) of the best sizes; 0 without two sides."""
    cdef double bid, ask
    if flow.book.bid == NO_BID or flow.book.ask == NO_ASK:
        return 0.0
    bid = <double> level_at(&(<Flow*> flow).book.resting, flow.book.bid).lots
    ask = <double> level_at(&(<Flow*> flow).book.resting, flow.book.ask).lots
    return (bid - ask) / (bid + ask)


cdef inline void limit_order(Flow* flow) noexcept nogil:
    """Draw the distance from the table and the side from the queues: with `lean` > 0 the longer queue grows.

    Of the orders that fall into the best quote's bin the share `join` stands at the best itself, not around it.
    """
    cdef const Settings* s = &flow.settings
    cdef double u = next_unit(flow.key, &flow.counter) * flow.total_add, p = 0.5
    cdef int32_t bin = 0, side
    cdef int64_t low
    cdef bint two_sided
    while bin < N_BINS - 1 and u >= s.add_rate[bin]:
        u -= s.add_rate[bin]
        bin += 1
    if bin == 0:
        p += 0.5 * s.lean * leaning(flow)
    side = BUY if next_unit(flow.key, &flow.counter) < p else SELL
    two_sided = flow.book.bid != NO_BID and flow.book.ask != NO_ASK
    if two_sided and bin > 0 and bin == bin_of(flow.book.ask - flow.book.bid) and next_unit(flow.key, &flow.counter) < s.join:
        add_limit(flow, side, bin, flow.book.ask - flow.book.bid)
        return
    low = 1 if bin == 0 else (<int64_t> 1 << (bin - 1)) + 1
    add_limit(flow, side, bin, low + <int64_t> (next_unit(flow.key, &flow.counter) * ((<int64_t> 1 << bin) - low + 1)))


cdef inline void close_gap(Flow* flow) noexcept nogil:
    """Quote inside an open spread: after the move with probability `follow`, else against it.

    How much spread is left is drawn from those that the feed has shown.
    """
    cdef int32_t side = flow.opened  # asks went: a bid follows them up
    cdef int64_t left
    if next_unit(flow.key, &flow.counter) >= flow.settings.follow:
        side = -side
    left = <int64_t> flow.settings.closed_to[<int64_t> (next_unit(flow.key, &flow.counter) * flow.settings.n_closed)]
    left = min(left, <int64_t> flow.book.ask - flow.book.bid)
    add_limit(flow, side, bin_of(left), left)


cdef inline void retreat(Flow* flow, int32_t side, int32_t was) noexcept nogil:
    """Pull what stands near a best quote that has gone, or is to go: makers follow one price, and leave together.

    How far they go is drawn from what the feed's best quotes have done. The farthest level stays.
    """
    cdef const Settings* s = &flow.settings
    cdef int64_t last = was - side * <int64_t> s.retreats[<int64_t> (next_unit(flow.key, &flow.counter) * s.n_retreats)]
    cdef int32_t best = flow.book.bid if side == BUY else flow.book.ask, behind
    while best != NO_BID and best != NO_ASK and side * (best - last) > 0:
        behind = next_below(&flow.book.resting, best) if side == BUY else next_above(&flow.book.resting, best)
        if behind == NO_BID or behind == NO_ASK:
            return
        while (flow.book.bid if side == BUY else flow.book.ask) == best:
            send(flow, CANCEL, 0, 0, 0, GTC, flow.book.orders[level_at(&flow.book.resting, best).tail].id)
        best = behind


cdef inline void fade(Flow* flow, int32_t side) noexcept nogil:
    """Cancel the last order of a short queue at the best: who stands there sees the price about to move."""
    cdef int32_t slot = level_at(&flow.book.resting, flow.book.bid if side == BUY else flow.book.ask).tail
    send(flow, CANCEL, 0, 0, 0, GTC, flow.book.orders[slot].id)


cdef inline void market_order(Flow* flow) noexcept nogil:
    """Take for a hidden parent order, whose number of children has a Pareto tail (Lillo, Mike and Farmer, 2005)."""
    cdef const Settings* s = &flow.settings
    cdef int32_t side, best, limit, k
    cdef int64_t pick, lots
    if flow.parent_left <= 0:
        flow.parent_side = BUY if next_bits(flow.key, &flow.counter) >> 63 else SELL
        flow.parent_left = <int64_t> min(pow(next_unit(flow.key, &flow.counter), -1.0 / s.parent_tail), s.parent_limit)
    side = BUY if next_bits(flow.key, &flow.counter) >> 63 else SELL
    if next_unit(flow.key, &flow.counter) < s.parent_share:
        side = flow.parent_side
    flow.parent_left -= 1
    pick = <int64_t> (next_unit(flow.key, &flow.counter) * s.n_orders)
    lots = max(<int64_t> (s.order_lots[pick] + next_unit(flow.key, &flow.counter)), <int64_t> 1)  # whole ones unchanged
    for k in range(N_KERNELS):
        flow.excitation[k] += s.branching[k] * s.decay[k] * s.order_mark[pick]
    best = flow.book.ask if side == BUY else flow.book.bid
    if best == NO_BID or best == NO_ASK:
        return
    if next_unit(flow.key, &flow.counter) < s.alarm * s.order_mark[pick] * (1.0 + side * leaning(flow)):
        flow.alarmed = -side  # the shorter its queue, the sooner
    limit = best + side * <int32_t> s.order_span[pick]
    flow.n_market += 1
    send(flow, LIMIT, side, min(max(limit, 1), <int32_t> s.highest), lots, IOC, flow.next_id)
    flow.next_id += 1


cdef inline void review(Flow* flow, int64_t id) noexcept nogil:
    """Cancel an order with probability one half, else look again after the mean life of where it now stands."""
    cdef int64_t place = find(&flow.book, id), distance
    cdef int32_t slot
    if place < 0:
        return  # it has traded
    if next_bits(flow.key, &flow.counter) >> 63:
        send(flow, CANCEL, 0, 0, 0, GTC, id)
        return
    slot = flow.book.table[place].slot
    if flow.book.orders[slot].side == BUY:
        distance = <int64_t> flow.book.ask - flow.book.orders[slot].tick
    else:
        distance = <int64_t> flow.book.orders[slot].tick - flow.book.bid
    push(&flow.reviews, flow.time + 0.5 * flow.settings.life[bin_of(distance)] * next_exponential(flow.key, &flow.counter), id)


cdef inline bint flow_step(Flow* flow, double until) noexcept nogil:
    """Let the next event happen, if it comes no later than `until`. False: it does not, and nothing has changed.

    What the event has done is in `flow.tape`.
    """
    cdef double market, adds, gap, fading, requote, total, u, busy, lean = leaning(flow)
    cdef int32_t bid = flow.book.bid, ask = flow.book.ask, jump, gone
    cdef int64_t distance
    cdef bint open = ask - bid > flow.settings.tight
    market = flow.settings.base_rate + excitation_of(flow)
    busy = activity(flow)
    adds = flow.total_add * busy
    gap = flow.settings.gap_rate if open else 0.0
    fading = flow.settings.fade_rate * lean * lean
    requote = 0.0 if open else flow.requote
    total = market + adds + gap + fading + requote
    if flow.candidate < flow.time:
        flow.candidate = flow.time + next_exponential(flow.key, &flow.counter) / total
    if flow.reviews.n and flow.reviews.first[0].time <= flow.candidate:
        if flow.reviews.first[0].time > until:
            return False
        flow.tape.n_trades = flow.tape.n_events = 0
        pass_time(flow, max(flow.reviews.first[0].time, flow.time))
        review(flow, pop(&flow.reviews))
    else:
        if flow.candidate > until:
            return False
        flow.tape.n_trades = flow.tape.n_events = 0
        pass_time(flow, flow.candidate)
        u = next_unit(flow.key, &flow.counter) * total
        if u < gap:
            close_gap(flow)
        elif u < gap + fading:
            fade(flow, BUY if lean < 0 else SELL)
        elif u < gap + fading + requote:
            if u - gap - fading < flow.requote:
                distance = max(<int64_t> ask - bid, <int64_t> flow.settings.tight)  # behind an order that stands too far inside
                add_limit(flow, BUY if next_bits(flow.key, &flow.counter) >> 63 else SELL, bin_of(distance), distance)
        elif u < gap + fading + requote + adds:  # rates have faded since they were summed up: thinning (Ogata, 1981)
            if u - gap - fading - requote < adds * (activity(flow) / busy):
                limit_order(flow)
        elif u - gap - fading - requote - adds < flow.settings.base_rate + excitation_of(flow):
            market_order(flow)
    flow.candidate = -1.0
    gone = SELL if flow.book.ask > ask else BUY if flow.book.bid < bid else 0
    if not open and (flow.alarmed or (gone and next_unit(flow.key, &flow.counter) < flow.settings.caution)):
        gone = flow.alarmed if flow.alarmed else gone
        retreat(flow, gone, bid if gone == BUY else ask)
    flow.alarmed = 0
    if flow.book.ask > ask:
        flow.opened = BUY
    elif flow.book.bid < bid:
        flow.opened = SELL
    if flow.book.ask != ask or flow.book.bid != bid:
        jump = min(max(max(flow.book.ask - ask, ask - flow.book.ask), max(flow.book.bid - bid, bid - flow.book.bid)), 1000)
        flow.requote = flow.settings.requotes * flow.settings.requote_decay * pow(jump, flow.settings.requote_power)
    if flow.book.bid != NO_BID and flow.book.ask != NO_ASK:
        flow.centre = flow.book.bid
    flow.n_events += 1
    return True


cdef inline void flow_stop(Flow* flow) noexcept nogil:
    book_stop(&flow.book)
    tape_stop(&flow.tape)
    free(flow.reviews.first)
    memset(flow, 0, sizeof(Flow))


cdef inline bint flow_start(Flow* flow, const Settings* settings, uint64_t key, int32_t centre, int64_t start_ns,
                            int32_t capacity, int32_t window) noexcept nogil:
    """Begin with an empty book around a price. False: no memory, and nothing to stop."""
    cdef int k
    memset(flow, 0, sizeof(Flow))
    flow.settings, flow.key, flow.centre, flow.start_ns = settings[0], key, centre, start_ns
    flow.opened, flow.next_id, flow.candidate = BUY, 1, -1.0
    for k in range(N_BINS):
        flow.total_add += settings.add_rate[k]
    for k in range(N_KERNELS):
        flow.excitation[k] = settings.branching[k] * settings.mean_rate
    tape_start(&flow.tape)
    return book_start(&flow.book, capacity, window)
