"""Graph models beside trivial rows: held-out contacts, and what embeddings know of A and B."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.bin_annotations import known_sides
from ..data.graph import ChromatinGraph, GraphConfig, build_graph
from ..data.store import RegionStore
from ..errors import ConfigError, DataError
from ..evaluation.edges import summarise_scores
from ..files import read_json
from ..io.export import read_embedding
from ..io.intervals import read_bed
from ..schemas import Column, Schema
from ..training.checkpoint import CONFIG
from . import graph_encoding, graph_training
from .benchmark_cells import Cell, Outcome, cost_row, cost_table, run_cells
from .benchmark_settings import GRAPH_MODELS, BenchConfig, GraphBench, Line, label
from .compartment_probes import Asked, Described, map_descriptions
from .experiment_steps import identity
from .graph_settings import DISTANCE_AWARE, preset_settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GRAPH_MEANS", "GRAPH_PROBES", "GRAPH_SCORES", "GraphBenchmark", "graph_benchmark"]

GRAPH_SCORES = Schema(
    "graph benchmark",
    (
        Column("line", "text", "cell line"),
        Column("role", "text", "ours, baseline or trivial"),
        Column("method", "text", "what tells contacts"),
        Column("sampling", "text", "of non-contacts; counts where contacts' counts are asked"),
        Column("metric", "text", "how it is measured"),
        Column("value", "number", "of the metric", nullable=True),
        Column("seed", "integer", "of split, non-contacts and first weights"),
        Column("pairs", "integer", "held-out contacts"),
        Column("note", "text", "why a value is missing", nullable=True),
    ),
)
GRAPH_MEANS = Schema(
    "graph benchmark summary",
    (
        Column("line", "text", "cell line"),
        Column("method", "text", "what tells contacts, or `first - other`"),
        Column("sampling", "text", "of non-contacts"),
        Column("metric", "text", "how it is measured"),
        Column("mean", "number", "over seeds", nullable=True),
        Column("sd", "number", "between seeds", nullable=True),
        Column("low", "number", "of Student's 95 % interval", nullable=True),
        Column("high", "number", "of the same", nullable=True),
        Column("seeds", "integer", "behind it"),
    ),
)
GRAPH_PROBES = Schema(
    "graph benchmark of compartments",
    (
        Column("line", "text", "cell line"),
        Column("role", "text", "ours, baseline or trivial"),
        Column("method", "text", "what describes bins"),
        Column("reach", "number", "longest contacts it has seen, bp; 0 none, missing: all", nullable=True),
        Column("dimensions", "integer", "of the description"),
        Column("seeds", "integer", "trainings"),
        Column("bins", "integer", "asked"),
        Column("auc", "number", "of A against B in held-out blocks, mean over seeds"),
        Column("low", "number", "of its interval over blocks", nullable=True),
        Column("high", "number", "of the same", nullable=True),
        Column("difference", "number", "the first method's less this one's", nullable=True),
        Column("difference_low", "number", "of its interval over the same blocks", nullable=True),
        Column("difference_high", "number", "of the same", nullable=True),
    ),
)
_ENCODED = "embedding.h5ad"


@dataclass(frozen=True)
class GraphBenchmark:
    """What was found.

    Attributes
    ----------
    contacts
        Schema :data:`GRAPH_SCORES`: how well held-out contacts are told, of each training.
    summary
        Schema :data:`GRAPH_MEANS`: means over seeds, and what the first method is above each other, seed by
        seed.
    compartments
        Schema :data:`GRAPH_PROBES`: what embeddings and the map know of A and B. Empty where no line has
        published compartments.
    costs
        Schema :data:`chromweave.workflows.benchmark_cells.COSTS`.
    """

    contacts: pd.DataFrame
    summary: pd.DataFrame
    compartments: pd.DataFrame
    costs: pd.DataFrame


@dataclass(frozen=True)
class _Training:
    """One model of one line's graph, with one seed."""

    out: Path
    method: str
    line: Line
    seed: int

    @property
    def name(self) -> str:
        return f"graph.{self.method}.{self.line.name}.seed-{self.seed}"

    @property
    def run(self) -> Path:
        return self.out / "runs" / self.name

    @property
    def embedding(self) -> Path:
        return self.run / _ENCODED


