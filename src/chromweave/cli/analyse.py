"""Commands that take a model: evaluate, graph finetune, encode, umap and read, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .arguments import ChromOption, JobSeed, StoreOption, named_files
from .train import graph

__all__ = ["register"]

ModelOption = Annotated[Path, typer.Option("--model", help="Run folder of a trained model.", metavar="RUN")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(evaluate)
    app.command()(compare)
    graph.command("finetune")(finetune)
    graph.command("encode")(encode)
    graph.command("umap")(umap)
    graph.command("read")(read)


def evaluate(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder for table and figures.", metavar="OUT")],
    model: ModelOption,
    store: StoreOption,
    windows: Annotated[Path, typer.Option(help="Window table; of a loop model, labelled.")],
    trivial_store: Annotated[
        Path | None,
        typer.Option(help="Store the trivial rows learn from: a cross-cell model's own. Default: --store."),
    ] = None,
    trivial_windows: Annotated[Path | None, typer.Option(help="Its window table.")] = None,
    beside: Annotated[
        list[str] | None, typer.Option(help="NAME=RUN: another model for the same table; repeat for several.")
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(help="NAME=TSV: another program's scores of the loop windows (chrom, x, y, score)."),
    ] = None,
    split: Annotated[Literal["test", "valid"], typer.Option(help="Windows to score.")] = "test",
    block: Annotated[int, typer.Option(help="Blocks resampled for the intervals, bp.")] = 5_000_000,
    seed: JobSeed = 0,
) -> None:
    """Score a task's model beside the trivial rows, with intervals and paired differences."""
    from ..workflows.evaluate import EvaluateConfig, evaluate

    table = evaluate(
        out,
        model=model,
        store=store,
        windows=windows,
        trivial_store=trivial_store,
        trivial_windows=trivial_windows,
        beside=named_files(beside, "--beside", "tracks-only=runs/tracks"),
        scores=named_files(scores, "--scores", "peakachu=peakachu.tsv"),
        seed=seed,
        config=EvaluateConfig(split, block),
    )
    shown: dict[str, Any] = {"table": str(out / f"{table['task'].iloc[0]}.tsv")}
    for method, rows in table[table["stratum"] == "all"].groupby("method", sort=False):
        compared = str(method).startswith("model - ")
        shown[str(method)] = ", ".join(
            f"{row.metric} {_estimate(row.value, row.low, row.high, compared)}" for row in rows.itertuples()
        )
    context.obj.show(shown)


def _estimate(value: float, low: float, high: float, compared: bool) -> str:
    """A score and its interval, if there is one; of a difference, what may be said of it."""
    if value != value:
        return "undefined"
    if low != low:
        return f"{value:.3f}{' too few blocks for an interval' if compared else ''}"
    unseen = " no difference seen" if compared and low <= 0 <= high else ""
    return f"{value:.3f} [{low:.3f}, {high:.3f}]{unseen}"


