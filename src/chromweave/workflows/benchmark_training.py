"""Trainings of a benchmark: each method on each cell line with each seed, in a cell of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import ConfigError, ModelError
from ..files import read_json
from ..models.tasks import Mode
from ..training.checkpoint import CONFIG
from .architectures import MIX_HIC
from .benchmark_cells import Cell, Outcome, run_cells
from .benchmark_settings import PEAKACHU, REFHIC, VARIANTS, BenchConfig, Line
from .experiment_input import reading
from .experiment_steps import identity, training_settings
from .finetuning import Task, finetune
from .foundation import pretrain
from .foundation_settings import FinetuneConfig, PretrainConfig
from .inference import TaskModel
from .model_input import open_stores

__all__ = [
    "SCORERS",
    "Bench",
    "Training",
    "pretraining_run",
    "pretrainings",
    "run_of",
    "score_windows",
    "scores_of",
    "tracks_read",
    "train_networks",
    "trained_runs",
]

_LOOKED_AT = 64
_PRETRAINED = {MIX_HIC, *(name for name, mode in VARIANTS.items() if mode is not None)}
SCORERS = (PEAKACHU, REFHIC)
"""Methods that are no network of windows: they fit themselves, and score a table of windows."""


@dataclass(frozen=True)
class Training:
    """One method, one cell line, one seed; `method` is one of the benchmark's names."""

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
class Bench:
    """Where a benchmark is run, and with what."""

    out: Path
    config: BenchConfig
    jobs: int
    retry: bool

    def run(self, cells: Sequence[Cell]) -> list[Outcome]:
        return run_cells(self.out / "cells", cells, jobs=self.jobs, retry=self.retry)


def trained_runs(
    out: str | Path, task: Task, config: BenchConfig, method: str, *, jobs: int = 1, retry: bool = False
) -> dict[str, Path | str]:
    """A network's run folder of the first seed for each line, or why it failed; made now if not there.

    Parameters and errors as of :func:`~chromweave.workflows.task_benchmark.task_benchmark`.
    """
    bench = Bench(Path(out), config, jobs, retry)
    trainings = [Training(task, method, line, config.seed) for line in config.taking_part(task)]
    before = pretrainings(replace(bench, config=replace(config, seeds=1)), task)
    made = train_networks(bench, trainings, before)
    return {
        one.line.name: outcome.error or run_of(bench, one)
        for one, outcome in zip(trainings, made, strict=True)
    }


def pretrainings(bench: Bench, task: Task) -> dict[int, Path | str | None]:
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
        call: dict[str, Any] = {
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
        cells.append(Cell(f"pretrain.seed-{seed}", _pretrain, call, known, config.timeout, call["run"]))
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
    found = pretrainings(Bench(Path(out), replace(config, seeds=1), jobs, retry), "loops")[config.seed]
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


def _settings(bench: Bench, training: Training) -> FinetuneConfig:
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


def train_networks(
    bench: Bench, trainings: Sequence[Training], before: Mapping[int, Path | str | None]
) -> list[Outcome]:
    """Every network's training, or why it failed."""
    ready: list[Cell] = []
    failed: dict[Training, Outcome] = {}
    for one in trainings:
        start = before[one.seed] if one.method in _PRETRAINED else None
        if isinstance(start, str):
            failed[one] = Outcome({}, f"its pre-training failed: {start}", *[float("nan")] * 3)
            continue
        ready.append(_cell(bench, one, start))
    done = iter(bench.run(ready))
    return [failed[one] if one in failed else next(done) for one in trainings]


def _cell(bench: Bench, one: Training, start: Path | None) -> Cell:
    config = _settings(bench, one)
    call = {
        "run": run_of(bench, one),
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
        "pretrained": _identity_of(bench, start),
        "config": training_settings(config),
        "seed": one.seed,
    }
    return Cell(one.name, _finetune, call, known, bench.config.timeout, run_of(bench, one))


def _identity_of(bench: Bench, start: Path | None) -> str | None:
    """What a pre-training is known by: its cell, or the weights of one that was there before."""
    given = bench.config.pretraining
    if start is None or given is None or given.run is None:
        return None if start is None else start.name
    return str(read_json(start / CONFIG)["weights_sha256"])


def run_of(bench: Bench, one: Training) -> Path:
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


def score_windows(
    bench: Bench, alike: Sequence[Training], judged: Line, lines: Sequence[Line]
) -> dict[Training, Outcome]:
    """Peakachu and RefHiC, fitted on their line, and their scores of the judged line's test windows.

    RefHiC's references are all other cell lines, those that MIX-HIC was pre-trained on among them.
    """
    wanted = [one for one in alike if one.method in SCORERS]
    before = bench.config.pretraining
    everyone = [*(line.store for line in lines), *(before.stores if before is not None else ())]
    cells = []
    for one in wanted:
        panel = [store for store in everyone if store != judged.store]
        train, tested = (one.line.store, one.windows), (judged.store, judged.windows(one.task) or "")
        call: dict[str, Any] = {
            "method": one.method,
            "out": scores_of(bench, one, judged),
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


def scores_of(bench: Bench, one: Training, judged: Line) -> Path:
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
