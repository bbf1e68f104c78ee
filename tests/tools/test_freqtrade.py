"""Layers of configuration: merged, private, without secrets (CFG-1, CFG-3)."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import UserError
from tools.freqtrade import at_port, merge, private_config, read_layer
from tools.home import Home

layer = st.recursive(
    st.integers() | st.lists(st.integers()), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner)
)
layers = st.dictionaries(st.sampled_from("abcd"), layer)


def test_objects_are_merged_and_the_rest_is_replaced():
    below = {"exchange": {"name": "binance", "pair_whitelist": ["A"]}, "stake": 1}
    assert merge(below, {"exchange": {"pair_whitelist": ["B"]}}) == {
        "exchange": {"name": "binance", "pair_whitelist": ["B"]},
        "stake": 1,
    }


def leaves(config, path=()):
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        elif not isinstance(value, dict):
            yield (*path, key), value


@given(layers, layers)
def test_the_layer_to_the_right_has_the_last_word_and_the_left_one_is_kept_whole(below, above):
    merged = dict(leaves(merge(below, above)))
    assert all(merged[path] == value for path, value in leaves(above))
    assert merge(below, {}) == below
    assert merge({}, above) == above


@pytest.mark.parametrize("key", ["key", "secret", "password", "jwt_secret_key"])
def test_a_secret_in_a_layer_is_refused_with_the_variable_to_use(tmp_path, key):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"exchange": {key: "abc"}}))
    with pytest.raises(UserError, match=f"FREQTRADE__EXCHANGE__{key.upper()}") as caught:
        read_layer(path)
    assert "abc" not in str(caught.value)


def test_a_missing_or_broken_layer_is_named(tmp_path):
    (tmp_path / "base.json").write_text("{")
    with pytest.raises(UserError, match=r"base\.json: not JSON"):
        read_layer(tmp_path / "base.json")
    with pytest.raises(UserError, match=r"nope\.json: no such configuration layer; this folder has: base"):
        read_layer(tmp_path / "nope.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserError, match="JSON object, this is a list"):
        read_layer(tmp_path / "list.json")


def test_the_merged_file_is_private_and_gone_afterwards(tmp_path):
    with private_config(Home(tmp_path, tmp_path), {"a": 1}) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text()) == {"a": 1}
    assert not path.exists()


def test_the_exchange_s_port_is_replaced_in_every_address():
    config = {"urls": {"api": {"public": "http://127.0.0.1:8086/api/v3"}}, "list": ["ws://127.0.0.1:8086/x"], "n": 8086}
    assert at_port(config, 9) == {
        "urls": {"api": {"public": "http://127.0.0.1:9/api/v3"}},
        "list": ["ws://127.0.0.1:9/x"],
        "n": 8086,
    }
