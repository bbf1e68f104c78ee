"""From candles to a signed, judged and published chain by one command, and on again after a kill (TRN-11, TRN-12)."""

import json
import shutil
import subprocess
import sys
import time
from datetime import timedelta

import numpy as np
import pytest

from nn.policy import judge_line
from nn.policy.train import main
from nn.policy.version import Policy
from nn.registry.evaluations import read_evaluation
from nn.registry.keys import Keys
from nn.registry.manifest import load_aliases, load_version
from nn.registry.promotion import ask_gates
from nn.registry.thresholds import load_thresholds

from ..forecast.conftest import PAIRS, empty_database, make_candles, write_market  # noqa: F401

KEY = "k" * 64
KEYS = Keys(KEY.encode())
LINE = "policy-15m"


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    frames = {pair: make_candles(4800, seed=number) for number, pair in enumerate(PAIRS)}
    return write_market(tmp_path_factory.mktemp("data") / "binance", frames)


@pytest.fixture
def home(tmp_path, empty_database):  # noqa: F811
    """A folder with an MLflow database that has its tables already."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


def words(folder, datadir, *more):
    return [
        "--config", "train", "--config", "test", "--datadir", str(datadir), "--registry", str(folder / "registry"),
        "--tracking-uri", f"sqlite:///{folder / 'mlflow.db'}", "--period", "2d", *more,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_chain_is_trained_signed_judged_and_published(home, datadir, monkeypatch, capsys):
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", KEY)
    assert main(words(home, datadir, "--walk-forward", "2", "--seeds", "2", "--steps", "2048")) == 0
    told = capsys.readouterr()
    folder = home / "registry" / LINE
    aliases = load_aliases(folder, KEYS)
    assert [line.split("/")[-1] for line in told.out.split()] == list(aliases.chain)
    first, second = (load_version(folder / name, KEYS).manifest for name in aliases.chain)
    assert aliases.aliases == {"challenger": second.version}
    assert second.valid_from - first.valid_from == timedelta(days=2)
    assert first.valid_from - first.trained_until == timedelta(hours=12)
    assert first.environment == second.environment
    assert "left" in told.err
    for manifest in (first, second):  # judged on the two days after it, and on nothing before
        judged = read_evaluation(folder, manifest.version, KEYS)
        assert judged["begin"] == f"{manifest.valid_from:%Y-%m-%dT%H:%M:%SZ}"
        assert set(judged["baselines"]) == {"flat", "buy_and_hold", "random", "linear"}
        assert judged["metrics"]["seeds"] == 2
    assert {gate.id for gate in ask_gates(folder, second.version, KEYS, load_thresholds())} >= {"PRM-10", "PRM-4"}

    # The chain is judged again from what is signed alone, and comes to the same.
    again = home / "judged.json"
    asked = ["--line", LINE, "--registry", str(home / "registry"), "--datadir", str(datadir),
             "--validation-share", "0.1", "--version", second.version, "--out", str(again)]  # fmt: skip
    assert judge_line.main(asked) == 0
    figures = json.loads(again.read_text())
    signed = read_evaluation(folder, second.version, KEYS)
    for name in ("trades", "net_return", "max_drawdown", "sharpe"):  # the other seed is not there to be judged again
        assert figures["trading"][name] == signed["trading"][name]
    assert figures["baselines"]["linear"] == pytest.approx(signed["baselines"]["linear"])
    assert judge_line.main([*asked, "--config", "sim"]) == 0
    assert json.loads(again.read_text())["baselines"]["buy_and_hold"] != signed["baselines"]["buy_and_hold"]
    assert judge_line.main([*asked[:-4], "--validation-share", "0.2"]) == 2
    assert "--validation-share of its training" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(home, empty_database, datadir, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", KEY)
    more = ("--walk-forward", "1", "--steps", "10240")
    code = "import nn.policy.ppo as p, sys; p.PPO.learn.__defaults__ = (*p.PPO.learn.__defaults__[:-1], 0.0); "
    code += "from nn.policy.train import main; sys.exit(main(sys.argv[1:]))"
    killed = subprocess.Popen(
        [sys.executable, "-c", code, *words(home, datadir, *more)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    unfinished = home / "checkpoints" / LINE
    deadline = time.monotonic() + 120
    while not list(unfinished.glob("*.safetensors")):
        assert killed.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert not list((home / "registry").glob("*/*/manifest.json"))
    assert main(words(home, datadir, *more)) == 0
    whole = home / "whole"
    whole.mkdir()
    shutil.copy(empty_database, whole / "mlflow.db")
    assert main(words(whole, datadir, *more)) == 0
    names = [line.split("/")[-1] for line in capsys.readouterr().out.split()]
    assert names[0] == names[1]  # a version's name holds the digest of its weights
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (["--pairs", "XRP/USDT:USDT"], 2, "there are no 15m futures candles of XRP/USDT:USDT"),
        (["--period", "12d"], 2, "expected 2977 in a row"),
        (["--config", "nowhere"], 2, "configs by name"),
        (["--steps", "10"], 2, "total_steps is 10, fewer than one round of 1024 steps"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path, datadir, monkeypatch, capsys, change, code, said):
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", KEY)
    monkeypatch.setattr("nn.registry.store.Store.__init__", lambda self, uri, line: None)  # it is not reached
    monkeypatch.setattr("nn.policy.walk_forward.Store.run", None)
    assert main(words(tmp_path, datadir, "--walk-forward", "2", *change)) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]


def test_a_full_disk_is_one_sentence(tmp_path, datadir, monkeypatch, capsys):
    """The version is not there, nor half of it, and the command says why."""

    def full(file, content):
        raise OSError(28, "No space left on device")

    class Quiet:
        def __init__(self, *given):
            pass

        def run(self, *given):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", KEY)
    monkeypatch.setattr("nn.registry.files._fill", full)
    monkeypatch.setattr("nn.registry.store.Store", Quiet)
    monkeypatch.setattr("nn.policy.learn.usable", lambda checkpoint: None)
    assert main(words(tmp_path, datadir, "--walk-forward", "1", "--steps", "1024")) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert errors == ["error: [Errno 28] No space left on device"]
    assert list((tmp_path / "registry" / LINE).iterdir()) == []


def test_what_was_signed_is_what_was_learned(tmp_path, datadir):
    """REG-8: the loaded version's actions are those of the trained network."""
    from nn.forecast.schedule import Fold
    from nn.forecast.train import read_pairs
    from nn.policy.learn import learn
    from nn.policy.trading import make_trading_data
    from nn.policy.trading_config import load_trading_config

    config = load_trading_config(["train", "test"])
    config = config.model_copy(update={"learning": config.learning.model_copy(update={"total_steps": 1024})})
    frames = read_pairs(datadir, None, "15m")
    until = frames[PAIRS[0]]["date"].iloc[4000].to_pydatetime()
    data = make_trading_data(frames, until, config)
    learned = learn(data, config, 1, LINE, Fold(until, until + timedelta(hours=12), until + timedelta(days=2)))
    signed = Policy.from_loaded(load_version(learned.write(tmp_path / LINE, KEYS), KEYS))
    rows = signed.observations.market(frames[PAIRS[1]], 1)[3000:3200]
    for a, b in zip(signed.act(rows), learned.policy.act(rows), strict=True):
        assert a.tobytes() == b.tobytes()
    network = learned.learner.network
    means, _ = network.forward(signed.moments.normalised(rows))
    np.testing.assert_allclose(signed.act(rows)[0], (np.tanh(means[:, 0]) + 1) / 2, atol=2e-6)
