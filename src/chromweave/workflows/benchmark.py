"""The benchmark: each table of the paper, and ours beside them, filled from one file of settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config as configs
from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import ConfigError, OutputError
from ..files import atomic_path, read_json, write_json
from ..plot.annotation import annotation_figure
from ..plot.curves import evaluation_figure
from ..plot.style import image_bytes
from ..plot.transfer import fewshot_figure
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from .annotation_benchmark import benchmark_annotation
from .annotation_callers import standard_callers
from .architectures import MIX_HIC
from .benchmark_report import COLUMNS, annotation_markdown, kept_and_adapted, markdown
from .benchmark_settings import BenchConfig, Line, ablated, label, load_bench
from .benchmark_training import pretraining_run, tracks_read, trained_runs
from .evaluation_rows import EvaluateConfig
from .few_shot import PRETRAINED, SCRATCH, few_shot, points
from .foundation_settings import FinetuneConfig
from .graph_benchmark import graph_benchmark
from .graph_report import graph_markdown, shown_means
from .task_benchmark import TaskBenchmark, task_benchmark

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BENCHMARKS", "benchmark"]

_TITLES = {
    "contacts": "Contact maps from tracks (the paper's table 2)",
    "loops": "Loops (the paper's table 3)",
    "expression": "Expression (the paper's table 4)",
    "cross-cell": "Across cell lines (the paper's figure 5)",
    "few-shot": "Loops from few windows (the paper's figure 4)",
    "ablation": "MIX-HIC without its parts (the paper's figure 6)",
    "annotation": "Loops of whole chromosomes (the paper's figure 3 and table S2)",
    "graph": "Chromatin graphs: held-out contacts, and A and B",
}
_CROSSED = ("contacts", "loops")
_SHOWN_OF_FEW = ("auroc", "auroc_distance_matched")
_ABLATED = ("loops", "contacts", "expression")


@dataclass(frozen=True)
class _Given:
    """What every benchmark is called with."""

    out: Path
    config: BenchConfig
    jobs: int
    retry: bool


def benchmark(
    kind: str,
    out: str | Path,
    config: str | Path,
    *,
    data: str | Path | None = None,
    programs: str | Path | None = None,
    jobs: int = 1,
    retry: bool = False,
) -> dict[str, pd.DataFrame]:
    """Fill the tables of a benchmark.

    Parameters
    ----------
    kind
        One of :data:`BENCHMARKS`.
    out
        Folder for ``KIND.md``, ``KIND.json``, a ``.tsv`` for each table, figures, and everything that is
        trained; several benchmarks share what they have in common when they are given the same folder. What
        is complete is not made again.
    config
        File of :class:`~chromweave.workflows.benchmark_settings.BenchConfig`.
    data
        Folder that its paths start from; the file's own without it.
    programs
        Folder with the programs of other loop callers, instead of the file's.
    jobs
        Trainings side by side.
    retry
        Run again what failed.

    Returns
    -------
    dict
        The tables by their names.

    Raises
    ------
    ConfigError
        There is no such benchmark, the settings do not fit, or what is in the folder was made with others.
    DataError
        Windows do not fit their stores.
    """
    if kind not in BENCHMARKS:
        raise ConfigError(f"no benchmark {kind!r}; there are {', '.join(BENCHMARKS)}.")
    settings = load_bench(config, data)
    if programs is not None:
        settings = replace(settings, annotation=replace(settings.annotation, programs=str(programs)))
    given = _Given(Path(out), settings, jobs, retry)
    _require_folder(given.out)
    write_json(given.out / "benchmark.json", {"kind": "chromweave benchmark", **describe_process()})
    tables, text, figures = BENCHMARKS[kind](given)
    _write(given, kind, Path(config), tables, text, figures)
    return tables


_Made = tuple[dict[str, "pd.DataFrame"], str, dict[str, bytes]]


def _require_folder(out: Path) -> None:
    """Refuse a folder of anything else."""
    marker = out / "benchmark.json"
    if marker.is_file() and read_json(marker).get("kind") == "chromweave benchmark":
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is there and holds no benchmark; give another folder.")


def _write(
    given: _Given,
    kind: str,
    config: Path,
    tables: Mapping[str, pd.DataFrame],
    text: str,
    figures: Mapping[str, bytes],
) -> None:
    for name, table in tables.items():
        with atomic_path(given.out / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.6g")
    for name, image in figures.items():
        with atomic_path(given.out / f"{name}.png") as temporary:
            temporary.write_bytes(image)
    read = [path for line in given.config.lines for path in line.files.values()]
    if (before := given.config.pretraining) is not None:
        read += [*before.stores, *before.windows, *([before.run] if before.run else [])]
    record = {
        **describe_process(),
        "config": configs.to_mapping(given.config),
        "inputs": describe_inputs([config, *dict.fromkeys(read)]),
    }
    write_json(given.out / f"{kind}.json", record)
    with atomic_path(given.out / f"{kind}.md") as temporary:
        temporary.write_text(f"# {_TITLES[kind]}\n\n{text}", encoding="utf-8")
    notify(f"tables: {given.out / kind}.md; values: {', '.join(f'{name}.tsv' for name in tables)}")


# --- tables 2 to 4


def _of_task(task: str) -> Callable[[_Given], _Made]:
    def make(given: _Given) -> _Made:
        found = _asked(given, task)
        text = _text(given, task, found, "Trained and tested on each cell line")
        text += _restated(getattr(given.config.methods, task))
        return _tables(task, found), text, _figures(task, task, found.scores)

    return make


def _asked(given: _Given, task: Any, **options: Any) -> TaskBenchmark:
    return task_benchmark(
        given.out, task, given.config, jobs=given.jobs, retry=given.retry, **options
    )  # fmt: skip


def _tables(name: str, found: TaskBenchmark) -> dict[str, pd.DataFrame]:
    return {name: found.scores, f"{name}.costs": found.costs}


def _text(given: _Given, task: str, found: TaskBenchmark, title: str) -> str:
    return markdown(task, found.scores, found.costs, title=title, block=given.config.block / 1e6)


def _restated(methods: Sequence[str]) -> str:
    """What is kept and adapted, of those methods that are other papers'."""
    others = [method for method in methods if method != MIX_HIC]
    return kept_and_adapted(others) if others else ""


