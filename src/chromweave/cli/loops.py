"""Commands on lists of loops: call, validate, compare, quantify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .arguments import ChromOption, JobSeed, StoreOption, StoresOption

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


def call(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Loops to write.", metavar="OUT.bedpe")],
    store: StoreOption,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Run folder of a loop model. Default: none, scores from the map alone.", metavar="RUN"
        ),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Layer, bp. Default: the model's; without one the finest.")
    ] = None,
    chrom: ChromOption = None,
    fdr: Annotated[float, typer.Option(help="False discovery rate, by decoys.")] = 0.05,
    all_clusters: Annotated[
        bool, typer.Option("--no-fdr", help="Take every cluster above the threshold, without decoys.")
    ] = False,
    decoys: Annotated[
        Literal["residuals", "pixels"],
        typer.Option(help="What changes places: each pixel's deviation from its surroundings, or its value."),
    ] = "residuals",
    scores: Annotated[
        Literal["both", "model"] | None,
        typer.Option(
            help="With --model: its log-odds beside how far a pixel stands out, or its probability alone, "
            "clustered as the paper does. Default: both."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Score above which a pixel takes part. Default: 2 deviations; with --scores model 0.5."
        ),
    ] = None,
    min_distance: Annotated[int, typer.Option(help="Between anchors, bp.")] = 20_000,
    max_distance: Annotated[int, typer.Option(help="Between anchors, bp.")] = 2_000_000,
    pvalue: Annotated[float, typer.Option(help="Poisson survival below which a pixel is scored.")] = 0.01,
    min_neighbours: Annotated[
        int | None,
        typer.Option(
            help="A pixel needs more than so many passing pixels within 2 bins, itself included. "
            "Default: 0; with --scores model 5."
        ),
    ] = None,
    representative: Annotated[
        Literal["highest-density", "highest-score"] | None,
        typer.Option(
            help="What stands for a cluster. Default: highest-score; with --scores model the other."
        ),
    ] = None,
    style: Annotated[
        Literal["bedpe", "juicebox"],
        typer.Option(help="Dialect: bedpe for HiGlass and bioframe, or Juicebox's."),
    ] = "bedpe",
    jobs: Annotated[int, typer.Option(help="Chromosomes at a time, each in its own process.")] = 1,
    seed: JobSeed = 0,
) -> None:
    """Call loops over whole chromosomes at a false discovery rate, with a model or from the map alone."""
    from ..analysis.loops import CandidateConfig
    from ..errors import ConfigError
    from ..workflows.foundation_settings import LoopCallConfig
    from ..workflows.loop_calling import call_loops

    if model is None and scores is not None:
        raise ConfigError(f"--scores {scores} is of a model; give one with --model, or leave --scores out.")
    of_model = LoopCallConfig.model_alone if scores == "model" else LoopCallConfig.with_model
    config = (LoopCallConfig.without_model if model is None else of_model)(
        candidates=CandidateConfig(min_distance, max_distance, pvalue),
        fdr=None if all_clusters else fdr,
        decoys=decoys,
    ).clustering(threshold=threshold, min_neighbours=min_neighbours, representative=representative)
    table = call_loops(
        out,
        store=store,
        model=model,
        resolution=resolution,
        chroms=chrom or None,
        config=config,
        style=style,
        seed=seed,
        jobs=jobs,
    )
    context.obj.show(
        {
            "loops": len(table),
            "file": str(out),
            "per_chromosome": {str(k): int(v) for k, v in table["chrom1"].value_counts(sort=False).items()},
        }
    )


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
