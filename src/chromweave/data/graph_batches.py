"""A chromatin graph as tensors: whole, or chromosome by chromosome, between which there are no edges."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from ..batch import CountBatch, EdgeSet, GraphBatch
from .graph import ChromatinGraph, HeldOutEdges, MessageEdges
from .graph_structure import pairs_in_range, structural_features, visibility

__all__ = ["GraphParts", "graph_batch", "graph_parts", "normalised_adjacency"]


def normalised_adjacency(n_nodes: int, edges: MessageEdges) -> torch.Tensor:
    """D^-1/2 (A + I) D^-1/2 as a torch CSR matrix (nodes, nodes); Kipf & Welling 2017, equation 2.

    Raises
    ------
    TypeError
        `edges` are held-out edges: those are never passed along.
    """
    if not isinstance(edges, MessageEdges):
        raise TypeError(f"messages pass along MessageEdges, not {type(edges).__name__}")
    from scipy.sparse import csr_array, eye_array

    index, weight = edges.index.numpy(), edges.weight.numpy().astype(np.float64)
    upper = csr_array((weight, (index[0], index[1])), shape=(n_nodes, n_nodes))
    full = csr_array(upper + upper.T + eye_array(n_nodes))
    scale = 1.0 / np.sqrt(np.asarray(full.sum(axis=1)).ravel())
    rows = np.repeat(np.arange(n_nodes), np.diff(full.indptr))
    values = full.data * scale[rows] * scale[full.indices]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(full.indptr.astype(np.int64)),
            torch.from_numpy(full.indices.astype(np.int64)),
            torch.from_numpy(values.astype(np.float32)),
            size=(n_nodes, n_nodes),
            check_invariants=True,
        )


def graph_batch(graph: ChromatinGraph, edges: MessageEdges, *, balance: bool = False) -> GraphBatch:
    """The graph as tensors, with `edges` as its messages; see :func:`graph_parts`."""
    return graph_parts(graph, edges, balance=balance).batches[0]


@dataclass(frozen=True)
class GraphParts:
    """A graph divided into runs of nodes without edges between them.

    Attributes
    ----------
    batches
        The parts as tensors.
    starts
        int64 (parts + 1,): first node of each part, and one past the last of all.
    max_bins
        Longest edge, in bins.
    """

    batches: tuple[GraphBatch, ...]
    starts: np.ndarray
    max_bins: int

    def of(self, pairs: np.ndarray) -> np.ndarray:
        """Which part each pair of nodes (2, pairs) lies in."""
        return np.searchsorted(self.starts, pairs[0], side="right") - 1

    def divide(self, pairs: np.ndarray) -> list[np.ndarray]:
        """Pairs of nodes (2, pairs), part by part, in each part's own numbers; in order."""
        part = self.of(pairs)
        return [np.ascontiguousarray(pairs[:, part == k] - self.starts[k]) for k in range(len(self.batches))]

    def counted(self, message: MessageEdges) -> list[CountBatch]:
        """Message edges with their counts, and every other pair within range, of each part that has edges."""
        found = []
        for k, batch in enumerate(self.batches):
            own, counts = self._within(k, message)
            if own.shape[1]:
                others = _others(batch, own, self.max_bins)
                found.append((batch, own, counts, others))
        share = len(found) / sum(own.shape[1] + others.shape[1] for _, own, _, others in found)
        return [
            CountBatch(batch, torch.from_numpy(own), counts, torch.from_numpy(others), share)
            for batch, own, counts, others in found
        ]

    def held_out(self, edges: HeldOutEdges, non_contacts: np.ndarray) -> list[CountBatch]:
        """Held-out edges with their counts, and the `non_contacts` (2, pairs), of parts that have edges."""
        others, batches = self.divide(non_contacts), []
        for k, batch in enumerate(self.batches):
            own, counts = self._within(k, edges)
            if own.shape[1]:
                pairs = torch.from_numpy(own)
                share = 1 / own.shape[1]
                batches.append(CountBatch(batch, pairs, counts, torch.from_numpy(others[k]), share))
        return batches

    def _within(self, part: int, edges: EdgeSet) -> tuple[np.ndarray, torch.Tensor]:
        assert isinstance(edges, MessageEdges | HeldOutEdges)
        assert edges.counts is not None
        index = edges.index.numpy()
        own = self.of(index) == part
        return np.ascontiguousarray(index[:, own] - self.starts[part]), edges.counts[torch.from_numpy(own)]


def _others(batch: GraphBatch, message: np.ndarray, max_bins: int) -> np.ndarray:
    """Pairs within range that are no message edge."""
    bins, chrom = batch.bins.numpy().astype(np.int64), batch.chrom.numpy().astype(np.int64)
    stride = bins.max(initial=0) + max_bins + 1  # no chromosome is in range of another
    pairs = pairs_in_range(chrom * stride + bins, max_bins)
    taken = np.zeros(pairs.shape[1], dtype=bool)
    n = len(bins)
    taken[np.searchsorted(pairs[0] * n + pairs[1], message[0] * n + message[1])] = True
    return np.ascontiguousarray(pairs[:, ~taken])


def graph_parts(
    graph: ChromatinGraph, edges: MessageEdges, *, balance: bool = False, by_chromosome: bool = False
) -> GraphParts:
    """The graph as tensors, with `edges` as its messages, in one part or in one for each chromosome.

    Parameters
    ----------
    graph
        The graph.
    edges
        What messages pass along, and what structural features and visibilities are computed from.
    balance
        Whether -log of the balancing weights is the nodes' offset instead of a visibility from message edges.
        Weights come from the whole map, held-out contacts included.
    by_chromosome
        Whether each chromosome is a part of its own.

    Raises
    ------
    TypeError
        `edges` are held-out edges: those are never passed along.
    """
    if not isinstance(edges, MessageEdges):
        raise TypeError(f"messages pass along MessageEdges, not {type(edges).__name__}")
    features = graph.features
    if graph.config.structure:
        own = structural_features(graph, edges, graph.config.structure)
        features = np.concatenate([features, own], axis=1)
    seen = offset = None
    if balance:
        offset = -np.log(graph.weights).astype(np.float32)
        offset -= offset.mean()  # the level is the curve's
    else:
        seen = visibility(graph, edges).astype(np.float32)
    cuts = np.flatnonzero(np.diff(graph.chrom, prepend=-1)) if by_chromosome else np.zeros(1, dtype=int)
    starts = np.append(cuts, graph.n_nodes).astype(np.int64)
    batches = []
    for first, last in pairwise(starts.tolist()):
        nodes = slice(first, last)
        batches.append(
            GraphBatch(
                features=torch.from_numpy(np.ascontiguousarray(features[nodes])),
                adjacency=normalised_adjacency(last - first, _between(edges, first, last)),
                bins=torch.from_numpy(graph.bins[nodes]),
                chrom=torch.from_numpy(graph.chrom[nodes]),
                visibility=None if seen is None else torch.from_numpy(seen[nodes]),
                offset=None if offset is None else torch.from_numpy(offset[nodes]),
            )
        )
    return GraphParts(tuple(batches), starts, graph.max_bins)


def _between(edges: MessageEdges, first: int, last: int) -> MessageEdges:
    """The edges of nodes first .. last - 1, numbered from 0."""
    own = (edges.index[0] >= first) & (edges.index[0] < last)
    return MessageEdges(edges.index[:, own] - first, edges.weight[own])
