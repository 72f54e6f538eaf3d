"""Commands that run experiments: few-shot, cross-cell, ablation, depth. Each is many trainings and tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import ConfigError
from .arguments import JobSeed, StoreOption, StoresOption

if TYPE_CHECKING:
    import pandas as pd

    from ..workflows.foundation_settings import FinetuneConfig

__all__ = ["experiment", "register"]

experiment = typer.Typer(
    help="Experiments: arms that differ in one thing, trained and tested alike, in one table and one figure. "
    "Given again, a command goes on where it was interrupted.",
    no_args_is_help=True,
)

Task = Literal["loops", "contacts", "expression"]
Mode = Literal["bimodal", "map", "tracks", "infer_map", "infer_tracks"]

OutArgument = Annotated[Path, typer.Argument(help="Folder to write.", metavar="OUT")]
TaskOption = Annotated[Task, typer.Option(help="What is learned.")]
WindowsOption = Annotated[Path, typer.Option("--windows", help="Window table with train, valid and test.")]
PresetOption = Annotated[
    str | None, typer.Option("--preset", help="tiny, small, paper-128 or paper-256. [default: tiny]")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML with every setting of the fine-tuning, instead of a preset."),
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", help="Instead of the preset's.")]
FromOption = Annotated[
    Path | None, typer.Option("--from", help="Run folder of pretrain. Default: from scratch.")
]
ModeOption = Annotated[
    Mode | None, typer.Option("--mode", help="What models read. [default: bimodal; contacts: infer_map]")
]
SignalOption = Annotated[
    str | None, typer.Option("--signal", help="Track that --task expression predicts. [default: CAGE]")
]
TracksOption = Annotated[
    list[str] | None,
    typer.Option("--track", help="Track the models read; repeat. Default: all that the stores share."),
]
SeedsOption = Annotated[
    int, typer.Option("--seeds", help="Runs of each arm, with consecutive seeds; a claim needs at least 3.")
]
MetricOption = Annotated[
    str | None,
    typer.Option("--metric", help="What the figure shows. Default: what the evaluation gives first."),
]
BlockOption = Annotated[int, typer.Option("--block", help="Blocks resampled for an arm's intervals, bp.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Start anew in OUT, whatever an earlier experiment left there.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    experiment.command("few-shot")(few_shot)
    experiment.command("cross-cell")(cross_cell)
    experiment.command("ablation")(ablation)
    experiment.command("depth")(depth)
    app.add_typer(experiment, name="experiment")


def _finetuning(
    task: Task,
    preset: str | None,
    config: Path | None,
    mode: Mode | None,
    signal: str | None,
    track: list[str] | None,
    epochs: int | None,
) -> FinetuneConfig:
    """Settings of every arm's fine-tuning."""
    from .. import config as configs
    from ..workflows.foundation_settings import FinetuneConfig

    if signal is not None and task != "expression":
        raise ConfigError(f"--signal is the track that expression is; --task {task} predicts none.")
    if config is not None:
        given = {"preset": preset, "mode": mode, "signal": signal, "track": track, "epochs": epochs}
        if named := sorted(f"--{name}" for name, value in given.items() if value):
            raise ConfigError(
                f"--config {config} and {', '.join(named)} exclude each other; set them in the file."
            )
        return configs.load(FinetuneConfig, config)
    changes = {} if epochs is None else {"epochs": epochs}
    settings = FinetuneConfig.preset(preset or "tiny", task, mode, **changes)
    if signal is not None:
        settings = replace(settings, signal=signal)
    return replace(settings, transform=replace(settings.transform, tracks=tuple(track or ())))


def _no_tracks_with(pretrained: Path | None, track: list[str] | None) -> None:
    if pretrained is not None and track:
        raise ConfigError("--track and --from exclude each other: a pre-trained model brings its own tracks.")


def _show(context: typer.Context, out: Path, name: str, table: pd.DataFrame, *conditions: str) -> None:
    """Where the results are, and the first metric of every mean and difference."""
    shown: dict[str, Any] = {"table": str(out / f"{name}.tsv"), "figure": str(out / f"{name}.png")}
    rows = table[(table["row"] != "arm") & (table["stratum"] == "all")]
    first = rows[rows["metric"] == rows["metric"].iloc[0]]
    for row in first.to_dict("records"):
        key = " ".join(_value(row[condition]) for condition in conditions)
        interval = "" if row["low"] != row["low"] else f" [{row['low']:.3f}, {row['high']:.3f}]"
        note = f" ({row['note']})" if row["note"] else ""
        shown[key] = f"{row['metric']} {row['value']:.3f}{interval}{note}"
    context.obj.show(shown)


def _value(condition: Any) -> str:
    if isinstance(condition, bool):
        return "retrained" if condition else "as given"
    return f"{condition:g}" if isinstance(condition, float) else str(condition)