def graph_benchmark(
    out: str | Path, config: BenchConfig, *, jobs: int = 1, retry: bool = False
) -> GraphBenchmark:
    """Train every graph model on each line's map with every seed, all judged on the same held-out contacts.

    A seed decides split, non-contacts and first weights. Trivial rows are those of
    :func:`chromweave.evaluation.edges.trivial_scorers`, on the same contacts, and of
    :func:`chromweave.workflows.compartment_probes.map_descriptions`.

    Parameters
    ----------
    out
        Folder for everything that is trained (``runs/``) and for the cells. What is complete is not made
        again.
    config
        Lines, methods (`methods.graph`, the first is what others are compared with) and ``[graph]``.
    jobs, retry
        As for :func:`~chromweave.workflows.task_benchmark.task_benchmark`.

    Raises
    ------
    ConfigError
        The file has no ``[graph]``, no model could be trained, or what is there was made with other settings.
    DataError
        A store has no such layer, chromosome or track, or published compartments do not fit: before anything
        is trained.
    """
    import pandas as pd

    given = config.graph
    if given is None:
        raise ConfigError("the file has no [graph] with the resolution of the graph, in bp.")
    out = Path(out)
    trainings = [
        _Training(out, method, line, config.seed + i)
        for line in config.lines
        for i in range(config.seeds)
        for method in config.methods.graph
    ]
    stores = {line.name: RegionStore.open(line.store) for line in config.lines}
    wanted = {name: _graph_config(given, store) for name, store in stores.items()}
    sides = {line.name: _sides(line, stores[line.name], wanted[line.name]) for line in config.lines}
    cells = [_cell(one, given, wanted[one.line.name], config) for one in trainings]
    done = dict(zip(trainings, run_cells(out / "cells", cells, jobs=jobs, retry=retry), strict=True))
    first = label(config.methods.graph[0])
    contacts, summaries = [], []
    probed: list[dict[str, Any]] = []
    for line in config.lines:
        own = {one: outcome for one, outcome in done.items() if one.line is line}
        scores = _scores(line, own)
        contacts.append(scores)
        known = scores[scores["note"].isna()]
        means = summarise_scores(known, first if first in set(known["method"]) else None)
        summaries.append(means.assign(line=line.name))
        side = sides[line.name]
        if side is not None:
            graph = build_graph(stores[line.name], wanted[line.name])
            probed += _probes(line, stores[line.name], graph, side, own, given.block, first)
    costs = [cost_row("graph", label(one.method), one.line.name, one.seed, done[one]) for one in trainings]
    return GraphBenchmark(
        _table(GRAPH_SCORES, pd.concat(contacts, ignore_index=True)),
        _table(GRAPH_MEANS, pd.concat(summaries, ignore_index=True)),
        _table(GRAPH_PROBES, pd.DataFrame(probed, columns=[column.name for column in GRAPH_PROBES.columns])),
        cost_table(costs),
    )


def _table(schema: Schema, table: pd.DataFrame) -> pd.DataFrame:
    return schema.order(schema.check(table, f"table of the {schema.name}"))


def _sides(line: Line, store: RegionStore, wanted: GraphConfig) -> np.ndarray | None:
    """Published compartments of a line's bins, if it has some; what cannot be used is said at once."""
    bins = build_graph(store, wanted).bin_table()
    if line.compartments is None:
        return None
    intervals = read_bed(line.compartments, store.assembly)
    try:
        side = known_sides(bins, intervals)
    except DataError as error:
        raise DataError(f"{line.compartments}: {error}") from error
    if not {0.0, 1.0} <= set(side[~bins["masked"].to_numpy()]):
        raise DataError(
            f"{line.compartments}: none of its {len(intervals):,} intervals makes a bin of "
            f"{', '.join(wanted.chroms)} an A, or none a B; give compartments of these chromosomes, whose "
            "names begin with A and B."
        )
    return side


def _graph_config(given: GraphBench, store: RegionStore) -> GraphConfig:
    chroms = tuple(store.require(chrom) for chrom in given.chroms) or store.chromosomes
    return GraphConfig(
        given.resolution, chroms, given.features or store.track_names, max_distance=given.max_distance
    )


# --- training


