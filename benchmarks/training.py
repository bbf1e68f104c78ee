"""Training speed and memory: `python benchmarks/training.py`.

Three ratios, each within one run on one thread: windows/s of both kinds at d_model 64, 2 layers and 37 channels against
bare matrix products of the same machine; peak memory of data preparation against the feature matrix it makes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from nn.forecast.config import load_config
from nn.forecast.dataset import make_training_data
from nn.models.direction import DirectionConfig, DirectionPredictor
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST

CHANNELS, CONTEXT, BATCH = 37, 96, 256
MEGABYTE = 1 << 20


def market(n_rows: int) -> pd.DataFrame:
    """Return a random walk as candles."""
    draw = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.003, n_rows)))
    opened = np.r_[100.0, close[:-1]]
    times = pd.date_range("2024-01-01", periods=n_rows, freq="15min", tz="UTC", unit="ms")
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    volume = draw.uniform(1, 10, n_rows)
    return pd.DataFrame({"date": times, "open": opened, "high": high, "low": low, "close": close, "volume": volume})


def prepare(n_rows: int, features: str) -> None:
    """Prepare three pairs and print megabytes: the peak above the start, and the feature matrix."""
    frames = {f"{name}/USDT": market(n_rows) for name in "ABC"}
    config = load_config(["base"]).data.model_copy(update={"features": features})
    until = (frames["A/USDT"]["date"].iloc[-1] + pd.Timedelta(minutes=15)).to_pydatetime()
    few = {pair: frame.iloc[:8000] for pair, frame in frames.items()}  # libraries are loaded, caches are made
    make_training_data(few, "15m", few["A/USDT"]["date"].iloc[-1].to_pydatetime(), config, CONTEXT)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = peak_memory()
    data = make_training_data(frames, "15m", until, config, CONTEXT)
    after = peak_memory()
    matrix = sum(each.nbytes for each in data.windows.matrices)
    print((after - before) / MEGABYTE, matrix / MEGABYTE)


def peak_memory() -> int:
    """Return the most bytes that this process has held (Linux)."""
    said = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in said.splitlines() if line.startswith("VmHWM")))


def windows_per_second(model: torch.nn.Module, x: torch.Tensor) -> float:
    """Return the speed of five training steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    model.train()
    start = time.perf_counter()
    for _ in range(5):
        answer = model(x)
        heads = answer.values() if isinstance(answer, dict) else [answer]
        optimizer.zero_grad(set_to_none=True)
        torch.stack([head.square().mean() for head in heads]).sum().backward()
        optimizer.step()
    return 5 * len(x) / (time.perf_counter() - start)


def gigaflops() -> float:
    """Return the speed of bare matrix products of the sizes of a layer."""
    a, b = torch.randn(4096, 256), torch.randn(256, 256)
    start = time.perf_counter()
    for _ in range(40):
        a @ b
    return 40 * 2 * 4096 * 256 * 256 / (time.perf_counter() - start) / 1e9


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9, help="turns of each side [9]")
    options.add_argument("--rows", type=int, default=61_344, help="candles of each of three pairs [61,344]")
    options.add_argument("--prepare", choices=("base_40", "candles"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    if chosen.prepare:
        prepare(chosen.rows, chosen.prepare)
        return
    unified = UnifiedPatchTST(PatchTSTConfig(CHANNELS, CONTEXT, d_model=64, n_heads=4, n_layers=2, d_ff=128))
    direction = DirectionPredictor(DirectionConfig(CHANNELS, CONTEXT, (16,), 64, 4, 2, 128))
    x, best, products = torch.randn(BATCH, CONTEXT, CHANNELS), {"unified": 0.0, "direction (mtst)": 0.0}, 0.0
    for _ in range(chosen.rounds):
        for name, model in (("unified", unified), ("direction (mtst)", direction)):
            best[name] = max(best[name], windows_per_second(model, x))
        products = max(products, gigaflops())
    speed = Table("model", "windows/s", "per GFLOP/s of products", title="Training, one thread, float32")
    for name, rate in best.items():
        speed.add_row(name, f"{rate:.0f}", f"{rate / products:.1f}")
    memory = Table("features", "matrix", "peak", "ratio", title="Data preparation, three pairs")
    for features in ("base_40", "candles"):
        command = [sys.executable, __file__, "--prepare", features, "--rows", str(chosen.rows)]
        peak, matrix = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        memory.add_row(features, f"{matrix:.0f} MB", f"{peak:.0f} MB", f"{peak / matrix:.2f}")
    Console().print(speed, memory)


if __name__ == "__main__":
    main()
