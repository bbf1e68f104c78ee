"""The house holds: imports run one way, and nothing dangerous is called.

From: the syntax trees of all source files. To: DESIGN's arrows `kernels <- nn`, `kernels <- strategies`, `nn <- tools`,
`strategies.risk <- tools.fleet`, and SEC-12.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "kernels": ROOT / "kernels" / "src",
    "nn": ROOT / "nn",
    "strategies": ROOT / "strategies",
    "tools": ROOT / "tools",
}
FORBIDDEN = {  # top-level packages that a room may not import
    "kernels": {"nn", "strategies", "tools", "pandas", "torch", "freqtrade", "mlflow", "bentoml", "scipy"},
    "nn": {"freqtrade", "strategies", "tools"},
    "strategies": {"torch", "mlflow", "bentoml", "nn", "tools"},
    "tools": {"freqtrade", "bentoml"},
}
ONLY_IN = {"mlflow": "nn/registry/store.py", "bentoml": "nn/service/"}  # one file, one folder
DANGEROUS_MODULES = {"pickle", "cloudpickle", "joblib", "marshal", "shelve", "dill"}
DANGEROUS_CALLS = {"eval", "exec", "yaml.load", "torch.load", "os.system", "os.popen"}


def sources(room):
    return sorted(path for path in ROOMS[room].rglob("*.py"))


def imports(tree):
    """Yield (module, relative level) of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level


def offences(room, text, name="x.py"):
    """Return what a source text of this room does against the rules."""
    found = []
    for module, level in imports(ast.parse(text)):
        top = module.split(".")[0]
        if level:
            continue
        if top in FORBIDDEN[room]:
            found.append(f"{name} imports {module}")
        if room == "nn" and top == "nn":
            found.append(f"{name} imports {module} absolutely; inside nn siblings are imported relatively")
        if room == "tools" and module.startswith("strategies") and not module.startswith("strategies.risk"):
            found.append(f"{name} imports {module}; tools may import strategies.risk alone")
        if top in ONLY_IN and not name.startswith(ONLY_IN[top]):
            found.append(f"{name} imports {top}; only {ONLY_IN[top]} may")
        if top in DANGEROUS_MODULES:
            found.append(f"{name} imports {module} (SEC-12)")
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in DANGEROUS_CALLS:
            found.append(f"{name} calls {ast.unparse(node.func)} (SEC-12)")
        if any(keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in node.keywords):
            found.append(f"{name} calls with shell= (SEC-12)")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way_and_nothing_dangerous_is_called(room):
    files = sources(room)
    assert files, f"{ROOMS[room]} has no source"
    assert [each for path in files for each in offences(room, path.read_text(), str(path.relative_to(ROOT)))] == []


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("nn", "import freqtrade"),
        ("nn", "from nn.data import candles"),
        ("nn", "import mlflow"),
        ("strategies", "from nn.data import candles"),
        ("strategies", "def f():\n    import torch"),
        ("tools", "from strategies.shared import client"),
        ("kernels", "import pandas"),
        ("tools", "import pickle"),
        ("tools", "import yaml\nyaml.load(x)"),
        ("tools", "import subprocess\nsubprocess.run('x', shell=True)"),
        ("tools", "eval('1')"),
    ],
)
def test_the_rules_see_an_offence(room, text):
    assert offences(room, text)


def test_only_strategies_lie_at_the_top_of_their_folder():
    """FTL-8: Freqtrade imports every file there."""
    for path in (ROOT / "strategies").glob("*.py"):
        if path.name != "__init__.py":
            bases = [
                ast.unparse(base)
                for node in ast.parse(path.read_text()).body
                if isinstance(node, ast.ClassDef)
                for base in node.bases
            ]
            assert "IStrategy" in bases, f"{path.name} holds no strategy"


def test_every_module_says_what_it_is():
    silent = [path for room in ROOMS for path in sources(room) if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []
