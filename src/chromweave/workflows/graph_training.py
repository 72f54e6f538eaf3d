"""Training the graph autoencoder on one store, and its score on held-out edges beside trivial rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from .. import config as configs
from ..batch import EdgeBatch, GraphBatch
from ..data.graph import (
    ChromatinGraph,
    EdgeSplit,
    GraphConfig,
    HeldOutEdges,
    build_graph,
    graph_batch,
    split_edges,
)
from ..data.store import RegionStore
from ..errors import ConfigError
from ..evaluation.classification import auroc, average_precision
from ..evaluation.edges import (
    EdgeTask,
    NonContacts,
    Scorer,
    edge_samples,
    score_edges,
    summarise_scores,
    trivial_scorers,
)
from ..io.export import write_table
from ..models.vgae import VGAE, VGAEConfig
from ..progress import notify
from ..provenance import describe_process, start_run
from ..training.checkpoint import ModelDescription, save_model
from ..training.edges import EdgePrediction
from ..training.engine import FitConfig, FitResult, fit, seeded

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KIND", "PRESET", "GraphTrainConfig", "GraphTrainResult", "train"]

KIND = "graph-vgae"
PRESET = "vgae-original"

_POOL = 20  # non-contacts kept to draw from, for each contact


@dataclass(frozen=True)
class GraphTrainConfig:
    """Everything a training run of the graph autoencoder is made of.

    Attributes
    ----------
    graph
        How the graph is made.
    model
        Shape of the network.
    fit
        How it is optimised; the whole graph is one step.
    valid, test
        Fractions of the edges held out.
    repeats
        Trainings, with consecutive seeds; each has its own split, negatives and first weights.
    """

    graph: GraphConfig
    model: VGAEConfig
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=300,
            patience=20,
            batch_size=1,
            learning_rate=1e-2,
            weight_decay=0.0,
            gradient_clip=math.inf,
            log_every=1,
        )
    )
    valid: float = 0.1
    test: float = 0.1
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError(f"repeats must be at least 1, not {self.repeats}.")


@dataclass(frozen=True)
class GraphTrainResult:
    """What a training run gave.

    Attributes
    ----------
    run
        Its folder.
    scores
        method, sampling, metric, value, seed, pairs: held-out edges, the model beside the trivial rows.
    fit
        How the first training went.
    """

    run: Path
    scores: pd.DataFrame
    fit: FitResult


def train(
    run: str | Path,
    *,
    store: str | Path | RegionStore,
    resolution: int,
    chroms: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    max_distance: int = 5_000_000,
    weight: str | None = None,
    edge_weight: Literal["binary", "log1p"] = "binary",
    frame: Literal["robust", "raw"] = "robust",
    uncovered: Literal["zero", "missing"] = "zero",
    hidden: int = 64,
    latent: int = 32,
    dropout: float = 0.2,
    epochs: int = 300,
    patience: int | None = 20,
    learning_rate: float = 1e-2,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    repeats: int = 1,
    accelerator: str = "auto",
    resume: bool = False,
) -> GraphTrainResult:
    """Train the original graph autoencoder on one store, and score it on held-out edges beside trivial rows.

    Writes into `run`: config.toml, run.json, metrics.csv, the model, scores.tsv and scores_summary.tsv. The
    model is the one of the first seed, at its best validation AUC (uniform negatives, as in the original).

    Parameters
    ----------
    run
        Run folder.
    store
        Region store, or its path.
    resolution
        Bin size in bp.
    chroms, features
        Chromosomes and tracks; all of the store by default.
    max_distance, weight, edge_weight, frame, uncovered
        See :class:`chromweave.data.graph.GraphConfig`.
    hidden, latent, dropout
        See :class:`chromweave.models.vgae.VGAEConfig`.
    epochs, patience, learning_rate, accelerator
        See :class:`chromweave.training.engine.FitConfig`.
    valid, test
        Fractions of the edges held out.
    seed
        Of split, negatives, weights and dropout.
    repeats
        Trainings with the seeds `seed`, `seed` + 1, ...
    resume
        Go on with an interrupted run of the same settings (its first training).
    """
    opened = RegionStore.open(store) if isinstance(store, str | Path) else store
    names = tuple(opened.assembly.require(c) for c in chroms) if chroms else opened.chromosomes
    tracks = tuple(features) if features else opened.track_names
    settings = GraphTrainConfig(
        graph=GraphConfig(resolution, names, tracks, max_distance, weight, edge_weight, frame, uncovered),
        model=VGAEConfig(len(tracks), hidden, latent, dropout),
        fit=FitConfig(
            epochs=epochs,
            batch_size=1,
            learning_rate=learning_rate,
            weight_decay=0.0,
            gradient_clip=math.inf,
            patience=patience,
            log_every=1,
            accelerator=accelerator,
        ),
        valid=valid,
        test=test,
        repeats=repeats,
    )
    return _train(Path(run), opened, settings, seed, resume)


def _train(
    run: Path, store: RegionStore, settings: GraphTrainConfig, seed: int, resume: bool
) -> GraphTrainResult:
    import pandas as pd

    graph = build_graph(store, settings.graph)
    notify(
        f"{store.name}: {graph.n_nodes:,} valid bins of {sum(graph.n_bins):,}, "
        f"{graph.edges.shape[1]:,} contacts within {settings.graph.max_distance:,} bp"
    )
    start_run(run, kind=KIND, config=settings, seed=seed, inputs=[store.path])
    non_contacts: NonContacts | None = None
    outcomes = []
    for number in range(settings.repeats):
        own = seed + number
        split = split_edges(graph, valid=settings.valid, test=settings.test, seed=own)
        non_contacts = non_contacts or NonContacts(_task(graph, split, split.test))
        folder = run if number == 0 else run / "repeats" / f"seed-{own}"
        outcomes.append(
            _fit_once(folder, graph, split, non_contacts, settings, own, resume=resume and number == 0)
        )
    scores = pd.concat([outcome.scores for outcome in outcomes], ignore_index=True)
    write_table(run / "scores.tsv", scores)
    write_table(run / "scores_summary.tsv", summarise_scores(scores))
    _save(run, outcomes[0].network, store, settings, scores, seed)
    return GraphTrainResult(run, scores, outcomes[0].fit)


@dataclass(frozen=True)
class _Outcome:
    network: VGAE
    fit: FitResult
    scores: pd.DataFrame


@dataclass(frozen=True)
class _OneBatch:
    """The whole graph as an epoch of one step; Lightning takes a list for several loaders."""

    batch: EdgeBatch

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[EdgeBatch]:
        yield self.batch


def _task(graph: ChromatinGraph, split: EdgeSplit, held_out: HeldOutEdges) -> EdgeTask:
    return EdgeTask(
        chrom=graph.chrom,
        bins=graph.bins,
        message=split.message.index.numpy(),
        held_out=held_out.index.numpy(),
        known=graph.known,
        max_bins=graph.max_bins,
    )


def _fit_once(
    folder: Path,
    graph: ChromatinGraph,
    split: EdgeSplit,
    non_contacts: NonContacts,
    settings: GraphTrainConfig,
    seed: int,
    *,
    resume: bool,
) -> _Outcome:
    """Train with one seed, and score on that seed's held-out edges."""
    batch = graph_batch(graph, split.message)
    with seeded(seed):
        network = VGAE(settings.model)
    outcome = fit(
        network,
        EdgePrediction(_auc_and_ap),
        folder,
        _OneBatch(_training_batch(batch, split, non_contacts, seed)),
        _OneBatch(_validation_batch(batch, graph, split, non_contacts, seed)),
        settings.fit,
        seed=seed,
        resume=resume,
        description=f"training {PRESET}, seed {seed}",
        name_batch=lambda _: f"of the graph of {', '.join(graph.config.chroms)}",
    )
    task = _task(graph, split, split.test)
    scorers = {PRESET: _scorer(network.cpu(), batch), **trivial_scorers(task, seed=seed)}
    samples = edge_samples(task, seed, non_contacts)
    return _Outcome(network, outcome, score_edges(samples, scorers, seed=seed))


