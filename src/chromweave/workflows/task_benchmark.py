"""Contacts, loops and expression: every method trained alike on each cell line, all judged side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.store import RegionStore
from ..errors import ConfigError
from ..files import read_json
from ..progress import notify
from ..schemas import RESULTS, Column, Schema
from ..training.checkpoint import CONFIG
from .architectures import MIX_HIC
from .benchmark_cells import Outcome, cost_row, cost_table
from .benchmark_settings import VARIANTS, BenchConfig, Line, label
from .benchmark_training import (
    SCORERS,
    Bench,
    Training,
    pretrainings,
    run_of,
    score_windows,
    scores_of,
    train_networks,
)
from .evaluate import EvaluateConfig, evaluate
from .experiment_input import require_samples
from .experiment_steps import forget_others, identity, once
from .finetuning import Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BENCHMARK", "TaskBenchmark", "task_benchmark"]

BENCHMARK = Schema(
    "benchmark result",
    (
        Column("train_line", "text", "cell line learned from"),
        Column("test_line", "text", "cell line judged on"),
        Column("role", "text", "ours, baseline, trivial, or difference of two rows"),
        *RESULTS.columns,
        Column("note", "text", "why a value is missing", nullable=True),
    ),
)


@dataclass(frozen=True)
class TaskBenchmark:
    """What a benchmark of one task found.

    Attributes
    ----------
    scores
        Schema :data:`BENCHMARK`.
    costs
        Schema :data:`chromweave.workflows.benchmark_cells.COSTS`.
    """

    scores: pd.DataFrame
    costs: pd.DataFrame


def task_benchmark(
    out: str | Path,
    task: Task,
    config: BenchConfig,
    *,
    methods: Sequence[str] = (),
    name: str = "",
    across: bool = False,
    jobs: int = 1,
    retry: bool = False,
) -> TaskBenchmark:
    """Train every method of a task on every cell line, and judge all on the same test windows.

    All get the same windows, splits, tracks, optimisation and early stopping. MIX-HIC starts from its
    pre-training; the others from scratch.

    Parameters
    ----------
    out
        Folder for everything that is trained (``runs/``), for the cells and for evaluations. What is complete
        there is not made again.
    task
        ``"contacts"``, ``"loops"`` or ``"expression"``.
    config
        Lines, methods, budget.
    methods
        Instead of the task's in `config`; those of :data:`~chromweave.workflows.benchmark_settings.VARIANTS`,
        too.
    name
        In front of what evaluations of such a choice are called, so that the task's own stay.
    across
        Judge each model on the other lines' test windows instead of its own line's.
    jobs
        Trainings side by side.
    retry
        Run cells again that failed.

    Raises
    ------
    ConfigError
        No line has windows for the task, there is but one to test across, or no network is named; or what is
        there was made with other settings.
    DataError
        Windows do not fit their stores.
    """
    lines = config.taking_part(task)
    if across and len(lines) < 2:
        raise ConfigError(
            f"to test across cell lines two need windows for {task}, not {lines[0].name} alone."
        )
    for line in lines:
        require_samples(task, RegionStore.open(line.store), line.windows(task) or "")
    bench = Bench(Path(out), config, jobs, retry)
    if not set(methods or getattr(config.methods, task)) - set(SCORERS):
        raise ConfigError(f"{' and '.join(SCORERS)} are judged beside a network; name one for {task}, too.")
    before = pretrainings(bench, task)
    trainings = [
        Training(task, method, line, config.seed + i)
        for line in lines
        for i in range(config.seeds)
        for method in methods or getattr(config.methods, task)
    ]
    networks = [one for one in trainings if one.method not in SCORERS]
    made = dict(zip(networks, train_networks(bench, networks, before), strict=True))
    tables: list[pd.DataFrame] = []
    forests: dict[Training, Outcome] = {}
    for line in lines:
        for seed in range(config.seed, config.seed + config.seeds):
            alike = [one for one in trainings if (one.line, one.seed) == (line, seed)]
            for judged in lines:
                if (judged is line) == across:
                    continue
                scored = score_windows(bench, alike, judged, lines)
                forests |= scored
                tables.append(_judged(bench, alike, judged, made | scored, name))
    costs = [
        cost_row(one.task, label(one.method), one.line.name, one.seed, (made | forests)[one])
        for one in trainings
    ]
    return TaskBenchmark(_together(tables), cost_table(costs))


def _judged(
    bench: Bench, alike: Sequence[Training], judged: Line, made: Mapping[Training, Outcome], name: str
) -> pd.DataFrame:
    """All methods of one line and seed on the test windows of a line; rows with a reason where one failed."""
    task, line, seed = alike[0].task, alike[0].line, alike[0].seed
    good = [one for one in alike if not made[one].error]
    bad = {label(one.method): made[one].error for one in alike if made[one].error}
    runs = {label(one.method): run_of(bench, one) for one in good if one.method not in SCORERS}
    scores = {label(one.method): scores_of(bench, one, judged) for one in good if one.method in SCORERS}
    if not runs:
        raise ConfigError(
            f"{task} on {line.name}: no network could be trained ({'; '.join(bad.values())}); correct that, "
            "and give the command again with --retry."
        )
    first, *others = runs
    out = bench.out / "evaluations" / f"{name}{task}.{line.name}.on.{judged.name}.seed-{seed}"
    windows = judged.windows(task)
    assert windows is not None
    more: dict[str, Any] = {}
    if judged is not line:
        more = {"trivial_store": line.store, "trivial_windows": alike[0].windows}
    config = EvaluateConfig(block=bench.config.block)

    def make(begun: bool) -> list[dict[str, Any]]:
        notify(f"{task}: {', '.join((*runs, *scores))} of {line.name} on {judged.name}, seed {seed}")
        found = evaluate(
            out, model=runs[first], store=judged.store, windows=windows,
            beside={name: runs[name] for name in others}, scores=scores, seed=bench.config.seed,
            config=config, **more,
        )  # fmt: skip
        return _rows_of(found, first)

    known = {
        "models": {name: _weights(run) for name, run in runs.items()},
        "scores": {name: identity(path) for name, path in scores.items()},
        "store": identity(judged.store),
        "windows": identity(windows),
        **{name: identity(path) for name, path in more.items()},
        "seed": bench.config.seed,
        "config": asdict(config),
    }
    forget_others(out, known)  # of more methods now, or of ones that have been mended
    rows = _frame(once(out, known, make))
    named = {label(one.method): _kind(one.method) for one in alike}
    rows["role"] = [_role(str(method), named) for method in rows["method"]]
    missing = _missing(rows, bad, named)
    whole = _concat([rows.assign(note=None), missing])
    return whole.assign(train_line=line.name, test_line=judged.name, seed=seed)


def _kind(method: str) -> str:
    return "ours" if method == MIX_HIC or method in VARIANTS else "baseline"


def _weights(run: Path) -> str:
    return str(read_json(run / CONFIG)["weights_sha256"])


def _rows_of(table: pd.DataFrame, first: str) -> list[dict[str, Any]]:
    """An evaluation's rows as plain values, with the first model under its own name."""
    renamed = table.assign(
        method=table["method"].astype(str).str.replace(r"^model(?= - |$)", first, regex=True)
    )
    known = renamed.astype(object)
    return known.where(known.notna(), None).to_dict("records")


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows)
    for name in ("value", "low", "high"):
        table[name] = table[name].astype(float)
    return table


def _role(method: str, named: Mapping[str, str]) -> str:
    return "difference" if " - " in method else named.get(method, "trivial")


def _missing(rows: pd.DataFrame, bad: Mapping[str, str], named: Mapping[str, str]) -> pd.DataFrame:
    """A row without value for each metric of a method that failed, with the reason."""
    whole = rows[(rows["stratum"] == "all") & (rows["role"] != "difference")]
    wanted = whole.drop_duplicates("metric")
    parts = [
        wanted.assign(method=name, role=named[name], value=np.nan, low=np.nan, high=np.nan, n=0, note=reason)
        for name, reason in bad.items()
    ]
    return _concat(parts) if parts else wanted.iloc[:0].assign(note=None)


def _together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    table = _concat(tables)
    table["seed"] = table["seed"].astype("Int64")
    return BENCHMARK.order(BENCHMARK.check(table, "table of the benchmark"))


def _concat(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    kept = [table for table in tables if len(table)]
    return pd.concat(kept, ignore_index=True)
