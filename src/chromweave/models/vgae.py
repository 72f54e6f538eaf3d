"""The variational graph autoencoder: a Gaussian per bin, and from two bins' latents how strongly they touch.

Kipf & Welling, "Variational Graph Auto-Encoders" (2016). The defaults are chromatin-gnn's:
BatchNorm -> GCN(64) -> ReLU -> Dropout(0.2) -> GCN(32) for the mean, GCN(32) for log sigma, and an inner
product. Distance and visibility can be taken out of the latents by the decoder, bins can have latents of
their own besides what features say, and counts can be asked instead of contacts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..batch import GraphBatch, Posterior
from ..errors import ConfigError, ModelError
from .graph_decoders import DistanceAwareDecoder, InnerProductDecoder
from .graph_layers import LAYERS
from .graph_likelihoods import LIKELIHOODS, Likelihood

__all__ = ["VGAE", "Decoder", "Encoder", "Family", "OwnLatents", "VGAEConfig"]

Encoder = Literal["gcn", "sage", "gat"]
Decoder = Literal["inner-product", "distance-aware"]
Family = Literal["bernoulli", "poisson", "negative-binomial"]

_MAX_LOG_STD = 10.0  # exp(10) already swamps any mean; beyond it the loss overflows
_START_STD = 0.1  # of own latents: they are to be found, not drawn
_START_LOG_STD = -2.0


@dataclass(frozen=True)
class VGAEConfig:
    """Shape of the autoencoder; the defaults are the original's.

    Attributes
    ----------
    features
        Features per node.
    hidden
        Channels of the first graph layer.
    latent
        Dimensions of the embedding.
    dropout
        Probability of dropping a hidden channel.
    encoder
        Layers messages are passed by, see :mod:`chromweave.models.graph_layers`.
    decoder
        ``inner-product``: z_i . z_j; ``distance-aware``: with distance and visibility beside it.
    likelihood
        ``bernoulli``: contact or none; ``poisson``, ``negative-binomial``: how many.
    own
        Nodes that have a latent and a visibility of their own, added to what the encoder says; 0: none have,
        and the model can be taken to other bins.
    max_bins
        Longest edge, in bins; asked by distance-aware decoders and the negative binomial.
    """

    features: int
    hidden: int = 64
    latent: int = 32
    dropout: float = 0.2
    encoder: Encoder = "gcn"
    decoder: Decoder = "inner-product"
    likelihood: Family = "bernoulli"
    own: int = 0
    max_bins: int = 0

    def __post_init__(self) -> None:
        if min(self.features, self.hidden, self.latent) < 1:
            raise ConfigError("features, hidden and latent must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; 0 <= dropout < 1 must hold.")
        if self.own < 0:
            raise ConfigError(f"own must not be negative, but is {self.own}.")
        asks = self.decoder == "distance-aware" or self.likelihood == "negative-binomial"
        if asks and self.max_bins < 1:
            raise ConfigError(
                f"max_bins is {self.max_bins}; {self.decoder} and {self.likelihood} need the longest edge."
            )

    @property
    def original(self) -> bool:
        """Whether contacts and non-contacts are told apart by an inner product, as the original does."""
        return self.decoder == "inner-product" and self.likelihood == "bernoulli"


class VGAE(nn.Module):
    """Encoder to a Gaussian per bin, decoder to a logit or a log rate per pair of bins.

    Parameters
    ----------
    config
        Its shape.
    """

    def __init__(self, config: VGAEConfig) -> None:
        super().__init__()
        self.config = config
        layer = LAYERS[config.encoder]
        self.norm = nn.BatchNorm1d(config.features)
        self.shared = layer(config.features, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.mean = layer(config.hidden, config.latent)
        self.log_std = layer(config.hidden, config.latent)
        self.decoder = (
            InnerProductDecoder()
            if config.decoder == "inner-product"
            else DistanceAwareDecoder(config.max_bins)
        )
        self.likelihood: Likelihood = LIKELIHOODS[config.likelihood](config.max_bins)
        self.own = OwnLatents(config.own, config.latent) if config.own else None
        if self.own is not None:
            self._start_silent()

    def _start_silent(self) -> None:
        """Let the encoder begin by saying nothing, so that own latents find their way undisturbed."""
        for layer in (self.mean, self.log_std):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def encode(self, graph: GraphBatch) -> Posterior:
        """The posterior of every node, from features and message edges."""
        hidden = torch.relu(self.shared(self.norm(graph.features), graph.adjacency))
        hidden = self.dropout(hidden)
        mean, log_std = self.mean(hidden, graph.adjacency), self.log_std(hidden, graph.adjacency)
        if self.own is not None:
            rows = self.own.rows(graph)
            mean, log_std = mean + self.own.mean[rows], log_std + self.own.log_std[rows]
        return Posterior(mean=mean, log_std=log_std.clamp(max=_MAX_LOG_STD))

    def decode(
        self, z: Float[Tensor, "nodes latent"], graph: GraphBatch, pairs: Int[Tensor, "2 pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The logit of a contact, or the log of their number, between the bins of each pair."""
        if isinstance(self.decoder, DistanceAwareDecoder) and self.own is not None:
            return self.decoder(z, graph, pairs, self.own.visibility[self.own.rows(graph)])
        return self.decoder(z, graph, pairs)

    def forward(self, graph: GraphBatch, pairs: Int[Tensor, "2 pairs"]) -> Float[Tensor, " pairs"]:
        """What a score of `pairs` is computed from: it grows with the probability of a contact.

        Computed from the posterior means; the decoder's number itself where that is a logit.
        """
        rate = self.decode(self.encode(graph).mean, graph, pairs)
        return self.likelihood.evidence(rate, graph.distance(pairs))

    @torch.no_grad()
    def refit_norm(self, features: Float[Tensor, "nodes features"]) -> None:
        """Replace BatchNorm's running statistics by those of `features`: another cell line's own frame."""
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.copy_(features.mean(dim=0))
        self.norm.running_var.copy_(features.var(dim=0))


class OwnLatents(nn.Module):
    """A Gaussian and a visibility for each of so many bins, whatever their features say.

    Parameters
    ----------
    nodes
        How many bins have them.
    latent
        Dimensions.
    """

    chrom: Tensor
    bins: Tensor

    def __init__(self, nodes: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(_START_STD * torch.randn(nodes, latent))
        self.log_std = nn.Parameter(torch.full((nodes, latent), _START_LOG_STD))
        self.visibility = nn.Parameter(torch.zeros(nodes))
        self.register_buffer("chrom", torch.zeros(nodes, dtype=torch.int64))
        self.register_buffer("bins", torch.arange(nodes))

    def place(self, chrom: Int[Tensor, " nodes"], bins: Int[Tensor, " nodes"]) -> None:
        """Say which bins these are: index of the chromosome, and bin within it, sorted."""
        self.chrom.copy_(chrom)
        self.bins.copy_(bins)

    def rows(self, graph: GraphBatch) -> Int[Tensor, " nodes"]:
        """Which row is of each node of the graph.

        Raises
        ------
        ModelError
            The graph has a bin that has no row.
        """
        stride = int(torch.cat([self.bins, graph.bins.to(self.bins.dtype)]).max()) + 1
        held, asked = self.chrom * stride + self.bins, graph.chrom.long() * stride + graph.bins
        rows = torch.searchsorted(held, asked).clamp(max=len(held) - 1)
        strangers = int((held[rows] != asked).sum())
        if strangers:
            raise ModelError(
                f"the model has latents for {len(held):,} bins of its own map, and none for {strangers:,} of "
                "these; train on this map, or a model without own latents."
            )
        return rows
