"""A small signed policy with drawn weights over synthetic candles: enough to be served, too small to be worth money."""

from datetime import UTC, datetime

import numpy as np
import torch
from tradekernels.observation import fit, observation_set

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy.normalise import Moments
from nn.policy.version import write_policy
from nn.registry.policy_fields import GridFields, PolicyEnvironment, PolicyObjective

from ..forecast.conftest import BEGIN, make_candles

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
GRID = GridFields(tick_size=0.001, lot_size=0.001, min_notional=5.0)
TRAIN_ROWS = 600


def write_small_policy(line_folder, keys, seed=7, pairs=PAIRS, valid_from=None, rest=0.0, **account):
    """Sign a policy with weights drawn from `seed` and return its folder.

    Its statistics are those of 600 candles per pair from `BEGIN`, as `make_candles(seed=0, 1, 2)` gives them. Weights
    are large enough that target weights differ from candle to candle.
    """
    frames = {pair: make_candles(TRAIN_ROWS, seed=number) for number, pair in enumerate(pairs)}
    observations = observation_set(fit(frames, "15m"), pairs, len(pairs))
    rows = np.concatenate([observations.market(frame, token) for token, frame in enumerate(frames.values())])
    moments = Moments((len(observations.names),))
    moments.add(rows)
    low = -1.0 if account.get("can_short") else 0.0
    torch.manual_seed(seed)
    shape = {"hidden": (16, 16), "rest": rest}
    model = ActorCritic(ActorCriticConfig(len(observations.names), 1, low=(low,), high=(1.0,), **shape))
    with torch.no_grad():
        model.actor.mul_(200.0)  # else every weight is near the middle of its range
    trained_until = (BEGIN + TRAIN_ROWS * (frames[pairs[0]]["date"][1] - BEGIN)).to_pydatetime()
    return write_policy(
        line_folder, model, moments, 0.01, observations, keys,
        name="policy-15m",
        pairs=pairs,
        environment=PolicyEnvironment(grids=dict.fromkeys(pairs, GRID), **{"dead_band": 0.05, **account}),
        objective=PolicyObjective(gamma=0.99, cvar_alpha=0.05),
        cost_model={"taker_bps": 10.0},
        trained_from=BEGIN.to_pydatetime(),
        trained_until=trained_until,
        embargo_bars=0,
        valid_from=valid_from or datetime(2025, 1, 8, tzinfo=UTC),
        data_fingerprint="f" * 64,
        metrics={},
        libraries={},
        git_commit="0" * 40,
        config_hash="c" * 64,
    )  # fmt: skip
