"""An answer as named columns, whatever was asked: the one form that `wire` and `arrow` write.

From: `scoring` and `decision`, by way of `app`. To: the two writers, and the metrics.

A forecast has the version that scored it, or the reason why none did, and the columns of its line. A decision has a
version of each line; it is known only where both lines scored the candle (ENS-1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.target_table import ACTIONS, DIRECTIONS
from ..models.build import DIRECTION, UNIFIED_PATCHTST
from .decision import DECISION_COLUMNS, DISAGREE, SIGNAL_HORIZON, SIGNALS, decide
from .policy.served import ServedPolicy
from .scoring import NONE, NOT_FINITE, Forecasts
from .versions import Line, ServedVersion

CLASSES = {  # what counts as the signal of a single line, in the order BUY, SELL, HOLD
    UNIFIED_PATCHTST: tuple(f"best_action_{action}" for action in ACTIONS),
    DIRECTION: tuple(f"direction_{SIGNAL_HORIZON}_{word}" for word in DIRECTIONS),
}


@dataclass(frozen=True)
class Words:
    """A column of words: an index into `words` per row, NONE where there is none."""

    codes: NDArray[np.int32]
    words: tuple[str, ...]

    def to_list(self) -> list[str | None]:
        return [None if code == NONE else self.words[code] for code in self.codes.tolist()]


@dataclass(frozen=True)
class Reply:
    """One row per candle; columns in wire order, a NaN in them is null on the wire."""

    block: NDArray[np.int32]  # index of the block of candles that a row is of
    open_ms: NDArray[np.int64]
    columns: dict[str, Words | NDArray[np.float32]]
    digests: dict[str, str]  # what an answer over history may be cached under
    versions: list[dict[str, str]]  # of those that the rows name: version, valid_from, feature_digest (SRV-5)
    signal: NDArray[np.integer]  # of the candles that have one, 0 BUY, 1 SELL, 2 HOLD
    probability: NDArray[np.float32]  # of that signal


def reply_of(found: tuple[Forecasts, ...], lines: tuple[Line, ...]) -> Reply:
    """Return the answer of one line, or the decision of two: unified, then direction."""
    return decision_reply(found, lines) if len(lines) == 2 else forecast_reply(found[0], lines[0])


def forecast_reply(found: Forecasts, line: Line) -> Reply:
    columns: dict[str, Words | NDArray[np.float32]] = {
        "model_version": Words(found.version, found.versions),
        "reason": Words(found.reason_codes, found.reason_words),
    }
    columns |= {name: found.values[:, index] for index, name in enumerate(found.columns)}
    classes = classes_of(found, line.kind)[found.scored]
    digests = {"chain_digest": line.chain_digest}
    told = described(found.version, found.versions, line.versions)
    return Reply(found.block, found.open_ms, columns, digests, told, classes.argmax(1), classes.max(1))


def described(
    codes: NDArray[np.int32], names: tuple[str, ...], of: Iterable[ServedVersion | ServedPolicy]
) -> list[dict[str, str]]:
    """Return what is told of the versions that `codes`, indices into `names`, stand for."""
    known = {each.version: each for each in of}
    made = [known[names[code]] for code in np.unique(codes) if code != NONE]
    return [
        {
            "version": each.version,
            "valid_from": f"{each.manifest.valid_from:%Y-%m-%dT%H:%M:%SZ}",
            "feature_digest": each.feature_digest,
        }
        for each in made
    ]


def classes_of(found: Forecasts, kind: str) -> NDArray[np.float32]:
    """Return the probabilities (rows, 3) of what counts as the signal of a line."""
    return found.values[:, [found.columns.index(name) for name in CLASSES[kind]]]


def decision_reply(found: tuple[Forecasts, ...], lines: tuple[Line, ...]) -> Reply:
    unified, direction = found
    if not np.array_equal(unified.open_ms, direction.open_ms):
        raise ValueError(f"the unified line answers {len(unified.open_ms)} candles, the direction line others")
    decisions = decide(unified.values, direction.values)
    known = decisions.known
    words = (*unified.reason_words, DISAGREE)
    reasons = np.where(unified.scored, direction.reason_codes, unified.reason_codes)
    reasons[unified.scored & direction.scored & ~known] = NOT_FINITE
    reasons[decisions.disagree] = words.index(DISAGREE)

    def where_known(codes: NDArray[np.int32], of: tuple[str, ...]) -> Words:
        return Words(np.where(known, codes, NONE).astype(np.int32), of)

    columns: dict[str, Words | NDArray[np.float32]] = {
        "signal": where_known(decisions.signal, SIGNALS),
        "signal_probability": decisions.signal_probability,
        "model_version": where_known(unified.version, unified.versions),
        "direction_version": where_known(direction.version, direction.versions),
        "reason": Words(reasons.astype(np.int32), words),
    }
    columns |= {name: decisions.values[:, index] for index, name in enumerate(DECISION_COLUMNS)}
    digests = {"chain_digest": lines[0].chain_digest, "direction_chain_digest": lines[1].chain_digest}
    told = [
        each
        for line, found in zip(lines, (unified, direction), strict=True)
        for each in described(found.version[known], found.versions, line.versions)
    ]
    signal, probability = decisions.signal[known], decisions.signal_probability[known]
    return Reply(unified.block, unified.open_ms, columns, digests, told, signal, probability)
