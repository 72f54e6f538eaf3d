"""What the message edges of a graph say of its bins: decay, visibility, and what these leave unexplained.

Everything here is computed from message edges alone, so that it may be a feature of an encoder that is asked
about held-out ones. A pair that is no message edge counts as none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from .graph import ChromatinGraph, MessageEdges

__all__ = ["contact_decay", "pairs_in_range", "structural_features", "visibility"]

_HALF = 0.5  # a half contact on both sides of a ratio keeps its logarithm finite


def _chromosomes(graph: ChromatinGraph) -> list[slice]:
    """The nodes of each chromosome that has some."""
    starts = np.flatnonzero(np.diff(graph.chrom, prepend=-1))
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], graph.n_nodes], strict=True)]


def _present(bins: np.ndarray) -> np.ndarray:
    """float64 (n_bins,): 1 where there is a node."""
    present = np.zeros(int(bins.max(initial=0)) + 1)
    present[bins] = 1
    return present


def contact_decay(graph: ChromatinGraph, edges: MessageEdges) -> np.ndarray:
    """Mean message count of a pair of valid bins at each distance.

    Returns
    -------
    numpy.ndarray
        float64 (max_bins + 1,), NaN at 0 and where no two valid bins lie so far apart.
    """
    index, counts = edges.index.numpy(), _raw_counts(edges)
    distance = graph.bins[index[1]] - graph.bins[index[0]]
    contacts = np.bincount(distance, counts, minlength=graph.max_bins + 1)
    pairs = np.zeros(graph.max_bins + 1)
    for nodes in _chromosomes(graph):
        present = _present(graph.bins[nodes])
        for d in range(1, min(graph.max_bins, len(present) - 1) + 1):
            pairs[d] += present[:-d] @ present[d:]
    return np.divide(contacts, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _raw_counts(edges: MessageEdges) -> np.ndarray:
    counts = edges.counts if edges.counts is not None else np.ones(len(edges))
    return np.asarray(counts, dtype=np.float64)


def visibility(graph: ChromatinGraph, edges: MessageEdges) -> np.ndarray:
    """log((seen + 1/2) / (foreseen + 1/2)) of each node's message contacts, foreseen by distance alone.

    Returns
    -------
    numpy.ndarray
        float64 (nodes,).
    """
    decay = np.nan_to_num(contact_decay(graph, edges))  # no pair, no contact
    kernel = np.concatenate([decay[:0:-1], decay])
    counts = _raw_counts(edges)
    seen = sum(np.bincount(end, counts, minlength=graph.n_nodes) for end in edges.index.numpy())
    foreseen = np.empty(graph.n_nodes)
    for nodes in _chromosomes(graph):
        around = fftconvolve(_present(graph.bins[nodes]), kernel, mode="full")[graph.max_bins :]
        foreseen[nodes] = np.maximum(around[graph.bins[nodes]], 0)
    return np.asarray(np.log((seen + _HALF) / (foreseen + _HALF)))


def pairs_in_range(bins: np.ndarray, max_bins: int) -> np.ndarray:
    """All pairs of nodes i < j at most `max_bins` apart, of nodes sorted by bin; int64 (2, pairs), sorted."""
    nodes = np.arange(len(bins))
    lengths = np.searchsorted(bins, bins + max_bins, side="right") - nodes - 1
    first = np.repeat(nodes, lengths)
    starts = np.cumsum(lengths) - lengths
    return np.stack([first, first + 1 + np.arange(len(first)) - np.repeat(starts, lengths)])


def structural_features(graph: ChromatinGraph, edges: MessageEdges, rank: int) -> np.ndarray:
    """Visibility, and the leading components of log((count + 1/2) / (expected + 1/2)) within range.

    Expected is decay times both bins' visibility. Each chromosome has its own components, whose signs and
    order nothing fixes: an encoder that reads them is at home on this graph alone.

    Returns
    -------
    numpy.ndarray
        float32 (nodes, 1 + rank), each column with mean 0 and standard deviation 1 or 0.
    """
    seen = visibility(graph, edges)
    columns = np.zeros((graph.n_nodes, 1 + rank))
    columns[:, 0] = seen
    decay = contact_decay(graph, edges)
    index, counts = edges.index.numpy(), _raw_counts(edges)
    for nodes in _chromosomes(graph):
        own = (index[0] >= nodes.start) & (index[0] < nodes.stop)
        residual = _residual(
            graph.bins[nodes], index[:, own] - nodes.start, counts[own], decay, seen[nodes], graph.max_bins
        )
        k = min(rank, residual.shape[0] - 2)
        if k > 0:
            columns[nodes, 1 : 1 + k] = _leading(residual, k)
    deviation = columns.std(axis=0)
    scaled = (columns - columns.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return np.asarray(scaled, dtype=np.float32)


def _residual(
    bins: np.ndarray,
    index: np.ndarray,
    counts: np.ndarray,
    decay: np.ndarray,
    seen: np.ndarray,
    max_bins: int,
) -> Any:
    """Symmetric sparse log observed over expected of one chromosome."""
    from scipy.sparse import csr_array

    n = len(bins)
    pairs = pairs_in_range(bins, max_bins)
    expected = decay[bins[pairs[1]] - bins[pairs[0]]] * np.exp(seen[pairs[0]] + seen[pairs[1]])
    observed = np.zeros(pairs.shape[1])
    observed[np.searchsorted(pairs[0] * n + pairs[1], index[0] * n + index[1])] = counts
    values = np.log((observed + _HALF) / (expected + _HALF))
    upper = csr_array((values, pairs), shape=(n, n))
    return (upper + upper.T).tocsr()


def _leading(matrix: Any, k: int) -> np.ndarray:
    """Eigenvectors of the `k` largest eigenvalues, times the root of these; their largest entry positive."""
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(0).normal(size=matrix.shape[0])
    values, vectors = eigsh(matrix, k=k, which="LA", v0=start)
    order = np.argsort(-values)
    vectors = vectors[:, order] * np.sqrt(np.maximum(values[order], 0))
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(k)]
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0))
