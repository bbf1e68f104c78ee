"""What the loop reads and keeps. From: structured arrays of markets.py, settings.py and state.py. To: _environment.pyx.

The fields are those of the dtypes there, in their order; _environment.sizes lets the wrapper compare.
"""

from tradekernels.environment._reward cimport Reward
from tradekernels.execution._costs cimport Latency
from tradekernels.observation._observation cimport BAR, WINDOW

cdef enum:
    PEAK_BARS = 500        # ENV-8: the drawdown's window
    PEAK_RING = 512
    ORDERS_PER_MINUTE = 60
    N_REASONS = 8

cdef enum:  # of a refusal; REASONS in state.py
    POSITION_LIMIT, NOTIONAL_LIMIT, DRAWDOWN, INTRABAR_DRAWDOWN, BANKRUPTCY, ORDER_RATE, TIMEOUT, MIN_NOTIONAL

cdef struct Row:  # one candle and what was known at its close
    long long close_time, hour          # ms; hour of the week of the close
    double open, high, low, close       # ticks
    double spread_bps, volatility_bps  # the spread already the half that is paid
    double liquidity                    # base currency a bar
    double daily_volume, atr            # quote currency

cdef struct Pair:
    long long first, last               # rows an episode may use
    long long starts                    # rows an episode may begin at, of this pair and of those before it
    double bar_ms
    double tick_part, tick_whole, lot_part, lot_whole  # steps as fractions, see _costs.pxd
    double atom_part, atom_whole        # an atom divides tick x lot and the quote step: cash is whole atoms
    double atoms, fee_atoms             # atoms in one tick x lot, in one quote step
    double fee_part, fee_whole          # ticks x lots for which a taker pays one more quote step; 0: no fee
    double maker_part, maker_whole      # the same for a maker
    double least                        # least notional, ticks x lots
    double cash                         # at the start, atoms

cdef struct Settings:
    Latency latency
    double k                            # of the slippage
    Reward reward
    double position_limit, notional_limit, max_drawdown, max_intrabar_drawdown, ruin, pause_ms
    double lowest_weight, dead_band
    long long episode_length            # 0: to the end of the range
    long long random_start

cdef struct Copy:  # one environment
    long long pair, row, start, end, episode, done, n_trades
    double cash, lots                   # atoms; whole lots, negative when short
    double worth, start_worth           # quote currency
    double opened                       # atoms the account was worth when the position was opened
    double potential
    double fees, slippage, turnover, reward  # sums over the episode; quote currency but for the reward
    long long paused_until, pause_reason
    long long order_at, newest, peak_head, peak_count
    long long[N_REASONS] refusals       # over the episode
    double[WINDOW * BAR] bars
    long long[ORDERS_PER_MINUTE] order_times
    double[PEAK_RING] peak_worth
    long long[PEAK_RING] peak_row
