"""PatchTST (Nie et al., ICLR 2023, arXiv:2211.14730): a transformer over patches of a series; nothing of trading in it.

From: float series of shape (batch, time, channels). To: forecasts (batch, prediction_length, channels), or the encoded
patches where there is no head, as `unified` and `direction` read them. docs/patchtst.md says which name is which in the
paper and in other implementations, whose weights `patchtst_weights` reads.

One module, two forms (MOD-1):

- the *paper form*, which the defaults build: every channel by itself through the same weights, each window normalised
  by its own mean and deviation (RevIN), BatchNorm after each step, attention scores handed from layer to layer;
- the *trading form*, `PatchTST.trading(...)`: a patch over all channels is one token, LayerNorm comes before each step,
  and windows keep their level and volatility, the part of engineered features that can be predicted.
"""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from torch import Tensor, nn

from .attention import attention
from .dropout import Dropout

NORMS = ("batch", "layer")
ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}


class RevIN(nn.Module):
    """Reversible instance normalisation (Kim et al., ICLR 2022): each window by its own location and deviation.

    Parameters
    ----------
    n_channels : int
        Channels C of the series.
    affine : bool
        Learn a weight and a bias per channel.
    subtract_last : bool
        The location is the newest value, not the mean.
    eps : float
        Added to the variance.
    """

    def __init__(self, n_channels: int, affine: bool = False, subtract_last: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.subtract_last, self.eps = subtract_last, eps
        self.weight = nn.Parameter(torch.ones(n_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(n_channels)) if affine else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the normalised windows (B, L, C), and their location and deviation, each (B, 1, C)."""
        deviation = (x.var(1, keepdim=True, unbiased=False) + self.eps).sqrt().detach()
        location = (x[:, -1:] if self.subtract_last else x.mean(1, keepdim=True)).detach()
        x = (x - location) / deviation
        if self.weight is not None and self.bias is not None:
            x = x * self.weight + self.bias
        return x, location, deviation

    def reverse(self, y: Tensor, location: Tensor, deviation: Tensor) -> Tensor:
        """Return answers (B, H, C) in the units of the windows."""
        if self.weight is not None and self.bias is not None:
            y = (y - self.bias) / (self.weight + self.eps * self.eps)
        return y * deviation + location


class TokenBatchNorm(nn.BatchNorm1d):
    """BatchNorm of each of the d_model numbers over all tokens of all windows: (B, N, d_model) -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, -2)).view(x.shape)  # tokens are rows: no transposed copy


