"""What a caller may name: pairs in two forms, and nothing that a path could be made of (LIM-5, HUB-6)."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.service.errors import Refused
from tools.datahub.symbols import file_stem, parse_pair

KEY = "k" * 32


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("BTC/USDT", "BTC/USDT"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT"),
        ("BTC_USDT", "BTC/USDT"),
        ("BTC_USDT_USDT", "BTC/USDT:USDT"),
        ("1000SHIB/USDT:USDT", "1000SHIB/USDT:USDT"),
    ],
)
def test_both_forms_name_the_same_pair(text, pair):
    assert parse_pair(text) == pair


HOSTILE = [
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "BTC/../USDT",
    "BTC/USDT/..",
    "..%2f..",
    "%2e%2e/USDT",
    "BTC%2FUSDT",
    "BTC/USDT\x00",
    "BTC/USDT\n",
    "BTC/USDT:USDT:USDT",
    "BTC_USDT:USDT",
    "BTC/USDT_USDT",
    "btc/usdt",
    "ＢＴＣ/USDT",
    "BTC\\USDT",
    "A" * 21 + "/USDT",
    "BTC/" + "U" * 11,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_anything_else_is_refused_and_not_repeated(text):
    with pytest.raises(Refused) as refusal:
        parse_pair(text)
    assert refusal.value.status == 400
    assert not text or text not in refusal.value.reason


@given(st.text(alphabet=st.sampled_from("ABZ019_/:.%\\\x00 -~\n"), max_size=60))
def test_a_file_name_is_capitals_digits_and_underscores_whatever_was_sent(text):
    try:
        stem = file_stem(parse_pair(text), "15m")
    except Refused:
        return
    assert set(stem.removesuffix("-15m")) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


TARGETS = [
    "/history/../../../../etc/passwd",
    "/history/%2e%2e/%2e%2e/etc/passwd",
    "/history/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/history/%252e%252e%252fetc",
    "/history//etc/passwd",
    "/history/%2Fetc%2Fpasswd",
    "/history/BTC%2F..%2FUSDT",
    "/history/BTC_USDT%00",
    "/history/BTC_USDT%00.parquet",
    "/history/BTC%5CUSDT",
    "/history/BTC_USDT%0a",
    "/price/BTC_USDT%0a",
    "/price/..",
    "/price/%ff%fe",
    "/history/BTC_USDT?timeframe=../15m",
    "/history/BTC_USDT?timeframe=15m%00",
    "/history/BTC_USDT?timeframe=%2e%2e",
]


def test_hostile_paths_on_the_wire_reach_no_source_and_no_file(client, source, tmp_path):
    """Sent as they stand: a client library would tidy them first."""
    for target in TARGETS:
        answer = raw(client.base_url.port, target)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), target
        assert b"root:" not in answer
        assert str(tmp_path).encode() not in answer
    assert source.asked == 0
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_both_forms_are_one_series_on_the_wire(client, source):
    targets = ("/history/BTC_USDT_USDT", "/history/BTC%2FUSDT%3AUSDT", "/history/BTC/USDT:USDT")
    assert [raw(client.base_url.port, target)[:12] for target in targets] == [b"HTTP/1.1 200"] * 3
    assert source.asked == 1


def raw(port, target):
    with socket.create_connection(("127.0.0.1", port), timeout=120) as wire:
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-KEY: {KEY}\r\nConnection: close\r\n\r\n"
        wire.sendall(head.encode("latin-1"))
        received = b""
        while chunk := wire.recv(65536):
            received += chunk
    return received
