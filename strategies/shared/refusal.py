"""A gate that fails says no: Freqtrade takes an exception in `confirm_trade_entry` for a yes, one in
`custom_stake_amount` for the full stake. From: the strategies' gates. To: Freqtrade."""

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Gate = TypeVar("Gate", bound=Callable[..., Any])


def refuse_on_error(refusal: Any) -> Callable[[Gate], Gate]:
    """Return a decorator: whatever goes wrong inside is logged, and the answer is `refusal`."""

    def decorate(gate: Gate) -> Gate:
        @functools.wraps(gate)
        def safe(*arguments: Any, **keywords: Any) -> Any:
            try:
                return gate(*arguments, **keywords)
            except Exception:
                logger.exception("%s failed: the entry is refused, exits go on", gate.__name__)
                return refusal

        return safe  # type: ignore[return-value]

    return decorate
