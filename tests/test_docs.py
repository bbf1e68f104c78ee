"""The pages say what is there: links lead somewhere, verbs and options exist, strategies' parameters are the code's.

From: the Markdown files of the project. To: nothing but the truth.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.__main__ import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("tools/*/README.md"),
    ]
    if not path.parent.name.startswith(".")
)
VERBS = {command.name or command.callback.__name__ for command in app.registered_commands}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_verbs_exist(page):
    text = page.read_text()
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert missing == []
    said = set(re.findall(r"tools/start\.sh(?: --user-data \S+)? ([a-z][a-z-]*)", text))
    assert said <= VERBS


def test_the_readme_names_every_verb():
    table = (ROOT / "README.md").read_text().split("## The verbs")[1].split("##")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) >= VERBS - {"help"}


@pytest.mark.parametrize("strategy", ["nn_predictor", "ppo_agent"])
def test_the_strategies_page_gives_the_defaults_of_the_code(strategy):
    """STR-10: every hyperoptable parameter with the default that the code has."""
    page = (ROOT / "docs" / "strategies.md").read_text()
    found = {}
    for node in ast.walk(ast.parse((ROOT / "strategies" / f"{strategy}.py").read_text())):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and "Parameter" in ast.unparse(node.value.func)
        ):
            default = next(word.value for word in node.value.keywords if word.arg == "default")
            found[ast.unparse(node.targets[0])] = str(ast.literal_eval(default))
    assert found
    for name, default in found.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert row.split("|")[2].strip().strip("`") == default


def test_the_page_of_features_is_the_catalogue():
    """CAT-2: run `python -m tradekernels catalogue --page > docs/features.md` after a change to the catalogue."""
    made = subprocess.run(
        [sys.executable, "-m", "tradekernels", "catalogue", "--page"], capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs" / "features.md").read_text() == made.stdout
