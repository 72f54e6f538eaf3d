"""Contact or no contact between two bins of a graph: the objective of the variational graph autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..batch import EdgeBatch, LossParts, Posterior

__all__ = ["EdgePrediction", "kl_per_node", "reparameterise"]


def reparameterise(
    posterior: Posterior, noise: Float[Tensor, "nodes latent"]
) -> Float[Tensor, "nodes latent"]:
    """mean + sigma * `noise`, with standard normal `noise`."""
    return posterior.mean + noise * posterior.log_std.exp()


def kl_per_node(posterior: Posterior) -> Float[Tensor, ""]:
    """KL divergence from N(0, 1), summed over dimensions, averaged over nodes (Kipf & Welling 2016)."""
    log_variance = 2 * posterior.log_std
    terms = 1 + log_variance - posterior.mean.square() - log_variance.exp()
    return -0.5 * terms.sum(dim=1).mean()


class EdgePrediction:
    """Binary cross-entropy of contacts and non-contacts, plus the KL divergence over the number of nodes.

    While training, z is a draw from the posterior and the non-contacts are a new draw from the batch's; in
    validation z is the mean, and every non-contact of the batch counts.

    Parameters
    ----------
    scores
        Computes named scores from labels and logits, both float64 (pairs,).
    """

    monitor: ClassVar[str] = "auc"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def __init__(self, scores: Callable[[np.ndarray, np.ndarray], Mapping[str, float]]) -> None:
        self.scores = scores

    def step(self, model: nn.Module, batch: EdgeBatch) -> LossParts:
        """Loss of one graph."""
        network = cast(Any, model)
        posterior: Posterior = network.encode(batch.graph)
        if model.training:
            z = reparameterise(posterior, torch.randn_like(posterior.mean))
            negatives = _draw(batch.negatives, len(batch))
        else:
            z, negatives = posterior.mean, batch.negatives
        positive = network.decode(z, batch.graph, batch.positives)
        negative = network.decode(z, batch.graph, negatives)
        reconstruction = F.softplus(-positive).mean() + F.softplus(negative).mean()
        kl = kl_per_node(posterior)
        label = torch.cat([torch.ones_like(positive), torch.zeros_like(negative)])
        return LossParts(
            reconstruction + kl / len(batch.graph),
            {"reconstruction": reconstruction, "kl": kl},
            {} if model.training else {"label": label, "logit": torch.cat([positive, negative])},
        )

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """The given scores of a split."""
        label, logit = (outputs[name].double().numpy() for name in ("label", "logit"))
        return dict(self.scores(label, logit))


def _draw(pairs: Int[Tensor, "2 pairs"], n: int) -> Int[Tensor, "2 drawn"]:
    """`n` of the pairs, or fewer where there are fewer, by torch's generator (seeded for each step)."""
    if pairs.shape[1] <= n:
        return pairs
    chosen = torch.randint(pairs.shape[1], (n,), device=pairs.device)
    return pairs[:, chosen]