def few_shot(
    context: typer.Context,
    out: OutArgument,
    store: StoreOption,
    windows: WindowsOption,
    task: TaskOption = "loops",
    pretrained: FromOption = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(
            help="Share of the training windows; repeat. [default: 1e-4 1e-3 1e-2 1e-1, the paper's]"
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Subsets of each ratio, the same for both starts.")] = 3,
    stratified: Annotated[
        bool | None,
        typer.Option(
            "--stratified/--no-stratified",
            help="Draw from each label by itself, at least one window of each. Default: for loops; the paper "
            "draws uniformly, floor(N x ratio) of all.",
        ),
    ] = None,
    least_windows: Annotated[
        int, typer.Option(help="Repeat the windows drawn until an epoch has so many.")
    ] = 256,
    mode: ModeOption = None,
    signal: SignalOption = None,
    track: TracksOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    seeds: SeedsOption = 1,
    metric: MetricOption = None,
    block: BlockOption = 5_000_000,
    seed: JobSeed = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Fine-tune on few windows, pre-trained and from scratch; validation is the whole split, as published."""
    from ..workflows import few_shot as workflow
    from ..workflows.evaluation_rows import EvaluateConfig

    _no_tracks_with(pretrained, track)
    defaults = workflow.FewShotConfig()
    settings = workflow.FewShotConfig(
        ratios=tuple(ratio or defaults.ratios),
        draws=draws,
        seeds=seeds,
        stratified=stratified,
        least_windows=least_windows,
    )
    table = workflow.few_shot(
        out,
        store=store,
        windows=windows,
        task=task,
        pretrained=pretrained,
        finetuning=_finetuning(task, preset, config, mode, signal, track, epochs),
        config=settings,
        evaluation=EvaluateConfig(block=block),
        metric=metric,
        seed=seed,
        overwrite=overwrite,
    )
    _show(context, out, "few-shot", table, "start", "ratio")


def cross_cell(
    context: typer.Context,
    out: OutArgument,
    store: StoresOption,
    windows: Annotated[
        list[Path], typer.Option("--windows", help="Window table, one per store, in the same order.")
    ],
    task: TaskOption = "loops",
    pretrained: FromOption = None,
    mode: ModeOption = None,
    signal: SignalOption = None,
    track: TracksOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    seeds: SeedsOption = 1,
    metric: MetricOption = None,
    block: BlockOption = 5_000_000,
    seed: JobSeed = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Train on each cell line, test on every one: give --store and --windows once for each."""
    from ..workflows import cross_cell as workflow
    from ..workflows.evaluation_rows import EvaluateConfig

    _no_tracks_with(pretrained, track)
    table = workflow.cross_cell(
        out,
        stores=store,
        windows=windows,
        task=task,
        pretrained=pretrained,
        finetuning=_finetuning(task, preset, config, mode, signal, track, epochs),
        seeds=seeds,
        evaluation=EvaluateConfig(block=block),
        metric=metric,
        seed=seed,
        overwrite=overwrite,
    )
    _show(context, out, "cross-cell", table, "train_line", "test_line")


def ablation(
    context: typer.Context,
    out: OutArgument,
    pretrain_store: Annotated[
        list[Path], typer.Option(help="Store that is pre-trained on; repeat.", metavar="STORE")
    ],
    pretrain_windows: Annotated[list[Path], typer.Option(help="Its window table; repeat in the same order.")],
    store: StoreOption,
    windows: WindowsOption,
    task: TaskOption = "loops",
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="scratch, contrastive, orthogonal or full (by losses of the pre-training), another mode, "
            "frozen or probe; repeat. Default: all."
        ),
    ] = None,
    mode: ModeOption = None,
    signal: SignalOption = None,
    track: TracksOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    pretrain_config: Annotated[
        Path | None, typer.Option(help="TOML with every setting of the pre-training, instead of a preset.")
    ] = None,
    pretrain_epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    seeds: SeedsOption = 1,
    metric: MetricOption = None,
    block: BlockOption = 5_000_000,
    seed: JobSeed = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Leave out pre-training, its losses, or a modality, and test what each was worth."""
    from .. import config as configs
    from ..workflows import ablation as workflow
    from ..workflows.evaluation_rows import EvaluateConfig
    from ..workflows.foundation_settings import PretrainConfig

    if pretrain_config is not None:
        if pretrain_epochs is not None:
            raise ConfigError(
                f"--pretrain-config {pretrain_config} and --pretrain-epochs exclude each other; set them in "
                "the file."
            )
        pretraining = configs.load(PretrainConfig, pretrain_config)
    else:
        changes = {} if pretrain_epochs is None else {"epochs": pretrain_epochs}
        pretraining = PretrainConfig.preset(preset or "tiny", **changes)
    table = workflow.ablation(
        out,
        pretrain_stores=pretrain_store,
        pretrain_windows=pretrain_windows,
        store=store,
        windows=windows,
        task=task,
        arms=arm or (),
        pretraining=pretraining,
        finetuning=_finetuning(task, preset, config, mode, signal, track, epochs),
        seeds=seeds,
        evaluation=EvaluateConfig(block=block),
        metric=metric,
        seed=seed,
        overwrite=overwrite,
    )
    _show(context, out, "ablation", table, "arm")


def depth(
    context: typer.Context,
    out: OutArgument,
    model: Annotated[
        list[Path], typer.Option("--model", help="Run folder of finetune; repeat.", metavar="RUN")
    ],
    store: StoreOption,
    windows: WindowsOption,
    fraction: Annotated[
        list[float] | None,
        typer.Option(help="Chance of each contact to stay; repeat. [default: 1 0.5 0.2 0.1]"),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Fine-tune each model at every depth, too, with its settings.")
    ] = False,
    seeds: SeedsOption = 1,
    metric: MetricOption = None,
    block: BlockOption = 5_000_000,
    seed: JobSeed = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Test models and trivial rows on thinned maps; OUT gets a store for each fraction and seed."""
    from ..workflows import depth as workflow
    from ..workflows.evaluation_rows import EvaluateConfig

    table = workflow.depth(
        out,
        models=model,
        store=store,
        windows=windows,
        fractions=fraction or (1.0, 0.5, 0.2, 0.1),
        retrain=retrain,
        seeds=seeds,
        evaluation=EvaluateConfig(block=block),
        metric=metric,
        seed=seed,
        overwrite=overwrite,
    )
    _show(context, out, "depth", table, "model", "fraction", "retrained")
