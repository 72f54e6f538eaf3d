"""What each part of the foundation model is worth: without pre-training, without its losses, one modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from ..errors import ConfigError
from ..models.tasks import CONTACT_MODES, Mode
from ..plot.scores import ablation_figure
from ..schemas import Column
from .evaluation_rows import EvaluateConfig
from .experiment_input import one_process, read, reading, require_samples
from .experiment_tables import (
    arm_rows,
    difference_rows,
    experiment_schema,
    mean_rows,
    shown_metrics,
    with_intervals,
    write_experiment,
)
from .experiments import Arm, Bench, Fitting, Pretraining, Verbs, consecutive, open_bench
from .finetuning import Task
from .foundation_settings import FinetuneConfig, PretrainConfig
from .model_input import open_stores
from .seen_places import tell_seen_places
from .training_runs import read_tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ABLATION", "ablation", "ablation_arms"]

ABLATION = experiment_schema(
    "ablation",
    Column("arm", "text", "what is left out or done otherwise; trivial rows have none"),
    Column("pretraining", "text", "losses of the pre-training, or none"),
    Column("mode", "text", "what the model reads"),
    Column("tune", "text", "what of the pre-trained model changes"),
)
FULL, SCRATCH = "full", "scratch"
_LOSSES: Mapping[str, Mapping[str, Any]] = {
    "contrastive": {"orthogonal": 0.0, "mapping": 0.0},
    "orthogonal": {"mapping": 0.0},
    FULL: {},
}
_LOSS_NAMES = {
    "contrastive": "contrastive",
    "orthogonal": "contrastive + orthogonal",
    FULL: "contrastive + orthogonal + mapping",
}


class _Recipe(NamedTuple):
    """How an arm differs: losses of its pre-training (a key of `_LOSSES`), mode, and what is tuned."""

    losses: str | None
    mode: Mode
    tune: Literal["full", "frozen", "probe"] = "full"


@dataclass(frozen=True)
class _Settings:
    arms: tuple[str, ...]
    seeds: int
    pretraining: PretrainConfig
    finetuning: FinetuneConfig


def ablation_arms(task: Task, mode: Mode) -> tuple[str, ...]:
    """Names of the arms of a task whose full model has this mode, in the order of the table.

    ``scratch``; ``contrastive``, ``orthogonal`` (with the contrastive) and ``full`` (and the mapping), by the
    losses of the pre-training; the other modes that the task allows, after the full pre-training; and
    ``frozen`` and ``probe``, by what is tuned.
    """
    return tuple(_recipes(task, mode))


def _recipes(task: Task, mode: Mode) -> dict[str, _Recipe]:
    allowed: Sequence[Mode] = CONTACT_MODES if task == "contacts" else get_args(Mode)
    return {
        SCRATCH: _Recipe(None, mode),
        **{name: _Recipe(name, mode) for name in _LOSSES},
        **{other: _Recipe(FULL, other) for other in allowed if other != mode},
        "frozen": _Recipe(FULL, mode, "frozen"),
        "probe": _Recipe(FULL, mode, "probe"),
    }


def ablation(
    out: str | Path,
    *,
    pretrain_stores: Sequence[str | Path],
    pretrain_windows: Sequence[str | Path],
    store: str | Path,
    windows: str | Path,
    task: Task = "loops",
    arms: Sequence[str] = (),
    pretraining: PretrainConfig | None = None,
    finetuning: FinetuneConfig | None = None,
    seeds: int = 1,
    evaluation: EvaluateConfig | None = None,
    metric: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    verbs: Verbs | None = None,
) -> pd.DataFrame:
    """Pre-train without some losses, fine-tune in every mode, and without pre-training at all; test each.

    Arms of one seed share its pre-trainings. All read the tracks that all stores have (less the one that is
    predicted), and all have the network of the pre-training.

    Parameters
    ----------
    out
        Folder for ``ablation.tsv``, ``.json`` and ``.png``, and for everything that is trained; see
        :func:`~chromweave.workflows.few_shot.few_shot`.
    pretrain_stores, pretrain_windows
        What the pre-trainings read: stores, and a window table of each, in the same order.
    store, windows
        What is fine-tuned and tested on.
    task, finetuning, evaluation, seed, overwrite, verbs
        As in :func:`~chromweave.workflows.few_shot.few_shot`; the mode of `finetuning` is that of the full
        model.
    arms
        Some of :func:`ablation_arms`; all by default.
    pretraining
        Network and input of all arms, and the full loss; the preset tiny if not given.
    seeds
        Repetitions of everything, pre-training included, with consecutive seeds.
    metric
        What the figure shows; the first three of the evaluation by default.

    Returns
    -------
    pandas.DataFrame
        Schema :data:`ABLATION`: rows ``"arm"``, ``"mean"`` over seeds, and ``"difference"``, each arm minus
        the full model of the same seed.

    Raises
    ------
    ConfigError
        There is no such arm, or what is in the folder was made with other settings.
    DataError
        Windows and stores do not fit one another.
    """
    pretraining = pretraining or PretrainConfig.preset("tiny")
    finetuning = finetuning or FinetuneConfig.preset("tiny", task)
    for config in (pretraining, finetuning):
        one_process(config)
    if pretraining.include_test_chromosomes:
        raise ConfigError("pre-training on test chromosomes leaves nothing to test the arms on.")
    chosen = _chosen(task, finetuning.mode, arms)
    repeats = consecutive(seed, seeds)
    (opened,), others = open_stores(store), open_stores(pretrain_stores)
    require_samples(task, opened, windows)
    judged = read(windows, opened, "test")
    seen = {
        other.name: tell_seen_places(f"pre-training on {other.name}", judged, table)
        for other, table in zip(others, read_tables(others, pretrain_windows), strict=True)
    }
    finetuning = _like_pretraining(finetuning, pretraining, task)
    finetuning = reading(finetuning, task, [*others, opened], whatever_mode=True)
    transform = replace(pretraining.transform, tracks=finetuning.transform.tracks)
    pretraining = replace(pretraining, transform=transform)
    inputs = [*pretrain_stores, *pretrain_windows, store, windows]
    bench = open_bench(
        out, "ablation", _Settings(tuple(chosen), seeds, pretraining, finetuning),
        seed=seed, inputs=inputs, overwrite=overwrite, verbs=verbs, evaluation=evaluation,
    )  # fmt: skip
    pretrainings = {
        (losses, repeat): Pretraining(
            f"{losses}.seed-{repeat}",
            tuple(Path(path) for path in pretrain_stores),
            tuple(Path(path) for path in pretrain_windows),
            replace(pretraining, loss=replace(pretraining.loss, **_LOSSES[losses])),
            repeat,
        )
        for losses in _LOSSES
        for repeat in repeats
    }
    made = [
        _arm(name, recipe, task, Path(store), Path(windows), finetuning, repeat, pretrainings)
        for name, recipe in chosen.items()
        for repeat in repeats
    ]
    rows = _rows(bench, made)
    figure = _figure(rows, shown_metrics(rows, metric, 3))
    extra = {"test_windows_in_places_pretrained_on": seen}
    return write_experiment(out, "ablation", rows, ABLATION, figure, inputs=inputs, extra=extra)


def _chosen(task: Task, mode: Mode, arms: Sequence[str]) -> dict[str, _Recipe]:
    recipes = _recipes(task, mode)
    if wrong := [name for name in arms if name not in recipes]:
        why = "is that of the full model" if wrong[0] == mode else "is none of this ablation"
        raise ConfigError(f"the arm {wrong[0]!r} {why}; there are {', '.join(recipes)}.")
    return {name: recipe for name, recipe in recipes.items() if not arms or name in arms}


def _like_pretraining(finetuning: FinetuneConfig, pretraining: PretrainConfig, task: Task) -> FinetuneConfig:
    """Network and input of the pre-training, for the arm that has none."""
    transform = pretraining.transform
    if not transform.tracks:
        transform = replace(transform, tracks=finetuning.transform.tracks)
    return finetuning.after(pretraining.network, transform, task)


def _arm(
    name: str,
    recipe: _Recipe,
    task: Task,
    store: Path,
    windows: Path,
    finetuning: FinetuneConfig,
    seed: int,
    pretrainings: Mapping[tuple[str, int], Pretraining],
) -> Arm:
    config = replace(finetuning, mode=recipe.mode, tune=recipe.tune)
    pretrained = None if recipe.losses is None else pretrainings[recipe.losses, seed]
    folder = f"{name}.seed-{seed}"
    return Arm(
        name=folder,
        conditions={
            "arm": name,
            "pretraining": "none" if recipe.losses is None else _LOSS_NAMES[recipe.losses],
            "mode": recipe.mode,
            "tune": recipe.tune,
        },
        model=Fitting(folder, task, store, windows, config, seed, pretrained),
        store=store,
        windows=windows,
        seed=seed,
        trivial={"arm": "none", "pretraining": "none", "mode": "none", "tune": "none"},
    )


def _rows(bench: Bench, arms: Sequence[Arm]) -> pd.DataFrame:
    """Arms, means, and differences from the full model, if it is among them."""
    import pandas as pd

    rows = arm_rows(bench.run(arms), ABLATION)
    names = list(dict.fromkeys(str(arm.conditions["arm"]) for arm in arms))
    parts = [rows, mean_rows(rows, ABLATION, ["arm", "pretraining", "mode", "tune"])]
    for name in names:
        if FULL in names and name != FULL:
            apart = difference_rows(rows, ABLATION, "arm", name, FULL)
            parts.append(apart.assign(pretraining="-", mode="-", tune="-"))
    return pd.concat(parts, ignore_index=True)


def _figure(rows: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Means of every arm, and the trivial rows."""
    import pandas as pd

    rows = rows[rows["metric"].isin(metrics) & (rows["stratum"] == "all")]
    means = with_intervals(rows, ["arm"])
    trivial = rows[(rows["row"] == "arm") & (rows["arm"] == "none")]
    shown = pd.concat([means.assign(method=means["arm"]), trivial], ignore_index=True)
    full = FULL if FULL in set(means["arm"]) else None
    return ablation_figure(shown, full=full, trivial=tuple(dict.fromkeys(trivial["method"])))
