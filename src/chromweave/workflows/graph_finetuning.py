"""Fine-tuning a graph autoencoder on another cell line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..data.store import RegionStore
from ..files import sha256
from ..models.vgae import VGAE
from ..training.checkpoint import WEIGHTS
from ..training.engine import FitConfig
from .graph_models import graph_config, load_graph_model, require_assembly
from .graph_settings import ORIGINAL, PRESETS, GraphTrainConfig
from .graph_training import GraphTrainResult, Start, train_graph

__all__ = ["finetune"]

_SLOWER = 0.1  # of the preset's learning rate: what was learned is to be kept where it fits


def finetune(
    run: str | Path,
    *,
    model: str | Path,
    store: str | Path | RegionStore,
    chroms: Sequence[str] | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    learning_rate: float | None = None,
    by_chromosome: bool = False,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    repeats: int = 1,
    accelerator: str = "auto",
    resume: bool = False,
) -> GraphTrainResult:
    """Go on training a model on another store, and score it on that store's held-out edges.

    Graph and network are the model's; weights start where it left them. Where its bins have latents of their
    own, bins that it knows start from those. Writes what
    :func:`chromweave.workflows.graph_training.train` writes.

    Parameters
    ----------
    run
        Run folder.
    model
        Folder of a training run.
    store
        Region store with the model's resolution and tracks.
    chroms
        Chromosomes; the model's by default.
    epochs, patience
        Those of the model's preset by default.
    learning_rate
        A tenth of the preset's by default.
    by_chromosome
        See :class:`chromweave.workflows.graph_settings.GraphTrainConfig`.
    valid, test
        Fractions of the edges held out.
    seed, repeats
        See :func:`chromweave.workflows.graph_training.train`; every repeat starts from `model`.
    accelerator
        See :class:`chromweave.training.engine.FitConfig`.
    resume
        Go on with an interrupted run of the same settings (its first training).

    Raises
    ------
    ModelError
        The folder holds no such model, or the store is of another assembly.
    DataError
        The store lacks a track the model reads, or its chromosome has no valid bin.
    """
    opened = RegionStore.open(store) if isinstance(store, str | Path) else store
    loaded = load_graph_model(model)
    require_assembly(loaded, model, opened)
    network, said = loaded.network, loaded.description.provenance
    assert isinstance(network, VGAE)
    graph = graph_config(loaded, model)
    start = Start(network, graph.chroms, sha256(Path(model) / WEIGHTS))
    if chroms:
        graph = replace(graph, chroms=tuple(opened.assembly.require(c) for c in chroms))
    name = str(said.get("preset", ORIGINAL))
    preset = PRESETS[name]
    settings = GraphTrainConfig(
        graph=graph,
        model=network.config,
        fit=FitConfig(
            epochs=epochs or preset["epochs"],
            batch_size=1,
            learning_rate=learning_rate or _SLOWER * preset["learning_rate"],
            schedule=preset["schedule"],
            weight_decay=0.0,
            gradient_clip=math.inf,
            patience=patience or preset["patience"],
            log_every=1,
            accelerator=accelerator,
        ),
        valid=valid,
        test=test,
        repeats=repeats,
        preset=name,
        smoothness=float(said.get("smoothness", preset["smoothness"])),
        noise=bool(said.get("noise", preset["noise"])),
        balance=bool(said.get("balance", False)),
        by_chromosome=by_chromosome,
    )
    return train_graph(Path(run), opened, settings, network.own is not None, seed, resume, start)
