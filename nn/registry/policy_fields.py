"""What the manifest of a policy says beyond that of a forecaster: what it sees, in which account, and for what aim.

From: `nn.policy.version`, configs of policies. To: `manifest`, the service and the bots. Plain numbers only: whoever
reads a manifest needs no class of ours.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PolicyObservation(Fields):
    """How the rows are made that the policy reads: `tradekernels.observation.observation_set` of these."""

    statistics: str  # JSON of tradekernels' Statistics, fitted on train rows only
    tokens: tuple[str, ...]  # pairs in the order of their ids
    max_num_tokens: int
    layout_digest: str  # of index, name and block of every slot


class PolicyObjective(Fields):
    """What the quantiles are of: the discounted sum of log growth of the account's worth, net of all costs."""

    gamma: float = Field(ge=0, le=1)  # per candle
    cvar_alpha: float = Field(gt=0, le=1)  # share of the worst outcomes whose mean the column cvar is


class FeeFields(Fields):
    """EXE-1; basis points of the notional."""

    maker_bps: NonNegativeFloat = 10.0
    taker_bps: NonNegativeFloat = 10.0
    pay_in_bnb: bool = False
    quote_step: PositiveFloat = 1e-8


class SlippageFields(Fields):
    """EXE-2."""

    k: NonNegativeFloat = 0.8
    spread_bps: NonNegativeFloat = 2.0
    min_half_spread_bps: NonNegativeFloat = 0.5


class LatencyFields(Fields):
    """EXE-3; milliseconds."""

    base_ms: NonNegativeFloat = 250.0
    jitter_ms: NonNegativeFloat = 50.0
    spike_probability: float = Field(default=0.01, ge=0, le=1)
    spike_multiple: NonNegativeFloat = 5.0
    timeout_ms: NonNegativeFloat = 2500.0
    retries: int = Field(default=1, ge=0, le=1)


class RiskFields(Fields):
    """ENV-8; null is no limit."""

    position_limit: NonNegativeFloat | None = None  # base currency
    notional_limit: NonNegativeFloat | None = None  # quote currency of one order
    max_drawdown: NonNegativeFloat = 0.30
    max_intrabar_drawdown: NonNegativeFloat = 0.30
    ruin: float = Field(default=0.1, ge=0, lt=1)
    pause_s: NonNegativeFloat = 300.0


class GridFields(Fields):
    """EXE-4: the venue's steps of one pair."""

    tick_size: PositiveFloat
    lot_size: PositiveFloat
    min_notional: NonNegativeFloat


class PolicyEnvironment(Fields):
    """The account that is simulated where no real one is at hand; equal in all versions of one chain."""

    cash: PositiveFloat = 10_000.0  # quote currency at the start
    can_short: bool = False
    dead_band: NonNegativeFloat = 0.0  # a target nearer than this to the present weight orders nothing, unless it is 0
    fees: FeeFields = FeeFields()
    slippage: SlippageFields = SlippageFields()
    latency: LatencyFields = LatencyFields()
    risk: RiskFields = RiskFields()
    grids: dict[str, GridFields]  # of every token
