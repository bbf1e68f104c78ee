"""`versions`, `promote`, `rollback` as a person meets them; MLflow follows, or is down and is told (PRM-8, PRM-9)."""

from datetime import UTC, datetime

import pytest
import torch

from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.registry.keys import read_keys
from nn.registry.manifest import ManifestDraft, load_aliases, write_version
from nn.registry.moves import read_moves
from nn.registry.promotion import publish
from tools.__main__ import main
from tools.commands.doctor import check_registry
from tools.commands.registry import after_training, promote_line
from tools.errors import UserError
from tools.home import Home

LINE = "unified-15m"
CONFIG = PatchTSTConfig(
    n_features=1, context_length=16, patch_length=8, stride=8, d_model=8, n_heads=1, n_layers=1, d_ff=8
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two versions, published one after the other; MLflow at a port where nobody listens."""
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    for name in ("CANDLEWRIGHT_REGISTRY", "CANDLEWRIGHT_MODEL_KEY", "CANDLEWRIGHT_MODEL_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    home = Home.find()
    home.make()
    keys, names = read_keys(home.child_environment()), []
    torch.manual_seed(7)
    weights = UnifiedPatchTST(CONFIG).state_dict()
    for day in (1, 11):
        draft = ManifestDraft(
            name=LINE, kind="unified_patchtst", architecture=CONFIG.to_dict(), timeframe="15m",
            pairs=("BTC/USDT:USDT",), feature_names=("a",), feature_digest="d" * 64, warmup=20,
            scaler={"median": [0.0], "iqr": [1.0]}, target_names=(), forecast_columns=(), class_codes={},
            cost_model={}, trained_from=datetime(2025, 1, 1, tzinfo=UTC),
            trained_until=datetime(2025, 6, 1, tzinfo=UTC), embargo_bars=48,
            valid_from=datetime(2025, 7, day, tzinfo=UTC), data_fingerprint="f" * 64, metrics={}, libraries={},
            git_commit="0" * 40, config_hash="c" * 64,
        )  # fmt: skip
        names.append(write_version(home.registry / LINE, draft, weights, keys).name)
        publish(home.registry / LINE, keys, names)
    return home


def aliases_of(home):
    return load_aliases(home.registry / LINE, read_keys(home.child_environment())).aliases


def test_from_challenger_to_champion_and_back(home, capsys):
    assert main(["promote"]) == 1  # never judged: the gates say no and name what is missing
    said = capsys.readouterr()
    assert said.out == ""
    assert "PRM-1" in said.err
    assert "is not promoted" in said.err
    assert "champion" not in aliases_of(home)

    names = sorted(path.name for path in (home.registry / LINE).iterdir() if path.is_dir())
    for name in names:
        assert main(["promote", "--version", name, "--operator", "Anna", "--reason", "to try"]) == 0
        said = capsys.readouterr()
        assert said.out.strip() == name
        assert "MLflow follows at the next move" in said.err
        assert aliases_of(home)["champion"] == name
    assert main(["rollback", "--operator", "Anna", "--reason", "it loses"]) == 0
    assert capsys.readouterr().out.strip() == names[0]
    assert aliases_of(home)["champion"] == names[0]

    assert main(["versions"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in names)
    assert "champion" in table
    assert "not judged" in table
    assert main(["versions", "--moves"]) == 0
    log = capsys.readouterr().out.splitlines()
    assert len(log) == 5
    assert "rollback" in log[-1]
    assert "by Anna: it loses" in log[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["promote", "--line", "unified-1h"], "no model line 'unified-1h'"),
        (["promote", "--operator", "Anna"], "gives a reason"),
        (["promote", "--override-leak"], "named operator"),
        (["promote", "--version", "../x"], "has no version"),
        (["rollback"], "no champion before"),
    ],
)
def test_a_slip_is_one_line(home, capsys, arguments, words):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_a_changed_file_is_named_and_nothing_moves(home, capsys):
    path = home.registry / LINE / "moves.jsonl"
    path.write_bytes(path.read_bytes().replace(b"trainer", b"someone"))
    assert main(["promote", "--operator", "Anna", "--reason", "to try"]) == 2
    assert "moves.jsonl" in capsys.readouterr().err
    assert "champion" not in aliases_of(home)


def test_after_training_the_next_step_is_said(home, capsys):
    after_training(home, LINE)
    said = capsys.readouterr().err
    assert "gates that say no: PRM-1" in " ".join(said.split())
    assert f"promote --line {LINE} --operator NAME --reason TEXT" in " ".join(said.split())
    assert "backtest that: --timerange 20250701-" in " ".join(said.split())


def test_a_line_is_promoted_by_a_call_and_once(home):
    """What the demo does: an operator's word, because nobody judged."""
    version = promote_line(home, LINE, "demo", "a synthetic market")
    assert aliases_of(home) == {"champion": version}
    assert promote_line(home, LINE, "demo", "again") == version
    assert len(read_moves(home.registry / LINE, read_keys(home.child_environment()))) == 3
    with pytest.raises(UserError, match="no model line"):
        promote_line(home, "nothing", "demo", "x")


def test_a_rotated_key_signs_all_again(home, capsys, monkeypatch):
    old = home.secret_file("model").read_text()
    (home.user_data / "secrets" / "old.key").write_text(old)
    (home.user_data / "secrets" / "old.key").chmod(0o600)
    home.secret_file("model").write_text("ab" * 32)
    assert main(["versions"]) == 2
    assert "does not sign" in capsys.readouterr().err
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY_PREVIOUS_FILE", str(home.user_data / "secrets" / "old.key"))
    assert main(["versions", "--resign"]) == 0
    monkeypatch.delenv("CANDLEWRIGHT_MODEL_KEY_PREVIOUS_FILE")
    capsys.readouterr()
    assert main(["versions"]) == 0
    assert "refused" not in capsys.readouterr().out


def test_the_doctor_tells_a_line_without_a_champion_from_a_damaged_one(home):
    """A line that was just trained is whole: what it lacks is a decision."""
    (finding,) = check_registry(home)
    assert finding.level == "warning"
    assert "2 versions, signatures good; no champion" in finding.sentence
    assert finding.remedy == home.typed(f"promote --line {LINE}")
    promote_line(home, LINE, "anna", "a test")
    (finding,) = check_registry(home)
    assert finding.level == "good"
    oldest = min(path for path in (home.registry / LINE).iterdir() if path.is_dir())
    (oldest / "weights.safetensors").write_bytes(b"other")
    (finding,) = check_registry(home)
    assert finding.level == "failure"
    assert oldest.name in finding.sentence
