"""What a training run is told: profiles in `configs/nn/*.yaml`, merged left to right, unknown keys refused (TRN-2).

From: names of profiles or paths of YAML files. To: `walk_forward`, and whole into every MLflow run.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

PROFILES = Path(__file__).resolve().parents[2] / "configs" / "nn"
NO_PROFILES = ("gates", "service")  # other files that lie there


class ConfigProblem(ValueError):
    """A profile is missing, is not YAML, or says something that is not known or not possible."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    features: str | tuple[str, ...]  # a list of dataset.FEATURE_LISTS, or names of tradekernels.features.CATALOG
    feature_parameters: dict[
        str, float
    ] = {}  # of the set (tradekernels.features.DEFAULTS); GARCH's are fitted if absent
    volatility: str | None  # feature in whose units returns and risks are learned (MOD-9); null: as they are
    logs: bool = False  # measures of volatility are scaled as logarithms (dataset.log_columns)
    calendar: bool = False  # the risk head reads products of dataset.CALENDAR (models.unified.with_products)
    history_days: PositiveInt | None  # days of candles before the end of the training range; null reads all there is
    validation_share: float = Field(gt=0, lt=0.5)  # newest part of the training range, for early stopping
    outlier_quantile: float | None = Field(default=0.999, gt=0, le=1)  # of train windows, see data.outliers; null: off


class ModelConfig(Section):
    """Fields of `PatchTSTConfig` that a profile chooses; features and scales come from the data."""

    context_length: PositiveInt
    patch_length: PositiveInt
    stride: PositiveInt
    d_model: PositiveInt
    n_heads: PositiveInt
    n_layers: PositiveInt
    d_ff: PositiveInt
    dropout: float = Field(ge=0, lt=1)
    direction_temperature: PositiveFloat


class LossSection(Section):
    """Fields of `models.losses.LossConfig`."""

    returns: float = Field(ge=0)
    direction: float = Field(ge=0)
    long_reach: float = Field(ge=0)
    short_reach: float = Field(ge=0)
    risk: float = Field(ge=0)
    group_f: float = Field(ge=0)
    class_weights: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    focal_gamma: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=1)
    anti_collapse: float = Field(ge=0)


class DirectionSection(Section):
    """Fields of `models.direction.DirectionConfig` that a profile chooses (MOD-3, MOD-4)."""

    context_length: PositiveInt
    patch_lengths: tuple[PositiveInt, ...]
    d_model: PositiveInt
    n_heads: PositiveInt
    n_layers: PositiveInt
    d_ff: PositiveInt
    dropout: float = Field(ge=0, lt=1)


class TradingLossSection(Section):
    """Fields of `models.direction_loss.TradingLossConfig` (LOS-3 to LOS-5)."""

    horizon_weights: tuple[PositiveFloat, PositiveFloat, PositiveFloat, PositiveFloat]
    class_weights: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    return_weight: float = Field(ge=0)
    wrong_side: float = Field(ge=0)
    on_flat: float = Field(ge=0)
    profit: float = Field(ge=0)
    cost: float = Field(ge=0, lt=1)


class FitConfig(Section):
    epochs: PositiveInt
    patience: PositiveInt
    batch_size: PositiveInt
    accumulate: PositiveInt
    seeds: PositiveInt = Field(le=16)
    train_stride: PositiveInt
    validation_stride: PositiveInt
    learning_rate: PositiveFloat
    warmup_share: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_grad_norm: PositiveFloat
    threads: PositiveInt


class SearchSection(Section):
    """What `nn.search` writes into its winner: how many settings were tried before these, which deflates (EVA-9)."""

    study: str = ""
    trials: int = Field(default=0, ge=0)


class TrainConfig(Section):
    data: DataConfig
    model: ModelConfig
    loss: LossSection
    direction: DirectionSection
    trading_loss: TradingLossSection
    fit: FitConfig
    search: SearchSection = SearchSection()
    candidates: tuple[dict[str, dict[str, Any]], ...] = ()  # small layers over this config; inner folds choose one

    @model_validator(mode="after")
    def _patience_can_run_out(self) -> TrainConfig:
        if self.fit.patience > self.fit.epochs:
            raise ValueError(f"fit.patience is {self.fit.patience}, more than fit.epochs {self.fit.epochs}")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of the merged config, whatever files it came from."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def flat(self) -> dict[str, str]:
        """Return every setting as `section.name`, for a table of parameters."""
        return {
            f"{section}.{name}": json.dumps(value) if isinstance(value, list) else str(value)
            for section, values in self.model_dump(mode="json", exclude={"candidates"}).items()
            for name, value in values.items()
        }

    def with_layer(self, layer: Mapping[str, Mapping[str, Any]]) -> TrainConfig:
        """Return this config with a small layer over it and no candidates; ConfigProblem if it does not fit."""
        if problem := next(_unknown_keys(layer), None):
            raise ConfigProblem(f"candidate {json.dumps(layer)}: {problem}")
        return _built(_merged([self.model_dump(exclude={"candidates"}), layer]), f"candidate {json.dumps(layer)}")


def load_config(profiles: Sequence[str | Path]) -> TrainConfig:
    """Return the profiles merged left to right; each is a name in `configs/nn` or a path that ends in .yaml.

    base is laid below them unless they name it, so that `--config demo` alone means something.
    """
    names = [str(profile) for profile in profiles]
    if "base" not in names:
        names.insert(0, "base")
    layers = []
    for name in names:
        path = _path_of(name)
        layers.append(_read(path))
        if problem := next(_unknown_keys(layers[-1]), None):
            raise ConfigProblem(f"{path}: {problem}")
    config = _built(_merged(layers), " + ".join(names))
    for candidate in config.candidates:
        config.with_layer(candidate)  # a slip shall not show after an hour of training
    return config


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the layers laid over each other: settings one by one, the list of candidates as a whole."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for section, values in layer.items():
            merged[section] = {**merged.get(section, {}), **values} if isinstance(values, Mapping) else values
    return merged


def _built(merged: dict[str, Any], names: str) -> TrainConfig:
    try:
        return TrainConfig(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "config"
        value = "" if first["type"] == "missing" else f" is {first['input']!r}:" if first["loc"] else ""
        raise ConfigProblem(f"{names}: {key}{value} {first['msg']}") from error


def _path_of(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise ConfigProblem(f"{name}: no such file")
        return path
    known = sorted(path.stem for path in PROFILES.glob("*.yaml") if _is_training_profile(path))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        hint = f"did you mean {near[0]!r}?" if near else "there is none at all"
        raise ConfigProblem(f"no profile {name!r} in {PROFILES}; {hint}")
    return PROFILES / f"{name}.yaml"


def _is_training_profile(path: Path) -> bool:
    return path.stem not in NO_PROFILES


def _read(path: Path) -> dict[str, Any]:
    try:
        layer = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    layer = {} if layer is None else layer
    if not isinstance(layer, dict) or not all(
        isinstance(values, list if section == "candidates" else dict) for section, values in layer.items()
    ):
        raise ConfigProblem(f"{path}: expected sections with settings, such as `fit:` with `epochs: 12` below it")
    return layer


def _unknown_keys(layer: Mapping[str, Any]) -> Iterator[str]:
    for section, values in layer.items():
        if section == "candidates":
            continue  # each is a layer itself, and checked as one
        if section not in TrainConfig.model_fields:
            yield _unknown(str(section), TrainConfig.model_fields)
            continue
        known = TrainConfig.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        for name in values:
            if name not in known:
                yield f"{section}: {_unknown(str(name), known)}"


def _unknown(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]
    return f"unknown key {name!r}; did you mean {near!r}?"