def _training_batch(batch: GraphBatch, split: EdgeSplit, source: NonContacts, seed: int) -> EdgeBatch:
    """Message edges, and a pool of non-contacts that each step draws from."""
    pool = source.uniform(_POOL * len(split.message), np.random.default_rng([seed, 0]))
    return EdgeBatch(batch, split.message.index, torch.from_numpy(pool))


def _validation_batch(
    batch: GraphBatch, graph: ChromatinGraph, split: EdgeSplit, source: NonContacts, seed: int
) -> EdgeBatch:
    """Validation edges and as many uniform non-contacts, the same in every epoch."""
    sample = edge_samples(_task(graph, split, split.valid), seed + 1, source)["uniform"]
    return EdgeBatch(batch, torch.from_numpy(sample.positives), torch.from_numpy(sample.negatives))


def _auc_and_ap(label: np.ndarray, score: np.ndarray) -> dict[str, float]:
    return {"auc": auroc(label, score), "ap": average_precision(label, score)}


def _scorer(network: VGAE, batch: GraphBatch) -> Scorer:
    """Logits of pairs, from a graph that holds message edges only."""

    def score(pairs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = network(batch, torch.from_numpy(np.ascontiguousarray(pairs))).numpy()
        return logits

    network.eval()
    return score


def _save(
    run: Path,
    network: VGAE,
    store: RegionStore,
    settings: GraphTrainConfig,
    scores: pd.DataFrame,
    seed: int,
) -> None:
    first = scores[(scores["method"] == PRESET) & (scores["seed"] == seed)]
    description = ModelDescription(
        kind=KIND,
        model=configs.to_mapping(settings.model),
        data={**configs.to_mapping(settings.graph), "assembly": store.assembly.name},
        provenance={
            **describe_process(),
            "seed": seed,
            "preset": PRESET,
            "trained_on": store.name,
            "store_sha256": store.manifest_sha256,
            "test": {f"{row.sampling} {row.metric}": float(row.value) for row in first.itertuples()},
        },
    )
    save_model(run, network, description)
