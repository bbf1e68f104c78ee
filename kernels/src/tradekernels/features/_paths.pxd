"""Recurrences that follow a path: a stop, a run, volume, a variance. From: slots of one block, state. To: a slot."""

from libc.math cimport NAN, fabs, sqrt

from ._lines cimport ROOM, TILE, next_place, side_by_side, skipped


cdef inline void psar(const double* high, const double* low, double* y, Py_ssize_t n_bars,
                      double* state) noexcept nogil:
    # Wilder's parabolic stop and reverse (1978), begun and clipped as TA-Lib does: the second row's falling low, if it
    # fell further than the high rose, begins a short. A short is a long in the mirror: prices negated, high and low
    # exchanged. Hence y is +SAR of a long and -SAR of a short; on a reversal it is already that of the new position.
    # state: rows seen (up to 2), last high, last low, side, and in its mirror: SAR, extreme; acceleration
    cdef Py_ssize_t i
    cdef double seen = state[0], high_was = state[1], low_was = state[2], side = state[3]
    cdef double sar = state[4], extreme = state[5], acceleration = state[6]
    cdef double top, bottom, top_was, bottom_was
    for i in range(n_bars):
        if seen == 0.0:
            y[i] = NAN
            seen, high_was, low_was = 1.0, high[i], low[i]
            continue
        if seen == 1.0:
            side = -1.0 if low_was - low[i] > 0.0 and high[i] - high_was < low_was - low[i] else 1.0
            sar = low_was if side > 0.0 else -high_was
            extreme = high[i] if side > 0.0 else -low[i]
            acceleration = 0.02
            seen, high_was, low_was = 2.0, high[i], low[i]  # TA-Lib lets the second row be its own predecessor
        top, bottom = high[i], low[i]
        top_was, bottom_was = high_was, low_was
        if side < 0.0:
            top, bottom, top_was, bottom_was = -bottom, -top, -bottom_was, -top_was
        if bottom <= sar:
            side = -side
            top, bottom, bottom_was = -bottom, -top, -top_was
            sar = -extreme
            sar = bottom_was if sar > bottom_was else sar
            sar = bottom if sar > bottom else sar
            extreme = top
            acceleration = 0.02
            y[i] = sar
        else:
            y[i] = sar
            if top > extreme:
                extreme = top
                acceleration += 0.02
                acceleration = 0.2 if acceleration > 0.2 else acceleration
        sar += acceleration * (extreme - sar)
        sar = bottom_was if sar > bottom_was else sar
        sar = bottom if sar > bottom else sar
        high_was, low_was = high[i], low[i]
    state[0], state[1], state[2], state[3] = seen, high_was, low_was, side
    state[4], state[5], state[6] = sar, extreme, acceleration


cdef inline void run_length(const double* x, double* y, Py_ssize_t n_bars, double* state,
                            Py_ssize_t n) noexcept nogil:
    # Rows in the current run of equal sign, signed, at most n; 0 where x is 0 or NaN. state: the last result
    cdef Py_ssize_t i
    cdef double run = state[0], side
    for i in range(n_bars):
        side = (1.0 if x[i] > 0.0 else 0.0) - (1.0 if x[i] < 0.0 else 0.0)
        run = run + side if run * side > 0.0 else side
        run = n if run > n else (-n if run < -n else run)
        y[i] = run
    state[0] = run


cdef enum:
    BUCKETS = 50  # of equal volume in a window, Easley et al. (2012)


cdef inline double imbalance(const double* buys, const double* volume, const double* share, Py_ssize_t n,
                             double total) noexcept nogil:
    """Return the mean of |buys - sells| / volume over the buckets of n rows that traded `total`.

    Every row begins in some bucket and leaves its beginning there, a later row over an earlier one: what then lies in
    a bucket is the row that crosses its far edge. A bucket in which no row began is crossed by the row before.
    """
    cdef Py_ssize_t j, bucket, source = 0
    cdef double size = total / BUCKETS, scale = BUCKETS / total, traded = 0.0, bought = 0.0, was = 0.0, now
    cdef double distance = 0.0
    cdef Py_ssize_t began[BUCKETS + 1]  # its own number if a row began in it; one more for rows at the very end
    cdef double share_at[BUCKETS + 1]
    cdef double buys_at[BUCKETS + 1]  # of the row's line, buys over volume traded, drawn back to volume 0
    for bucket in range(BUCKETS + 1):
        began[bucket] = 0
    for j in range(n):
        bucket = min(<Py_ssize_t> (traded * scale), BUCKETS)
        began[bucket] = bucket
        share_at[bucket] = share[j]
        buys_at[bucket] = bought - traded * share[j]
        traded += volume[j]
        bought += buys[j]
    for bucket in range(BUCKETS - 1):
        source = began[bucket] if began[bucket] > source else source
        now = buys_at[source] + size * (bucket + 1) * share_at[source]
        distance += fabs(2.0 * (now - was) - size)
        was = now
    return (distance + fabs(2.0 * (bought - was) - size)) / total


cdef inline void sums(const double* x, double* y, Py_ssize_t n, Py_ssize_t unused, Py_ssize_t lanes) noexcept nogil:
    """Sum `lanes` neighbouring windows."""
    cdef Py_ssize_t j, k
    cdef double total[TILE]
    for k in range(lanes):
        total[k] = 0.0
    for j in range(n):
        for k in range(lanes):
            total[k] += x[j + k]
    for k in range(lanes):
        y[k] = total[k]