def _cell(one: _Training, given: GraphBench, wanted: GraphConfig, config: BenchConfig) -> Cell:
    changes: dict[str, Any] = dict(GRAPH_MODELS[one.method])
    if given.epochs is not None:
        changes["epochs"] = given.epochs
    call = {
        "run": one.run,
        "store": one.line.store,
        "resolution": wanted.resolution,
        "chroms": wanted.chroms,
        "features": wanted.features,
        "max_distance": wanted.max_distance,
        "seed": one.seed,
        **changes,
    }
    known = {
        **preset_settings(changes["preset"], {k: v for k, v in changes.items() if k != "preset"}),
        **{name: value for name, value in call.items() if name != "run"},
        "store": identity(one.line.store),
    }
    return Cell(one.name, _train, call, known, config.timeout, one.run)


def _train(run: Path, **call: Any) -> dict[str, Any]:
    """In a cell's process: train, score, and encode the same map."""
    begun = (run / "checkpoints" / "last.ckpt").is_file()
    made = graph_training.train(run, **call, resume=begun)
    graph_encoding.encode(run / _ENCODED, model=run, store=call["store"], layout=False, seed=call["seed"])
    scores = made.scores.astype(object).where(made.scores.notna(), None)
    return {"parameters": read_json(run / CONFIG)["parameters"], "scores": scores.to_dict("records")}


def _role(one: _Training) -> str:
    return "ours" if GRAPH_MODELS[one.method]["preset"] == DISTANCE_AWARE else "baseline"


# --- held-out contacts


def _scores(line: Line, done: Mapping[_Training, Outcome]) -> pd.DataFrame:
    """Every training's scores by the method's name; trivial rows once for each seed; why others failed."""
    import pandas as pd

    rows, failed = [], []
    for one, outcome in done.items():
        if outcome.error:
            failed.append((one, outcome.error))
            continue
        model = GRAPH_MODELS[one.method]["preset"]
        for row in outcome.values["scores"]:
            own = row["method"] == model
            named = {"method": label(one.method), "role": _role(one)} if own else {"role": "trivial"}
            rows.append({**row, **named, "line": line.name, "note": None})
    if not rows:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in failed))
        raise ConfigError(
            f"graph of {line.name}: no model could be trained ({reasons}); correct that, and give the "
            "command again with --retry."
        )
    table = pd.DataFrame(rows).drop_duplicates(["method", "sampling", "metric", "seed"])
    asked = table.drop_duplicates(["sampling", "metric"])
    missing = [
        asked.assign(method=label(one.method), role=_role(one), value=np.nan, seed=one.seed, note=reason)
        for one, reason in failed
    ]
    table = pd.concat([table, *missing], ignore_index=True)
    table["value"] = table["value"].astype(float)
    return table


# --- A and B


def _probes(
    line: Line,
    store: RegionStore,
    graph: ChromatinGraph,
    side: np.ndarray,
    done: Mapping[_Training, Outcome],
    block: int,
    first: str,
) -> Iterator[dict[str, Any]]:
    models = list(_embeddings(done, graph.config.max_distance))
    others = list(map_descriptions(store, graph, sorted({one.dimensions for one in models})))
    bins = graph.bin_table()
    asked = Asked.of(
        side, [*models, *others], bins["chrom"].to_numpy(), bins["start"].to_numpy(),
        resolution=graph.config.resolution, block=block,
    )  # fmt: skip
    roles = {label(one.method): _role(one) for one in done}
    said = [asked.probe(one) for one in (*models, *others)]
    best = next((mine for one, mine in zip(models, said, strict=False) if one.method == first), None)
    for one, mine in zip((*models, *others), said, strict=True):
        found = asked.auc(mine)
        row = dict.fromkeys((column.name for column in GRAPH_PROBES.columns), np.nan) | {
            "line": line.name, "role": roles.get(one.method, "trivial"), "method": one.method,
            "reach": one.reach, "dimensions": one.dimensions, "seeds": len(one.seeds), "bins": found.n,
            "auc": found.value, "low": found.low, "high": found.high,
        }  # fmt: skip
        if best is not None and one.method != first:
            more = asked.difference(best, mine)
            row |= {"difference": more.value, "difference_low": more.low, "difference_high": more.high}
        yield row


def _embeddings(done: Mapping[_Training, Outcome], reach: int) -> Iterator[Described]:
    """Each method's, of the seeds that did not fail."""
    made: dict[str, list[np.ndarray]] = {}
    for one, outcome in done.items():
        if not outcome.error:
            rows = read_embedding(one.embedding).full().astype(np.float64)
            made.setdefault(label(one.method), []).append(rows)
    for method, seeds in made.items():
        yield Described(method, reach, tuple(seeds))
