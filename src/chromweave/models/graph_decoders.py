"""From latents of two bins to how strongly they touch: a logit, or the logarithm of a number of contacts."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..batch import GraphBatch

__all__ = ["DistanceAwareDecoder", "DistanceCurve", "InnerProductDecoder", "inner_products"]

_KNOTS = 16
_CHUNK = 4096  # pairs whose two ends are gathered at once
_BEYOND = 50.0  # below anything within range, and far from where exp underflows to the same number


class _InnerProducts(torch.autograd.Function):
    """z_i . z_j of every pair, few at a time: gathered rows stay in the cache, and none is kept."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(z, first, second)
        parts = zip(torch.split(first, _CHUNK), torch.split(second, _CHUNK), strict=True)
        return torch.cat([(z.index_select(0, i) * z.index_select(0, j)).sum(dim=1) for i, j in parts])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        z, first, second = ctx.saved_tensors
        of_first, of_second = torch.zeros_like(z), torch.zeros_like(z)
        parts = (torch.split(part, _CHUNK) for part in (first, second, gradients[0][:, None]))
        for i, j, weight in zip(*parts, strict=True):
            of_first.index_add_(0, i, z.index_select(0, j) * weight)
            of_second.index_add_(0, j, z.index_select(0, i) * weight)
        return of_first + of_second, None, None


def inner_products(
    z: Float[Tensor, "nodes latent"], pairs: Int[Tensor, "2 pairs"]
) -> Float[Tensor, " pairs"]:
    """z_i . z_j of every pair."""
    products: Tensor = _InnerProducts.apply(z, pairs[0], pairs[1])  # type: ignore[no-untyped-call]
    return products


class InnerProductDecoder(nn.Module):
    """logit of a contact = z_i . z_j."""

    def forward(
        self, z: Float[Tensor, "nodes latent"], graph: GraphBatch, pairs: Int[Tensor, "2 pairs"]
    ) -> Float[Tensor, " pairs"]:
        """`graph` tells where the nodes lie, which this decoder does not ask."""
        return inner_products(z, pairs)


class DistanceCurve(nn.Module):
    """A smooth function of the logarithm of a distance: a sum of Gaussian bumps, evenly spaced from 1 bin.

    Parameters
    ----------
    max_bins
        The last bump stands here; the curve stays as it is there.
    """

    centre: Tensor

    def __init__(self, max_bins: int) -> None:
        super().__init__()
        self.max_bins = max_bins
        self.width = max(math.log(max_bins), 1.0) / (_KNOTS - 1)
        self.register_buffer("centre", torch.arange(_KNOTS) * self.width, persistent=False)
        self.height = nn.Parameter(torch.zeros(_KNOTS))
        self.level = nn.Parameter(torch.zeros(()))

    def bumps(self, distance: Int[Tensor, " pairs"]) -> Float[Tensor, "pairs knots"]:
        """What the heights are multiplied with, at distances in bins."""
        position = distance.clamp(1, self.max_bins).to(self.centre.dtype).log()
        return torch.exp(-0.5 * ((position[:, None] - self.centre) / self.width).square())

    def table(self) -> Float[Tensor, " distances"]:
        """The curve at 0, 1, ... `max_bins` bins."""
        every = torch.arange(self.max_bins + 1, device=self.height.device)
        return self.bumps(every) @ self.height + self.level

    def forward(self, distance: Int[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
        """The curve at distances in bins."""
        return self.table().index_select(0, distance.clamp(max=self.max_bins))

    @torch.no_grad()
    def start_at(self, values: Float[Tensor, " distances"]) -> None:
        """Take the heights closest to `values` at 0, 1, ... `max_bins` bins; NaN where nothing is known."""
        known = torch.isfinite(values)
        known[0] = False
        if not known.any():
            return
        level = values[known].double().mean()
        basis = self.bumps(torch.arange(len(values))[known]).double()
        ridge = 1e-2 * torch.eye(_KNOTS, dtype=torch.float64)  # bumps between two distances are not asked
        height = torch.linalg.solve(basis.T @ basis + ridge, basis.T @ (values[known].double() - level))
        self.height.copy_(height)
        self.level.copy_(level)


class DistanceAwareDecoder(nn.Module):
    """logit, or log number of contacts = z_i . z_j + s(\\|i - j\\|) + b_i + b_j.

    s is a :class:`DistanceCurve`; b, the visibility of a bin, is the graph's own estimate times a learned
    gain. Beyond `max_bins` there are no edges: everything there is below everything within.

    Parameters
    ----------
    max_bins
        Longest edge, in bins.
    """

    def __init__(self, max_bins: int) -> None:
        super().__init__()
        self.decay = DistanceCurve(max_bins)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(
        self,
        z: Float[Tensor, "nodes latent"],
        graph: GraphBatch,
        pairs: Int[Tensor, "2 pairs"],
        own: Float[Tensor, " nodes"] | None = None,
    ) -> Float[Tensor, " pairs"]:
        """`own` is what is learned of each bin's visibility beyond the graph's estimate."""
        distance = graph.distance(pairs)
        bins = torch.zeros_like(z[:, 0])
        if graph.visibility is not None:
            bins = bins + self.gain * graph.visibility
        for term in (own, graph.offset):
            bins = bins if term is None else bins + term
        log_rate = inner_products(z, pairs) + self.decay(distance)
        log_rate = log_rate + bins.index_select(0, pairs[0]) + bins.index_select(0, pairs[1])
        return log_rate - _BEYOND * (distance > self.decay.max_bins)
