"""The recipes of docs/editors.md.

On `pythonpath` (pyproject.toml): test files import it as `recipes`.
"""

import json
import re
from pathlib import Path
from typing import Any

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "editors.md").read_text()


def fences(language: str, *, below: str = "") -> list[str]:
    """Return the texts in fences of a language, in the chapter of a heading or (none) on the whole page."""
    text = TEXT if not below else TEXT.partition(f"\n## {below}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def tasks() -> dict[str, Any]:
    """Return the tasks for VS Code by label."""
    return {task["label"]: task for task in json.loads(fences("json")[0])["tasks"]}
