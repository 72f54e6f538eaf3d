"""Contacts, loops and expression: every method trained alike on each cell line, all judged side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import ConfigError, ModelError
from ..files import read_json
from ..models.tasks import Mode
from ..progress import notify
from ..schemas import RESULTS, Column, Schema
from ..training.checkpoint import CONFIG
from .architectures import MIX_HIC
from .benchmark_cells import Cell, Outcome, run_cells
from .benchmark_settings import PEAKACHU, REFHIC, VARIANTS, BenchConfig, Line, label
from .evaluate import EvaluateConfig, evaluate
from .experiment_input import reading, require_samples
from .experiment_steps import forget_others, identity, once, training_settings
from .finetuning import Task, finetune
from .foundation import pretrain
from .foundation_settings import FinetuneConfig, PretrainConfig
from .inference import TaskModel
from .model_input import open_stores

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BENCHMARK",
    "COSTS",
    "TaskBenchmark",
    "pretraining_run",
    "task_benchmark",
    "tracks_read",
    "trained_runs",
]

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
COSTS = Schema(
    "benchmark cost",
    (
        Column("task", "text", "what was learned"),
        Column("method", "text", "what learned it"),
        Column("train_line", "text", "cell line learned from"),
        Column("seed", "integer", "of the training"),
        Column("seconds", "number", "of wall time, of one training", nullable=True),
        Column("cpu_seconds", "number", "of processor time", nullable=True),
        Column("peak_mb", "number", "most memory its process held, MB", nullable=True),
        Column("parameters", "number", "that are learned; missing for a forest", nullable=True),
        Column("note", "text", "why it failed", nullable=True),
    ),
)
_LOOKED_AT = 64
_PRETRAINED = {MIX_HIC, *(name for name, mode in VARIANTS.items() if mode is not None)}
_SCORERS = (PEAKACHU, REFHIC)


@dataclass(frozen=True)
class TaskBenchmark:
    """What a benchmark of one task found.

    Attributes
    ----------
    scores
        Schema :data:`BENCHMARK`.
    costs
        Schema :data:`COSTS`.
    """

    scores: pd.DataFrame
    costs: pd.DataFrame


@dataclass(frozen=True)
class _Training:
    """One method, one cell line, one seed."""

    task: Task
    method: str
    line: Line
    seed: int

    @property
    def name(self) -> str:
        return f"{self.task}.{self.method}.{self.line.name}.seed-{self.seed}"

    @property
    def windows(self) -> str:
        found = self.line.windows(self.task)
        assert found is not None
        return found


@dataclass(frozen=True)
class _Bench:
    """Where a benchmark is run, and with what."""

    out: Path
    config: BenchConfig
    jobs: int
    retry: bool

    def run(self, cells: Sequence[Cell]) -> list[Outcome]:
        return run_cells(self.out / "cells", cells, jobs=self.jobs, retry=self.retry)


def task_benchmark(
    out: str | Path,
    task: Task,
    config: BenchConfig,
    *,
    methods: Sequence[str] = (),
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
    across
        Judge each model on the other lines' test windows instead of its own line's.
    jobs
        Trainings side by side.
    retry
        Run cells again that failed.

    Raises
    ------
    ConfigError
        No line has windows for the task, or there is but one to test across; or what is there was made with
        other settings.
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
    bench = _Bench(Path(out), config, jobs, retry)
    before = _pretrained(bench, task)
    trainings = [
        _Training(task, method, line, config.seed + i)
        for line in lines
        for i in range(config.seeds)
        for method in methods or getattr(config.methods, task)
    ]
    networks = [one for one in trainings if one.method not in _SCORERS]
    made = dict(zip(networks, _trained(bench, networks, before), strict=True))
    tables: list[pd.DataFrame] = []
    forests: dict[_Training, Outcome] = {}
    for line in lines:
        for seed in range(config.seed, config.seed + config.seeds):
            alike = [one for one in trainings if (one.line, one.seed) == (line, seed)]
            for judged in lines:
                if (judged is line) == across:
                    continue
                scored = _scored(bench, alike, judged, lines)
                forests |= scored
                tables.append(_judged(bench, alike, judged, made | scored))
    costs = [_cost(bench, one, (made | forests)[one]) for one in trainings]
    return TaskBenchmark(_together(tables, BENCHMARK), _costs(costs))


def trained_runs(
    out: str | Path, task: Task, config: BenchConfig, method: str, *, jobs: int = 1, retry: bool = False
) -> dict[str, Path | str]:
    """A network's run folder of the first seed for each line, or why it failed; made now if not there.

    Parameters and errors as of :func:`task_benchmark`.
    """
    bench = _Bench(Path(out), config, jobs, retry)
    trainings = [_Training(task, method, line, config.seed) for line in config.taking_part(task)]
    before = _pretrained(replace(bench, config=replace(config, seeds=1)), task)
    made = _trained(bench, trainings, before)
    return {
        one.line.name: outcome.error or _run_of(bench, one)
        for one, outcome in zip(trainings, made, strict=True)
    }


# --- training


def _pretrained(bench: _Bench, task: Task) -> dict[int, Path | str | None]:
    """Of each seed: MIX-HIC's pre-training, or why there is none; None where it starts from scratch."""
    config, given = bench.config, bench.config.pretraining
    seeds = range(config.seed, config.seed + config.seeds)
    if given is None or (task == "expression" and config.expression_tracks):
        return dict.fromkeys(seeds)
    if given.run is not None:
        return dict.fromkeys(seeds, Path(given.run))
    changes = {} if given.epochs is None else {"epochs": given.epochs}
    settings = PretrainConfig.preset(config.preset, **changes)
    settings = replace(settings, transform=replace(settings.transform, tracks=tracks_read(config, "loops")))
    cells = []
    for seed in seeds:
        call = {
            "run": bench.out / "runs" / f"pretrain.seed-{seed}",
            "stores": given.stores,
            "windows": given.windows,
            "config": settings,
            "seed": seed,
        }
        known = {
            "stores": [identity(store) for store in given.stores],
            "windows": [identity(table) for table in given.windows],
            "config": training_settings(settings),
            "seed": seed,
        }
        cells.append(Cell(f"pretrain.seed-{seed}", _pretrain, call, known, config.timeout))
    found = bench.run(cells)
    return {
        seed: outcome.error or bench.out / "runs" / f"pretrain.seed-{seed}"
        for seed, outcome in zip(seeds, found, strict=True)
    }


