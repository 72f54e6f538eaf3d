"""Commands that predict from signal tracks: contact maps, expression, and loops at given pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .arguments import ChromOption, StoreOption

__all__ = ["register"]

predict = typer.Typer(
    help="Contact maps, expression and loops as a fine-tuned model predicts them.", no_args_is_help=True
)

ModelOption = Annotated[Path, typer.Option("--model", help="Run folder of finetune.", metavar="RUN")]
StepOption = Annotated[
    int | None, typer.Option("--step", help="From window to window, bp. [default: a quarter of a window]")
]
BatchOption = Annotated[int, typer.Option("--batch-size", help="Windows at a time.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    predict.command("contacts")(contacts)
    predict.command("expression")(expression)
    predict.command("loops")(loops)
    predict.command("picture")(picture)
    app.add_typer(predict, name="predict")


def contacts(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Map to write.", metavar="OUT.mcool")],
    model: ModelOption,
    store: StoreOption,
    chrom: ChromOption = None,
    max_distance: Annotated[
        int | None, typer.Option(help="From the diagonal, bp. [default: as far as the model predicts]")
    ] = None,
    step: StepOption = None,
    batch_size: BatchOption = 64,
) -> None:
    """Predict the contact maps of chromosomes from their tracks; the store needs no contacts."""
    from ..workflows.prediction import predict_contacts

    done = predict_contacts(
        out,
        model=model,
        store=store,
        chroms=chrom or None,
        max_distance=max_distance,
        step=step,
        batch_size=batch_size,
    )
    context.obj.show(
        {
            "file": str(done.path),
            "chromosomes": list(done.chromosomes),
            "pixels": done.pixels,
            "exactly_zero": done.zeros,
            "resolutions": list(done.resolutions),
            "max_distance": done.max_distance,
            "step": done.step,
        }
    )


def expression(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Prefix of the files to write.", metavar="OUT_PREFIX")],
    model: ModelOption,
    store: StoreOption,
    tss: Annotated[
        Path | None, typer.Option("--tss", help="Start sites to make a table of (TSV, GFF, GTF).")
    ] = None,
    chrom: ChromOption = None,
    step: StepOption = None,
    batch_size: BatchOption = 64,
) -> None:
    """Predict a signal along chromosomes (OUT_PREFIX.bw), and at start sites (OUT_PREFIX.genes.tsv).

    The bigWig is on the signal's linear scale: 2**v - 1 of the predicted log2(signal + 1), and 0 where that
    is below 0.
    """
    from ..workflows.expression_prediction import predict_expression

    done = predict_expression(
        out, model=model, store=store, tss=tss, chroms=chrom or None, step=step, batch_size=batch_size
    )
    shown: dict[str, Any] = {"signal": done.signal, "bigwig": str(done.bigwig)}
    if done.genes is not None:
        shown |= {
            "table": str(done.table),
            "genes": len(done.genes),
            "without_prediction": sum(done.reasons.values()),
            "reasons": done.reasons or "none",
        }
    context.obj.show(shown)


def loops(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Scored pairs to write.", metavar="OUT.bedpe")],
    model: ModelOption,
    store: StoreOption,
    pairs: Annotated[
        Path, typer.Option("--loops", help="Pairs of anchors (BEDPE, Juicebox).", metavar="PAIRS.bedpe")
    ],
    batch_size: BatchOption = 256,
) -> None:
    """Score given pairs of anchors: the probability that each is a loop, line by line."""
    from ..workflows.pair_scoring import predict_loops

    done = predict_loops(out, model=model, store=store, loops=pairs, batch_size=batch_size)
    context.obj.show(
        {
            "file": str(out),
            "pairs": len(done.table),
            "scored": done.scored,
            "not_scored": done.reasons or "none",
        }
    )


def picture(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Picture to write.", metavar="OUT.png")],
    predicted: Annotated[
        Path, typer.Argument(help="What predict contacts wrote.", metavar="PREDICTED.mcool")
    ],
    store: StoreOption,
    region: Annotated[str, typer.Option(help="What is shown, e.g. chr6:5,000,000-7,000,000.")],
    track: Annotated[
        list[str] | None, typer.Option("--track", help="Track to draw; repeat. Default: all of the store.")
    ] = None,
    kind: Annotated[
        Literal["contacts", "oe"], typer.Option(help="Contacts, or observed over expected.")
    ] = "contacts",
) -> None:
    """Draw a predicted map below the measured one, if the store has contacts, over the tracks."""
    from ..workflows.prediction_picture import picture_of_prediction

    picture_of_prediction(
        out, predicted=predicted, store=store, region=region, tracks=tuple(track or ()), kind=kind
    )
    context.obj.show({"picture": str(out)})
