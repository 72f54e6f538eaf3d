"""The variational graph autoencoder of chromatin-gnn: graph convolutions and an inner-product decoder.

Kipf & Welling, "Variational Graph Auto-Encoders" (2016), with graph convolutions of Kipf & Welling (2017):
BatchNorm -> GCN(64) -> ReLU -> Dropout(0.2) -> GCN(32) for the mean, GCN(32) for log sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..batch import GraphBatch, Posterior
from ..errors import ConfigError

__all__ = [
    "VGAE",
    "GCNLayer",
    "InnerProductDecoder",
    "VGAEConfig",
    "symmetric_spmm",
]

_MAX_LOG_STD = 10.0  # exp(10) already swamps any mean; beyond it the loss overflows


@dataclass(frozen=True)
class VGAEConfig:
    """Shape of the autoencoder; the defaults are the original's.

    Attributes
    ----------
    features
        Tracks per node.
    hidden
        Channels of the first graph convolution.
    latent
        Dimensions of the embedding.
    dropout
        Probability of dropping a hidden channel.
    """

    features: int
    hidden: int = 64
    latent: int = 32
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.features, self.hidden, self.latent) < 1:
            raise ConfigError("features, hidden and latent must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; 0 <= dropout < 1 must hold.")


class _SymmetricProduct(torch.autograd.Function):
    """A @ x with the gradient A @ g: A equals its transpose, which torch need not build."""

    @staticmethod
    def forward(ctx: Any, adjacency: Tensor, x: Tensor) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency @ x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.adjacency @ gradients[0].contiguous()


def symmetric_spmm(adjacency: Tensor, x: Float[Tensor, "nodes channels"]) -> Float[Tensor, "nodes channels"]:
    """`adjacency` @ `x` for a constant symmetric CSR `adjacency` (nodes, nodes), cheap in both directions."""
    product: Tensor = _SymmetricProduct.apply(adjacency, x)  # type: ignore[no-untyped-call]
    return product


class GCNLayer(nn.Module):
    """Graph convolution: adjacency @ (x W) + b (Kipf & Welling 2017, equation 2).

    Parameters
    ----------
    channels_in, channels_out
        Width before and after.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels_in, channels_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels_out))
        nn.init.xavier_uniform_(self.linear.weight)

    def forward(
        self, x: Float[Tensor, "nodes channels"], adjacency: Tensor
    ) -> Float[Tensor, "nodes channels_out"]:
        """`adjacency` is normalised and symmetric, sparse CSR (nodes, nodes)."""
        if self.linear.in_features < self.linear.out_features:  # multiply the narrower side
            return self.linear(symmetric_spmm(adjacency, x)) + self.bias
        return symmetric_spmm(adjacency, self.linear(x)) + self.bias


class InnerProductDecoder(nn.Module):
    """logit of a contact = z_i . z_j."""

    def forward(
        self, z: Float[Tensor, "nodes latent"], graph: GraphBatch, pairs: Int[Tensor, "2 pairs"]
    ) -> Float[Tensor, " pairs"]:
        """`graph` tells where the nodes lie, which this decoder does not ask."""
        return (z.index_select(0, pairs[0]) * z.index_select(0, pairs[1])).sum(dim=1)


class VGAE(nn.Module):
    """Encoder to a Gaussian per bin, decoder to a logit per pair of bins.

    Parameters
    ----------
    config
        Its shape.
    """

    def __init__(self, config: VGAEConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.BatchNorm1d(config.features)
        self.shared = GCNLayer(config.features, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.mean = GCNLayer(config.hidden, config.latent)
        self.log_std = GCNLayer(config.hidden, config.latent)
        self.decoder = InnerProductDecoder()

    def encode(self, graph: GraphBatch) -> Posterior:
        """The posterior of every node, from features and message edges."""
        hidden = torch.relu(self.shared(self.norm(graph.features), graph.adjacency))
        hidden = self.dropout(hidden)
        return Posterior(
            mean=self.mean(hidden, graph.adjacency),
            log_std=self.log_std(hidden, graph.adjacency).clamp(max=_MAX_LOG_STD),
        )

    def decode(
        self, z: Float[Tensor, "nodes latent"], graph: GraphBatch, pairs: Int[Tensor, "2 pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The logit of a contact between the bins of each pair."""
        return self.decoder(z, graph, pairs)

    def forward(self, graph: GraphBatch, pairs: Int[Tensor, "2 pairs"]) -> Float[Tensor, " pairs"]:
        """Logits of `pairs` from the posterior means: what a score is computed from."""
        return self.decode(self.encode(graph).mean, graph, pairs)

    @torch.no_grad()
    def refit_norm(self, features: Float[Tensor, "nodes features"]) -> None:
        """Replace BatchNorm's running statistics by those of `features`: another cell line's own frame."""
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.copy_(features.mean(dim=0))
        self.norm.running_var.copy_(features.var(dim=0))