cdef inline void bucket_imbalance(const double* buys, const double* volume, double* y, Py_ssize_t n_bars,
                                  double* state, Py_ssize_t n, Py_ssize_t unread) noexcept nogil:
    # VPIN after Easley, Lopez de Prado and O'Hara (2012) with the buckets cut from the last n rows alone, so that it
    # has no further memory; 0 without volume. state: place, then lines (_lines) of buys, volume, buys / volume
    cdef Py_ssize_t i = 0, j, k, place, size, skip, length = n - 1 + ROOM
    cdef double* bought = state + 1
    cdef double* traded = bought + length
    cdef double* share = traded + length
    cdef double total
    while i < n_bars:
        place = next_place(state, n, 3)
        size = min(n_bars - i, length - place)
        for k in range(place, place + size):
            bought[k], traded[k] = buys[i + k - place], volume[i + k - place]
            share[k] = bought[k] / traded[k] if traded[k] > 0.0 else 0.0
        j = place - n + 1
        skip = skipped(unread - i, size)
        side_by_side(sums, traded + j + skip, y + i + skip, size - skip, n, 0)
        for k in range(skip, size):
            total = y[i + k]
            y[i + k] = total * 0.0
            if 1e-290 < total < 1e290:  # so that its inverse and its sums are finite
                y[i + k] = imbalance(bought + j + k, traded + j + k, share + j + k, n, total)
        state[0] = place + size
        i += size


cdef enum:
    FIELDS = 7  # of an aggregate of rows: count, mean, squared deviations; weight and sum of two decays


cdef inline void garch_suffixes(double* suffix, Py_ssize_t n, double beta) noexcept nogil:
    """Turn the rows of a lap, (count 0 or 1, value), into the aggregates of them and all that follow."""
    cdef Py_ssize_t j
    cdef double count = 0.0, mean = 0.0, squares = 0.0, fade = 1.0, decayed = 0.0, slow = 1.0, slow_decayed = 0.0
    cdef double value, delta
    cdef double* at
    for j in range(n - 1, -1, -1):
        at = suffix + FIELDS * j
        if at[0] != 0.0:
            value = at[1]
            count += 1.0
            delta = value - mean
            mean += delta / count
            squares += delta * (value - mean)
            decayed += fade * (value * value)
            slow_decayed += slow * (value * value)
            fade = fade * beta if fade > 1e-290 else 0.0  # before it gets subnormal, which is slow
            slow = slow * 0.94 if slow > 1e-290 else 0.0
        at[0], at[1], at[2], at[3], at[4], at[5], at[6] = count, mean, squares, fade, decayed, slow, slow_decayed


cdef inline void timed_garch(const double* x, const double* step, const double* omega, const double* alpha,
                             const double* beta, double* y, Py_ssize_t n_bars, double* state,
                             Py_ssize_t n) noexcept nogil:
    # GARCH(1,1), Bollerslev (1986), run over the rows of the last n cells from their mean square on; omega 0 targets
    # that mean square (Engle and Mezrich 1996). Below 50 rows: Riskmetrics (1996), 0.94; below 10: their variance.
    # What m rows make of the first variance h is beta^m h + omega (1 + .. + beta^(m-1)) + alpha sum beta^age x^2,
    # and such maps compose: prefix after suffix, as the sums in _windows. state: place; prefix; n + 1 suffixes
    cdef Py_ssize_t i, k, missing, place = <Py_ssize_t> state[0]
    cdef double* prefix = state + 1
    cdef double* suffix = prefix + FIELDS
    cdef double count = prefix[0], mean = prefix[1], squares = prefix[2], fade = prefix[3], decayed = prefix[4]
    cdef double slow = prefix[5], slow_decayed = prefix[6]
    cdef double a = alpha[0], b = beta[0], delta, total, start, variance, weight, level
    cdef double* at
    cdef double* older
    for i in range(n_bars):
        missing = 0
        if step[i] > 1.0:
            missing = <Py_ssize_t> step[i] - 1 if step[i] <= n else n
        for k in range(missing, -1, -1):  # the missing cells, then the row
            at = suffix + FIELDS * place
            if k == 0:
                count += 1.0
                delta = x[i] - mean
                mean += delta / count
                squares += delta * (x[i] - mean)
                decayed = b * decayed + x[i] * x[i]
                slow_decayed = 0.94 * slow_decayed + x[i] * x[i]
                fade = fade * b if fade > 1e-290 else 0.0
                slow = slow * 0.94 if slow > 1e-290 else 0.0
                older = at + FIELDS
                total = count + older[0]
                delta = older[1] - mean
                variance = (squares + older[2] + delta * delta * (count * older[0] / total)) / total
                delta = mean + delta * (older[0] / total)
                start = variance + delta * delta
                if total >= 50.0:
                    weight = fade * older[3]
                    level = omega[0] if omega[0] > 0.0 else (1.0 - a - b) * start
                    level *= (1.0 - weight) / (1.0 - b) if b != 1.0 else total
                    variance = weight * start + level + a * (fade * older[4] + decayed)
                elif total >= 10.0:
                    variance = slow * older[5] * start + 0.06 * (slow * older[6] + slow_decayed)
                y[i] = sqrt(variance)
            at[0], at[1] = (1.0 if k == 0 else 0.0), x[i]
            place += 1
            if place == n:
                garch_suffixes(suffix, n, b)
                place = 0
                count, mean, squares, fade, decayed, slow, slow_decayed = 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0
    state[0] = place
    prefix[0], prefix[1], prefix[2], prefix[3], prefix[4] = count, mean, squares, fade, decayed
    prefix[5], prefix[6] = slow, slow_decayed
