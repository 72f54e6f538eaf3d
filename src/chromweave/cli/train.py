"""Commands that train: pretrain and its report, finetune, graph train; and demo, which runs all once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from ..errors import ConfigError
from .arguments import ChromOption, JobSeed, StoreOption, StoresOption, cell_lines

if TYPE_CHECKING:
    from ..workflows.foundation import FinetuneConfig, FinetuneResult, PretrainConfig, PretrainResult

__all__ = ["graph", "register"]

C = TypeVar("C", "PretrainConfig", "FinetuneConfig")

graph = typer.Typer(help="Chromatin graphs: train, encode, lay out.", no_args_is_help=True)

RunArgument = Annotated[Path, typer.Argument(help="Run folder to write.", metavar="RUN")]
WindowsOption = Annotated[
    list[Path], typer.Option("--windows", help="Window table, one per store, in the same order.")
]
PresetOption = Annotated[
    str | None, typer.Option("--preset", help="tiny, small, paper-128 or paper-256. [default: tiny]")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML with every setting, instead of a preset.")
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", help="Instead of the preset's.")]
BatchOption = Annotated[int | None, typer.Option("--batch-size", help="Instead of the preset's.")]
RateOption = Annotated[float | None, typer.Option("--learning-rate", help="Instead of the preset's.")]
TracksOption = Annotated[
    list[str] | None, typer.Option("--track", help="Track the model reads; repeat. Default: all shared ones.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")]
ResumeFromOption = Annotated[
    Path | None, typer.Option("--resume-from", help="Go on from this checkpoint of the run instead.")
]
CheckpointOption = Annotated[
    int | None,
    typer.Option("--checkpoint-every", help="Steps between checkpoints, besides each epoch's end."),
]
AccumulateOption = Annotated[
    int | None, typer.Option("--accumulate", help="Batches per optimiser step. [default: 1]")
]
EmaOption = Annotated[
    float | None, typer.Option("--ema", help="Decay of averaged weights, e.g. 0.999. [default: none kept]")
]
ScheduleOption = Annotated[
    Literal["constant", "cosine"] | None, typer.Option("--schedule", help="Rate after the warm-up.")
]
AcceleratorOption = Annotated[
    str | None, typer.Option("--accelerator", help="auto, cpu, gpu or mps. [default: auto]")
]
DevicesOption = Annotated[
    int | None, typer.Option("--devices", help="Processes on each machine. [default: 1]")
]
NodesOption = Annotated[int | None, typer.Option("--nodes", help="Machines. [default: 1]")]
PrecisionOption = Annotated[
    Literal["32-true", "bf16-mixed"] | None,
    typer.Option("--precision", help="Of the arithmetic. [default: 32-true]"),
]
StrategyOption = Annotated[
    Literal["auto", "ddp", "fsdp"] | None,
    typer.Option("--strategy", help="How processes share the work. [default: auto]"),
]
TensorboardOption = Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard, too.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="Processes that cut windows. [default: 0]")
]
ResidentOption = Annotated[
    bool, typer.Option("--resident", help="Keep the stores on the device and cut windows there.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(pretrain)
    app.command()(finetune)
    app.command()(report)
    app.command("import-mixhic")(import_mixhic)
    app.command()(demo)
    graph.command("train")(graph_train)
    app.add_typer(graph, name="graph")


def _changes(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _no_preset_changes(config: Path, changes: dict[str, Any]) -> None:
    if changes:
        raise ConfigError(
            f"--config {config} and {', '.join(sorted(changes))} exclude each other; set them in the file."
        )


def _on_machine(settings: C, workers: int | None, resident: bool | None, **fit: Any) -> C:
    """The settings, on the processes and devices that the command line names."""
    return replace(
        settings,
        fit=replace(settings.fit, **_changes(**fit)),
        loading=replace(settings.loading, **_changes(workers=workers, resident=resident)),
    )


def _outcome(result: PretrainResult | FinetuneResult) -> dict[str, Any]:
    """What both trainings say at their end."""
    return {
        "run": str(result.run),
        "train_windows": result.train_windows,
        "valid_windows": result.valid_windows,
        "epochs": result.fit.epochs,
        "best_epoch": result.fit.best_epoch,
        **result.fit.best_metrics,
    }


def _augmentations(given: list[str] | None) -> tuple[str, ...] | None:
    """What ``--augment`` asks for; an empty tuple for ``none``, None where it is not there."""
    if not given:
        return None
    return () if given == ["none"] else tuple(given)


def pretrain(
    context: typer.Context,
    run: RunArgument,
    store: StoresOption,
    windows: WindowsOption,
    track: TracksOption = None,
    store_weight: Annotated[
        list[float] | None,
        typer.Option(help="Share of each store in an epoch, in order. Default: by windows."),
    ] = None,
    include_test_chromosomes: Annotated[
        bool,
        typer.Option("--include-test-chromosomes", help="Train on the test split, too (the paper's way)."),
    ] = False,
    augment: Annotated[
        list[str] | None,
        typer.Option(help="swap, flip, jitter or thin, at random; repeat; or none. Default: the preset's."),
    ] = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    learning_rate: RateOption = None,
    schedule: ScheduleOption = None,
    accumulate: AccumulateOption = None,
    ema: EmaOption = None,
    checkpoint_every: CheckpointOption = None,
    tensorboard: TensorboardOption = False,
    accelerator: AcceleratorOption = None,
    devices: DevicesOption = None,
    nodes: NodesOption = None,
    precision: PrecisionOption = None,
    strategy: StrategyOption = None,
    workers: WorkersOption = None,
    resident: ResidentOption = False,
    seed: JobSeed = 0,
    resume: ResumeOption = False,
    resume_from: ResumeFromOption = None,
) -> None:
    """Pre-train MIX-HIC on windows of maps and tracks that belong together."""
    from .. import config as configs
    from ..workflows import foundation

    learning = _changes(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        accumulate=accumulate,
        ema=ema,
    )
    if config is not None:
        _no_preset_changes(config, _changes(preset=preset, **learning))
        settings = configs.load(foundation.PretrainConfig, config)
    else:
        settings = foundation.PretrainConfig.preset(preset or "tiny", **learning)
    settings = _on_machine(
        settings,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        precision=precision,
        strategy=strategy,
        checkpoint_every=checkpoint_every,
        tensorboard=tensorboard or None,
        workers=workers,
        resident=resident or None,
    )
    reading = _changes(tracks=tuple(track) if track else None, augmentations=_augmentations(augment))
    settings = replace(
        settings,
        transform=replace(settings.transform, **reading),
        loading=replace(
            settings.loading, store_weights=tuple(store_weight or settings.loading.store_weights)
        ),
        include_test_chromosomes=include_test_chromosomes or settings.include_test_chromosomes,
    )
    result = foundation.pretrain(
        run, stores=store, windows=windows, config=settings, seed=seed, resume=resume_from or resume
    )
    context.obj.show(_outcome(result))


def finetune(
    context: typer.Context,
    run: RunArgument,
    store: StoresOption,
    windows: WindowsOption,
    task: Annotated[
        Literal["loops", "contacts", "expression"], typer.Option(help="What is learned.")
    ] = "loops",
    pretrained: Annotated[
        Path | None, typer.Option("--from", help="Run folder of pretrain. Default: from scratch.")
    ] = None,
    mode: Annotated[
        Literal["bimodal", "map", "tracks", "infer_map", "infer_tracks"] | None,
        typer.Option(help="What the model reads. [default: bimodal; contacts: infer_map]"),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="Another paper's network, such as epiphany or epcot-lstm. [default: mix-hic]"),
    ] = None,
    tune: Annotated[
        Literal["full", "frozen", "probe"] | None,
        typer.Option(help="What of a pre-trained model changes. [default: full]"),
    ] = None,
    signal: Annotated[
        str | None, typer.Option(help="Track that --task expression predicts. [default: CAGE]")
    ] = None,
    least_known: Annotated[
        float | None,
        typer.Option(help="Part of a bin that --signal must cover for the bin to count. [default: 0.5]"),
    ] = None,
    target: Annotated[
        Literal["observed_expected", "log1p", "clip"] | None,
        typer.Option(
            help="Scale that --task contacts predicts on. [default: observed_expected; paper: clip]"
        ),
    ] = None,
    track: TracksOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    learning_rate: RateOption = None,
    checkpoint_every: CheckpointOption = None,
    accelerator: AcceleratorOption = None,
    devices: DevicesOption = None,
    nodes: NodesOption = None,
    precision: PrecisionOption = None,
    strategy: StrategyOption = None,
    workers: WorkersOption = None,
    resident: ResidentOption = False,
    seed: JobSeed = 0,
    resume: ResumeOption = False,
    resume_from: ResumeFromOption = None,
) -> None:
    """Fine-tune a pre-trained model for a task, or train one from scratch."""
    from .. import config as configs
    from ..workflows import foundation

    changes = _changes(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    if config is not None:
        given = _changes(
            preset=preset,
            architecture=architecture,
            mode=mode,
            tune=tune,
            signal=signal,
            least_known=least_known,
            target=target,
            **changes,
        )
        _no_preset_changes(config, given)
        settings = configs.load(foundation.FinetuneConfig, config)
    else:
        settings = foundation.FinetuneConfig.preset(preset or "tiny", task, mode, **changes)
        more = _changes(architecture=architecture, tune=tune, signal=signal, least_known=least_known)
        settings = replace(settings, **more)
    if task != "expression" and (signal is not None or least_known is not None):
        raise ConfigError(f"--signal and --least-known belong to --task expression, not to {task}.")
    if target is not None:
        if task != "contacts":
            raise ConfigError(f"--target is the scale of predicted contacts; --task {task} has none.")
        settings = replace(settings, transform=replace(settings.transform, contacts=target))
    settings = _on_machine(
        settings,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        precision=precision,
        strategy=strategy,
        checkpoint_every=checkpoint_every,
        workers=workers,
        resident=resident or None,
    )
    if track and pretrained:
        raise ConfigError("--track and --from exclude each other: a pre-trained model brings its own tracks.")
    if track:
        settings = replace(settings, transform=replace(settings.transform, tracks=tuple(track)))
    result = foundation.finetune(
        run,
        stores=store,
        windows=windows,
        task=task,
        pretrained=pretrained,
        config=settings,
        seed=seed,
        resume=resume_from or resume,
    )
    context.obj.show(_outcome(result))


def report(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder of pretrain, finished or not.", metavar="RUN")],
    out: Annotated[
        Path | None, typer.Option(help="The page. Default: report.html in the run folder.")
    ] = None,
) -> None:
    """Write a page of how a pre-training goes: losses, retrieval against chance, alignment, uniformity."""
    from ..workflows.training_report import report_pretraining

    context.obj.show({"report": str(report_pretraining(run, out))})


def import_mixhic(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="File of the published code.", metavar="CHECKPOINT")],
    out: Annotated[Path, typer.Argument(help="Model folder to write.", metavar="OUT")],
    kind: Annotated[Literal["pretrain", "loops", "contacts"], typer.Option(help="What it was trained for.")],
    assembly: Annotated[str, typer.Option(help="Assembly of its windows.")] = "hg38",
    track: Annotated[
        list[str] | None,
        typer.Option(help="Its tracks, in its order; repeat. Default: ATAC, DNase."),
    ] = None,
    resolution: Annotated[int, typer.Option(help="Bins of its windows, bp.")] = 5000,
    mode: Annotated[
        str | None, typer.Option(help="What a task's model reads. Default: bimodal; contacts: infer_map.")
    ] = None,
    weight: Annotated[str, typer.Option(help="Balancing vector its windows take from a store.")] = "KR",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in OUT.")] = False,
) -> None:
    """Turn a checkpoint of MIX-HIC's published code into a model folder; it is read without unpickling."""
    from ..workflows.legacy_import import import_legacy

    result = import_legacy(
        checkpoint,
        out,
        kind=kind,
        assembly=assembly,
        tracks=tuple(track) if track else ("ATAC", "DNase"),
        resolution=resolution,
        mode=mode or "",
        weight=weight,
        overwrite=overwrite,
    )
    context.obj.show(
        {
            "model": str(out),
            "kind": result.kind,
            "base_width": result.config.channels,
            "left_behind": len(result.dropped),
        }
    )


