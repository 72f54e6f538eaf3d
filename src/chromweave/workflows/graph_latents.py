"""Latents of another map's bins, for a model whose bins have latents of their own."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..batch import CountBatch
from ..data.graph import ChromatinGraph, all_edges
from ..data.graph_batches import graph_parts
from ..models.vgae import VGAE
from ..training.edge_counts import CountPrediction
from ..training.engine import FitConfig, fit, seeded

__all__ = ["LatentsConfig", "learn_latents", "moved"]


@dataclass(frozen=True)
class LatentsConfig:
    """How latents of another map are learned.

    Attributes
    ----------
    smoothness
        As the model was trained with.
    balance
        As the model was trained with.
    epochs, learning_rate
        Of the optimisation; its rate falls along a cosine.
    """

    smoothness: float = 0.0
    balance: bool = False
    epochs: int = 100
    learning_rate: float = 3e-2


def learn_latents(
    network: VGAE, chroms: Sequence[str], graph: ChromatinGraph, config: LatentsConfig, *, seed: int = 0
) -> VGAE:
    """A copy of `network` at home on `graph`: its bins' latents are learned from all contacts, nothing else.

    Bins that `network` knows start from the latents they have there, so that both maps are in one frame as
    far as the maps agree; the encoder, the decay and the dispersion stay as they were. Visibilities take up
    a difference in depth.

    Parameters
    ----------
    network
        With own latents.
    chroms
        Names of the chromosomes its bins lie on.
    graph
        The other map.
    config
        How.
    seed
        Of the latents of bins it does not know.
    """
    learned = moved(network, chroms, graph, seed=seed)
    for name, parameter in learned.named_parameters():
        parameter.requires_grad_(name.startswith("own."))
    parts = graph_parts(graph, all_edges(graph), balance=config.balance)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            learned.eval(),
            _AtRest(0.0, config.smoothness, lambda label, evidence: {}, noise=False),
            folder,
            parts.counted(all_edges(graph)),
            None,
            FitConfig(
                epochs=config.epochs,
                batch_size=1,
                learning_rate=config.learning_rate,
                schedule="cosine",
                weight_decay=0.0,
                gradient_clip=math.inf,
                accelerator="cpu",
            ),
            seed=seed,
            description="learning latents of this map",
        )
    return learned.eval()


def moved(network: VGAE, chroms: Sequence[str], graph: ChromatinGraph, *, seed: int = 0) -> VGAE:
    """A copy of `network` for the bins of `graph`, each of which starts from its latents where it has some.

    Parameters
    ----------
    network
        With own latents or without.
    chroms
        Names of the chromosomes its bins lie on.
    graph
        The other map.
    seed
        Of the latents of bins it does not know.
    """
    with seeded(seed):
        copy = VGAE(replace(network.config, own=graph.n_nodes if network.own is not None else 0))
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("own.")}
    copy.load_state_dict(kept, strict=False)
    if network.own is not None:
        _take_over(network, chroms, copy, graph)
    return copy


class _AtRest(CountPrediction):
    """The same without dropout and with BatchNorm's statistics as they were: the encoder does not learn."""

    def step(self, model: torch.nn.Module, batch: CountBatch) -> Any:
        for module in (getattr(model, name) for name in ("norm", "dropout")):
            module.eval()
        return super().step(model, batch)


def _take_over(network: VGAE, chroms: Sequence[str], learned: VGAE, graph: ChromatinGraph) -> None:
    """Latents of the bins that both know."""
    assert network.own is not None
    assert learned.own is not None
    learned.own.place(torch.from_numpy(graph.chrom), torch.from_numpy(graph.bins))
    index = {name: k for k, name in enumerate(chroms)}
    places = zip(network.own.chrom.tolist(), network.own.bins.tolist(), strict=True)
    rows = {place: row for row, place in enumerate(places)}
    asked = [
        (index.get(graph.config.chroms[c], -1), b)
        for c, b in zip(graph.chrom, graph.bins.tolist(), strict=True)
    ]
    found = np.array([rows.get(place, -1) for place in asked])
    here, there = np.flatnonzero(found >= 0), found[found >= 0]
    with torch.no_grad():
        for name in ("mean", "log_std", "visibility"):
            getattr(learned.own, name)[here] = getattr(network.own, name)[there]
