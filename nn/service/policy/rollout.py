"""What a chain of policies would have held over a history of candles, as the answer to a question (ASO-1, SRV-4).

From: `endpoints`, checked candles of one pair. To: `wire` and `arrow`. `nn.policy.play` does the work, as it does for
the judge of a version: it says who acts and keeps the account; here it is told, with the reason where nobody acts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from tradekernels.observation import SLOTS

from ...data.timeframe import timeframe_ms
from ...models.build import POLICY_COLUMNS
from ...policy.play import AGENT, NOBODY, Played, rollout
from ..errors import bad_request
from ..reply import Reply, Words, described
from ..scoring import GAP, NO_VERSION, NONE, NOT_FINITE, WARMUP, newest_allowed
from ..wire import Question
from .action import UNKNOWN_PAIR, WORDS
from .served import ServedPolicy

AGENT_NAMES = tuple(slot.name for slot in SLOTS[AGENT])  # slots 21 to 26


def rolled(
    asked: Question, chain: Sequence[ServedPolicy], chain_digest: str, now_and_then: Callable[[], None]
) -> Reply:
    """Return the answer to a question about one pair, a row per candle; `Refused` with 400 for prices off its grid.

    Parameters
    ----------
    chain : sequence of ServedPolicy
        Ascending by valid_from, of one account.
    now_and_then : callable
        Called every few candles; what it raises ends the work.
    """
    [block] = asked.blocks
    candles = {name: np.asarray(column) for name, column in block.candles.items()}
    closes = candles["date"].astype(np.int64, copy=False) + timeframe_ms(asked.timeframe)
    allowed = newest_allowed(np.array([each.valid_from_ms for each in chain], dtype=np.int64), closes)
    played = None
    if chain and block.pair in chain[0].policy.observations.tokens:  # those of one account know the same pairs
        try:
            with np.errstate(all="ignore"):  # prices beyond all measure make no number, and are told so
                played = rollout([each.policy for each in chain], candles, block.pair, now_and_then)
        except ValueError as error:  # the candles are candles, but the pair's market has steps that they do not keep to
            raise bad_request(str(error)) from None
    reasons = (
        reasons_of(played, allowed, max(each.warmup for each in chain))
        if played is not None
        else np.where(allowed == NONE, NO_VERSION, UNKNOWN_PAIR)
    )
    return reply_of(played, reasons.astype(np.int32), candles["date"], chain, chain_digest)


def reasons_of(played: Played, allowed: np.ndarray, warmup: int) -> np.ndarray:
    """Return why nobody acted on a candle, an index into WORDS, or NONE where somebody did."""
    early = np.arange(len(allowed)) < warmup
    finite = np.isfinite(played.target_weight) & np.isfinite(played.value) & np.isfinite(played.cvar)
    return np.select(
        [(played.acted_by != NOBODY) & finite, played.acted_by != NOBODY, allowed == NONE, early],
        [NONE, NOT_FINITE, NO_VERSION, WARMUP],
        GAP,
    )


def reply_of(
    played: Played | None, reasons: np.ndarray, opened: np.ndarray, chain: Sequence[ServedPolicy], chain_digest: str
) -> Reply:
    """Return the columns in wire order; of a candle that nobody acted on those of the account alone."""
    n = len(opened)
    acted = reasons == NONE
    by = np.full(n, NONE, dtype=np.int32)
    numbers = np.full((n, len(POLICY_COLUMNS) + 1 + len(AGENT_NAMES)), np.nan, dtype=np.float32)
    if played is not None:
        by = np.where(acted, played.acted_by, NONE).astype(np.int32)
        own = np.stack([getattr(played, name) for name in POLICY_COLUMNS], axis=1)
        numbers[acted, : len(POLICY_COLUMNS)] = own[acted]
        numbers[:, len(POLICY_COLUMNS)] = played.held_weight
        numbers[:, len(POLICY_COLUMNS) + 1 :] = played.agent
    columns: dict[str, Words | NDArray[np.float32]] = {
        "model_version": Words(by, tuple(each.version for each in chain)),
        "reason": Words(reasons, WORDS),
    }
    columns |= {name: numbers[:, k] for k, name in enumerate((*POLICY_COLUMNS, "held_weight", *AGENT_NAMES))}
    no_signals = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    told = described(by, tuple(each.version for each in chain), chain)
    return Reply(np.zeros(n, dtype=np.int32), opened, columns, {"chain_digest": chain_digest}, told, *no_signals)
