"""A rollout has candles alone: a policy that reads more is refused with its inputs named (OBS-59, ENR-9)."""

from dataclasses import replace

import pytest
from tradekernels.observation import fit, observation_set

from nn.service.errors import Refused
from nn.service.policy.rollout import rolled
from nn.service.policy.served import ServedPolicy
from nn.service.wire import Block, Question


def test_a_policy_of_taker_volume_answers_no_candles_without_it(champion, kit, policies_kit):
    candles = kit.candles(3200)
    richer = candles[:600].assign(taker_buy_volume=0.4 * candles["volume"][:600])
    reads = observation_set(fit(richer, "15m"), champion.observations.tokens, len(champion.observations.tokens))
    served = ServedPolicy(replace(champion, observations=reads))
    asked = Question(
        (Block(policies_kit.pair, {name: candles[name].to_numpy() for name in candles}),), "15m", "each", None
    )
    with pytest.raises(Refused, match="was trained with taker_buy_volume, these candles have none") as refused:
        rolled(asked, (served,), "d" * 64, lambda: None)
    assert refused.value.status == 400
    rolled(asked, (ServedPolicy(champion),), "d" * 64, lambda: None)
