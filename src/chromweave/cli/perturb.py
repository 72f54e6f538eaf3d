"""Commands that edit the tracks a model reads, and ask it again: perturb one place, screen many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from .arguments import StoreOption

__all__ = ["register"]

ModelOption = Annotated[Path, typer.Option("--model", help="Run folder of finetune.", metavar="RUN")]
TrackOption = Annotated[
    list[str] | None, typer.Option("--track", help="Track to edit; repeat. Default: all the model reads.")
]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, help="Windows at a time.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(perturb)
    app.command()(screen)


def perturb(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to write.", metavar="OUT_DIR")],
    model: ModelOption,
    store: StoreOption,
    delete: Annotated[
        list[str] | None,
        typer.Option(help="Stretch that gets its background, the chromosome's median.", metavar="REGION"),
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(help="Stretch whose signal is multiplied; after all --delete.", metavar="REGION=FACTOR"),
    ] = None,
    track: TrackOption = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="What is predicted. [default: as far around the edits as they can be seen]", metavar="REGION"
        ),
    ] = None,
    loops: Annotated[
        Path | None, typer.Option(help="For a loop model: loops to predict (BEDPE).", metavar="BEDPE")
    ] = None,
    batch_size: BatchOption = 64,
) -> None:
    """Predict a place before and after edits of the tracks: maps (.cool), signals (.bw) or loops."""
    from ..data.store import RegionStore
    from ..genome import Interval
    from ..workflows.edited_windows import parse_edits
    from ..workflows.perturbation import perturb as perturb_

    assembly = RegionStore.open(store).assembly
    done = perturb_(
        out,
        model=model,
        store=store,
        edits=parse_edits(assembly, delete=delete or (), scale=scale or (), tracks=track or ()),
        region=None if region is None else Interval.parse(region, assembly),
        loops=loops,
        batch_size=batch_size,
    )
    context.obj.show({"folder": str(done.folder), "region": str(done.region), **done.summary})


def screen(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Ranked table to write.", metavar="OUT.tsv")],
    model: ModelOption,
    store: StoreOption,
    intervals: Annotated[
        Path | None, typer.Option(help="Stretches to edit, each by itself.", metavar="BED")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Give each its background, the chromosome's median.")
    ] = False,
    scale: Annotated[
        list[float] | None, typer.Option(help="Multiply its signal; repeat for several.", metavar="FACTOR")
    ] = None,
    track: TrackOption = None,
    loops: Annotated[
        Path | None,
        typer.Option(
            help="Loops whose strength or probability is looked at (BEDPE); without --intervals, both "
            "anchors of each are edited together.",
            metavar="BEDPE",
        ),
    ] = None,
    all_loops: Annotated[
        bool, typer.Option("--all-loops", help="Every loop whose window an interval touches.")
    ] = False,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Probability from which a loop counts as predicted.")
    ] = 0.5,
    batch_size: BatchOption = 64,
) -> None:
    """Edit many stretches, each by itself, and rank them by what that does to the prediction."""
    from ..workflows.screening import screen as screen_

    if delete == bool(scale):
        raise ConfigError("say what is done to the signal: either --delete, or --scale FACTOR.")
    done = screen_(
        out,
        model=model,
        store=store,
        intervals=intervals,
        factors=list(scale) if scale else [None],
        tracks=track or (),
        loops=loops,
        all_loops=all_loops,
        threshold=threshold,
        batch_size=batch_size,
    )
    top = done.table.iloc[0]
    shown: dict[str, Any] = {
        "table": str(out),
        "edits": len(done.table),
        "scored": done.scored,
        "largest": f"{top['name']}: {top['effect']:.4g}",
    }
    if done.recall is not None:
        for row in done.recall.itertuples():
            name = "deleted" if row.factor != row.factor else f"times {row.factor:g}"
            shown[f"predicted_{name}"] = f"{row.after} of {row.loops} loops ({row.before} before)"
    context.obj.show(shown)
