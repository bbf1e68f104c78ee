"""Attention over short sequences on a processor: a few heads at a time, so that their scores stay in its cache.

From: queries, keys and values of `patchtst`. To: what each token reads from the others, and the scores before softmax.

With tens of tokens the matrices of one head are small and their number is large. Written plainly, every step walks
through tens of megabytes of fresh memory, and that, not arithmetic, is the time it takes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

VECTOR = 16  # numbers that torch's softmax works on at once; shorter rows it takes one number at a time
CACHE_NUMBERS = 1 << 17  # scores worked on at a time: half a megabyte of float32


def attention(q: Tensor, k: Tensor, v: Tensor, scores: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return softmax(q k' / sqrt(d) + scores) v, and what is inside the softmax (Vaswani et al., 2017, eq. 1).

    Parameters
    ----------
    q, k, v : Tensor of shape (n_sequences, n_tokens, d)
        A sequence is one head of one window.
    scores : Tensor of shape (n_sequences, n_tokens, n_tokens), optional
        Added inside the softmax: those of the layer before (RealFormer, He et al., 2020).

    Returns
    -------
    mixed : Tensor of shape (n_sequences, n_tokens, d)
    scores : Tensor of shape (n_sequences, n_tokens, n_tokens)
    """
    graph = torch.jit.is_tracing() or torch.compiler.is_exporting()  # of torch's own steps, for any number of windows
    if torch.is_grad_enabled() and q.requires_grad and not graph:
        return _Attention.apply(q, k, v, scores)
    inside = (q * q.shape[-1] ** -0.5) @ k.transpose(1, 2)
    inside = inside if scores is None else inside + scores
    return inside.softmax(-1) @ v, inside


def softmax(x: Tensor) -> Tensor:
    """Return the softmax over the last dimension, without a gradient; five times as fast as torch's for short rows."""
    if x.shape[-1] >= VECTOR:
        return x.softmax(-1)
    y = (x - x.amax(-1, keepdim=True)).exp_()
    return y.div_(y.sum(-1, keepdim=True))


def softmax_backward(gradient: Tensor, y: Tensor, out: Tensor) -> None:
    """Put the gradient of what the softmax y was taken of into `out`."""
    if y.shape[-1] >= VECTOR:
        torch.ops.aten._softmax_backward_data.out(gradient, y, -1, y.dtype, grad_input=out)
        return
    torch.mul(gradient, y, out=out)
    out.addcmul_(y, out.sum(-1, keepdim=True), value=-1)


def _parts(q: Tensor) -> list[slice]:
    n_sequences, n_tokens, _ = q.shape
    size = max(1, CACHE_NUMBERS // n_tokens**2)
    return [slice(start, start + size) for start in range(0, n_sequences, size)]


class _Attention(torch.autograd.Function):
    """Keeps the scores, which the next layer wants anyway, and works the weights out again on the way back."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        scale = q.shape[-1] ** -0.5
        mixed, scores = torch.empty_like(v), q.new_empty(*q.shape[:2], k.shape[1])
        for part in _parts(q):
            keys = k[part].transpose(1, 2)
            if before is None:
                torch.bmm(q[part] * scale, keys, out=scores[part])
            else:
                torch.baddbmm(before[part], q[part], keys, alpha=scale, out=scores[part])
            torch.bmm(softmax(scores[part]), v[part], out=mixed[part])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(q, k, v, scores)
        ctx.scale, ctx.has_before = scale, before is not None
        return mixed, scores

    @staticmethod
    @once_differentiable
    def backward(ctx, d_mixed: Tensor | None, d_scores: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, scores = ctx.saved_tensors
        d_mixed = torch.zeros_like(v) if d_mixed is None else d_mixed
        d_q, d_k, d_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        d_before = torch.empty_like(scores) if ctx.has_before else None
        for part in _parts(q):
            weights = softmax(scores[part])
            torch.bmm(weights.transpose(1, 2), d_mixed[part], out=d_v[part])
            d_weights = torch.bmm(d_mixed[part], v[part].transpose(1, 2))
            inside = torch.empty_like(weights) if d_before is None else d_before[part]
            softmax_backward(d_weights, weights, inside)
            if d_scores is not None:
                inside += d_scores[part]
            torch.baddbmm(d_q[part], inside, k[part], beta=0, alpha=ctx.scale, out=d_q[part])
            torch.baddbmm(d_k[part], inside.transpose(1, 2), q[part], beta=0, alpha=ctx.scale, out=d_k[part])
        return d_q, d_k, d_v, d_before
