"""Whether a model of one cell line holds for another: trained on each, tested on all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..data.store import RegionStore
from ..errors import ConfigError
from ..plot.transfer import matrix_figure
from ..schemas import Column
from .evaluation_rows import EvaluateConfig
from .experiment_input import alike, one_process, read, reading, require_samples
from .experiment_tables import arm_rows, experiment_schema, mean_rows, shown_metrics, write_experiment
from .experiments import Arm, Bench, Fitting, Verbs, consecutive, open_bench
from .finetuning import Task
from .foundation_settings import FinetuneConfig
from .model_input import open_stores
from .seen_places import tell_seen_places

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["CROSS_CELL", "cross_cell"]

CROSS_CELL = experiment_schema(
    "cross-cell",
    Column("train_line", "text", "cell line trained on; in trivial rows, the one they learn from"),
    Column("test_line", "text", "cell line tested on"),
)


@dataclass(frozen=True)
class _Settings:
    seeds: int
    finetuning: FinetuneConfig


class _Line(NamedTuple):
    store: RegionStore
    windows: Path


def cross_cell(
    out: str | Path,
    *,
    stores: Sequence[str | Path],
    windows: Sequence[str | Path],
    task: Task = "loops",
    pretrained: str | Path | None = None,
    finetuning: FinetuneConfig | None = None,
    seeds: int = 1,
    evaluation: EvaluateConfig | None = None,
    metric: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    verbs: Verbs | None = None,
) -> pd.DataFrame:
    """Train on each cell line and test on every one, itself included.

    All models read the tracks that all lines share. Trivial rows learn from the line that the model learned
    from, so that they know no more than it does. Where test windows of one line touch training windows of
    another, their places have been seen in training; how many is said, and kept in the .json.

    Parameters
    ----------
    out
        Folder for ``cross-cell.tsv``, ``.json`` and ``.png``, and for everything that is trained; see
        :func:`~chromweave.workflows.few_shot.few_shot`.
    stores, windows
        Two cell lines or more, and a window table of each, in the same order.
    task, pretrained, finetuning, evaluation, seed, overwrite, verbs
        As in :func:`~chromweave.workflows.few_shot.few_shot`.
    seeds
        Trainings on each line, with consecutive seeds.
    metric
        What the figure shows; the first of the evaluation by default.

    Returns
    -------
    pandas.DataFrame
        Schema :data:`CROSS_CELL`: rows ``"arm"`` and ``"mean"`` (over seeds) for each pair of lines.

    Raises
    ------
    ConfigError
        There is one cell line only, two have the same name, or tables do not pair up with stores; or what is
        in the folder was made with other settings.
    DataError
        Windows are of another store, or store and pre-trained model do not fit.
    """
    finetuning = finetuning or FinetuneConfig.preset("tiny", task)
    one_process(finetuning)
    consecutive(seed, seeds)
    lines = _lines(stores, windows)
    for line in lines:
        require_samples(task, line.store, line.windows)
    if pretrained is None:
        finetuning = reading(finetuning, task, [line.store for line in lines])
    else:
        finetuning = alike(finetuning, task, pretrained)
    seen = _seen(lines)
    inputs = [*stores, *windows, *([] if pretrained is None else [pretrained])]
    bench = open_bench(
        out, "cross-cell", _Settings(seeds, finetuning),
        seed=seed, inputs=inputs, overwrite=overwrite, verbs=verbs, evaluation=evaluation,
    )  # fmt: skip
    source = None if pretrained is None else Path(pretrained)
    rows = _rows(bench, _arms(lines, task, source, finetuning, consecutive(seed, seeds)))
    figure = _figure(rows, shown_metrics(rows, metric, 1)[0])
    extra = {"test_windows_in_places_trained_on": seen}
    return write_experiment(out, "cross-cell", rows, CROSS_CELL, figure, inputs=inputs, extra=extra)


def _lines(stores: Sequence[str | Path], windows: Sequence[str | Path]) -> list[_Line]:
    if len(stores) < 2:
        raise ConfigError(f"cross-cell needs two cell lines or more, not {len(stores)}; repeat --store.")
    if len(stores) != len(windows):
        raise ConfigError(
            f"{len(stores)} stores and {len(windows)} window table(s): give one table per store, in order."
        )
    opened = open_stores(stores)
    names = [store.name for store in opened]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two stores are of the cell line {twice[0]!r}; build one of them anew under another --name."
        )
    return [_Line(store, Path(table)) for store, table in zip(opened, windows, strict=True)]


def _arms(
    lines: Sequence[_Line],
    task: Task,
    pretrained: Path | None,
    finetuning: FinetuneConfig,
    seeds: range,
) -> list[Arm]:
    arms = []
    for train in lines:
        for seed in seeds:
            fitting = Fitting(
                f"{train.store.name}.seed-{seed}",
                task,
                train.store.path,
                train.windows,
                finetuning,
                seed,
                pretrained,
            )
            for test in lines:
                pair = {"train_line": train.store.name, "test_line": test.store.name}
                arms.append(
                    Arm(
                        name=f"{train.store.name}.on.{test.store.name}.seed-{seed}",
                        conditions=pair,
                        model=fitting,
                        store=test.store.path,
                        windows=test.windows,
                        seed=seed,
                        trivial=pair,
                        trivial_from=None if test is train else (train.store.path, train.windows),
                    )
                )
    return arms


def _rows(bench: Bench, arms: Sequence[Arm]) -> pd.DataFrame:
    import pandas as pd

    rows = arm_rows(bench.run(arms), CROSS_CELL)
    return pd.concat([rows, mean_rows(rows, CROSS_CELL, ["train_line", "test_line"])], ignore_index=True)


def _figure(rows: pd.DataFrame, metric: str) -> Figure:
    shown = rows[(rows["row"] == "mean") & (rows["metric"] == metric) & (rows["stratum"] == "all")]
    return matrix_figure(shown.rename(columns={"train_line": "train", "test_line": "test"}), metric=metric)


def _seen(lines: Sequence[_Line]) -> dict[str, int]:
    """For each pair of lines, test windows of the second that touch training windows of the first."""
    found = {}
    for train in lines:
        learned = read(train.windows, train.store, "train", "valid")
        for test in lines:
            judged = read(test.windows, test.store, "test")
            pair = f"{train.store.name} on {test.store.name}"
            found[pair] = tell_seen_places(pair, judged, learned)
    return found