class EncoderLayer(nn.Module):
    """Attention, then two dense layers, each added to what came in and normalised before or after."""

    def __init__(
        self, d_model: int, n_heads: int, d_ff: int, dropout: float, attention_dropout: float, activation: str,
        norm: str, pre_norm: bool, residual_attention: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        make_norm = TokenBatchNorm if norm == "batch" else nn.LayerNorm
        self.n_heads, self.pre_norm, self.residual_attention = n_heads, pre_norm, residual_attention
        self.attention_dropout = Dropout(attention_dropout)
        self.norm_attention = make_norm(d_model)
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.project = nn.Linear(d_model, d_model)
        self.norm_dense = make_norm(d_model)
        self.dense = nn.Sequential(
            nn.Linear(d_model, d_ff), ACTIVATIONS[activation](), Dropout(dropout), nn.Linear(d_ff, d_model)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, scores: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the tokens (B, N, d_model) and this layer's attention scores before softmax, if the next adds them."""
        if self.pre_norm:
            mixed, scores = self.attend(self.norm_attention(x), scores)
            x = x + self.dropout(mixed)
            return x + self.dropout(self.dense(self.norm_dense(x))), scores
        mixed, scores = self.attend(x, scores)
        x = self.norm_attention(x + self.dropout(self.dropout(mixed)))  # the authors drop twice here
        return self.norm_dense(x + self.dropout(self.dense(x))), scores

    def attend(self, x: Tensor, scores: Tensor | None) -> tuple[Tensor, Tensor | None]:
        B, N, D = x.shape
        H, d_head = self.n_heads, D // self.n_heads
        q, k, v = self.query_key_value(x).view(B, N, 3, H, d_head).permute(2, 0, 3, 1, 4).reshape(3, B * H, N, d_head)
        mixed, scores = attention(q, k, v, scores)
        mixed = mixed.view(B, H, N, d_head)
        mixed = self.project(mixed.transpose(1, 2).reshape(B, N, D))
        return mixed, scores if self.residual_attention else None


class PatchTST(nn.Module):
    """A patch time series transformer; the defaults are the paper's form.

    Parameters
    ----------
    n_channels : int
        Channels C of the series (the paper's M).
    context_length : int
        Steps read (L, the look-back window).
    prediction_length : int, optional
        Steps forecast (T). None builds no head: `forward` gives the encoded patches.
    patch_length, stride : int
        Steps in a patch (P) and between patch starts (S).
    d_model, n_heads, n_layers, d_ff : int
        Width of a token (D), attention heads (H), encoder layers, width of the dense layer inside each (F).
    dropout, attention_dropout, head_dropout : float
        Probabilities, in training only: in the encoder, of attention weights, of the head's answer.
    channel_independent : bool
        True: a token is a patch of one channel, and channels meet nowhere. False: it is a patch of all channels.
    norm : {"batch", "layer"}
        Over all tokens of the batch, or within each token.
    pre_norm : bool
        Normalise before each step (and once at the end) instead of after.
    residual_attention : bool
        Each layer adds its attention scores to those of the layer before.
    revin, revin_affine, subtract_last : bool
        Normalise each window (`RevIN`), with learned weight and bias per channel, from its newest value.
    padding : {"end"} or None
        "end" repeats the newest step `stride` times, which makes one more patch. None begins with the first step from
        which whole patches reach the newest one.
    individual_head : bool
        A head for each channel instead of one for all.
    activation : {"gelu", "relu"}
        Of the dense layers.

    Raises
    ------
    ValueError
        For sizes that do not fit each other, by name; from `forward` for a series of another shape.
    """

    def __init__(
        self,
        n_channels: int,
        context_length: int,
        prediction_length: int | None = None,
        *,
        patch_length: int = 16,
        stride: int = 8,
        d_model: int = 128,
        n_heads: int = 16,
        n_layers: int = 3,
        d_ff: int = 256,
        dropout: float = 0.2,
        attention_dropout: float = 0.0,
        head_dropout: float = 0.0,
        channel_independent: bool = True,
        norm: Literal["batch", "layer"] = "batch",
        pre_norm: bool = False,
        residual_attention: bool = True,
        revin: bool = True,
        revin_affine: bool = False,
        subtract_last: bool = False,
        padding: Literal["end"] | None = "end",
        individual_head: bool = False,
        activation: Literal["gelu", "relu"] = "gelu",
    ) -> None:
        super().__init__()
        sizes = {
            "n_channels": n_channels, "context_length": context_length, "patch_length": patch_length, "stride": stride,
            "d_model": d_model, "n_heads": n_heads, "n_layers": n_layers, "d_ff": d_ff,
        }  # fmt: skip
        if prediction_length is not None:
            sizes["prediction_length"] = prediction_length
        _check(sizes, {"dropout": dropout, "attention_dropout": attention_dropout, "head_dropout": head_dropout})
        _check_choice("norm", norm, NORMS)
        _check_choice("activation", activation, tuple(ACTIVATIONS))
        _check_choice("padding", padding, ("end", None))
        if prediction_length is not None and not channel_independent:
            raise ValueError("prediction_length needs channel_independent=True: a mixed token forecasts no one channel")
        if individual_head and prediction_length is None:
            raise ValueError("individual_head needs a prediction_length")
        self.n_channels, self.context_length, self.prediction_length = n_channels, context_length, prediction_length
        self.patch_length, self.stride, self.padding = patch_length, stride, padding
        self.channel_independent = channel_independent
        self.n_patches = (context_length - patch_length) // stride + 1 + (padding == "end")
        self.revin = RevIN(n_channels, revin_affine, subtract_last) if revin else None
        self.embed = nn.Linear(patch_length * (1 if channel_independent else n_channels), d_model)
        self.position = nn.Parameter(torch.empty(self.n_patches, d_model).uniform_(-0.02, 0.02))
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(
                d_model, n_heads, d_ff, dropout, attention_dropout, activation, norm, pre_norm, residual_attention
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model) if pre_norm else nn.Identity()
        self.heads = nn.ModuleList()
        if prediction_length is not None:
            n_answers = n_channels if individual_head else 1
            self.heads.extend(nn.Linear(self.n_patches * d_model, prediction_length) for _ in range(n_answers))
        self.head_dropout = Dropout(head_dropout)

    @classmethod
    def trading(
        cls, n_channels: int, context_length: int = 96, *, patch_length: int = 16, stride: int = 8, d_model: int = 128,
        n_heads: int = 8, n_layers: int = 3, d_ff: int = 256, dropout: float = 0.3,
    ) -> Self:  # fmt: skip
        """Return the trading form without a head: one token per patch over all channels, pre-norm, no RevIN."""
        return cls(
            n_channels, context_length, patch_length=patch_length, stride=stride, d_model=d_model, n_heads=n_heads,
            n_layers=n_layers, d_ff=d_ff, dropout=dropout, attention_dropout=dropout, channel_independent=False,
            norm="layer", pre_norm=True, residual_attention=False, revin=False, padding=None,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the forecast, or the encoded patches.

        Parameters
        ----------
        x : Tensor of shape (batch, context_length, n_channels), float
            Oldest step first.

        Returns
        -------
        Tensor
            (batch, prediction_length, n_channels) with a head. Without: (batch, n_channels, n_patches, d_model) where
            channels are independent, (batch, n_patches, d_model) where they share tokens.
        """
        if x.ndim != 3 or x.shape[1:] != (self.context_length, self.n_channels):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, context_length {self.context_length},"
                f" n_channels {self.n_channels})"
            )
        if self.revin is None:
            return self.answer(x)
        x, location, deviation = self.revin(x)
        y = self.answer(x)
        return self.revin.reverse(y, location, deviation) if self.heads else y

    def answer(self, x: Tensor) -> Tensor:
        """Return what `forward` does, without normalising windows."""
        tokens = self.encode(self.embed(self.patches(x)))
        if self.channel_independent:
            tokens = tokens.unflatten(0, (x.shape[0], self.n_channels))
        return self.head_dropout(self.predict(tokens)).transpose(1, 2) if self.heads else tokens

    def patches(self, x: Tensor) -> Tensor:
        """Return (sequences, n_patches, numbers in a patch): a sequence is a window, or one channel of a window."""
        if self.padding == "end":
            x = torch.cat([x, x[:, -1:].expand(-1, self.stride, -1)], dim=1)
        else:
            x = x[:, (self.context_length - self.patch_length) % self.stride :]
        B, L, C = x.shape
        if self.channel_independent:
            return x.transpose(1, 2).reshape(B * C, L).unfold(1, self.patch_length, self.stride)
        # Row-major: the bars of a patch are one run of memory, so patches are slices of the flattened window.
        return x.reshape(B, L * C).unfold(1, self.patch_length * C, self.stride * C)

    def encode(self, embedded: Tensor) -> Tensor:
        """Return the encoded tokens (S, n_patches, d_model) of embedded patches, which have no position yet."""
        x, scores = self.dropout(embedded + self.position), None
        for layer in self.layers:
            x, scores = layer(x, scores)
        return self.norm(x)

    def predict(self, tokens: Tensor) -> Tensor:
        """Return (B, C, prediction_length) from tokens (B, C, n_patches, d_model), flattened d_model first."""
        flat = tokens.transpose(-2, -1).flatten(-2)
        if len(self.heads) == 1:
            return self.heads[0](flat)
        return torch.stack([head(flat[:, channel]) for channel, head in enumerate(self.heads)], dim=1)


def _check(sizes: dict[str, int], probabilities: dict[str, float]) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")
    if sizes["patch_length"] > sizes["context_length"]:
        raise ValueError(f"patch_length is {sizes['patch_length']}, context_length only {sizes['context_length']}")
    if sizes["d_model"] % sizes["n_heads"]:
        raise ValueError(f"d_model is {sizes['d_model']}, not a multiple of n_heads {sizes['n_heads']}")
    for name, share in probabilities.items():
        if not (math.isfinite(share) and 0 <= share < 1):
            raise ValueError(f"{name} is {share}, expected 0 <= {name} < 1")


def _check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}, expected {' or '.join(map(repr, known))}")
