"""Each gate says no for its own reason, and what nobody measured was not reached (PRM-1..PRM-7)."""

import json
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nn.registry.evaluations import Evaluation
from nn.registry.gates import LEAK, judge, opening_of, suspected_leak
from nn.registry.manifest import load_version
from nn.registry.thresholds import GateConfigProblem, load_thresholds

from .conftest import make_evaluation

THRESHOLDS = load_thresholds()


@pytest.fixture
def manifest(version_folder, keys):
    return load_version(version_folder, keys).manifest


def gates_of(manifest, payload, openings=(), thresholds=THRESHOLDS):
    return judge(manifest, Evaluation.model_validate(payload), thresholds, openings)


def failed(gates):
    return {gate.id for gate in gates if not gate.passed}


def test_a_version_that_reaches_everything_passes_every_gate(manifest):
    gates = gates_of(manifest, make_evaluation(manifest.version))
    assert [gate.sentence for gate in gates if not gate.passed] == []
    assert {gate.id.split()[0] for gate in gates} == {f"PRM-{number}" for number in range(1, 8)}


@pytest.mark.parametrize(
    ("section", "name", "value", "gate"),
    [
        ("metrics", "macro_f1_1h", 0.3999, "PRM-1"),
        ("metrics", "ic_1h", 0.0399, "PRM-2"),
        ("metrics", "macro_f1_4h", 0.3999, "PRM-2"),
        ("metrics", "volatility_r2_1h", 0.4999, "PRM-2"),
        ("metrics", "accuracy_1h", 0.5501, LEAK),
        ("metrics", "accuracy_4h", 0.61, LEAK),
        ("metrics", "over_majority_1h", 0.0801, LEAK),
        ("metrics", "over_majority_4h", 0.3, LEAK),
        ("trading", "trades", 9, "PRM-4"),
        ("trading", "net_return", 0.0, "PRM-4"),
        ("trading", "net_return", -0.01, "PRM-4"),
        ("metrics", "ece_12h", 0.2501, "PRM-5"),
        ("trading", "worst_regime_drawdown", 0.3001, "PRM-6"),
    ],
)
def test_each_figure_can_fail_its_gate(manifest, section, name, value, gate):
    payload = make_evaluation(manifest.version)
    payload[section][name] = value
    assert gate in failed(gates_of(manifest, payload))


@pytest.mark.parametrize(
    ("section", "name", "value", "gate"),
    [
        ("trading", "worst_regime_drawdown", -0.8, "PRM-6"),
        ("metrics", "ece_1h", -0.1, "PRM-5"),
        ("metrics", "accuracy_1h", -0.5, LEAK),
        ("metrics", "ic_1h", 1.2, "PRM-2"),
        ("metrics", "volatility_r2_4h", 1.5, "PRM-2"),
        ("metrics", "macro_f1_1h", 40.0, "PRM-2"),
    ],
)
def test_a_number_that_no_such_figure_has_is_no_merit(manifest, section, name, value, gate):
    """A drawdown written as -0.8 is a fall of four fifths in another convention, not a small one."""
    payload = make_evaluation(manifest.version)
    payload[section][name] = value
    notes = [each.note for each in gates_of(manifest, payload) if each.id == gate and not each.passed]
    assert any("no such figure exists" in note for note in notes)


GOOD = make_evaluation("x")
ASKED = [(section, name) for section in ("metrics", "trading") for name in GOOD[section]] + [
    (f"baselines.{who}", name) for who, found in GOOD["baselines"].items() for name in found
]
NOTHING = object()
BAD = [NOTHING, float("nan"), float("inf"), -float("inf"), None]


def with_figures(version, changes):
    """Return the good payload with some figures changed; NOTHING takes one out."""
    payload = make_evaluation(version)
    for (section, name), value in changes.items():
        part = payload
        for key in section.split("."):
            part = part[key]
        if value is NOTHING:
            del part[name]
        else:
            part[name] = value
    return payload


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(ASKED), st.sampled_from(BAD), min_size=1, max_size=4))
def test_no_judgement_with_a_figure_missing_passes(manifest, changes):
    """Whichever figures are missing, NaN, infinite or null: the judgement is refused as a whole, or a gate fails."""
    payload = with_figures(manifest.version, changes)
    try:
        read = Evaluation.model_validate(payload)
    except ValidationError:
        assert any(value is not NOTHING for value in changes.values())
        return
    assert all(value is NOTHING for value in changes.values())
    assert failed(judge(manifest, read, THRESHOLDS))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(ASKED), st.sampled_from(BAD[1:]), min_size=1, max_size=4))
def test_nor_would_it_pass_if_it_had_not_been_checked(manifest, changes):
    """A judgement built past its own checks still fails its gates, and raises nothing else."""
    payload = with_figures(manifest.version, changes)
    whole = Evaluation.model_validate(make_evaluation(manifest.version))
    parts = {name: payload[name] for name in ("metrics", "baselines", "trading")}
    gates = judge(manifest, whole.model_copy(update=parts), THRESHOLDS)
    assert failed(gates)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(ASKED), st.floats(allow_nan=False, allow_infinity=False), max_size=6))
