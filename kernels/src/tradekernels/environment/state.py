"""The state of every copy. From: the loop, which alone writes it. To: whoever looks at worth, position or refusals."""

import numpy as np

# Why an order was refused, in the order of `_state.pxd`; MIN_NOTIONAL: the difference is too small to be one.
REASONS = (
    "POSITION_LIMIT", "NOTIONAL_LIMIT", "DRAWDOWN", "INTRABAR_DRAWDOWN", "BANKRUPTCY", "ORDER_RATE", "TIMEOUT",
    "MIN_NOTIONAL",
)  # fmt: skip

# done: 0 running, 1 terminated, 2 truncated. Money is in quote currency, but cash and `opened` in atoms (whole steps
# that divide tick x lot and the quote step); lots are whole and negative when short. Sums are over the episode.
COPY = np.dtype(
    [(name, np.int64) for name in ("pair", "row", "start", "end", "episode", "done", "n_trades")]
    + [
        (name, np.float64)
        for name in (
            "cash", "lots", "worth", "start_worth", "opened", "potential", "fees", "slippage", "turnover", "reward",
        )
    ]
    + [
        (name, np.int64)
        for name in ("paused_until", "pause_reason", "order_at", "newest", "peak_head", "peak_count")
    ]
    + [
        ("refusals", np.int64, (len(REASONS),)),
        ("bars", np.float64, (20, 8)),  # a ring: bought, sold, fills, ... as in AgentWindow, and padding
        ("order_times", np.int64, (60,)),
        ("peak_worth", np.float64, (512,)),
        ("peak_row", np.int64, (512,)),
    ]
)  # fmt: skip