def _figures(name: str, task: str, scores: pd.DataFrame) -> dict[str, bytes]:
    """A figure for each pair of cell lines: every method's metrics with their intervals."""
    made = {}
    shown = scores[(scores["stratum"] == "all") & (scores["role"] != "difference")]
    order = list(COLUMNS[task])
    shown = shown[shown["metric"].isin(order)].sort_values(
        "metric", key=lambda names: names.map(order.index), kind="stable"
    )
    for (train, test), rows in shown.groupby(["train_line", "test_line"], sort=False):
        where = train if train == test else f"{train}-on-{test}"
        trivial = set(rows.loc[rows["role"] == "trivial", "method"])
        named = rows.assign(metric=rows["metric"].map(COLUMNS[task]))
        made[f"{name}.{where}"] = image_bytes(evaluation_figure(named, trivial=trivial))
    return made


# --- figures 4 to 6


def _cross_cell(given: _Given) -> _Made:
    tables: dict[str, pd.DataFrame] = {}
    texts: list[str] = []
    figures: dict[str, bytes] = {}
    for task in _CROSSED:
        if len([line for line in given.config.lines if line.windows(task)]) < 2:
            notify(f"across cell lines: fewer than two have windows for {task}; it is left out.")
            continue
        found = _asked(given, task, across=True)
        tables |= _tables(f"cross-cell.{task}", found)
        texts.append(markdown(task, found.scores, None, title=task, block=given.config.block / 1e6))
        figures |= _figures(f"cross-cell.{task}", task, found.scores)
    if not tables:
        raise ConfigError("to test across cell lines two need windows for contacts or loops.")
    return tables, "\n".join(texts), figures


def _ablation(given: _Given) -> _Made:
    tables: dict[str, pd.DataFrame] = {}
    texts: list[str] = []
    figures: dict[str, bytes] = {}
    for task in _ABLATED:
        if not any(line.windows(task) for line in given.config.lines):
            continue
        found = _asked(given, task, methods=ablated(task), name="ablation.")
        tables |= _tables(f"ablation.{task}", found)
        texts.append(_text(given, task, found, task))
        figures |= _figures(f"ablation.{task}", task, found.scores)
    if not tables:
        raise ConfigError("no cell line has windows for any task: give [[lines]] loops = 'TABLE'.")
    return tables, "\n".join(texts), figures


def _annotation(given: _Given) -> _Made:
    """Loops of whole chromosomes: those that are named, or those that have nothing but test windows."""
    config = given.config
    lines = [line for line in config.taking_part("loops") if line.published is not None]
    if not lines:
        raise ConfigError("annotation is held against published loops: give [[lines]] published = 'LOOPS'.")
    runs = trained_runs(given.out, "loops", config, MIX_HIC, jobs=given.jobs, retry=given.retry)
    tables, texts = {}, []
    figures: dict[str, bytes] = {}
    for line in lines:
        model, windows = runs[line.name], _all_windows(line)
        if isinstance(model, str):
            notify(f"{line.name}: no calls with a model, since its training failed: {model}")
        table = benchmark_annotation(
            given.out / "annotation" / line.name, store=line.store, truth=line.published or "",
            callers=standard_callers(
                windows=line.loops, model=None if isinstance(model, str) else model,
                programs=config.annotation.programs,
            ),
            resolution=int(windows.attrs["resolution"]),
            chroms=config.annotation.chroms or _test_chromosomes(line, windows),
            timeout=config.annotation.timeout,
            seed=config.seed, jobs=given.jobs, retry=given.retry,
        )  # fmt: skip
        tables[f"annotation.{line.name}"] = table
        texts.append(annotation_markdown(line.name, table))
        widest = table[table["tolerance_bins"] == table["tolerance_bins"].max()]
        figures[f"annotation.{line.name}"] = image_bytes(annotation_figure(widest))
    return tables, "\n".join(texts), figures


