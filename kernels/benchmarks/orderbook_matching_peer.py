"""The fastest matching engine of PyPI we know, orderly-chaos. From: the package index. To: orderbook_matching.py.

Its Python interface is a ctypes call a message, so a loop of C drives its C interface instead, in this process and on
the same arrays; a callback writes its trades to a tape. It keeps no order events, and has no icebergs, stops, FOK,
post-only or self-trade prevention.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from peer_virtualenv import folder, python_of

from tradekernels.orderbook.matching import MESSAGE, TRADE

PACKAGE = "orderly-chaos==0.2.0"
LOOP = """
#include <stdint.h>
#pragma pack(push, 1)
typedef struct {
    int64_t time, id, lots, peak;
    int32_t tick, stop_tick, owner;
    uint8_t kind;
    int8_t side;
    uint8_t policy, guard;
} message;
typedef struct { int64_t time, taker, maker, lots; int32_t tick, side; } trade;
#pragma pack(pop)
typedef struct { uint64_t taker, maker, price; uint32_t lots, left; int32_t side; } oc_trade;
typedef struct { trade *next; int64_t time; } tape;

int32_t oc_book_limit(void *, int32_t, uint64_t, uint32_t, uint64_t, uint32_t *);
int32_t oc_book_market(void *, int32_t, uint64_t, uint32_t, uint32_t *);
int32_t oc_book_cancel(void *, uint64_t);
int32_t oc_book_clear(void *);
int32_t oc_book_set_trade_callback(void *, void (*)(const oc_trade *, void *), void *);

static void note(const oc_trade *t, void *to) {
    tape *out = to;
    trade row = { out->time, t->taker, t->maker, t->lots, (int32_t)t->price, t->side ? 1 : -1 };
    *out->next++ = row;
}

int64_t drive(void *book, const message *m, int64_t n, trade *trades) {
    tape out = { trades, 0 };
    oc_book_clear(book);
    oc_book_set_trade_callback(book, note, &out);
    for (int64_t i = 0; i < n; i++, m++) {
        out.time = m->time;
        if (m->kind == 0) oc_book_limit(book, m->side > 0, m->id, m->lots, m->tick, 0);
        else if (m->kind == 1) oc_book_market(book, m->side > 0, m->id, m->lots, 0);
        else oc_book_cancel(book, m->id);
    }
    return out.next - trades;
}
"""


def library() -> Path | None:
    """Return the peer's library, installed aside once; None, and a line that says why, where that fails."""
    home = folder().with_name(f"matching-{folder().name}")
    found = list(home.rglob("lib_orderly_chaos*.so"))
    if not found:
        print(f"installing {PACKAGE} into {home}, once", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        pip = [python_of(home), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1", PACKAGE]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
        if done.returncode:
            print(f"{PACKAGE} could not be installed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        found = list(home.rglob("lib_orderly_chaos*.so"))
    return found[0]


class OrderlyChaos:
    """A book of the peer; call it with messages (limit, market, cancel) to get its trades."""

    def __init__(self, path: Path, n_trades: int):
        self.trades = np.zeros(n_trades, TRADE)
        with tempfile.TemporaryDirectory() as aside:
            source, driver = Path(aside) / "loop.c", Path(aside) / "loop.so"
            source.write_text(LOOP)
            compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
            build = [compiler, "-O3", "-shared", "-fPIC", source, path, f"-Wl,-rpath,{path.parent}", "-o", driver]
            subprocess.run(build, check=True)
            peer, self.loop = ctypes.CDLL(str(path)), ctypes.CDLL(str(driver))
        peer.oc_book_new.restype = ctypes.c_void_p
        self.loop.drive.restype = ctypes.c_int64
        self.book = ctypes.c_void_p(peer.oc_book_new())

    def __call__(self, messages: np.ndarray) -> np.ndarray:
        """Return a view of the trades of a batch, taken by an empty book."""
        assert messages.dtype == MESSAGE
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (messages, self.trades)]
        n = self.loop.drive(self.book, pointers[0], ctypes.c_int64(len(messages)), pointers[1])
        return self.trades[:n]
