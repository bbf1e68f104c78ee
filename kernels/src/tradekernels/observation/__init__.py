"""What a policy sees: 56 values of market, account and pair at the close of a bar. From: candles. To: float32 rows.

>>> from tradekernels.observation import BLOCKS, SLOTS
>>> [slot.name for slot in SLOTS[BLOCKS["micro"]]]
['ofi_proxy', 'quantity_imbalance', 'microstructure_deviation']
"""

from .agent import AGENT_FIELDS, AgentWindow
from .market import INPUTS
from .observation_set import ObservationSet, observation_set, saturation
from .slots import BLOCKS, LAYOUT_DIGEST, MAX_NUM_TOKENS, SLOTS, Slot, blocks_of, slots_of
from .statistics import Statistics
from .stream import Stream
from .training import fit

__all__ = [
    "AGENT_FIELDS", "BLOCKS", "INPUTS", "LAYOUT_DIGEST", "MAX_NUM_TOKENS", "SLOTS", "AgentWindow", "ObservationSet",
    "Slot", "Statistics", "Stream", "blocks_of", "fit", "observation_set", "saturation", "slots_of",
]  # fmt: skip
