"""What a benchmark leaves behind: its table by row, what was run on which machine, and the table to read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from chromweave.files import atomic_path, write_json
from chromweave.provenance import describe_process

RESULTS = Path(__file__).parent / "results"


def process_here() -> dict[str, Any]:
    """The process; of a folder or file named by its whole path the command keeps the last part."""
    process = describe_process()
    return process | {"command": re.sub(r"(?<!\S)/\S*/(?=[^\s/])", "", process["command"])}


def write_results(name: str, title: str, table: pd.DataFrame, text: str, **said: Any) -> None:
    """Write ``results/NAME.tsv``, ``.json`` (process and `said`) and ``.md`` (title and text)."""
    with atomic_path(RESULTS / f"{name}.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.5g")
    write_json(RESULTS / f"{name}.json", {**process_here(), **said})
    with atomic_path(RESULTS / f"{name}.md") as temporary:
        temporary.write_text(f"# {title}\n\n{text.strip()}\n")