def graph_train(
    context: typer.Context,
    run: RunArgument,
    store: StoreOption,
    resolution: Annotated[int, typer.Option(help="Layer the graph is made from, bp.")],
    chrom: ChromOption = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Track that is a node feature; repeat for several. Default: all.")
    ] = None,
    max_distance: Annotated[int, typer.Option(help="Longest edge, bp.")] = 5_000_000,
    weight: Annotated[str | None, typer.Option(help="Balancing weights. Default: the store's.")] = None,
    edge_weight: Annotated[
        Literal["binary", "log1p"], typer.Option(help="binary is the original's.")
    ] = "binary",
    frame: Annotated[
        Literal["robust", "raw"],
        typer.Option(help="Features standardised per cell line, or left to BatchNorm as in the original."),
    ] = "robust",
    preset: Annotated[
        Literal["vgae-original", "distance-aware"],
        typer.Option(help="Where settings come from that are not given."),
    ] = "distance-aware",
    encoder: Annotated[
        Literal["gcn", "sage", "gat"] | None, typer.Option(help="Layers messages pass through.")
    ] = None,
    decoder: Annotated[
        Literal["inner-product", "distance-aware"] | None,
        typer.Option(help="distance-aware takes distance and visibility out of the latents."),
    ] = None,
    likelihood: Annotated[
        Literal["bernoulli", "poisson", "negative-binomial"] | None,
        typer.Option(help="Contact or none, or how many."),
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Channels of the first layer.")] = None,
    latent: Annotated[int | None, typer.Option(help="Dimensions of the embedding.")] = None,
    own: Annotated[
        bool | None, typer.Option("--own/--no-own", help="Bins have latents of their own, besides features.")
    ] = None,
    structure: Annotated[
        int | None, typer.Option(help="Components of the map itself that are node features, too.")
    ] = None,
    smoothness: Annotated[
        float | None, typer.Option(help="How much neighbouring bins resemble each other beforehand.")
    ] = None,
    noise: Annotated[
        bool | None, typer.Option("--noise/--no-noise", help="Draw latents while training.")
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Balancing weights as offsets, instead of visibilities.")
    ] = False,
    by_chromosome: Annotated[
        bool, typer.Option("--by-chromosome", help="A batch per chromosome: less memory, the same step.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="At the most. [default: the preset's]")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better validation. [default: the preset's]")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's. [default: the preset's]")] = None,
    repeats: Annotated[int, typer.Option(help="Trainings with consecutive seeds.")] = 1,
    seed: JobSeed = 0,
    resume: ResumeOption = False,
) -> None:
    """Train a graph autoencoder; held-out edges are scored beside the trivial rows."""
    from ..workflows import graph as workflow

    result = workflow.train(
        run,
        store=store,
        resolution=resolution,
        chroms=chrom or None,
        features=feature or None,
        max_distance=max_distance,
        weight=weight,
        edge_weight=edge_weight,
        frame=frame,
        preset=preset,
        encoder=encoder,
        decoder=decoder,
        likelihood=likelihood,
        hidden=hidden,
        latent=latent,
        own=own,
        structure=structure,
        smoothness=smoothness,
        noise=noise,
        balance=balance,
        by_chromosome=by_chromosome,
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        repeats=repeats,
        seed=seed,
        resume=resume,
    )
    context.obj.show({"run": str(result.run), **result.headline()})


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to write; report.html is in it.", metavar="OUT")],
    contacts: Annotated[
        list[str] | None,
        typer.Option(
            help="[CELL=]FILE: your own map in place of the simulated ones; at most two cell lines."
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(help="[CELL:]NAME=FILE.bw: your own track; the same names in each line."),
    ] = None,
    loops: Annotated[
        list[str] | None, typer.Option(help="[CELL=]FILE: known loops, to learn from and to compare with.")
    ] = None,
    assembly: Annotated[str | None, typer.Option(help="Assembly of your files. Default: by lengths.")] = None,
    chrom: Annotated[
        list[str] | None,
        typer.Option(help="Chromosome of your files; repeat. Default: all, which takes long."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Region left out of training.")] = None,
    resolution: Annotated[int, typer.Option(help="Bins of windows and loops, bp.")] = 5000,
    graph_resolution: Annotated[int, typer.Option(help="Bins of graph and compartments, bp.")] = 25_000,
    phase_by: Annotated[
        str | None,
        typer.Option(help="Track that is high in A. Default: the simulation's H3K27ac, or your first."),
    ] = None,
    seed: JobSeed = 0,
) -> None:
    """Run both systems once, on two simulated cell lines or on your own files, and write a report."""
    from ..workflows.demo import run_demo

    result = run_demo(
        out,
        cell_lines=cell_lines(contacts, track, loops),
        assembly=assembly,
        chroms=chrom or (),
        exclude=exclude or (),
        resolution=resolution,
        graph_resolution=graph_resolution,
        phase_by=phase_by,
        seed=seed,
    )
    context.obj.show({"report": str(result.report), "seconds": round(result.seconds), **result.figures})
