"""Commands that train: pretrain, finetune, graph train; and demo, which runs everything once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from ..errors import ConfigError
from .arguments import ChromOption, JobSeed, StoreOption, StoresOption, cell_lines

if TYPE_CHECKING:
    from ..workflows.foundation import FinetuneConfig, PretrainConfig

__all__ = ["graph", "register"]

C = TypeVar("C", "PretrainConfig", "FinetuneConfig")

graph = typer.Typer(help="Chromatin graphs: train, encode, lay out.", no_args_is_help=True)

RunArgument = Annotated[Path, typer.Argument(help="Run folder to write.", metavar="RUN")]
WindowsOption = Annotated[
    list[Path], typer.Option("--windows", help="Window table, one per store, in the same order.")
]
PresetOption = Annotated[str, typer.Option("--preset", help="tiny, small, paper-128 or paper-256.")]
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


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(pretrain)
    app.command()(finetune)
    app.command()(demo)
    graph.command("train")(graph_train)
    app.add_typer(graph, name="graph")


def _changes(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _reading(settings: C, tracks: list[str] | None) -> C:
    """The settings, with the tracks a model reads."""
    if not tracks:
        return settings
    return replace(settings, transform=replace(settings.transform, tracks=tuple(tracks)))


def _no_preset_changes(config: Path, changes: dict[str, Any]) -> None:
    if changes:
        raise ConfigError(
            f"--config {config} and {', '.join(sorted(changes))} exclude each other; set them in the file."
        )


def pretrain(
    context: typer.Context,
    run: RunArgument,
    store: StoresOption,
    windows: WindowsOption,
    track: TracksOption = None,
    preset: PresetOption = "tiny",
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    learning_rate: RateOption = None,
    seed: JobSeed = 0,
    resume: ResumeOption = False,
) -> None:
    """Pre-train MIX-HIC on windows of maps and tracks that belong together."""
    from .. import config as configs
    from ..workflows import foundation

    changes = _changes(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    if config is not None:
        _no_preset_changes(config, changes)
        settings = configs.load(foundation.PretrainConfig, config)
    else:
        settings = foundation.PretrainConfig.preset(preset, **changes)
    settings = _reading(settings, track)
    result = foundation.pretrain(
        run, stores=store, windows=windows, config=settings, seed=seed, resume=resume
    )
    context.obj.show(
        {
            "run": str(result.run),
            "train_windows": result.train_windows,
            "valid_windows": result.valid_windows,
            "epochs": result.fit.epochs,
            "best_epoch": result.fit.best_epoch,
            **result.fit.best_metrics,
        }
    )


def finetune(
    context: typer.Context,
    run: RunArgument,
    store: StoresOption,
    windows: WindowsOption,
    task: Annotated[Literal["loops"], typer.Option(help="What is learned.")] = "loops",
    pretrained: Annotated[
        Path | None, typer.Option("--from", help="Run folder of pretrain. Default: from scratch.")
    ] = None,
    mode: Annotated[
        Literal["bimodal", "map", "tracks", "infer_map"], typer.Option(help="What the model reads.")
    ] = "bimodal",
    track: TracksOption = None,
    preset: PresetOption = "tiny",
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    learning_rate: RateOption = None,
    seed: JobSeed = 0,
    resume: ResumeOption = False,
) -> None:
    """Fine-tune a pre-trained model for a task, or train one from scratch."""
    from .. import config as configs
    from ..workflows import foundation

    changes = _changes(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    if config is not None:
        _no_preset_changes(config, changes)
        settings = configs.load(foundation.FinetuneConfig, config)
    else:
        settings = foundation.FinetuneConfig.preset(preset, mode, **changes)
    if track and pretrained:
        raise ConfigError("--track and --from exclude each other: a pre-trained model brings its own tracks.")
    settings = _reading(settings, track)
    result = foundation.finetune(
        run,
        stores=store,
        windows=windows,
        task=task,
        pretrained=pretrained,
        config=settings,
        seed=seed,
        resume=resume,
    )
    context.obj.show(
        {
            "run": str(result.run),
            "train_windows": result.train_windows,
            "valid_windows": result.valid_windows,
            "epochs": result.fit.epochs,
            "best_epoch": result.fit.best_epoch,
            **result.fit.best_metrics,
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
    edge_weight: Annotated[
        Literal["binary", "log1p"], typer.Option(help="binary is the original's.")
    ] = "binary",
    frame: Annotated[
        Literal["robust", "raw"],
        typer.Option(help="Features standardised per cell line, or left to BatchNorm as in the original."),
    ] = "robust",
    epochs: Annotated[int, typer.Option(help="At the most.")] = 300,
    patience: Annotated[int, typer.Option(help="Epochs without a better validation AUC.")] = 20,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 1e-2,
    repeats: Annotated[int, typer.Option(help="Trainings with consecutive seeds.")] = 1,
    seed: JobSeed = 0,
    resume: ResumeOption = False,
) -> None:
    """Train the variational graph autoencoder; held-out edges are scored beside the trivial rows."""
    from ..evaluation.edges import summarise_scores
    from ..workflows import graph as workflow

    result = workflow.train(
        run,
        store=store,
        resolution=resolution,
        chroms=chrom or None,
        features=feature or None,
        max_distance=max_distance,
        edge_weight=edge_weight,
        frame=frame,
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        repeats=repeats,
        seed=seed,
        resume=resume,
    )
    shown: dict[str, Any] = {"run": str(result.run), "epochs": result.fit.epochs}
    summary = summarise_scores(result.scores)
    auc = summary[summary["metric"] == "auc"]
    for method, rows in auc.groupby("method", sort=False):
        shown[f"auc_{method}"] = {row["sampling"]: float(row["mean"]) for _, row in rows.iterrows()}
    context.obj.show(shown)


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
