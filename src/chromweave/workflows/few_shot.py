"""How few labels are enough: a pre-trained model and one from scratch on the same few training windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..data.store import RegionStore
from ..data.subsets import take_ratio
from ..data.tables import SPLITS, write_windows
from ..errors import ConfigError
from ..evaluation.means import mean_interval
from ..plot.transfer import fewshot_figure
from ..schemas import Column
from .evaluation_rows import EvaluateConfig
from .experiment_input import alike, one_process, read, reading, require_samples
from .experiment_steps import identity, once
from .experiment_tables import (
    arm_rows,
    difference_rows,
    experiment_schema,
    mean_rows,
    shown_metrics,
    units,
    write_experiment,
)
from .experiments import Arm, Bench, Fitting, Verbs, consecutive, open_bench
from .finetuning import Task
from .foundation_settings import FinetuneConfig
from .model_input import open_stores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEW_SHOT", "FewShotConfig", "few_shot", "points"]

FEW_SHOT = experiment_schema(
    "few-shot",
    Column("start", "text", "pre-trained, scratch, another network's name, or none in trivial rows"),
    Column("ratio", "number", "share of the training windows"),
    Column("draw", "integer", "which subset of that ratio", nullable=True),
    Column("train_windows", "integer", "training windows drawn", nullable=True),
)
PRETRAINED, SCRATCH = "pre-trained", "scratch"
_BETWEEN_DRAWS = 1000  # seeds of one draw never meet those of the next


@dataclass(frozen=True)
class FewShotConfig:
    """Which subsets are drawn, and how often each is trained on.

    Parameters
    ----------
    ratios
        Shares of the training windows, each above 0 and at most 1; the paper's four by default.
    draws
        Subsets of each ratio; the paper has one.
    seeds
        Trainings on each subset, with consecutive seeds.
    stratified
        Draw from each label by itself, and at least one window of each; None: for loops only. The paper draws
        floor(N x ratio) windows uniformly, whatever their label.
    least_windows
        Repeat the windows drawn until an epoch has so many; 0 never does.
    """

    ratios: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    draws: int = 3
    seeds: int = 1
    stratified: bool | None = None
    least_windows: int = 256

    def __post_init__(self) -> None:
        if not self.ratios or not all(0 < ratio <= 1 for ratio in self.ratios):
            raise ConfigError(f"a ratio lies above 0 and is at most 1, not {self.ratios}.")
        if len(set(self.ratios)) < len(self.ratios):
            raise ConfigError(f"a ratio is given twice among {self.ratios}.")
        if self.draws < 1 or not 1 <= self.seeds < _BETWEEN_DRAWS:
            raise ConfigError(
                f"draws must be at least 1 and seeds from 1 to {_BETWEEN_DRAWS - 1}, not {self.draws} and "
                f"{self.seeds}."
            )
        if self.least_windows < 0:
            raise ConfigError(f"least_windows must not be negative, but is {self.least_windows}.")


@dataclass(frozen=True)
class _Settings:
    few_shot: FewShotConfig
    finetuning: FinetuneConfig
    architectures: tuple[str, ...] = ()


class _Subset(NamedTuple):
    """A draw: tables to train on and to evaluate with, and how many windows; or why there are none."""

    training: Path
    evaluation: Path
    taken: int
    missing: str


def few_shot(
    out: str | Path,
    *,
    store: str | Path,
    windows: str | Path,
    task: Task = "loops",
    pretrained: str | Path | None = None,
    finetuning: FinetuneConfig | None = None,
    architectures: Sequence[str] = (),
    config: FewShotConfig | None = None,
    evaluation: EvaluateConfig | None = None,
    metric: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    verbs: Verbs | None = None,
) -> pd.DataFrame:
    """Fine-tune on ever smaller parts of the training windows, pre-trained and from scratch; test on all.

    Both starts get the same windows, the same network and input, and the same seed: seed + 1000 x draw for
    the first training on each draw. Validation windows, which choose the best epoch, are the whole split, as
    in the paper, so that more labels are seen than the ratio says. The trivial rows learn from the same few
    windows.

    Parameters
    ----------
    out
        Folder for ``few-shot.tsv``, ``.json`` and ``.png``, and for everything that is trained. Called again,
        what is complete there stays and what was interrupted goes on; arms may be added, but a table that is
        there loses none.
    store, windows
        The store, and its window table with all three splits.
    task
        As in :func:`~chromweave.workflows.finetuning.finetune`.
    pretrained
        Run folder of pretrain; without it only the start from scratch is tried.
    finetuning
        Budget of every arm; the preset tiny if not given. With `pretrained`, network and input are its.
    architectures
        Other papers' networks (:func:`~chromweave.workflows.architectures.architectures`) to train from
        scratch on the same windows; each is a start by its name.
    config
        Ratios, draws, seeds.
    evaluation
        Split and blocks.
    metric
        What the figure shows; the first three of the evaluation by default.
    seed
        Of draws, trainings and intervals.
    overwrite
        Start anew in a folder of an earlier call.
    verbs
        What trains and evaluates.

    Returns
    -------
    pandas.DataFrame
        Schema :data:`FEW_SHOT`: rows ``"arm"`` of single trainings and trivial rules, ``"mean"`` over draws
        and seeds, and ``"difference"``, pre-trained minus scratch of the same draw and seed. A ratio that
        leaves nothing to train on has rows without value whose note says so.

    Raises
    ------
    ConfigError
        A setting is out of range, what is in the folder was made with others, the table there has arms that
        are not asked for, or no ratio leaves a window.
    DataError
        Windows, store and pre-trained model do not fit one another.
    """
    config = config or FewShotConfig()
    finetuning = finetuning or FinetuneConfig.preset("tiny", task)
    one_process(finetuning)
    (opened,) = open_stores(store)
    require_samples(task, opened, windows)
    if pretrained is None:
        finetuning = reading(finetuning, task, [opened])
    else:
        finetuning = alike(finetuning, task, pretrained)
    inputs = [store, windows, *([] if pretrained is None else [pretrained])]
    bench = open_bench(
        out, "few-shot", _Settings(config, finetuning, tuple(architectures)),
        seed=seed, inputs=inputs, overwrite=overwrite, verbs=verbs, evaluation=evaluation,
    )  # fmt: skip
    arms = [
        arm
        for ratio in config.ratios
        for draw in range(config.draws)
        for arm in _arms(
            bench, opened, Path(windows), task, pretrained,
            {name: replace(finetuning, architecture=name, tune="full") for name in architectures},
            finetuning, config, ratio, draw,
        )
    ]  # fmt: skip
    rows = _rows(bench, arms, both=pretrained is not None)
    figure = fewshot_figure(points(rows, shown_metrics(rows, metric, 3)))
    extra = {"validation": "the whole split, whatever the ratio"}
    return write_experiment(out, "few-shot", rows, FEW_SHOT, figure, inputs=inputs, extra=extra)


def _arms(
    bench: Bench,
    store: RegionStore,
    windows: Path,
    task: Task,
    pretrained: str | Path | None,
    others: Mapping[str, FinetuneConfig],
    finetuning: FinetuneConfig,
    config: FewShotConfig,
    ratio: float,
    draw: int,
) -> list[Arm]:
    """The arms of one draw: each start, with each seed."""
    subset = _subset(bench, store, windows, task, config, ratio, draw)
    whole = replace(finetuning, tune="full")
    starts: dict[str, tuple[Path | None, FinetuneConfig]] = {SCRATCH: (None, whole)}
    if pretrained is not None:
        starts = {PRETRAINED: (Path(pretrained), finetuning), **starts}
    starts |= {name: (None, settings) for name, settings in others.items()}
    shared = {"ratio": ratio, "draw": draw, "train_windows": subset.taken}
    arms = []
    for seed in consecutive(bench.seed + _BETWEEN_DRAWS * draw, config.seeds):
        for start, (source, settings) in starts.items():
            name = f"ratio-{ratio:g}.draw-{draw}.seed-{seed}.{start}"
            fitting = Fitting(name, task, store.path, subset.training, settings, seed, source)
            arms.append(
                Arm(
                    name=name,
                    conditions={"start": start, **shared},
                    model=None if subset.missing else fitting,
                    store=store.path,
                    windows=subset.evaluation,
                    seed=seed,
                    trivial={"start": "none", **shared},
                    missing=subset.missing,
                )
            )
    return arms


def _subset(
    bench: Bench,
    store: RegionStore,
    windows: Path,
    task: Task,
    config: FewShotConfig,
    ratio: float,
    draw: int,
) -> _Subset:
    """Write a draw's window tables, unless they are there; repeated windows are for the training only."""
    stratified = task == "loops" if config.stratified is None else config.stratified
    stem = bench.out / "windows" / f"ratio-{ratio:g}.draw-{draw}"
    evaluation, training = stem.with_name(f"{stem.name}.parquet"), stem.with_name(f"{stem.name}.many.parquet")
    shared = {
        "windows": identity(windows),
        "ratio": ratio,
        "draw": draw,
        "seed": bench.seed,
        "stratified": stratified,
    }
    whole = read(windows, store, *SPLITS)

    def make(path: Path, least: int) -> dict[str, object]:
        try:
            part = take_ratio(
                whole, ratio, seed=bench.seed, draw=draw, stratified=stratified, least_rows=least
            )
        except ConfigError as error:  # the ratio itself was looked at before: no window is left
            return {"taken": 0, "missing": str(error)}
        write_windows(path, part)
        return {"taken": part.attrs["subset"]["taken"], "missing": _one_label(task, part)}

    made = once(evaluation, shared, lambda begun: make(evaluation, 0))
    if made["taken"]:
        settings = {**shared, "least_windows": config.least_windows}
        once(training, settings, lambda begun: make(training, config.least_windows))
    return _Subset(training, evaluation, made["taken"], made["missing"])


