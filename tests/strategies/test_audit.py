"""Strategy files read without running them (TST-6): what they import, that they look at no later row, that entries are
tagged; and what they leave in a frame when the future changes."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "strategies"
FILES = sorted(path for path in FOLDER.glob("*.py") if path.name != "__init__.py")
ALLOWED = {"datetime", "freqtrade", "numpy", "pandas", "strategies", "tradekernels"}
WHOLE_FRAME = {"min", "max", "rank", "quantile", "bfill", "backfill", "ffill", "interpolate", "fillna", "sort_values"}


def offences(text):
    """Return what a strategy's source does against the rules, as (line, words)."""
    found = []
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."]
            found += [(node.lineno, f"imports {name}") for name in modules if name.split(".")[0] not in ALLOWED]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            backwards = any(isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) for value in values)
            if name in ("shift", "diff", "pct_change") and backwards:
                found.append((node.lineno, f"{name} of later rows"))
            if any(keyword.arg == "center" for keyword in node.keywords):
                found.append((node.lineno, "centred window"))
            if name in WHOLE_FRAME:
                found.append((node.lineno, f"{name} over the whole frame"))
        if isinstance(node, ast.Assign | ast.AugAssign):
            target = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            for word in ("enter", "exit"):
                if f"'{word}_" in target and f"{word}_tag" not in target and ast.unparse(node.value) != "0":
                    found.append((node.lineno, f"{word} without {word}_tag"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    if [ast.unparse(base) for one in classes for base in one.bases] != ["IStrategy"]:
        found.append((1, "expected one strategy class and nothing beside it"))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_strategy_file_says_when_and_no_more(path):
    """TST-6, STR-3, STR-8, FTL-8."""
    text = path.read_text()
    assert offences(text) == []
    assert "edge" in (ast.get_docstring(ast.parse(text)) or "")  # whether it claims one
    assert len(text.splitlines()) <= 100


def test_all_strategies_are_read():
    assert [path.stem for path in FILES] == ["nn_predictor", "ppo_agent", "trend_follower"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import requests", "imports requests"),
        ("from torch import nn", "imports torch"),
        ("from . import shared", "imports ."),
        ("x = df['close'].shift(-1)", "shift of later rows"),
        ("x = df['close'].shift(periods=-n)", "shift of later rows"),
        ("x = df['close'].rolling(5, center=True).mean()", "centred window"),
        ("x = df['close'].max()", "max over the whole frame"),
        ("df.loc[up, 'enter_long'] = 1", "enter without enter_tag"),
        ("df['exit_long'] = up", "exit without exit_tag"),
    ],
)
def test_a_planted_offence_is_found(line, words):
    assert (1, words) in offences(line + "\nclass A(IStrategy):\n    pass\n")


def test_a_helper_class_beside_the_strategy_is_found():
    assert offences("class A(IStrategy):\n    pass\nclass B:\n    pass\nclass C(IStrategy):\n    pass\n")
