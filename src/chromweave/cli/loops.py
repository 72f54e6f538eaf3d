"""Commands on lists of loops: call, validate, compare, quantify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .analyse import call
from .arguments import ChromOption, StoreOption, StoresOption

__all__ = ["register"]

loops = typer.Typer(
    help="Chromatin loops: call them, compare lists of them, measure them in other maps.",
    no_args_is_help=True,
)

ToleranceOption = Annotated[
    int, typer.Option("--tolerance-bins", help="Bins by which both anchors may differ.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    loops.command("call")(call)
    loops.command("validate")(validate)
    loops.command("compare")(compare)
    loops.command("quantify")(quantify)
    app.add_typer(loops, name="loops")


def validate(
    context: typer.Context,
    calls: Annotated[Path, typer.Argument(help="Called loops (BEDPE).", metavar="CALLS")],
    truth: Annotated[Path, typer.Argument(help="Known loops (BEDPE, Juicebox, washU).", metavar="TRUTH")],
    store: StoreOption,
    resolution: Annotated[int | None, typer.Option(help="Bin size, bp. Default: the calls' own.")] = None,
    tolerance_bins: ToleranceOption = 2,
    chrom: ChromOption = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Region whose loops are left out.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for a table with intervals, the curve, a figure.")
    ] = None,
) -> None:
    """Match called loops with known ones, one to one: precision, recall, F1, and a shifted control."""
    from ..workflows.loop_validation import validate_loops

    found = validate_loops(
        calls,
        truth,
        store=store,
        resolution=resolution,
        tolerance_bins=tolerance_bins,
        chroms=chrom or None,
        exclude=exclude or (),
        out=out,
    )
    files = {} if out is None else {"folder": str(out)}
    context.obj.show({**found.summary, "ranked_by": found.ranked_by, **found.strata, **files})


def compare(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(help="Loops (BEDPE, Juicebox, washU).", metavar="A.bedpe")],
    second: Annotated[Path, typer.Argument(help="Other loops.", metavar="B.bedpe")],
    store: Annotated[
        Path | None, typer.Option("--store", help="Region store with their chromosomes.", metavar="STORE")
    ] = None,
    assembly: Annotated[
        str | None,
        typer.Option(help="hg19, hg38, mm10, mm39 or a chrom.sizes file, in place of a store."),
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Bin size, bp. Default: the lists' own.")] = None,
    tolerance_bins: ToleranceOption = 2,
    out: Annotated[
        Path | None, typer.Option(help="All loops, with where they were found.", metavar="OUT.bedpe")
    ] = None,
) -> None:
    """Match two lists of loops, one to one: what both have, and what only one of them has."""
    from ..workflows.loop_comparison import compare_loops

    found = compare_loops(
        first,
        second,
        store=store,
        assembly=assembly,
        resolution=resolution,
        tolerance_bins=tolerance_bins,
        out=out,
    )
    context.obj.show(
        {
            "resolution": found.resolution,
            "loops": found.loops,
            "both": found.both,
            "only_in": found.only_in,
            "jaccard": found.jaccard,
            "ranked_by": found.ranked_by or None,
            "spearman": found.spearman,
            **({} if out is None else {"file": str(out)}),
        }
    )


def quantify(
    context: typer.Context,
    pairs: Annotated[Path, typer.Argument(help="Loops (BEDPE, Juicebox).", metavar="LOOPS.bedpe")],
    store: StoresOption,
    resolution: Annotated[
        int | None, typer.Option(help="Bin size, bp. Default: the list's own, else the stores' finest.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The list with columns for each store, line by line.", metavar="OUT.bedpe"),
    ] = None,
) -> None:
    """Measure given loops in other maps: contacts, observed/expected, and how far each stands out."""
    from ..workflows.loop_quantities import quantify_loops

    done = quantify_loops(pairs, stores=store, resolution=resolution, out=out)
    context.obj.show(
        {
            "loops": len(done.table),
            "resolution": done.resolution,
            **{f"in_{name}": done.summary(name) for name in done.scored},
            **({} if out is None else {"file": str(out)}),
        }
    )
