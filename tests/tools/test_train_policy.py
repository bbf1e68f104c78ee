"""`train-policy` asks `nn.policy.train` for what was asked of it."""

import sys
from pathlib import Path

from nn.policy.train_trading import parser
from tools.commands.train_policy import PolicyTraining, command


def test_every_option_reaches_the_trainer_as_its_own_parser_reads_it(tmp_path):
    asked = PolicyTraining(
        pairs=["BTC/USDT:USDT", "ETH/USDT:USDT"], config=["train", "test"], walk_forward=3, period="30d",
        until="2025-09-30", line="policy-15m", steps=4096, seed=9, seeds=3,
    )  # fmt: skip
    argv = command(asked, Path(tmp_path))
    assert argv[:3] == [sys.executable, "-m", "nn.policy.train"]
    read = parser().parse_args(argv[3:])
    assert read.datadir == tmp_path
    assert (read.pairs, read.config) == (asked.pairs, asked.config)
    assert (read.walk_forward, read.seed, read.seeds, read.steps, read.line) == (3, 9, 3, 4096, "policy-15m")
    assert read.period.days == 30
    assert f"{read.until:%Y-%m-%d}" == "2025-09-30"


def test_what_is_not_asked_is_left_to_the_trainer(tmp_path):
    argv = command(PolicyTraining(), Path(tmp_path))
    assert "--steps" not in argv
    assert "--config" not in argv
    assert parser().parse_args(argv[3:]).pairs is None
