"""A verified policy as a version of a line: loaded, tried once, and told by a digest. From: `versions`. To: `shelf`.

A chain is one account: its versions have equal environments, or the account could not go on from one to the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import orjson
from tradekernels.observation import Statistics, observation_set

from ...models.build import POLICY_COLUMNS
from ...policy.play import RULES
from ...policy.version import Policy
from ...registry.manifest import LoadedVersion, Manifest, ModelRefused
from ..backends.choice import processor
from ..errors import LayoutMismatch


@dataclass(frozen=True, eq=False)
class ServedPolicy:
    """One verified version of a policy line; it answers as `versions.ServedVersion` where a line is told."""

    policy: Policy
    context_length = 1  # an observation is one row
    model = SimpleNamespace(columns=POLICY_COLUMNS)  # what a line asks of a model: how its answers are named

    @property
    def manifest(self) -> Manifest:
        return self.policy.manifest

    @property
    def version(self) -> str:
        return self.policy.version

    @property
    def valid_from_ms(self) -> int:
        return self.policy.valid_from_ms

    @property
    def feature_digest(self) -> str:
        """That of the whole observation: slots, recurrences, statistics and tokens."""
        return self.policy.observations.digest

    @property
    def warmup(self) -> int:
        return self.policy.observations.warmup


def load_policy(loaded: LoadedVersion) -> ServedPolicy:
    """Return the policy of a verified version once it has acted on a row; `ModelRefused` says what does not fit."""
    try:
        policy = Policy.from_loaded(loaded)
    except ModelRefused as error:
        if reads_another_layout(loaded.manifest):
            raise LayoutMismatch(str(error)) from error
        raise
    with np.errstate(all="ignore"):  # weights are finite, but their products may be beyond float32
        columns, quantiles = policy.columns(np.zeros((1, len(policy.observations.names)), dtype=np.float32))
    if not (np.isfinite(columns).all() and np.isfinite(quantiles).all()):
        raise ModelRefused(f"{policy.version}: the answer to an observation of zeros is not finite")
    return ServedPolicy(policy)


def reads_another_layout(manifest: Manifest) -> bool:
    """Tell whether this build of tradekernels makes another observation of what the manifest says."""
    said = manifest.observation
    if said is None:
        return False
    try:
        made = observation_set(Statistics.from_json(said.statistics), said.tokens, said.max_num_tokens)
    except ValueError:
        return True
    return made.digest != manifest.feature_digest


def check_one_account(line: str, versions: Sequence[ServedPolicy]) -> None:
    """Refuse a line whose versions would simulate different accounts (ASO-1: one account goes on through all)."""
    for other in versions[1:]:
        if other.manifest.environment != versions[0].manifest.environment:
            raise ModelRefused(
                f"{line}: {other.version} has another environment than {versions[0].version}, expected one account: "
                "the same costs, risk, dead band, cash and steps"
            )


def policy_digest(chain: Sequence[ServedPolicy]) -> str:
    """Return the SHA-256 over everything that decides a bit of a rollout; clients cache answers under it."""
    content = {
        "schema_version": 1,
        "numpy": np.__version__,
        "tradekernels": version("tradekernels"),  # the account is simulated by it
        "rules": RULES,
        "processor": processor(),
        "columns": POLICY_COLUMNS,
        "chain": [
            {
                "version": each.version,
                "files": each.manifest.files,
                "architecture": each.manifest.architecture,
                "valid_from_ms": each.valid_from_ms,
                "observation_digest": each.feature_digest,
                "environment": each.manifest.environment and each.manifest.environment.model_dump(),
                "objective": each.manifest.objective and each.manifest.objective.model_dump(),
            }
            for each in chain
        ],
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
