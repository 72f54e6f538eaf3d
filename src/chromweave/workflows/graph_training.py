"""Training a graph autoencoder on one store, and its score on held-out edges beside trivial rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch

from .. import config as configs
from ..batch import CountBatch, EdgeBatch
from ..data.graph import ChromatinGraph, EdgeSplit, GraphConfig, HeldOutEdges, build_graph, split_edges
from ..data.graph_batches import GraphParts, graph_parts
from ..data.graph_structure import contact_decay
from ..data.store import RegionStore
from ..evaluation.classification import auroc, average_precision
from ..evaluation.edge_counts import hold_out_counts, score_counts, trivial_means
from ..evaluation.edges import (
    EdgeTask,
    NonContacts,
    edge_samples,
    score_edges,
    summarise_scores,
    trivial_scorers,
)
from ..io.export import write_table
from ..models.graph_decoders import DistanceAwareDecoder
from ..models.vgae import VGAE, Decoder, Encoder, Family, VGAEConfig
from ..progress import notify
from ..provenance import describe_process, start_run
from ..training.checkpoint import ModelDescription, save_model
from ..training.edge_counts import ContactPrediction, CountPrediction
from ..training.edges import EdgePrediction
from ..training.engine import FitConfig, FitResult, fit, seeded
from .graph_latents import moved
from .graph_models import KIND
from .graph_settings import DISTANCE_AWARE, GraphTrainConfig, preset_settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KIND", "GraphTrainConfig", "GraphTrainResult", "Start", "train", "train_graph"]

_POOL = 20  # non-contacts kept to draw from, for each contact
_MOST_POOL = 10_000_000  # and in all
_CHUNK = 1_000_000  # pairs scored at once


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

    def headline(self) -> dict[str, Any]:
        """Epochs, and means over seeds: AUC by method and sampling, log likelihood of a held-out count."""
        summary = summarise_scores(self.scores)
        auc = summary[summary["metric"] == "auc"]
        said: dict[str, Any] = {"epochs": self.fit.epochs}
        for method, rows in auc.groupby("method", sort=False):
            said[f"auc_{method}"] = dict(zip(rows["sampling"], rows["mean"].map(float), strict=True))
        counts = summary[summary["metric"] == "negative binomial"]
        means = zip(counts["method"], counts["mean"].map(float), strict=True)
        return said | {f"log_likelihood_{method}": mean for method, mean in means}


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
    preset: str = DISTANCE_AWARE,
    encoder: Encoder | None = None,
    decoder: Decoder | None = None,
    likelihood: Family | None = None,
    hidden: int | None = None,
    latent: int | None = None,
    dropout: float | None = None,
    own: bool | None = None,
    structure: int | None = None,
    smoothness: float | None = None,
    noise: bool | None = None,
    balance: bool = False,
    by_chromosome: bool = False,
    epochs: int | None = None,
    patience: int | None = None,
    learning_rate: float | None = None,
    schedule: Literal["constant", "cosine"] | None = None,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    repeats: int = 1,
    accelerator: str = "auto",
    resume: bool = False,
) -> GraphTrainResult:
    """Train a graph autoencoder on one store, and score it on held-out edges beside trivial rows.

    Writes into `run`: config.toml, run.json, metrics.csv, the model, scores.tsv and scores_summary.tsv. The
    model is the one of the first seed, at its best validation: AUC where contacts are told from non-contacts
    (uniform ones in the original), else the likelihood of held-out counts.

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
    preset
        Where settings come from that are None here: ``vgae-original`` or ``distance-aware``; see
        :data:`chromweave.workflows.graph_settings.PRESETS`.
    encoder, decoder, likelihood, hidden, latent, dropout
        See :class:`chromweave.models.vgae.VGAEConfig`.
    own
        Whether each bin has a latent and a visibility of its own, besides what features say.
    structure
        See :class:`chromweave.data.graph.GraphConfig`.
    smoothness, noise, balance, by_chromosome
        See :class:`chromweave.workflows.graph_settings.GraphTrainConfig`.
    epochs, patience, learning_rate, schedule, accelerator
        See :class:`chromweave.training.engine.FitConfig`.
    valid, test
        Fractions of the edges held out.
    seed
        Of split, negatives, weights and dropout.
    repeats
        Trainings with the seeds `seed`, `seed` + 1, ...
    resume
        Go on with an interrupted run of the same settings (its first training).

    Raises
    ------
    ConfigError
        There is no such preset, or settings do not go together.
    DataError
        See :func:`chromweave.data.graph.build_graph` and :func:`chromweave.data.graph.split_edges`.
    """
    opened = RegionStore.open(store) if isinstance(store, str | Path) else store
    names = tuple(opened.assembly.require(c) for c in chroms) if chroms else opened.chromosomes
    tracks = tuple(features) if features else opened.track_names
    chosen = preset_settings(
        preset,
        {
            "encoder": encoder, "decoder": decoder, "likelihood": likelihood, "hidden": hidden,
            "latent": latent, "dropout": dropout, "own": own, "structure": structure,
            "smoothness": smoothness, "noise": noise, "epochs": epochs, "patience": patience,
            "learning_rate": learning_rate, "schedule": schedule,
        },
    )  # fmt: skip
    wanted = GraphConfig(
        resolution, names, tracks, max_distance, weight, edge_weight, frame, uncovered, chosen["structure"]
    )
    settings = GraphTrainConfig(
        graph=wanted,
        model=VGAEConfig(
            features=wanted.n_features,
            hidden=chosen["hidden"],
            latent=chosen["latent"],
            dropout=chosen["dropout"],
            encoder=chosen["encoder"],
            decoder=chosen["decoder"],
            likelihood=chosen["likelihood"],
            max_bins=max_distance // resolution,
        ),
        fit=FitConfig(
            epochs=chosen["epochs"],
            batch_size=1,
            learning_rate=chosen["learning_rate"],
            schedule=chosen["schedule"],
            weight_decay=0.0,
            gradient_clip=math.inf,
            patience=chosen["patience"],
            log_every=1,
            accelerator=accelerator,
        ),
        valid=valid,
        test=test,
        repeats=repeats,
        preset=preset,
        smoothness=chosen["smoothness"],
        noise=chosen["noise"],
        balance=balance,
        by_chromosome=by_chromosome,
    )
    return train_graph(Path(run), opened, settings, chosen["own"], seed, resume)


@dataclass(frozen=True)
class Start:
    """A trained network to go on from, the chromosomes its bins lie on, and the checksum of its weights."""

    network: VGAE
    chroms: tuple[str, ...]
    weights_sha256: str


def train_graph(
    run: Path,
    store: RegionStore,
    settings: GraphTrainConfig,
    own_latents: bool,
    seed: int,
    resume: bool,
    start: Start | None = None,
) -> GraphTrainResult:
    """What :func:`train` does once settings are made; from first weights, or from those of a model.

    Parameters
    ----------
    run, store, seed, resume
        As for :func:`train`.
    settings
        Everything else; how many bins have latents of their own is filled in here.
    own_latents
        Whether bins have latents of their own.
    start
        Model to go on from.
    """
    import pandas as pd

    graph = build_graph(store, settings.graph)
    if own_latents:
        settings = replace(settings, model=replace(settings.model, own=graph.n_nodes))
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
        material = _Material(graph, split, non_contacts, _parts(graph, split, settings), own, start)
        outcomes.append(_fit_once(folder, material, settings, resume=resume and number == 0))
    scores = pd.concat([outcome.scores for outcome in outcomes], ignore_index=True)
    write_table(run / "scores.tsv", scores)
    write_table(run / "scores_summary.tsv", summarise_scores(scores))
    _save(run, outcomes[0].network, store, settings, scores, seed, start)
    return GraphTrainResult(run, scores, outcomes[0].fit)


@dataclass(frozen=True)
class _Material:
    """What one training is given."""

    graph: ChromatinGraph
    split: EdgeSplit
    non_contacts: NonContacts
    parts: GraphParts
    seed: int
    start: Start | None = None

    @property
    def task(self) -> EdgeTask:
        """The question at the end."""
        return _task(self.graph, self.split, self.split.test)


@dataclass(frozen=True)
class _Outcome:
    network: VGAE
    fit: FitResult
    scores: pd.DataFrame


@dataclass(frozen=True)
class _Batches:
    """The graph as an epoch; Lightning takes a list for several loaders."""

    batches: Sequence[EdgeBatch] | Sequence[CountBatch]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[EdgeBatch | CountBatch]:
        yield from self.batches


def _task(graph: ChromatinGraph, split: EdgeSplit, held_out: HeldOutEdges) -> EdgeTask:
    return EdgeTask(
        chrom=graph.chrom,
        bins=graph.bins,
        message=split.message.index.numpy(),
        held_out=held_out.index.numpy(),
        known=graph.known,
        max_bins=graph.max_bins,
    )


def _parts(graph: ChromatinGraph, split: EdgeSplit, settings: GraphTrainConfig) -> GraphParts:
    return graph_parts(graph, split.message, balance=settings.balance, by_chromosome=settings.by_chromosome)


def _fit_once(folder: Path, given: _Material, settings: GraphTrainConfig, *, resume: bool) -> _Outcome:
    """Train with one seed, and score on that seed's held-out edges."""
    network = _network(given, settings)
    objective: EdgePrediction | CountPrediction
    if settings.model.original:
        objective = EdgePrediction(_auc_and_ap)
        train, valid = _contact_batches(given), _uniform_batches(given)
    else:
        kind = ContactPrediction if settings.model.likelihood == "bernoulli" else CountPrediction
        objective = kind(settings.valid + settings.test, settings.smoothness, _auc_and_ap, settings.noise)
        train, valid = _Batches(given.parts.counted(given.split.message)), _in_range_batches(given)
    outcome = fit(
        network,
        objective,
        folder,
        train,
        valid,
        replace(settings.fit, accumulate=len(train)),  # one step of the whole graph, whatever its parts
        seed=given.seed,
        resume=resume,
        description=f"training {settings.preset}, seed {given.seed}",
        name_batch=lambda _: f"of the graph of {', '.join(given.graph.config.chroms)}",
    )
    return _Outcome(network, outcome, _scores(network.cpu(), given, settings))


