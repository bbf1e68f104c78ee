"""A policy whose actions are known by construction, and a service that acts with it in the environment's own books.

From: hand-set weights. To: tests that compare environment, backtest and dry-run decision by decision.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import torch
from stub_service import StubService, candles
from tradekernels.observation import fit, observation_set

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy.normalise import Moments
from nn.policy.play import NOBODY, rollout
from nn.policy.version import Policy, write_policy
from nn.registry.policy_fields import (
    FeeFields,
    GridFields,
    LatencyFields,
    PolicyEnvironment,
    PolicyObjective,
    RiskFields,
    SlippageFields,
)  # fmt: skip
from strategies.shared.forms import AGENT_SLOTS

FREE_BUT_FEES = {
    "slippage": SlippageFields(k=0, spread_bps=0, min_half_spread_bps=0),
    "latency": LatencyFields(base_ms=0, jitter_ms=0, spike_probability=0),
    "risk": RiskFields(max_drawdown=1, max_intrabar_drawdown=1, ruin=0),
}


def known_policy(pair, fee, **others):
    """Return the policy of `known_parts` for one pair."""
    parts, fields = known_parts((pair,), fee, **others)
    return Policy.unsigned(*parts, **fields)


def sign_known_policy(line_folder, keys, pairs, fee, **others):
    """Sign the policy of `known_parts` as a version of a line; return its name."""
    parts, fields = known_parts(pairs, fee, **others)
    return write_policy(line_folder, *parts, keys, **fields).name


def known_parts(pairs, fee, can_short=False, cash=3300.0, price=60_000.0):
    """Return what `write_policy` takes, and the fields of its manifest.

    The policy is long while RSI is below 50, by a weight that follows its account and candles. Elsewhere it wants
    exactly 0, where the tanh of the actor is at its end, or with shorts to be short, by such a weight as well. How much
    it wants depends on its own slots, so that equal decisions need equal slots. No weight but 0 is within the dead
    band, where Freqtrade closes a trade whole and the environment keeps what is left.
    """
    frame = candles(3200)
    frame[["open", "high", "low", "close"]] *= price / 100
    statistics = fit(frame, "15m")
    observations = observation_set(statistics, pairs, len(pairs))
    names, low = observations.names, -1.0 if can_short else 0.0
    config = ActorCriticConfig(len(names), 1, low=(low,), high=(1.0,), hidden=(8,), n_quantiles=8)
    torch.manual_seed(3)
    model = ActorCritic(config)
    with torch.no_grad():
        weights, bias = model.weights[0], model.biases[0]
        weights[0].zero_(), bias[0].zero_(), model.actor.zero_()
        weights[0, names.index("rsi"), 0] = -1e6
        for unit, slot in enumerate(("momentum", *AGENT_SLOTS), 1):
            weights[0, names.index(slot), unit] = 1.0
        model.actor[0, 0] = 0.6 if can_short else 6.2
        model.actor[1:7, 0] = torch.tensor([0.5, 0.6, -0.6, 0.4, 0.5, 30.0]) * (0.35 if can_short else 1.0)
        model.actor_bias.fill_(-0.15 if can_short else -5.9)
        model.critic_bias.add_(0.5)  # no value is near 0, where a share of it says nothing
    identity = Moments((len(names),))
    identity.add(np.stack([np.ones(len(names)), -np.ones(len(names))]))  # mean 0, variance 1
    grid = GridFields(tick_size=0.01, lot_size=0.00000001, min_notional=5.0)
    account = PolicyEnvironment(
        cash=cash, can_short=can_short, dead_band=0.05, grids=dict.fromkeys(pairs, grid),
        fees=FeeFields(maker_bps=fee * 1e4, taker_bps=fee * 1e4), **FREE_BUT_FEES,
    )  # fmt: skip
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    fields = {
        "name": "policy-15m", "pairs": tuple(pairs), "environment": account, "cost_model": {}, "metrics": {},
        "objective": PolicyObjective(gamma=0.99, cvar_alpha=0.25), "embargo_bars": 0, "valid_from": begin,
        "trained_from": begin - timedelta(days=30), "trained_until": begin, "data_fingerprint": "f" * 64,
        "libraries": {}, "git_commit": "0" * 40, "config_hash": "c" * 64,
    }  # fmt: skip
    return (model, identity, 0.01, observations), fields


class PolicyService(StubService):
    """The stub's wire with a real policy behind it: the environment's rollout, and the actions of its network."""

    def __init__(self, policy):
        valid = [{"version": "known", "valid_from": "2024-01-01T00:00:00Z", "trained_until": "2024-01-01T00:00:00Z"}]
        super().__init__(policy_versions=valid, kinds=("actor_critic",), tokens=policy.observations.tokens)
        self.policy = policy
        self.__dict__["observations"] = policy.observations

    def target(self, row, pair):
        return float(self.policy.act(row[None])[0][0])

    def roll(self, request):
        told = {key.decode(): value.decode() for key, value in request.schema.metadata.items()}
        frame = {name: request[name].to_numpy() for name in request.column_names if name != "date"}
        frame["date"] = request["date"].cast(pa.int64()).to_numpy()
        played = rollout(self.policy, frame, told["pair"])
        acted = played.acted_by != NOBODY
        out = {"date": pa.array(frame["date"], pa.timestamp("ms", "UTC"))}
        out["model_version"] = pa.array(["known" if each else None for each in acted]).dictionary_encode()
        out["reason"] = pa.array([None if each else "warmup" for each in acted]).dictionary_encode()
        columns = {name: getattr(played, name) for name in ("target_weight", "value", "cvar", "held_weight")}
        columns |= dict(zip(AGENT_SLOTS, played.agent.T, strict=True))
        out |= {name: pa.array(values.astype(np.float32), mask=~acted) for name, values in columns.items()}
        metadata = {"schema_version": "1", "timeframe": told["timeframe"], "pair": told["pair"]}
        return pa.table(out).replace_schema_metadata(metadata | {"chain_digest": self.policy_digest})
