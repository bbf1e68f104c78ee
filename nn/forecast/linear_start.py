"""Where training begins: at linear models of the newest row, so that a network only has the rest to learn.

From: a fresh network and train rows. To: `fit`, and `blend` and calibration, which may go back to it.

Every head reads the newest row beside the tokens (MOD-1). Its weights there begin as ridge regression for returns and
risks, as logistic regression for the classes of direction; those for tokens begin at 0. A network of few candles, whose
random start would take more data to forget than there are, so begins as good as the simple forecasters (of volatility:
as Corsi's HAR, 2009, on more inputs), and what it learns is what they leave over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from ..baselines.linear import LEAST, Standard, logistic, ridge
from ..models.direction import DirectionPredictor
from ..models.ensemble import Network
from ..models.losses import DIRECTION, Scales, scaled_numbers
from ..models.unified import UnifiedPatchTST, log_volatility, with_products
from .dataset import Samples, TrainingData

MAX_ROWS = 40_000  # neighbours say nearly the same: more rows cost time and change nothing
RETURN_CLIP = 1.0  # deviations: squares of what lies beyond would drown the rest (nn/LOG.md)
WIDE_CLIP = 4.0  # deviations, where the size of returns is told and not their order
SLOPES = (0.02, 2.0)  # of returns: what has no worth keeps its order and says next to nothing
N_CLASSES = 3
on_one_thread = threadpool_limits.wrap(1, "blas")  # sums would vary with their number, and with them every weight


@dataclass(frozen=True, eq=False)
class Linear:
    """What one head says of the newest row alone."""

    weight: Tensor  # (outputs, C), of scaled features, and of their products where the head reads any
    bias: Tensor  # (outputs,)

    def __call__(self, newest: Tensor) -> Tensor:
        return F.linear(newest, self.weight, self.bias)

    @classmethod
    def nothing(cls, head: nn.Linear) -> Linear:
        """Return what changes no head of this size."""
        return cls(torch.zeros(head.out_features, 1), torch.zeros(head.out_features))

    def put(self, head: nn.Linear) -> None:
        """Make a head of (tokens, newest row) say this and nothing else."""
        self.blend(head, torch.ones_like(self.bias), torch.zeros_like(self.bias))

    def blend(self, head: nn.Linear, of_this: Tensor, of_head: Tensor) -> None:
        """Make a head say `of_this` times this plus `of_head` times what it says now, a factor per output."""
        with torch.no_grad():
            head.weight.mul_(of_head.unsqueeze(-1))
            head.weight[:, -self.weight.shape[1] :] += of_this.unsqueeze(-1) * self.weight
            head.bias.mul_(of_head).add_(of_this * self.bias)


@dataclass(frozen=True, eq=False)
class Start:
    """The linear models of a network's heads."""

    heads: Mapping[str, Linear]  # by name

    def put(self, network: Network) -> None:
        """Let the heads of a network begin here."""
        for name, linear in self.heads.items():
            linear.put(head_of(network, name))

    def raw(self, network: Network, newest: Tensor) -> dict[str, Tensor]:
        """Return what this says of newest rows (B, C), in the shapes of `Recipe.raw`."""
        raw = {name: linear(read_by(network, name, newest)) for name, linear in self.heads.items()}
        raw["direction"] = raw["direction"].unflatten(1, (-1, N_CLASSES)) / temperature(network)
        return raw