def _network(given: _Material, settings: GraphTrainConfig) -> VGAE:
    """First weights; the decay of contacts with distance need not be found by small steps."""
    graph = given.graph
    if given.start is not None:
        return moved(given.start.network, given.start.chroms, graph, seed=given.seed)
    with seeded(given.seed):
        network = VGAE(settings.model)
    if network.own is not None:
        network.own.place(torch.from_numpy(graph.chrom), torch.from_numpy(graph.bins))
    if isinstance(network.decoder, DistanceAwareDecoder) and settings.model.likelihood != "bernoulli":
        seen = contact_decay(graph, given.split.message) / (1 - settings.valid - settings.test)
        with np.errstate(divide="ignore"):
            network.decoder.decay.start_at(torch.from_numpy(np.log(seen)))
    return network


def _contact_batches(given: _Material) -> _Batches:
    """Message edges, and a pool of non-contacts that each step draws from."""
    message, rng = given.split.message, np.random.default_rng([given.seed, 0])
    pool = given.non_contacts.uniform(min(_POOL * len(message), _MOST_POOL), rng)
    return _edge_batches(given.parts, message.index.numpy(), pool)


def _uniform_batches(given: _Material) -> _Batches:
    """Validation edges and as many uniform non-contacts, the same in every epoch."""
    task = _task(given.graph, given.split, given.split.valid)
    sample = edge_samples(task, given.seed + 1, given.non_contacts)["uniform"]
    return _edge_batches(given.parts, sample.positives, sample.negatives)


