"""The command that fills the papers' tables: every method, the same windows, one file of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = ["register"]

Kind = Literal["contacts", "loops", "expression", "cross-cell", "few-shot", "ablation", "annotation", "graph"]


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(benchmark)


def benchmark(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="Which table.", metavar="KIND")],
    out: Annotated[
        Path, typer.Argument(help="Folder to write; benchmarks share what they train there.", metavar="OUT")
    ],
    config: Annotated[Path, typer.Option(help="TOML: cell lines, methods, budget; see the docs.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder that the file's paths start from. Default: its own.")
    ] = None,
    programs: Annotated[
        Path | None, typer.Option(help="Folder with the programs of other loop callers. Default: PATH.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings side by side.")] = 1,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what failed.")] = False,
) -> None:
    """Train every method alike and judge all side by side; given again, it goes on where it was."""
    from ..workflows.benchmark import benchmark

    tables = benchmark(kind, out, config, data=data, programs=programs, jobs=jobs, retry=retry)
    shown: dict[str, Any] = {"report": str(out / f"{kind}.md")}
    shown |= {name: str(out / f"{name}.tsv") for name in tables}
    context.obj.show(shown)
