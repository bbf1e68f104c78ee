"""PatchTST in plain NumPy, float64, one window, one channel and one head at a time, from the paper's equations.

It reads weights by the names of the authors' module, so that the renaming is part of what is compared. Independent of
`nn.models`: no function is shared.
"""

import math

import numpy as np

LAYER = "backbone.encoder.layers.{}."


def authors_weights(
    random, n_channels, n_patches, prediction_length, patch_length, d_model, n_layers, d_ff, individual
):
    """Return random weights with every name of the authors' backbone, wrapped as in their `Model`."""
    shapes = {
        "revin_layer.affine_weight": n_channels, "revin_layer.affine_bias": n_channels,
        "backbone.W_pos": (n_patches, d_model),
        "backbone.W_P.weight": (d_model, patch_length), "backbone.W_P.bias": d_model,
    }  # fmt: skip
    for layer in map(LAYER.format, range(n_layers)):
        for part in ("W_Q", "W_K", "W_V", "to_out.0"):
            shapes[f"{layer}self_attn.{part}.weight"] = (d_model, d_model)
            shapes[f"{layer}self_attn.{part}.bias"] = d_model
        for norm in ("norm_attn.1", "norm_ffn.1"):
            for name in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{layer}{norm}.{name}"] = d_model
        shapes |= {f"{layer}ff.0.weight": (d_ff, d_model), f"{layer}ff.0.bias": d_ff}
        shapes |= {f"{layer}ff.3.weight": (d_model, d_ff), f"{layer}ff.3.bias": d_model}
    for head in [f"head.linears.{k}" for k in range(n_channels)] if individual else ["head.linear"]:
        shapes |= {f"{head}.weight": (prediction_length, n_patches * d_model), f"{head}.bias": prediction_length}
    weights = {name: random.normal(0, 0.3, shape) for name, shape in shapes.items()}
    for name in weights:
        if name.endswith(("running_var", "affine_weight")):
            weights[name] = random.uniform(0.5, 2.0, weights[name].shape)
    for layer in map(LAYER.format, range(n_layers)):  # what a state_dict has besides: counters and a constant
        weights[f"{layer}self_attn.sdp_attn.scale"] = np.array(0.25)
        weights[f"{layer}norm_attn.1.num_batches_tracked"] = np.array(7)
        weights[f"{layer}norm_ffn.1.num_batches_tracked"] = np.array(7)
    return {f"model.{name}": value for name, value in weights.items()}


def forecast(weights, x, patch_length, stride, n_heads, n_layers, individual, subtract_last):
    """Return the forecast (T, C) of one window (L, C) in evaluation mode."""
    w = {name.removeprefix("model."): value for name, value in weights.items()}
    answers = []
    for channel in range(x.shape[1]):
        series = x[:, channel]
        place = series[-1] if subtract_last else series.mean()
        spread = math.sqrt(((series - series.mean()) ** 2).mean() + 1e-5)
        gain, shift = w["revin_layer.affine_weight"][channel], w["revin_layer.affine_bias"][channel]
        series = (series - place) / spread * gain + shift
        series = np.concatenate([series, np.repeat(series[-1], stride)])
        starts = range(0, len(series) - patch_length + 1, stride)
        tokens = np.stack([w["backbone.W_P.weight"] @ series[s : s + patch_length] for s in starts])
        tokens = tokens + w["backbone.W_P.bias"] + w["backbone.W_pos"]
        before = [np.zeros((len(tokens), len(tokens))) for _ in range(n_heads)]
        for k in range(n_layers):
            tokens, before = _layer(w, LAYER.format(k), tokens, before)
        head = f"head.linears.{channel}" if individual else "head.linear"
        flat = np.concatenate([tokens[:, d] for d in range(tokens.shape[1])])  # number by number, patches within
        y = w[f"{head}.weight"] @ flat + w[f"{head}.bias"]
        answers.append((y - shift) / (gain + 1e-10) * spread + place)
    return np.stack(answers, axis=1)


def _layer(w, name, x, before):
    q, k, v = (x @ w[f"{name}self_attn.W_{part}.weight"].T + w[f"{name}self_attn.W_{part}.bias"] for part in "QKV")
    width = x.shape[1] // len(before)
    mixed, scores = [], []
    for head, earlier in enumerate(before):
        mine = slice(head * width, (head + 1) * width)
        score = q[:, mine] @ k[:, mine].T / math.sqrt(width) + earlier
        weight = np.exp(score - score.max(1, keepdims=True))
        mixed.append(weight / weight.sum(1, keepdims=True) @ v[:, mine])
        scores.append(score)
    out = np.concatenate(mixed, axis=1) @ w[f"{name}self_attn.to_out.0.weight"].T + w[f"{name}self_attn.to_out.0.bias"]
    x = _batch_norm(w, f"{name}norm_attn.1", x + out)
    dense = x @ w[f"{name}ff.0.weight"].T + w[f"{name}ff.0.bias"]
    dense = dense * 0.5 * (1 + np.vectorize(math.erf)(dense / math.sqrt(2)))
    dense = dense @ w[f"{name}ff.3.weight"].T + w[f"{name}ff.3.bias"]
    return _batch_norm(w, f"{name}norm_ffn.1", x + dense), scores


def _batch_norm(w, name, x):
    scaled = (x - w[f"{name}.running_mean"]) / np.sqrt(w[f"{name}.running_var"] + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