def pretraining_run(
    out: str | Path, config: BenchConfig, *, jobs: int = 1, retry: bool = False
) -> Path | None:
    """MIX-HIC's pre-training of the first seed, made now if it is not there; None where there is none.

    Raises
    ------
    ConfigError
        It failed.
    """
    found = _pretrained(_Bench(Path(out), replace(config, seeds=1), jobs, retry), "loops")[config.seed]
    if isinstance(found, str):
        raise ConfigError(f"the pre-training failed: {found} Correct that, and add --retry.")
    return found


def _pretrain(run: Path, **call: Any) -> dict[str, Any]:
    """In a cell's process."""
    pretrain(run, **call, resume=(run / "checkpoints" / "last.ckpt").is_file())
    return {"parameters": read_json(run / CONFIG)["parameters"]}


def tracks_read(config: BenchConfig, task: str) -> tuple[str, ...]:
    """Tracks that every method reads: the named ones, or those that all lines have but the one predicted."""
    if task == "expression" and config.expression_tracks:
        return config.expression_tracks
    if config.tracks:
        return config.tracks
    stores = [RegionStore.open(line.store) for line in config.lines]
    whole = FinetuneConfig.preset(config.preset, "expression")
    return reading(replace(whole, signal=config.signal), "expression", stores).transform.tracks


def _settings(bench: _Bench, training: _Training) -> FinetuneConfig:
    config, task, method = bench.config, training.task, training.method
    made = FinetuneConfig.preset(config.preset, task)
    if config.epochs is not None:
        made = replace(made, fit=replace(made.fit, epochs=config.epochs))
    if mode := VARIANTS.get(method):
        made = replace(made, mode=cast(Mode, mode))
    if method not in VARIANTS:
        made = replace(made, architecture=method)
    if task == "expression":
        made = replace(made, signal=config.signal, least_known=config.least_known)
    return replace(made, transform=replace(made.transform, tracks=tracks_read(config, task)))


def _trained(
    bench: _Bench, trainings: Sequence[_Training], before: Mapping[int, Path | str | None]
) -> list[Outcome]:
    """Every network's training, or why it failed."""
    ready: list[Cell] = []
    failed: dict[_Training, Outcome] = {}
    for one in trainings:
        start = before[one.seed] if one.method in _PRETRAINED else None
        if isinstance(start, str):
            failed[one] = Outcome({}, f"its pre-training failed: {start}", *[float("nan")] * 3)
            continue
        ready.append(_cell(bench, one, start))
    done = iter(bench.run(ready))
    return [failed[one] if one in failed else next(done) for one in trainings]


def _cell(bench: _Bench, one: _Training, start: Path | None) -> Cell:
    config = _settings(bench, one)
    call = {
        "run": _run_of(bench, one),
        "stores": one.line.store,
        "windows": one.windows,
        "task": one.task,
        "pretrained": start,
        "config": config,
        "seed": one.seed,
    }
    known = {
        "task": one.task,
        "store": identity(one.line.store),
        "windows": identity(one.windows),
        "pretrained": None if start is None else start.name,
        "config": training_settings(config),
        "seed": one.seed,
    }
    return Cell(one.name, _finetune, call, known, bench.config.timeout)


def _run_of(bench: _Bench, one: _Training) -> Path:
    return bench.out / "runs" / one.name