def _one_label(task: Task, part: pd.DataFrame) -> str:
    """Why a draw of loops cannot be learned from; empty where it can."""
    labels = part.loc[part["split"] == "train", "label"]
    if task != "loops" or labels.nunique() == 2:
        return ""
    return (
        f"every window drawn ({part.attrs['subset']['taken']:,}) has the label {labels.iloc[0]:g}; a "
        "stratified draw has some of each."
    )


def _rows(bench: Bench, arms: Sequence[Arm], both: bool) -> pd.DataFrame:
    """Arms, means, and where there are both starts their differences."""
    import pandas as pd

    rows = arm_rows(bench.run(arms), FEW_SHOT)
    parts = [rows, mean_rows(rows, FEW_SHOT, ["start", "ratio"])]
    if both:
        parts.append(difference_rows(rows, FEW_SHOT, "start", PRETRAINED, SCRATCH, ["ratio"]))
    return pd.concat(parts, ignore_index=True)


def points(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """What :func:`chromweave.plot.transfer.fewshot_figure` shows: values of the draws, and their mean.

    Parameters
    ----------
    rows
        Of :func:`few_shot`.
    metrics
        Those that are shown.
    """
    import pandas as pd

    own = rows[(rows["row"] == "arm") & (rows["method"] == "model") & (rows["stratum"] == "all")]
    own = own[own["value"].notna()]
    parts = []
    for name in metrics:
        of_metric = own[own["metric"] == name]
        for (start, ratio), values in of_metric.groupby(["start", "ratio"], sort=False):
            drawn = units(values)[["value"]]
            value, low, high = mean_interval(drawn["value"].to_numpy(float))
            parts.append(drawn.assign(start=start, ratio=ratio, metric=name, mean=value, low=low, high=high))
    return pd.concat(parts, ignore_index=True)
