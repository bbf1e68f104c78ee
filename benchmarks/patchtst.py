"""PatchTST beside Hugging Face's and neuralforecast's: equal answers under equal weights, and training speed.

`python benchmarks/patchtst.py --peers` installs both aside (some 300 MB, once) and prints two tables; without it, what
is installed already is used. One thread for every side; sides take turns and each keeps its best round.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from nn.models.patchtst import PatchTST  # noqa: E402
from nn.models.patchtst_weights import from_authors, from_transformers  # noqa: E402

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "candlewright-peers"
SITE = CACHE / f"patchtst-{sys.version_info.major}.{sys.version_info.minor}"
# context, channels, prediction, d_model, heads, layers, d_ff, batch: of the paper's runs on ETT and Weather
SIZES = ((336, 7, 96, 16, 4, 3, 128, 32), (336, 7, 96, 128, 16, 3, 256, 16), (512, 21, 96, 128, 16, 3, 256, 4))


def install() -> None:
    """Put the peers beside, their sources only where that suffices; never into this environment."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(SITE)]
    subprocess.run([*pip, "transformers==5.23.0"], check=True)
    subprocess.run([*pip, "--no-deps", "neuralforecast==3.3.0"], check=True)


def authors_backbone() -> Callable[..., torch.nn.Module]:
    """Return the authors' backbone out of neuralforecast's copy, without the framework around it."""
    source = (SITE / "neuralforecast/models/patchtst.py").read_text()
    source = source[: source.index("class PatchTST(BaseModel)")]
    for line in ("from ..common._base_model import BaseModel", "from ..losses.pytorch import MAE"):
        source = source.replace(line, "")
    modules = (SITE / "neuralforecast/common/_modules.py").read_text()
    revin = modules[modules.index("class RevIN(") :].split("\nclass ")[0]
    made = types.ModuleType("authors")
    code = "import torch\nimport torch.nn as nn\n" + revin + source.replace("from ..common._modules import RevIN", "")
    exec(compile(code, "neuralforecast/models/patchtst.py", "exec"), made.__dict__)
    return made.PatchTST_backbone


def hugging_face(context: int, channels: int, horizon: int, d: int, heads: int, layers: int, d_ff: int):
    """Return Hugging Face's model of this size, with the dropouts and the norms of the paper."""
    theirs = importlib.import_module("transformers")
    return theirs.PatchTSTForPrediction(
        theirs.PatchTSTConfig(
            num_input_channels=channels, context_length=context, prediction_length=horizon, patch_length=16,
            patch_stride=8, d_model=d, num_attention_heads=heads, num_hidden_layers=layers, ffn_dim=d_ff,
            norm_type="batchnorm", pre_norm=False, scaling="std", use_cls_token=False, pooling_type=None, loss="mse",
            positional_encoding_type="random", ff_dropout=0.2, path_dropout=0.2, positional_dropout=0.2,
        )
    )  # fmt: skip


def ours(context: int, channels: int, horizon: int, d: int, heads: int, layers: int, d_ff: int, **other) -> PatchTST:
    return PatchTST(
        channels, context, horizon, d_model=d, n_heads=heads, n_layers=layers, d_ff=d_ff, dropout=0.2, **other
    )


def agreement() -> list[tuple[str, float, float]]:
    """Return per peer the largest difference between answers, and the largest answer."""
    context, channels, horizon, d, heads, layers, d_ff, batch = SIZES[0]
    x = torch.randn(batch, context, channels) * 3 + 50
    peer = authors_backbone()(
        c_in=channels, c_out=1, input_size=context, h=horizon, patch_len=16, stride=8, n_layers=layers,
        hidden_size=d, n_heads=heads, linear_hidden_size=d_ff, padding_patch="end", dropout=0.2,
    )  # fmt: skip
    for _ in range(3):  # so that the running means of BatchNorm are not at their start
        peer(x.transpose(1, 2))
    mine = ours(*SIZES[0][:-1], revin_affine=True)
    mine.load_state_dict(from_authors(peer.state_dict()))
    found = [("authors' module (neuralforecast 3.3.0)", peer.eval()(x.transpose(1, 2)).transpose(1, 2), mine.eval()(x))]
    peer = hugging_face(*SIZES[0][:-1])
    for _ in range(3):
        peer(past_values=x, future_values=x[:, :horizon])
    mine = ours(*SIZES[0][:-1], residual_attention=False, padding=None)
    mine.load_state_dict(from_transformers(peer.state_dict()))
    found.append(("Hugging Face (transformers 5.23.0)", peer.eval()(past_values=x).prediction_outputs, mine.eval()(x)))
    return [(name, (a - b).abs().max().item(), a.abs().max().item()) for name, a, b in found]


def windows_per_second(model: torch.nn.Module, predict: Callable, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the speed of two training steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    start = time.perf_counter()
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        (predict(x, y) - y).square().mean().backward()
        optimizer.step()
    return 2 * len(x) / (time.perf_counter() - start)


def race(size: tuple[int, ...], rounds: int) -> dict[str, float]:
    """Return the best windows/s of each side over so many rounds."""
    *shape, batch = size
    x, y = torch.randn(batch, shape[0], shape[1]), torch.randn(batch, shape[2], shape[1])
    peer = hugging_face(*shape)
    full, plain = ours(*shape), ours(*shape, residual_attention=False, padding=None)
    sides = {
        "Hugging Face": (peer, lambda x, y: peer(past_values=x, future_values=y).prediction_outputs),
        "paper form": (full, lambda x, y: full(x)),
        "without residual attention, as theirs": (plain, lambda x, y: plain(x)),
    }
    best = dict.fromkeys(sides, 0.0)
    for _ in range(rounds):
        for name, (model, predict) in sides.items():
            best[name] = max(best[name], windows_per_second(model, predict, x, y))
    return best


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peers", action="store_true", help=f"install the peers into {SITE} if they are not there")
    options.add_argument("--rounds", type=int, default=7, help="turns of each side [7]")
    chosen = options.parse_args()
    complete = SITE / "complete"
    if not complete.exists():
        if not chosen.peers:
            options.exit(2, "error: the peers are not installed; --peers installs them aside\n")
        install()
        complete.touch()
    sys.path.append(str(SITE))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    equal = Table("weights from", "largest difference", "largest answer", title="The same weights, the same answers")
    for name, difference, size in agreement():
        equal.add_row(name, f"{difference:.1e}", f"{size:.1f}")
    speed = Table("size", "side", "windows/s", "ratio", title="Training, one thread, float32")
    for size in SIZES:
        best = race(size, chosen.rounds)
        for number, (name, rate) in enumerate(best.items()):
            label = f"context {size[0]}, {size[1]} channels, d_model {size[3]}" if not number else ""
            speed.add_row(label, name, f"{rate:.0f}", f"{rate / best['Hugging Face']:.2f}")
    Console().print(equal, speed)


if __name__ == "__main__":
    main()
