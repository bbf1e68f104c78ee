"""SEA-1, SEA-2: a space is data; what it draws lies in it, repeats, and fits the profile below it."""

import numpy as np
import pytest

from nn.forecast.config import load_config
from nn.policy.trading_config import load_trading_config
from nn.search.policy_objective import with_parameters
from nn.search.space import SPACES, Parameter, SpaceProblem, layer_of, load_space


@pytest.mark.parametrize("name", sorted(path.stem for path in SPACES.glob("*.yaml")))
def test_a_shipped_space_loads_and_any_draw_of_it_fits_the_base_profile(name):
    space = load_space(name)
    base = load_trading_config(["train"]) if name == "policy" else load_config(["base"])

    def laid_over(drawn):
        return with_parameters(base, drawn) if name == "policy" else base.with_layer(layer_of(drawn))

    for number in range(30):
        drawn = space.draw(7, number)
        assert laid_over(drawn).hash == laid_over(space.draw(7, number)).hash
    assert space.draw(7, 0) != space.draw(7, 1)
    assert space.draw(7, 0) != space.draw(8, 0)


@pytest.mark.parametrize(
    "given",
    [
        {"low": 1e-4, "high": 1e-1, "log": True},
        {"low": -1.0, "high": 2.0},
        {"low": 0.0, "high": 0.5, "step": 0.05},
        {"low": 1, "high": 4, "integer": True},
        {"low": 8, "high": 512, "integer": True, "log": True},
    ],
)
def test_a_range_is_drawn_to_both_its_ends_and_never_beyond(given):
    rng = np.random.default_rng(1)
    drawn = [Parameter(**given).draw(rng) for _ in range(2000)]
    assert given["low"] <= min(drawn) <= max(drawn) <= given["high"]
    if "step" in given:
        assert {round(each / given["step"]) for each in drawn} == set(range(11))
    if given == {"low": 1, "high": 4, "integer": True}:
        assert set(drawn) == {1, 2, 3, 4}
    if given.get("log"):  # half of the draws lie below the geometric mean
        assert np.mean(np.array(drawn) < np.sqrt(given["low"] * given["high"])) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parameters: {}", "parameters"),
        ("parameters: {fit.learning_rate: {low: 1.0}}", "low below high"),
        ("parameters: {fit.learning_rate: {low: 0.5, high: 0.5}}", "low below high; low is 0.5, high is 0.5"),
        ("parameters: {fit.learning_rate: {low: 0.0, high: 1.0, log: true}}", "begins above 0"),
        ("parameters: {fit.dropout: {low: 0.0, high: 1.0, step: 0.3}}", "whole steps from low to high"),
        ("parameters: {fit.dropout: {low: 0.0, high: 0.5, step: 2.0}}", "whole steps from low to high"),
        ("parameters: {fit.epochs: {low: 1.5, high: 4, integer: true}}", "expected whole numbers; low is 1.5"),
        ("parameters: {fit.learning_rate: {low: 0.0, high: 1.0, choices: [1]}}", "choices stand alone"),
        ("parameters: {learning_rate: {low: 0.0, high: 1.0}}", "section.name"),
        ("parameters: {fit.learning_rate: {lo: 0.0, high: 1.0}}", "lo: Extra inputs"),
        ("spells: {normal: 1}\nparameters: {a.b: {low: 0.0, high: 1.0}}", "normal, choppy, trending"),
        ("prune_bye: x\nparameters: {fit.learning_rate: {low: 0.0, high: 1.0}}", "prune_bye"),
        ("[1, 2]", "not a mapping"),
        ("a: [", "not a mapping in YAML"),
    ],
)
def test_a_slip_in_a_space_is_named(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpaceProblem, match=r"mine\.yaml") as caught:
        load_space(str(path))
    assert said in str(caught.value)


def test_an_unknown_space_names_those_there_are():
    with pytest.raises(SpaceProblem, match="known are direction, policy, unified"):
        load_space("unifed")