def finetune(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder to write.", metavar="RUN")],
    model: ModelOption,
    store: StoreOption,
    chrom: ChromOption = None,
    epochs: Annotated[int | None, typer.Option(help="At the most. [default: the preset's]")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better validation. [default: the preset's]")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Adam's. [default: a tenth of the preset's]")
    ] = None,
    by_chromosome: Annotated[
        bool, typer.Option("--by-chromosome", help="A batch per chromosome: less memory, the same step.")
    ] = False,
    repeats: Annotated[int, typer.Option(help="Trainings with consecutive seeds.")] = 1,
    seed: JobSeed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Go on training a graph model on another cell line; its held-out edges are scored as in training."""
    from ..workflows import graph as workflow

    result = workflow.finetune(
        run,
        model=model,
        store=store,
        chroms=chrom or None,
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        by_chromosome=by_chromosome,
        repeats=repeats,
        seed=seed,
        resume=resume,
    )
    context.obj.show({"run": str(result.run), **result.headline()})


def encode(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="AnnData to write.", metavar="OUT.h5ad")],
    model: ModelOption,
    store: StoreOption,
    chrom: ChromOption = None,
    refit_norm: Annotated[
        bool, typer.Option("--refit-norm", help="Use this cell line's own BatchNorm statistics.")
    ] = False,
    phase_by: Annotated[
        str | None, typer.Option(help="Track that is high in A. Default: the model's first feature.")
    ] = None,
    layout: Annotated[
        bool, typer.Option("--umap/--no-umap", help="Lay the bins out, too, which takes long for a genome.")
    ] = True,
    seed: JobSeed = 0,
) -> None:
    """Encode a cell line, the model's own or another, into an AnnData for scanpy."""
    from ..workflows import graph as workflow

    embedding = workflow.encode(
        out,
        model=model,
        store=store,
        chroms=chrom or None,
        refit_norm=refit_norm,
        phase_by=phase_by,
        layout=layout,
        seed=seed,
    )
    context.obj.show(
        {"embedding": str(out), "bins": len(embedding.latent), "latent": embedding.latent.shape[1]}
    )


def umap(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Table of coordinates to write.", metavar="OUT.tsv")],
    embeddings: Annotated[list[Path], typer.Argument(help="Encoded cell lines.", metavar="H5AD...")],
    seed: JobSeed = 0,
) -> None:
    """Lay encoded cell lines out in one plane."""
    from ..workflows import graph as workflow

    table = workflow.umap(out, embeddings=embeddings, seed=seed)
    context.obj.show({"table": str(out), "bins": len(table)})


def read(
    context: typer.Context,
    embedding: Annotated[Path, typer.Argument(help="Encoded cell line.", metavar="EMBEDDING.h5ad")],
    compartments: Annotated[Path, typer.Option(help="Table of A/B compartments at its resolution.")],
    out: Annotated[Path, typer.Option(help="Folder to write.", metavar="DIR")],
    subcompartments: Annotated[Path | None, typer.Option(help="BED with a name for each interval.")] = None,
    insulation: Annotated[Path | None, typer.Option(help="Table of insulation and boundaries.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Its store: the map's own components are read beside it.")
    ] = None,
    levels: Annotated[
        int | None, typer.Option(help="Parts of dotted sub-compartment names to keep. Default: all.")
    ] = None,
    block: Annotated[int, typer.Option(help="Blocks of the probe's cross-validation, bp.")] = 2_000_000,
    permutations: Annotated[int, typer.Option(help="Circular shifts behind the p-values.")] = 200,
    seed: JobSeed = 0,
) -> None:
    """Read an embedding against compartments, sub-compartments and domains, each with a null."""
    from ..workflows import graph_reading as workflow

    table = workflow.read(
        out,
        embedding=embedding,
        compartments=compartments,
        subcompartments=subcompartments,
        insulation=insulation,
        store=store,
        block=block,
        levels=levels,
        permutations=permutations,
        seed=seed,
    )
    shown = {"folder": str(out)}
    for row in table.itertuples():
        values = f"{row.value:.3f} (shifted {row.expected:.3f}, p = {row.pvalue:.3g})"
        shown[f"{row.method}, {row.against}: {row.reading}"] = values
    context.obj.show(shown)


def compare(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to write.", metavar="OUT")],
    first: Annotated[Path, typer.Argument(help="Encoded cell line.", metavar="FIRST.h5ad")],
    second: Annotated[
        Path, typer.Argument(help="Another; of another model it is aligned first.", metavar="SECOND.h5ad")
    ],
    replicates: Annotated[
        list[Path] | None,
        typer.Option(help="Another encoding of the first's condition: the null; repeat for several."),
    ] = None,
    fdr: Annotated[float, typer.Option(help="False discovery rate of the shifted bins.")] = 0.05,
    distance: Annotated[
        str, typer.Option(help="What bins are called by: cosine, l2 or l1.", metavar="cosine|l2|l1")
    ] = "cosine",
    permutations: Annotated[
        int, typer.Option(help="Circular shifts behind the switch table's p-values.")
    ] = 1000,
    seed: JobSeed = 0,
) -> None:
    """Compare two encoded cell lines bin by bin: distances, delta track, compartment switches."""
    from ..workflows import graph_comparison as workflow

    comparison = workflow.compare(
        out,
        first=first,
        second=second,
        replicates=replicates or (),
        fdr=fdr,
        distance=distance,
        permutations=permutations,
        seed=seed,
    )
    context.obj.show({"folder": str(out), **comparison.summary})
