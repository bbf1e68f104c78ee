"""What `bentoml build` packs is what the service imports: what is left out would be missed at the first start."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
LIST = """
import sys, nn.service.service
print(*(module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "nn"), sep="\\n")
"""


def packed(path: str, rules: dict) -> bool:
    """Tell whether a path is packed; `**/` stands for no folder, too."""

    def matches(patterns):
        return any(fnmatch(path, pattern) or fnmatch(path, pattern.replace("**/", "")) for pattern in patterns)

    return matches(rules["include"]) and not matches(rules["exclude"])


def test_everything_that_the_service_imports_is_packed():
    """SRV-1."""
    rules = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    listed = subprocess.run([sys.executable, "-c", LIST], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [str(Path(line).relative_to(ROOT)) for line in listed.split()]
    assert "nn/service/policy/endpoints.py" in paths
    assert [path for path in paths if not packed(path, rules)] == []
