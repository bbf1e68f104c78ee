"""The page in a real browser: it runs alone, every figure is drawn, nothing is fetched, nothing complains (KTW-12)."""

import json
import shutil
import struct
import zlib

import pytest

from tools.report.__main__ import main

from .conftest import START_MS, STEP

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "<img src=x onerror=alert(1)></script><script>window.owned=1</script><a href='javascript:window.owned=1'>x</a>"
