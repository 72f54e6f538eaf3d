"""How many contacts two bins have, where some contacts were held out and nobody says which.

A pair that is no message edge has no contact, or one that was held out. With a fraction h of the contacts
held out at random, the first has the probability P(0), the second h (1 - P(0)), and nobody can say which is
which: the likelihood of such a pair is their sum. No held-out contact is taken for a zero, and no pair is
known to be a zero, so that neither kind of evaluated pair leaks into training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..batch import CountBatch, GraphBatch, LossParts, Posterior
from ..errors import ConfigError
from .edges import kl_per_node, reparameterise

__all__ = ["ContactPrediction", "CountPrediction", "log_unseen", "roughness"]

_MOST_OTHERS = 4  # pairs without a known contact that a step looks at, for each contact


def log_unseen(log_none: Float[Tensor, " pairs"], held_out: float) -> Float[Tensor, " pairs"]:
    """log(P(0) + h (1 - P(0))): a pair has no contact, or it is one of the held-out fraction h.

    Parameters
    ----------
    log_none
        log P(0), at most 0.
    held_out
        h.
    """
    if held_out == 0:
        return log_none
    return torch.log(held_out + (1 - held_out) * log_none.exp())


def roughness(posterior: Posterior, graph: GraphBatch) -> Float[Tensor, ""]:
    """Expected squared difference of neighbouring nodes' z over their distance in bins, summed.

    Half of it times a smoothness t, added to the KL divergence from N(0, 1), makes the prior a random walk
    along each chromosome: log p(z) = -1/2 sum z_i^2 - t/2 sum (z_i - z_i+1)^2 / d_i + constant.
    """
    together = graph.chrom[1:] == graph.chrom[:-1]
    gap = (graph.bins[1:] - graph.bins[:-1]).clamp(min=1)
    variance = (2 * posterior.log_std).exp()
    squared = posterior.mean.diff(dim=0).square() + variance[1:] + variance[:-1]
    return (squared.sum(dim=1) * together / gap).sum()


class CountPrediction:
    """Likelihood of contact counts, and the divergence of the latents from a prior that may be smooth.

    The loss is the negative evidence lower bound over the number of pairs. In validation z is the mean, and
    only held-out contacts count, each given that it is a contact at all.

    Parameters
    ----------
    held_out
        Fraction of the contacts that are no message edges, of validation and test together.
    smoothness
        How much neighbouring bins are expected to resemble each other, see :func:`roughness`.
    scores
        Computes named scores from labels and evidence of held-out contacts and non-contacts, float64.
    noise
        Whether z is a draw from the posterior while training, as in a variational autoencoder, or its mean.

    Raises
    ------
    ConfigError
        A number is out of range.
    """

    monitor: ClassVar[str] = "log_likelihood"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def __init__(
        self,
        held_out: float,
        smoothness: float,
        scores: Callable[[np.ndarray, np.ndarray], Mapping[str, float]],
        noise: bool = True,
    ) -> None:
        if not 0 <= held_out < 1:
            raise ConfigError(f"held_out is {held_out}; 0 <= held_out < 1 must hold.")
        if not 0 <= smoothness < math.inf:
            raise ConfigError(f"smoothness must be 0 or more, and finite, not {smoothness}.")
        self.held_out, self.smoothness, self.scores, self.noise = held_out, smoothness, scores, noise

    def step(self, model: nn.Module, batch: CountBatch) -> LossParts:
        """Loss of one graph, or of one part of it."""
        network = cast(Any, model)
        posterior: Posterior = network.encode(batch.graph)
        if not model.training:
            return self._judge(network, posterior, batch)
        z = reparameterise(posterior, torch.randn_like(posterior.mean)) if self.noise else posterior.mean
        seen = _log_prob(network, z, batch.graph, batch.pairs, batch.counts).sum()
        others, times = _draw(batch.others, _MOST_OTHERS * len(batch))
        unseen = times * log_unseen(_log_none(network, z, batch.graph, others), self.held_out).sum()
        kl = kl_per_node(posterior) * len(batch.graph)
        rough = 0.5 * self.smoothness * roughness(posterior, batch.graph)
        terms = {"contacts": -seen, "others": -unseen, "kl": kl, "roughness": rough}
        terms = {name: batch.share * value for name, value in terms.items()}
        total = cast(Tensor, sum(terms.values()))
        return LossParts(total, terms)

    def _judge(self, network: Any, posterior: Posterior, batch: CountBatch) -> LossParts:
        """Log likelihood of each held-out count given that there is a contact, and scores of contacts."""
        z, graph = posterior.mean, batch.graph
        log_prob = _log_prob(network, z, graph, batch.pairs, batch.counts)
        log_none = _log_none(network, z, graph, batch.pairs)
        given = log_prob - torch.log(-torch.expm1(log_none.clamp(max=-1e-12)))
        both = torch.cat([batch.pairs, batch.others], dim=1)
        evidence = network.likelihood.evidence(network.decode(z, graph, both), graph.distance(both))
        label = torch.arange(both.shape[1], device=both.device) < len(batch)
        return LossParts(-given.mean(), {}, {"given": given, "label": label.double(), "evidence": evidence})

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Mean log likelihood of a held-out count, and the given scores."""
        label, evidence = (outputs[name].double().numpy() for name in ("label", "evidence"))
        return {"log_likelihood": float(outputs["given"].double().mean()), **self.scores(label, evidence)}


class ContactPrediction(CountPrediction):
    """The same where only contact or none is asked: the best epoch is that of the best AUC."""

    monitor: ClassVar[str] = "auc"


def _log_prob(network: Any, z: Tensor, graph: GraphBatch, pairs: Tensor, counts: Tensor) -> Tensor:
    rate = network.decode(z, graph, pairs)
    log_prob: Tensor = network.likelihood.log_prob(counts, rate, graph.distance(pairs))
    return log_prob


def _log_none(network: Any, z: Tensor, graph: GraphBatch, pairs: Tensor) -> Tensor:
    log_none: Tensor = network.likelihood.log_none(network.decode(z, graph, pairs), graph.distance(pairs))
    return log_none


def _draw(pairs: Int[Tensor, "2 pairs"], most: int) -> tuple[Int[Tensor, "2 drawn"], float]:
    """All pairs, or `most` of them at random, each then standing for several; and for how many."""
    n = pairs.shape[1]
    if n <= most:
        return pairs, 1.0
    return pairs[:, torch.randint(n, (most,), device=pairs.device)], n / most
