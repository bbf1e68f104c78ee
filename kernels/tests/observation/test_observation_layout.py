"""The one order of the vector (OBS-57, OBS-58)."""

import hashlib
import json

import numpy as np
import pytest

from tradekernels.features import CATALOG
from tradekernels.observation import BLOCKS, LAYOUT_DIGEST, SLOTS, blocks_of, observation_set, slots_of

NAMES = (
    "price", "log_volume_norm", "rel_volume", "ret_bar", "vol_proxy", "ma5", "ma5_valid", "ma20", "ma20_valid", "rsi",
    "macd", "macd_signal", "momentum", "atr", "cci", "obv", "bb_position", "bb_width", "ofi_proxy",
    "quantity_imbalance", "microstructure_deviation", "cash_ratio", "position_ratio", "volume_imbalance",
    "trade_intensity", "realized_spread", "agent_fill_ratio", "is_high_importance", "time_since_event",
    "risk_off_flag", "fear_greed_value", "fear_greed_indicator", "cvd_24h", "cvd_168h", "yang_zhang_24h",
    "yang_zhang_168h", "garch_12h", "garch_24h", "ret_15m", "ret_60m", "ret_5m", "sma_60", "yang_zhang_720h",
    "parkinson_24h", "parkinson_168h", "garch_500m", "taker_buy_ratio", "tbr_sma_24h", "tbr_sma_6h", "tbr_sma_12h",
    "tbr_momentum_1h", "tbr_momentum_6h", "tbr_momentum_12h", "num_tokens_norm", "token_id_norm", "token_onehot[0]",
)  # fmt: skip
BOUNDS = {
    "bar": (0, 2), "derived": (3, 4), "technical": (5, 17), "micro": (18, 20), "agent": (21, 26), "metadata": (27, 31),
    "external": (32, 52), "token": (53, 55),
}  # fmt: skip


def test_there_are_56_slots_in_the_order_of_the_table():
    """OBS-57, OBS-58."""
    assert tuple(slot.name for slot in SLOTS) == NAMES
    assert [slot.index for slot in SLOTS] == list(range(56))
    assert [slot.id for slot in SLOTS] == [f"OBS-{k}" for k in range(56)]


@pytest.mark.parametrize("block", BOUNDS)
def test_each_block_lies_where_block_wise_clipping_expects_it(block):
    """OBS-57."""
    first, last = BOUNDS[block]
    assert BLOCKS[block] == slice(first, last + 1)
    assert {slot.block for slot in SLOTS[BLOCKS[block]]} == {block}


def test_the_digest_is_of_index_name_and_block():
    """OBS-57: what changes it refuses to serve, so the value itself is held here."""
    content = json.dumps([[slot.index, slot.name, slot.block] for slot in SLOTS])
    assert hashlib.sha256(content.encode()).hexdigest() == LAYOUT_DIGEST
    assert LAYOUT_DIGEST == "a48e7ab87a9f00b9debad44c8d3a2f52ed08cf8473a88d3e2efa1be23e30f5d3"


def test_the_external_block_is_the_catalogues_features_184_to_204():
    """FEA-184..204 in slot order."""
    assert [CATALOG[slot.name].id for slot in SLOTS[BLOCKS["external"]]] == [f"FEA-{k}" for k in range(184, 205)]


def test_more_tokens_lengthen_the_one_hot_block_and_move_nothing(sets):
    """OBS-58: 55 + MAX_NUM_TOKENS."""
    slots = slots_of(3)
    assert [slot.name for slot in slots[55:]] == ["token_onehot[0]", "token_onehot[1]", "token_onehot[2]"]
    assert slots[:56] == SLOTS
    assert blocks_of(3)["token"] == slice(53, 58)
    many = observation_set(sets().statistics, ("BTC/USDT", "ETH/USDT"), 3)
    assert many.names == (*NAMES, "token_onehot[1]", "token_onehot[2]")


@pytest.mark.parametrize(("token", "expected"), [(0, (2 / 3, 0, 1, 0, 0)), (1, (2 / 3, 1 / 3, 0, 1, 0))])
def test_the_token_block_says_which_pair_it_is(sets, observed_frame, token, expected):
    """OBS-53..55."""
    many = observation_set(sets().statistics, ("BTC/USDT", "ETH/USDT"), 3)
    rows = many.compute(observed_frame(5), token=token)
    np.testing.assert_array_equal(rows[:, 53:], np.tile(np.float32(expected), (5, 1)))


def test_slot_3_is_named_after_the_hour_only_where_the_bar_is_one(sets):
    """OBS-3."""
    assert sets("candles", "1h").names[3] == "ret_1h"
    assert sets("candles", "15m").names[3] == "ret_bar"
    assert sets("candles", "4h").names[3] == "ret_bar"
