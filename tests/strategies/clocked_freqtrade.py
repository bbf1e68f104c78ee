"""Freqtrade with a clock that a test sets: `python clocked_freqtrade.py CLOCK_FILE trade ...`.

From: a file with the present as seconds since 1970. To: every `datetime.now` and the throttle of an otherwise
unmodified Freqtrade, so that a day of candles passes in seconds. The file stands still until the test writes it again.
"""

import datetime as real
import importlib
import pkgutil
import sys
import time
import types
from pathlib import Path

CLOCK = Path(sys.argv[1])


def seconds():
    """Return the present that the test has set."""
    while not (text := CLOCK.read_text()):  # in the middle of being written
        time.sleep(0.001)
    return float(text)


class AnyDatetime(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, real.datetime)


class Datetime(real.datetime, metaclass=AnyDatetime):
    @classmethod
    def now(cls, tz=None):
        return real.datetime.fromtimestamp(seconds(), tz)


def main():
    import freqtrade.exchange.binance
    import freqtrade.freqtradebot
    import freqtrade.main
    import freqtrade.worker

    for package in ("freqtrade.plugins.pairlist", "freqtrade.strategy", "freqtrade.persistence"):  # loaded late, else
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
    for name, module in list(sys.modules.items()):
        if name.startswith("freqtrade") and getattr(module, "datetime", None) is real.datetime:
            module.datetime = Datetime
    freqtrade.util.datetime_helpers.time = seconds
    freqtrade.worker.time = types.SimpleNamespace(time=seconds, sleep=lambda _: time.sleep(0.05))
    freqtrade.main.main(sys.argv[2:])


if __name__ == "__main__":
    main()