def _all_windows(line: Line) -> pd.DataFrame:
    return read_windows(line.loops or "", RegionStore.open(line.store), splits=("train", "valid", "test"))


def _test_chromosomes(line: Line, table: pd.DataFrame) -> tuple[str, ...]:
    """Chromosomes with test windows and none that were learned from."""
    learned = set(table.loc[table["split"] != "test", "chrom"])
    found = tuple(dict.fromkeys(table.loc[table["split"] == "test", "chrom"]))
    whole = tuple(str(chrom) for chrom in found if chrom not in learned)
    if not whole:
        raise ConfigError(
            f"{line.name}: every chromosome with test windows was learned from, too; name those that loops "
            "are annotated on ([annotation] chroms)."
        )
    return whole


def _few_shot(given: _Given) -> _Made:
    config, tables, texts = given.config, {}, []
    before = pretraining_run(given.out, config, jobs=given.jobs, retry=given.retry)
    settings = FinetuneConfig.preset(config.preset, "loops")
    if config.epochs is not None:
        settings = replace(settings, fit=replace(settings.fit, epochs=config.epochs))
    settings = replace(settings, transform=replace(settings.transform, tracks=tracks_read(config, "loops")))
    figures: dict[str, bytes] = {}
    for line in config.taking_part("loops"):
        out = given.out / "few-shot" / line.name
        table = few_shot(
            out, store=line.store, windows=line.loops or "", task="loops", pretrained=before,
            architectures=("dloopcaller",), finetuning=settings, config=config.few_shot,
            evaluation=EvaluateConfig(block=config.block), seed=config.seed,
        )  # fmt: skip
        tables[f"few-shot.{line.name}"] = table
        texts.append(_few_shot_text(line.name, table))
        shown = points(table, [name for name in _SHOWN_OF_FEW if name in set(table["metric"])])
        shown["metric"] = shown["metric"].map(COLUMNS["loops"])
        shown["start"] = [_start(start) for start in shown["start"]]
        figures[f"few-shot.{line.name}"] = image_bytes(fewshot_figure(shown))
    return tables, "\n".join(texts), figures


def _start(start: str) -> str:
    """A start as the other tables spell it."""
    return {PRETRAINED: label(MIX_HIC), SCRATCH: label("mix-hic-scratch")}.get(start, label(start))


def _few_shot_text(line: str, table: pd.DataFrame) -> str:
    """AUROC of every start at every ratio: mean over draws, and each."""
    rows = table[(table["row"] == "arm") & (table["metric"] == "auroc") & (table["stratum"] == "all")]
    own = rows[rows["method"] == "model"]
    lines = [f"## {line}", "", "AUROC on the test windows: mean over draws, and each.", ""]
    lines += ["| ratio | windows | start | AUROC |", "|---|---|---|---|"]
    for (ratio, start), of in own.groupby(["ratio", "start"], sort=False):
        known = of["value"].dropna()
        windows = " ".join(f"{n:,}" for n in sorted({int(n) for n in of["train_windows"].dropna()}))
        each = " ".join(f"{value:.3f}" for value in known)
        notes = of["note"].dropna()
        shown = (
            f"{known.mean():.3f} ({each})" if len(known) else f"none: {notes.iloc[0] if len(notes) else ''}"
        )
        lines.append(f"| {ratio:g} | {windows} | {_start(str(start))} | {shown} |")
    return "\n".join(lines) + "\n"


def _graph(given: _Given) -> _Made:
    found = graph_benchmark(given.out, given.config, jobs=given.jobs, retry=given.retry)
    first = label(given.config.methods.graph[0])
    tables = {"graph": found.contacts, "graph.summary": found.summary, "graph.costs": found.costs}
    if len(found.compartments):
        tables["graph.compartments"] = found.compartments
    texts: list[str] = []
    figures: dict[str, bytes] = {}
    for line in given.config.lines:
        texts.append(graph_markdown(found, line.name, first))
        means = shown_means(found, line.name)
        means = means[means["role"] != "difference"]
        trivial = set(means.loc[means["role"] == "trivial", "method"])
        figures[f"graph.{line.name}"] = image_bytes(evaluation_figure(means, trivial=trivial))
    return tables, "\n".join(texts), figures


BENCHMARKS: Mapping[str, Callable[[_Given], _Made]] = {
    **{task: _of_task(task) for task in ("contacts", "loops", "expression")},
    "cross-cell": _cross_cell,
    "few-shot": _few_shot,
    "ablation": _ablation,
    "annotation": _annotation,
    "graph": _graph,
}
"""Every benchmark, by the word that the command is given."""
