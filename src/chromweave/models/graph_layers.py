"""Layers that pass messages along the contacts of a graph, on one normalised CSR adjacency.

``gcn``: Kipf & Welling, "Semi-Supervised Classification with Graph Convolutional Networks" (2017).
``sage``: Hamilton et al., "Inductive Representation Learning on Large Graphs" (2017), mean of neighbours.
``gat``: Veličković et al., "Graph Attention Networks" (2018), heads averaged.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["LAYERS", "GATLayer", "GCNLayer", "SAGELayer", "symmetric_spmm"]

_NEGATIVE_SLOPE = 0.2  # of the attention's LeakyReLU (Veličković et al. 2018)
_CHUNK = 1 << 20  # edges whose two ends are gathered at once


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


class SAGELayer(nn.Module):
    """Own features and the weighted mean of the neighbours', each with a matrix of its own.

    Parameters
    ----------
    channels_in, channels_out
        Width before and after.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.neighbours = nn.Linear(channels_in, channels_out)
        self.own = nn.Linear(channels_in, channels_out, bias=False)

    def forward(
        self, x: Float[Tensor, "nodes channels"], adjacency: Tensor
    ) -> Float[Tensor, "nodes channels_out"]:
        """`adjacency` is D^-1/2 (A + I) D^-1/2, CSR; a bin without neighbours has a mean of 0."""
        rows, columns = _coordinates(adjacency)
        degree = 1 / adjacency.values()[rows == columns][:, None]  # the diagonal is 1 / D
        root = degree.sqrt()
        weight = degree - 1  # without the self-loop
        summed = root * symmetric_spmm(adjacency, root * x) - x
        lonely = weight < 1e-6
        mean = (summed / weight.masked_fill(lonely, 1.0)).masked_fill(lonely, 0.0)
        return self.neighbours(mean) + self.own(x)


class GATLayer(nn.Module):
    """Attention over neighbours and self, its heads averaged; the weights of the edges are not asked.

    Parameters
    ----------
    channels_in, channels_out
        Width before and after.
    heads
        Attentions side by side.
    """

    def __init__(self, channels_in: int, channels_out: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.linear = nn.Linear(channels_in, heads * channels_out, bias=False)
        self.source = nn.Parameter(torch.empty(heads, channels_out))
        self.target = nn.Parameter(torch.empty(heads, channels_out))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        for weight in (self.linear.weight, self.source, self.target):
            nn.init.xavier_uniform_(weight)

    def forward(
        self, x: Float[Tensor, "nodes channels"], adjacency: Tensor
    ) -> Float[Tensor, "nodes channels_out"]:
        """`adjacency` says who is whose neighbour; CSR with self-loops, symmetric."""
        rows, columns = _coordinates(adjacency)
        values = self.linear(x).view(len(x), self.heads, -1)
        total = torch.zeros_like(values[:, 0])
        for head in range(self.heads):
            own = values[:, head].contiguous()
            given, asked = own @ self.source[head], own @ self.target[head]
            logit = given.index_select(0, columns) + asked.index_select(0, rows)
            attention = _softmax_by_row(F.leaky_relu(logit, _NEGATIVE_SLOPE), rows, len(x))
            total = total + _attend(attention, own, rows, columns, adjacency)
        return total / self.heads + self.bias


LAYERS: dict[str, type[GCNLayer] | type[SAGELayer] | type[GATLayer]] = {
    "gcn": GCNLayer,
    "sage": SAGELayer,
    "gat": GATLayer,
}
"""Layers by the name of the encoder that is made of them."""


def _coordinates(adjacency: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of every entry of a CSR matrix."""
    starts = adjacency.crow_indices()
    rows = torch.repeat_interleave(torch.arange(len(starts) - 1, device=starts.device), starts.diff())
    return rows, adjacency.col_indices()


def _softmax_by_row(logit: Tensor, rows: Tensor, n: int) -> Tensor:
    largest = logit.new_full((n,), -torch.inf).scatter_reduce(0, rows, logit.detach(), "amax")
    weight = (logit - largest.index_select(0, rows)).exp()
    return weight / logit.new_zeros(n).index_add(0, rows, weight).index_select(0, rows)


class _Attention(torch.autograd.Function):
    """CSR(attention) @ x on a symmetric pattern; no edge ever has a vector of its own but in chunks."""

    @staticmethod
    def forward(
        ctx: Any, attention: Tensor, x: Tensor, rows: Tensor, columns: Tensor, like: Tensor
    ) -> Tensor:
        ctx.save_for_backward(attention, x, rows, columns)
        ctx.like = like
        return _with_values(like, attention) @ x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        attention, x, rows, columns = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        # Sorted by column and then row, the entries of a symmetric pattern are those of its transpose.
        transposed = attention[torch.sort(columns, stable=True).indices]
        of_attention = torch.cat(
            [
                (gradient.index_select(0, r) * x.index_select(0, c)).sum(dim=1)
                for r, c in zip(rows.split(_CHUNK), columns.split(_CHUNK), strict=True)
            ]
        )
        return of_attention, _with_values(ctx.like, transposed) @ gradient, None, None, None


def _attend(attention: Tensor, x: Tensor, rows: Tensor, columns: Tensor, like: Tensor) -> Tensor:
    product: Tensor = _Attention.apply(attention, x, rows, columns, like)  # type: ignore[no-untyped-call]
    return product


def _with_values(like: Tensor, values: Tensor) -> Tensor:
    """A CSR matrix of the pattern of `like`."""
    return torch.sparse_csr_tensor(
        like.crow_indices(), like.col_indices(), values, size=like.shape, check_invariants=False
    )
