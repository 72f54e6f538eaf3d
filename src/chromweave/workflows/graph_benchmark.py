"""Graph models beside trivial rows: held-out contacts, and what embeddings know of A and B."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.bin_annotations import widest_label
from ..data.graph import GraphConfig, build_graph
from ..data.store import RegionStore
from ..errors import ConfigError, DataError
from ..evaluation.edges import summarise_scores
from ..files import read_json
from ..io.export import read_embedding
from ..io.intervals import read_bed
from ..training.checkpoint import CONFIG
from . import graph_encoding, graph_training
from .benchmark_cells import Cell, Outcome, cost_row, cost_table, run_cells
from .benchmark_settings import GRAPH_MODELS, BenchConfig, GraphBench, Line, label
from .compartment_probes import Asked, Described, map_descriptions
from .experiment_steps import identity
from .graph_settings import DISTANCE_AWARE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GraphBenchmark", "graph_benchmark"]

_SCORE_COLUMNS = ["line", "role", "method", "sampling", "metric", "value", "seed", "pairs", "note"]
_ENCODED = "embedding.h5ad"


@dataclass(frozen=True)
class GraphBenchmark:
    """What was found.

    Attributes
    ----------
    contacts
        line, role (ours, baseline or trivial), method, sampling, metric, value, seed, pairs, note: how well
        held-out contacts are told, of each training.
    summary
        line, method, sampling, metric, mean, sd, low, high, seeds: means over seeds with Student's 95 %
        interval, and what the first method is above each other, seed by seed (``first - other``).
    compartments
        line, role, method, reach (bp; 0 none, missing: all), dimensions, seeds, bins, auc with low and high
        over blocks, and difference, difference_low, difference_high: the first method's less this one's.
        Empty where no line has published compartments.
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
        The file has no ``[graph]``, or no model could be trained.
    DataError
        A store has no such layer, chromosome or track, or published compartments do not fit.
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
    cells = [_cell(one, given, wanted[one.line.name], config) for one in trainings]
    done = dict(zip(trainings, run_cells(out / "cells", cells, jobs=jobs, retry=retry), strict=True))
    contacts, summaries, probed = [], [], []
    for line in config.lines:
        own = {one: outcome for one, outcome in done.items() if one.line is line}
        scores = _scores(line, own)
        contacts.append(scores)
        first = label(config.methods.graph[0])
        known = scores[scores["note"].isna()]
        means = summarise_scores(known, first if first in set(known["method"]) else None)
        summaries.append(means.assign(line=line.name))
        if line.compartments is not None:
            probed.append(_probes(line, stores[line.name], wanted[line.name], own, given, config))
    costs = [cost_row("graph", label(one.method), one.line.name, one.seed, done[one]) for one in trainings]
    return GraphBenchmark(
        pd.concat(contacts, ignore_index=True)[_SCORE_COLUMNS],
        pd.concat(summaries, ignore_index=True),
        pd.concat(probed, ignore_index=True) if probed else pd.DataFrame(),
        cost_table(costs),
    )


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
    known = {**call, "run": None, "store": identity(one.line.store)}
    return Cell(one.name, _train, call, known, config.timeout)


def _train(run: Path, **call: Any) -> dict[str, Any]:
    """In a cell's process: train, score, and encode the same map."""
    begun = (run / "checkpoints" / "last.ckpt").is_file()
    made = graph_training.train(run, **call, resume=begun)
    if not np.isfinite(made.scores.loc[made.scores["method"] == call["preset"], "value"]).any():
        raise DataError(f"{run.name}: predicts what is no number.")
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
    wanted: GraphConfig,
    done: Mapping[_Training, Outcome],
    given: GraphBench,
    config: BenchConfig,
) -> pd.DataFrame:
    import pandas as pd

    graph = build_graph(store, wanted)
    models = list(_embeddings(done, wanted.max_distance))
    dimensions = sorted({one.dimensions for one in models})
    others = list(map_descriptions(store, graph, dimensions, seed=config.seed))
    bins = graph.bin_table()
    try:
        sides = widest_label(bins, read_bed(line.compartments or "", store.assembly), levels=1)
    except DataError as error:
        raise DataError(f"{line.compartments}: {error}") from error
    side = np.array([{"A": 1.0, "B": 0.0}.get(str(name)[:1], np.nan) for name in sides])
    asked = Asked.of(
        side, [*models, *others], bins["chrom"].to_numpy(), bins["start"].to_numpy(),
        resolution=wanted.resolution, block=given.block,
    )  # fmt: skip
    roles = {label(one.method): _role(one) for one in done}
    rows = []
    first: np.ndarray | None = None
    for one in (*models, *others):
        said = asked.probe(one)
        first = said if first is None else first
        found = asked.auc(said, seed=config.seed)
        row = {
            "line": line.name, "role": roles.get(one.method, "trivial"), "method": one.method,
            "reach": one.reach, "dimensions": one.dimensions, "seeds": len(one.seeds), "bins": found.n,
            "auc": found.value, "low": found.low, "high": found.high,
        }  # fmt: skip
        if said is not first:
            more = asked.difference(first, said, seed=config.seed)
            row |= {"difference": more.value, "difference_low": more.low, "difference_high": more.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _embeddings(done: Mapping[_Training, Outcome], reach: int) -> Iterator[Described]:
    """Each method's, of the seeds that did not fail."""
    made: dict[str, list[np.ndarray]] = {}
    for one, outcome in done.items():
        if not outcome.error:
            rows = read_embedding(one.embedding).full().astype(np.float64)
            made.setdefault(label(one.method), []).append(rows)
    for method, seeds in made.items():
        yield Described(method, reach, tuple(seeds))
