"""Policy lines, signed and complete, and questions about them; services are asked by the fixtures of the room above."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import orjson
import pyarrow as pa
import pytest

from nn.models.build import ACTOR_CRITIC
from nn.policy.version import Policy
from nn.registry.manifest import load_version

from ...policy.small_policy import write_small_policy
from ..conftest import ToyRegistry

LINE, PAIR = "policy-15m", "ETH/USDT:USDT"
STARTS = (2900, 3000, 3100)  # candles from which the versions of a chain are valid
WARMUP = 2880


@dataclass
class PolicyKit:
    """What these tests share; `kit` is that of the room above."""

    kit: type
    line, pair, starts, warmup = LINE, PAIR, STARTS, WARMUP

    def add(self, registry, bar: int, seed: int = 7, **account) -> str:
        """Write a policy that is valid from the open of candle `bar`; return its name."""
        valid_from = self.kit.start + bar * timedelta(minutes=15)
        return write_small_policy(registry.folder / LINE, registry.keys, seed, valid_from=valid_from, **account).name

    def policy(self, registry, name: str) -> Policy:
        return Policy.from_loaded(load_version(registry.folder / LINE / name, registry.keys))

    def candles(self, n_rows: int, seed: int = 7):
        """Candles whose numbers are short, so that 3,000 of them are a JSON body."""
        frame = self.kit.candles(n_rows, seed)
        for name in ("open", "close", "volume"):
            frame[name] = frame[name].round(2)
        frame["high"] = np.ceil(frame[["open", "high", "close"]].max(axis=1) * 100) / 100
        frame["low"] = np.floor(frame[["open", "low", "close"]].min(axis=1) * 100) / 100
        return frame

    def rows(self, policy: Policy, n_rows: int = 5):
        """Observations of a flat account at the last candles of a history."""
        return policy.observations.market(self.candles(WARMUP + n_rows), 1)[WARMUP:]

    def question(self, policy: Policy, rows, **changes) -> dict:
        parameters = {"schema_version": 1, "pair": PAIR, "timeframe": "15m"}
        parameters |= {"observation_digest": policy.observations.digest}
        return parameters | {"observations": np.asarray(rows, dtype=np.float64).tolist()} | changes

    def body(self, policy: Policy, rows, **changes) -> bytes:
        return orjson.dumps(self.question(policy, rows, **changes))

    def table(self, policy: Policy, rows, **changes) -> pa.Table:
        parameters = self.question(policy, rows) | changes
        metadata = {name: str(value) for name, value in parameters.items() if name != "observations"}
        columns = {name: np.ascontiguousarray(rows[:, k]) for k, name in enumerate(policy.observations.names)}
        return pa.table(columns, metadata=metadata)

    def arrow(self, policy: Policy, rows, **changes) -> bytes:
        return self.kit.stream_of(self.table(policy, rows, **changes))


@pytest.fixture(scope="session")
def policies_kit(kit) -> PolicyKit:
    return PolicyKit(kit)


@pytest.fixture(scope="session")
def policies(tmp_path_factory, policies_kit):
    """A registry with a policy line alone: three versions, the last of which is the champion."""
    registry = ToyRegistry(tmp_path_factory.mktemp("policies"))
    registry.publish(*(policies_kit.add(registry, bar, seed) for seed, bar in enumerate(STARTS)), line=LINE)
    return registry


@pytest.fixture(scope="session")
def champion(policies) -> Policy:
    return policies.shelf().line_of("15m", ACTOR_CRITIC).champion.policy