def test_any_finite_figures_are_judged_without_an_error(manifest, changes):
    """Also 1e308, whose sum runs over: gates answer, and what they show is JSON."""
    gates = gates_of(manifest, with_figures(manifest.version, changes))
    for gate in gates:
        json.loads(gate.model_dump_json())
        assert gate.figure is None or np.isfinite(gate.figure)


@pytest.mark.parametrize(
    ("section", "name", "at_the_border"),
    [
        ("metrics", "ic_1h", 0.04),
        ("metrics", "accuracy_1h", 0.55),
        ("metrics", "over_majority_1h", 0.08),
        ("trading", "trades", 10),
        ("metrics", "ece_12h", 0.25),
        ("trading", "worst_regime_drawdown", 0.3),
    ],
)
def test_a_figure_at_the_border_passes(manifest, section, name, at_the_border):
    payload = make_evaluation(manifest.version)
    payload[section][name] = at_the_border
    assert failed(gates_of(manifest, payload)) == set()


@pytest.mark.parametrize(
    ("section", "name"),
    [(section, name) for section in ("metrics", "trading") for name in make_evaluation("x")[section]],
)
def test_every_missing_figure_fails_its_gate_and_is_named(manifest, section, name):
    payload = make_evaluation(manifest.version)
    del payload[section][name]
    notes = [gate.note for gate in gates_of(manifest, payload) if not gate.passed]
    assert notes
    assert all(name in note for note in notes)


@pytest.mark.parametrize("baseline", ["logistic", "lightgbm"])
def test_a_baseline_that_was_not_judged_fails_and_is_named(manifest, baseline):
    payload = make_evaluation(manifest.version)
    del payload["baselines"][baseline]
    gates = gates_of(manifest, payload)
    assert {"PRM-1", "PRM-2"} <= failed(gates)
    assert any(f"baseline {baseline} is missing" in gate.note for gate in gates)


def test_any_better_baseline_counts_not_the_required_ones_alone(manifest):
    payload = make_evaluation(manifest.version)
    payload["baselines"]["nlinear"] = {"ic_4h": 0.2}
    assert failed(gates_of(manifest, payload)) == {"PRM-2"}


def test_without_an_evaluation_only_what_the_manifest_shows_passes(manifest):
    gates = judge(manifest, None, THRESHOLDS)
    assert {gate.id for gate in gates if gate.passed} == {"PRM-7"}
    assert not suspected_leak(gates)


def test_a_direction_line_has_no_volatility_gate(manifest):
    payload = make_evaluation(manifest.version)
    del payload["metrics"]["volatility_r2_1h"]
    direction = manifest.model_copy(update={"kind": "direction"})
    assert "PRM-2" in failed(gates_of(manifest, payload))
    assert failed(gates_of(direction, payload)) == set()


def test_candles_that_it_could_have_learned_from_are_no_judgement(manifest):
    payload = make_evaluation(manifest.version, begin="2025-06-30T23:45:00Z")
    assert failed(gates_of(manifest, payload)) == {"PRM-3"}


def test_a_request_that_would_be_too_long_fails(manifest):
    long = manifest.model_copy(update={"warmup": 4985})
    assert failed(gates_of(long, make_evaluation(manifest.version))) == {"PRM-7"}
    border = manifest.model_copy(update={"warmup": 4984})
    assert failed(gates_of(border, make_evaluation(manifest.version))) == set()


def test_a_sealed_range_counts_once(manifest):
    """PRM-6: the first to look at these candles may; another version, or another judgement of it, may not."""
    payload = make_evaluation(manifest.version)
    own = opening_of(Evaluation.model_validate(payload))
    other = own.model_copy(update={"version": "another"})
    later = other.model_copy(update={"begin": own.end, "end": own.end + timedelta(days=1)})
    again = own.model_copy(update={"evaluation": "0" * 64})
    for before, expected in (
        ([], set()), ([own], set()), ([later], set()), ([own, other], set()),
        ([other], {"PRM-6"}), ([other, own], {"PRM-6"}), ([again], {"PRM-6"}),
    ):  # fmt: skip
        assert failed(gates_of(manifest, payload, before)) == expected


def test_an_unknown_threshold_is_answered_with_the_nearest_known_one(tmp_path):
    path = tmp_path / "gates.yaml"
    path.write_text("min_trade: 3\n")
    with pytest.raises(GateConfigProblem, match="did you mean 'min_trades'"):
        load_thresholds(path)
    path.write_text("min_trades: 0\n")
    with pytest.raises(GateConfigProblem, match=r"gates\.yaml"):
        load_thresholds(path)
    with pytest.raises(GateConfigProblem, match="none"):
        load_thresholds(tmp_path / "none.yaml")
