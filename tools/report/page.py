"""The report as one HTML file that asks nothing of any network.

From: the document and the figures. To: `report.html`.

A content security policy allows the two scripts below by their hash, and nothing else to run or to be fetched.
"""

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from .sections import Sections


def render(document: dict[str, Any], figures: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    scripts = [get_plotlyjs(), (files(__package__) / "page.js").read_text(encoding="utf-8")]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(_hash(script) for script in scripts)}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    title = f"{document['run']['strategy']}: backtest report"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{(files(__package__) / 'page.css').read_text(encoding='utf-8')}</style></head>",
            f"<body><main>{Sections(document, figures).body()}</main>",
            f'<script type="application/json" id="figures">{_script_json(figures)}</script>',
            *(f"<script>{script}</script>" for script in scripts),
            "</body></html>",
        ]
    )


def _hash(script: str) -> str:
    if "</script" in script.lower():
        raise ValueError("a script of the page contains </script: it cannot be inlined")
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _script_json(value: Any) -> str:
    """Return JSON that cannot end its own script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
