"""Profiles are merged left to right, and what is not known is refused with the nearest known name (TRN-2)."""

import pytest
import yaml

from nn.forecast.config import PROFILES, ConfigProblem, LossSection, ModelConfig, load_config
from nn.models.direction import DirectionConfig
from nn.models.direction_loss import TradingLossConfig
from nn.models.losses import LossConfig
from nn.models.unified import PatchTSTConfig


@pytest.mark.parametrize("name", ["base", "production", "test", "demo", "mtst", "antioverfit"])
def test_every_profile_builds_a_network(name):
    config = load_config([name])
    PatchTSTConfig(n_features=40, **config.model.model_dump())
    LossConfig(**config.loss.model_dump())
    DirectionConfig(n_features=40, **config.direction.model_dump())
    TradingLossConfig(**config.trading_loss.model_dump())


def test_base_is_what_the_specification_says():
    """MOD-1, LOS-1, LOS-2: the numbers of the file are those of the code's own defaults."""
    config = load_config(["base"])
    default = PatchTSTConfig(n_features=1)
    assert {name: getattr(default, name) for name in ModelConfig.model_fields} == config.model.model_dump()
    assert {name: getattr(LossConfig(), name) for name in LossSection.model_fields} == config.loss.model_dump()


def test_later_profiles_win_and_base_lies_below(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("fit:\n  epochs: 9\n")
    config = load_config(["demo", mine])
    assert config.fit.epochs == 9
    assert config.model.d_model == load_config(["base", "demo"]).model.d_model == 64
    assert config.model.context_length == 96
    assert config.hash != load_config(["demo"]).hash


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fit:\n  epoch: 3\n", "fit: unknown key 'epoch'; did you mean 'epochs'?"),
        ("fits:\n  epochs: 3\n", "unknown key 'fits'; did you mean 'fit'?"),
        ("fit:\n  epochs: zero\n", "fit.epochs is 'zero'"),
        ("fit:\n  epochs: 0\n", "fit.epochs is 0"),
        ("fit:\n  learning_rate: .nan\n", "fit.learning_rate is nan"),
        ("fit:\n  patience: 99\n", "fit.patience is 99, more than fit.epochs"),
        ("fit: 3\n", "expected sections"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_slip_in_a_file_is_one_sentence_that_names_it(tmp_path, text, sentence):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigProblem) as caught:
        load_config(["base", path])
    assert sentence in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_an_unknown_profile_is_refused_with_the_nearest():
    with pytest.raises(ConfigProblem, match=r"no profile 'dem' .* did you mean 'demo'"):
        load_config(["base", "dem"])


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_setting_has_its_unit_or_meaning_beside_it(path):
    """A value without a word about it is a riddle; weights below a commented one share its comment."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("  ") and line.strip()]
    first_of_list = "returns:"
    bare = [line for line in lines if "#" not in line]
    allowed = set(LossSection.model_fields) if any(first_of_list in line for line in lines) else set()
    assert [line for line in bare if line.split(":")[0].strip() not in allowed] == []
    assert isinstance(yaml.safe_load(path.read_text()), dict)