def _edge_batches(parts: GraphParts, positives: np.ndarray, negatives: np.ndarray) -> _Batches:
    pairs = zip(parts.batches, parts.divide(positives), parts.divide(negatives), strict=True)
    return _Batches(
        [
            EdgeBatch(batch, torch.from_numpy(contacts), torch.from_numpy(others))
            for batch, contacts, others in pairs
            if contacts.shape[1] and others.shape[1]
        ]
    )


def _in_range_batches(given: _Material) -> _Batches:
    """Validation edges with their counts, and as many non-contacts within range."""
    valid = given.split.valid
    others = given.non_contacts.in_range(len(valid), np.random.default_rng(given.seed + 1))
    return _Batches(given.parts.held_out(valid, others))


def _auc_and_ap(label: np.ndarray, score: np.ndarray) -> dict[str, float]:
    if label.all() or not label.any():
        return {}  # on a deep map every pair within range may touch
    return {"auc": auroc(label, score), "ap": average_precision(label, score)}


def _scores(network: VGAE, given: _Material, settings: GraphTrainConfig) -> pd.DataFrame:
    """Held-out contacts against non-contacts, and held-out counts where the model gives some."""
    import pandas as pd

    task, seed = given.task, given.seed
    judged = _Judged(network, given.parts)
    scorers = {settings.preset: judged.evidence, **trivial_scorers(task, seed=seed)}
    tables = [score_edges(edge_samples(task, seed, given.non_contacts), scorers, seed=seed)]
    if settings.model.likelihood != "bernoulli":
        message, test = (
            cast(torch.Tensor, edges.counts).numpy() for edges in (given.split.message, given.split.test)
        )
        asked = hold_out_counts(task, message, test, seed=seed, non_contacts=given.non_contacts)
        means = {settings.preset: judged.mean_counts, **trivial_means(asked, seed=seed)}
        tables.append(score_counts(asked, means, seed=seed))
    return pd.concat(tables, ignore_index=True)