def _finetune(run: Path, **call: Any) -> dict[str, Any]:
    """In a cell's process: train, and see that what was trained gives numbers."""
    finetune(run, **call, resume=(run / "checkpoints" / "last.ckpt").is_file())
    _require_numbers(run, call["task"], call["stores"], call["windows"])
    return {"parameters": read_json(run / CONFIG)["parameters"]}


def _require_numbers(run: Path, task: str, store: str, windows: str) -> None:
    (opened,) = open_stores(store)
    model = TaskModel.of(run, task)
    plain = replace(model.given.transform, augmentations=())
    model = replace(model, given=replace(model.given, transform=plain))
    table = read_windows(windows, store=opened, splits=("valid",), contacts=model.reads_map)
    few = table.iloc[:_LOOKED_AT]
    few.attrs = dict(table.attrs)
    for _, said in model.answers(model.windows(opened, few), _LOOKED_AT, "looking"):
        if not bool(said.value.isfinite().all()):
            raise ModelError(f"{run.name}: predicts what is no number.")


# --- forests and others that score windows themselves


def _scored(
    bench: _Bench, alike: Sequence[_Training], judged: Line, lines: Sequence[Line]
) -> dict[_Training, Outcome]:
    """Peakachu and RefHiC, fitted on their line, and their scores of the judged line's test windows.

    RefHiC's references are all other cell lines, those that MIX-HIC was pre-trained on among them.
    """
    wanted = [one for one in alike if one.method in _SCORERS]
    before = bench.config.pretraining
    everyone = [*(line.store for line in lines), *(before.stores if before is not None else ())]
    cells = []
    for one in wanted:
        panel = [store for store in everyone if store != judged.store]
        train, tested = (one.line.store, one.windows), (judged.store, judged.windows(one.task) or "")
        call: dict[str, Any] = {
            "method": one.method,
            "out": _scores_of(bench, one, judged),
            "train": train,
            "judged": tested,
            "train_panel": [store for store in everyone if store != one.line.store],
            "judged_panel": panel,
            "seed": one.seed,
        }
        known = {
            "train": [identity(path) for path in train],
            "judged": [identity(path) for path in tested],
            "panel": [identity(store) for store in panel],
            "seed": one.seed,
        }
        cells.append(Cell(f"{one.name}.on.{judged.name}", _score, call, known, bench.config.timeout))
    return dict(zip(wanted, bench.run(cells), strict=True))


def _scores_of(bench: _Bench, one: _Training, judged: Line) -> Path:
    return bench.out / "scores" / f"{one.name}.on.{judged.name}.tsv"


def _score(
    method: str,
    out: Path,
    train: tuple[str, str],
    judged: tuple[str, str],
    train_panel: Sequence[str],
    judged_panel: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """In a cell's process."""
    from .loop_baselines import score_peakachu, score_refhic

    if method == PEAKACHU:
        return score_peakachu(out, train=train, judged=judged, seed=seed)
    return score_refhic(
        out, train=train, judged=judged, train_panel=train_panel, judged_panel=judged_panel, seed=seed
    )


# --- judging


def _judged(
    bench: _Bench, alike: Sequence[_Training], judged: Line, made: Mapping[_Training, Outcome]
) -> pd.DataFrame:
    """All methods of one line and seed on the test windows of a line; rows with a reason where one failed."""
    task, line, seed = alike[0].task, alike[0].line, alike[0].seed
    good = [one for one in alike if not made[one].error]
    bad = {label(one.method): made[one].error for one in alike if made[one].error}
    runs = {label(one.method): _run_of(bench, one) for one in good if one.method not in _SCORERS}
    scores = {label(one.method): _scores_of(bench, one, judged) for one in good if one.method in _SCORERS}
    if not runs:
        raise ConfigError(
            f"{task} on {line.name}: no network could be trained ({'; '.join(bad.values())}); correct that, "
            "and give the command again with --retry."
        )
    first, *others = runs
    out = bench.out / "evaluations" / f"{task}.{line.name}.on.{judged.name}.seed-{seed}"
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


def _cost(bench: _Bench, one: _Training, outcome: Outcome) -> dict[str, Any]:
    return {
        "task": one.task,
        "method": label(one.method),
        "train_line": one.line.name,
        "seed": one.seed,
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "peak_mb": outcome.peak_mb,
        "parameters": outcome.values.get("parameters"),
        "note": outcome.error or None,
    }


def _costs(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows)
    for name in ("seconds", "cpu_seconds", "peak_mb", "parameters"):
        table[name] = table[name].astype(float)
    return COSTS.order(COSTS.check(table, "costs of the benchmark"))


def _together(tables: Sequence[pd.DataFrame], schema: Schema) -> pd.DataFrame:
    table = _concat(tables)
    table["seed"] = table["seed"].astype("Int64")
    return schema.order(schema.check(table, "table of the benchmark"))


def _concat(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    kept = [table for table in tables if len(table)]
    return pd.concat(kept, ignore_index=True)
