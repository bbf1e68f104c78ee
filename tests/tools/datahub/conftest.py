"""Fixtures of the datahub's tests; what they are made of is in hubs.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hubs import Clock, Scripted, served

from tools.datahub.cache import CandleCache
from tools.datahub.hub import Hub
from tools.datahub.metrics import Metrics


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return Scripted()


@pytest.fixture
def make_hub(tmp_path, clock):
    return lambda *sources, **options: Hub(sources, CandleCache(tmp_path / "cache", **options), Metrics(), clock)


@pytest.fixture
def client(make_hub, source):
    with served(make_hub(source)) as client:
        yield client
