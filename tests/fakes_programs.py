"""Loop callers that find what they are told, as programs in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPT = """#!{python}
import sys, time
from pathlib import Path
arguments = sys.argv[1:]
if "--version" in arguments:
    print("{name}, version 9.8.7")
    raise SystemExit
with open({log!r}, "a") as file:
    file.write(" ".join(arguments) + "\\n")
{body}
"""


def fake_program(folder: Path, name: str, body: str = "") -> Path:
    """A program that notes how it is called (`NAME.log` beside it) and then does `body`.

    `body` sees `arguments`, and `after(option)`, the argument that follows an option.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    helper = "def after(option): return arguments[arguments.index(option) + 1]\n"
    log = str(folder / f"{name}.log")
    path.write_text(_SCRIPT.format(python=sys.executable, name=name, log=log, body=helper + body))
    path.chmod(0o755)
    return path


def calls_of(program: Path) -> list[str]:
    """The lines that a fake was called with."""
    log = program.with_name(f"{program.name}.log")
    return log.read_text().splitlines() if log.exists() else []


def writes(target: str, text: str) -> str:
    """A body that writes `text` to the file that the expression `target` names."""
    return f"Path({target}).write_text({text!r})\n"