@on_one_thread
def linear_start(network: Network, data: TrainingData) -> Start:
    """Return the linear models of train rows, in the units of the network's heads."""
    samples = data.train
    if len(samples) > MAX_ROWS:
        samples = samples.every(-(-len(samples) // MAX_ROWS))
    newest = newest_rows(data, samples)
    standard = Standard.fit(newest, LEAST)
    inputs = standard.inputs(newest)
    values, masks = data.labels(samples)
    heads = {}
    if isinstance(network, UnifiedPatchTST):
        for name, outcomes in number_targets(network, newest, values, masks).items():
            read = read_by(network, name, torch.from_numpy(newest)).numpy()
            own = Standard.fit(read, LEAST)
            rows = own.inputs(read)
            found = np.stack([ridge(rows, outcome) for outcome in outcomes.T], axis=1)
            if name == "returns":
                found[-1] = 0.0  # an offset would repeat which way the train months went
            heads[name] = _of_scaled(own, found)
    weights = []
    for label, known in zip(values[:, DIRECTION].T, masks[:, DIRECTION].T, strict=True):
        weights.append(logistic(inputs[known], label[known].astype(np.int64)))
    heads["direction"] = _of_scaled(standard, np.concatenate(weights, axis=1) * temperature(network))
    return Start(heads)


def read_by(network: Network, name: str, newest: Tensor) -> Tensor:
    """Return what a head reads of newest rows (B, C) beside the tokens."""
    if isinstance(network, UnifiedPatchTST) and name == "risk":
        return with_products(network.config, newest)
    return newest


def newest_rows(data: TrainingData, samples: Samples) -> NDArray[np.float32]:
    """Return the newest row (N, C) of each window, scaled."""
    rows = np.empty((len(samples), len(data.features.names)), dtype=np.float32)
    for pair, matrix in enumerate(data.windows.matrices):
        chosen = samples.pairs == pair
        rows[chosen] = matrix[samples.ends[chosen]]
    return rows


def number_targets(
    network: UnifiedPatchTST,
    newest: NDArray[np.float32],
    values: NDArray[np.float32],
    masks: NDArray[np.bool_],
    clip: float = RETURN_CLIP,
) -> dict[str, NDArray[np.float64]]:
    """Return what the heads of returns and risks are to say (N, 4), NaN where it is not known; returns are clipped."""
    unit = log_volatility(network.config, torch.from_numpy(newest))
    known = torch.from_numpy(np.where(masks, values, np.nan))
    returns, risks = scaled_numbers(known, unit, Scales.of(network))
    return {"returns": returns.clamp(-clip, clip).double().numpy(), "risk": risks.double().numpy()}


@on_one_thread
def blend_numbers(
    networks: Sequence[UnifiedPatchTST], raws: Sequence[Mapping[str, Tensor]], start: Start, data: TrainingData
) -> None:
    """Take back of the heads of returns and risks what they learned as far as validation rows are better off without.

    Each output becomes a point on the line from what it began with to what it learned: the one of least squared error
    (of the members' mean), nowhere beyond the ends. Returns are then multiplied by the slope that validation rows give
    them: what was fitted to noise is too large everywhere else, and a strategy would trade on it. Their mean over those
    rows becomes 0: it would say again which way the train months went.
    """
    newest = newest_rows(data, data.validation)
    labels = data.labels(data.validation)
    targets = number_targets(networks[0], newest, *labels)
    size = number_targets(networks[0], newest, *labels, clip=WIDE_CLIP)["returns"]
    raw = start.raw(networks[0], torch.from_numpy(newest))
    for name, outcome in targets.items():
        begun = raw[name].double().numpy()
        learned = torch.stack([each[name] for each in raws]).mean(0).double().numpy() - begun
        share = np.clip(slope_of(learned, outcome - begun), 0.0, 1.0)
        slope = np.ones_like(share)
        if name == "returns":
            slope = np.clip(slope_of(begun + share * learned, size), *SLOPES)
        of_start, of_head = (torch.from_numpy(each.astype(np.float32)) for each in (slope * (1 - share), slope * share))
        lean = slope * (begun + share * learned).mean(0) if name == "returns" else np.zeros_like(share)
        for network in networks:
            head = head_of(network, name)
            start.heads[name].blend(head, of_start, of_head)
            with torch.no_grad():
                head.bias.sub_(torch.from_numpy(lean.astype(np.float32)))


def slope_of(said: NDArray[np.float64], came: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factor of each column of `said` (N, K) that comes nearest to `came`, NaN where it is not known."""
    known = np.isfinite(came)
    return np.where(known, said * came, 0.0).sum(0) / np.maximum(np.where(known, said**2, 0.0).sum(0), 1e-12)


def head_of(network: Network, name: str) -> nn.Linear:
    """Return a head by name; a direction model has one."""
    head = network.head if isinstance(network, DirectionPredictor) else network.heads[name]
    assert isinstance(head, nn.Linear)
    return head


def temperature(network: Network) -> float:
    """Return what divides a network's direction logits in training."""
    return network.config.direction_temperature if isinstance(network, UnifiedPatchTST) else 1.0


def _of_scaled(standard: Standard, weights: NDArray[np.float64]) -> Linear:
    """Return weights (C + 1, outputs) of standardised inputs as those of the scaled features themselves."""
    weight = weights[:-1] / standard.deviation[:, None]
    bias = weights[-1] - standard.mean @ weight
    return Linear(torch.from_numpy(weight.T.astype(np.float32)), torch.from_numpy(bias.astype(np.float32)))
