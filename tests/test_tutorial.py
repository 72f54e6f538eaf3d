"""The tutorial's text and the script that reproduces its numbers hold the same commands."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def _commands(text: str) -> list[str]:
    """Commands of chromweave, one line each, in their order."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [" ".join(line.split()) for line in joined.splitlines() if line.startswith("chromweave ")]


def test_commands_of_text_and_script_are_the_same():
    text = (DOCS / "tutorial.md").read_text()
    fenced = "\n".join(re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
    commands = _commands(fenced)
    assert commands
    assert commands == _commands((DOCS / "tutorial.sh").read_text())
