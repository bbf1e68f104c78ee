"""A policy passes by what it earned for its losses, beside its rivals (PRM-10), on the same alias path."""

from types import SimpleNamespace

import pytest

from nn.registry.evaluations import write_evaluation
from nn.registry.gates import judge
from nn.registry.manifest import load_aliases, load_version
from nn.registry.promotion import Operator, promote, publish, rollback
from nn.registry.thresholds import load_thresholds

from ..policy.small_policy import write_small_policy

THRESHOLDS = load_thresholds()
METRICS = {"sortino": 2.0, "cvar_5": -0.02}
RIVALS = {"flat": {"sortino": 0.0}, "buy_and_hold": {"sortino": 1.5}, "linear": {"sortino": 1.0},
          "random": {"sortino": -1.0}}  # fmt: skip
TRADING = {"trades": 40.0, "net_return": 0.03, "max_drawdown": 0.10, "trials": 31.0, "deflated_sharpe": 0.7}


def payload(version, **changes):
    fields = {
        "schema_version": 1, "line": "policy-15m", "version": version, "begin": "2025-01-08T00:00:00Z",
        "end": "2025-02-07T00:00:00Z", "rows": 2880, "metrics": METRICS, "baselines": RIVALS, "trading": TRADING,
        "verdict": {"beats_baselines": True, "reasons": []},
    }  # fmt: skip
    for section, change in changes.items():
        kept = {name: value for name, value in (fields[section] | change).items() if value is not None}
        fields[section] = kept
    return fields


@pytest.fixture
def line(tmp_path, keys):
    folder = tmp_path / "policy-15m"
    versions = [write_small_policy(folder, keys, seed).name for seed in (1, 2)]
    return SimpleNamespace(folder=folder, versions=versions)


def gates_of(line, keys, **changes):
    version = line.versions[0]
    write_evaluation(line.folder, version, payload(version, **changes), keys)
    publish(line.folder, keys, [version])
    return promote(line.folder, keys, THRESHOLDS)


def test_a_policy_that_reaches_everything_becomes_champion(line, keys):
    outcome = gates_of(line, keys)
    assert all(gate.passed for gate in outcome.gates)
    assert {gate.id for gate in outcome.gates} == {"PRM-10", "PRM-4", "PRM-6", "PRM-7", "EVA-9"}
    assert load_aliases(line.folder, keys).aliases["champion"] == line.versions[0]


@pytest.mark.parametrize(
    ("section", "change", "gate", "words"),
    [
        ("metrics", {"sortino": 1.5}, "PRM-10", "best baseline: buy_and_hold"),
        ("baselines", {"random": {"sortino": 2.5}}, "PRM-10", "best baseline: random"),
        *(("baselines", {name: {}}, "PRM-10", f"sortino of baseline {name} is missing") for name in RIVALS),
        ("metrics", {"cvar_5": -0.06}, "PRM-10", ""),
        ("metrics", {"cvar_5": None}, "PRM-10", "loss on the worst 5 % of days is missing"),
        ("trading", {"max_drawdown": 0.31}, "PRM-10", ""),
        ("trading", {"deflated_sharpe": 0.5}, "EVA-9", "tries counted: 31"),
        ("trading", {"deflated_sharpe": None}, "EVA-9", "deflated_sharpe is missing; tries counted: 31"),
        ("trading", {"deflated_sharpe": 1.2}, "EVA-9", "no such figure exists"),
        ("trading", {"trades": 9.0}, "PRM-4", ""),
        ("trading", {"net_return": 0.0}, "PRM-4", ""),
    ],
)
def test_each_figure_can_keep_a_policy_from_trading(line, keys, section, change, gate, words):
    outcome = gates_of(line, keys, **{section: change})
    failed = [each for each in outcome.gates if not each.passed]
    assert [each.id for each in failed] == [gate]
    assert words in failed[0].note
    assert "champion" not in load_aliases(line.folder, keys).aliases


def test_a_policy_that_nobody_judged_passes_only_what_its_manifest_shows(line, keys):
    manifest = load_version(line.folder / line.versions[0], keys).manifest
    assert [gate.what for gate in judge(manifest, None, THRESHOLDS) if gate.passed] == ["warm-up"]


def test_an_operator_may_overrule_and_go_back(line, keys):
    someone = Operator("ann", "a test")
    publish(line.folder, keys, [line.versions[0]])
    for version in line.versions:
        promote(line.folder, keys, THRESHOLDS, version, someone)
    assert rollback(line.folder, keys, someone).aliases["champion"] == line.versions[0]