class _Judged:
    """A trained network asked about pairs, on a graph that holds message edges only."""

    def __init__(self, network: VGAE, parts: GraphParts) -> None:
        self._network, self._parts = network.eval(), parts
        with torch.no_grad():
            self._latents = [network.encode(batch).mean for batch in parts.batches]

    def evidence(self, pairs: np.ndarray) -> np.ndarray:
        """Grows with the probability of a contact."""
        return self._ask(pairs, evidence=True)

    def mean_counts(self, pairs: np.ndarray) -> np.ndarray:
        """Mean count of each pair."""
        return np.exp(self._ask(pairs, evidence=False))

    def _ask(self, pairs: np.ndarray, *, evidence: bool) -> np.ndarray:
        answers, of = np.empty(pairs.shape[1]), self._parts.of(pairs)
        for part, (z, batch) in enumerate(zip(self._latents, self._parts.batches, strict=True)):
            members = np.flatnonzero(of == part)
            for start in range(0, len(members), _CHUNK):
                chosen = members[start : start + _CHUNK]
                asked = torch.from_numpy(pairs[:, chosen] - self._parts.starts[part])
                with torch.no_grad():
                    value = self._network.decode(z, batch, asked)
                    if evidence:
                        value = self._network.likelihood.evidence(value, batch.distance(asked))
                answers[chosen] = value.double().numpy()
        return answers


def _save(
    run: Path,
    network: VGAE,
    store: RegionStore,
    settings: GraphTrainConfig,
    scores: pd.DataFrame,
    seed: int,
    start: Start | None,
) -> None:
    first = scores[(scores["method"] == settings.preset) & (scores["seed"] == seed)]
    description = ModelDescription(
        kind=KIND,
        model=configs.to_mapping(settings.model),
        data={**configs.to_mapping(settings.graph), "assembly": store.assembly.name},
        provenance={
            **describe_process(),
            "seed": seed,
            "preset": settings.preset,
            "smoothness": settings.smoothness,
            "noise": settings.noise,
            "balance": settings.balance,
            **({} if start is None else {"started_from": start.weights_sha256}),
            "trained_on": store.name,
            "store_sha256": store.manifest_sha256,
            "test": {f"{row.sampling} {row.metric}": float(row.value) for row in first.itertuples()},
        },
    )
    save_model(run, network, description)
