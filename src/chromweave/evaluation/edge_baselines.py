"""What a line of arithmetic says of a contact: the trivial rows beside every graph model.

All of them look at message edges only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .edge_sampling import EdgeTask, Scorer, pairs_up_to

__all__ = ["LowRank", "VisibilityModel", "symmetric", "trivial_scorers"]


@dataclass(frozen=True)
class VisibilityModel:
    """Probability of a contact as (expected at this distance) x (visibility of both bins).

    Fitted to message edges alone, by the alternating updates of a Poisson model with rate f(d) b_i b_j.

    Attributes
    ----------
    task
        What it was fitted to.
    expected
        float64 (max_bins + 1,): f, contacts per pair at each distance; 0 beyond the range.
    visibility
        float64 (nodes,): b, mean 1.
    """

    task: EdgeTask
    expected: np.ndarray
    visibility: np.ndarray

    @classmethod
    def fit(cls, task: EdgeTask, iterations: int = 10) -> VisibilityModel:
        """Fit to ``task.message``."""
        pairs = pairs_up_to(task.reach)
        distance, n = task.distance(pairs), task.n_nodes
        contacts = np.bincount(task.distance(task.message), minlength=task.max_bins + 1)
        visibility, expected = np.ones(n), np.zeros(task.max_bins + 1)
        for _ in range(iterations):
            weight = visibility[pairs[0]] * visibility[pairs[1]]
            offered = np.bincount(distance, weight, minlength=task.max_bins + 1)
            expected = np.divide(contacts, offered, out=np.zeros(len(offered)), where=offered > 0)
            rate = expected[distance]
            foreseen = np.bincount(pairs[0], rate * visibility[pairs[1]], minlength=n)
            foreseen += np.bincount(pairs[1], rate * visibility[pairs[0]], minlength=n)
            visibility = np.divide(task.degree, foreseen, out=np.zeros(n), where=foreseen > 0)
            visibility /= visibility.mean() or 1.0
        return cls(task, expected, visibility)

    def __call__(self, pairs: np.ndarray) -> np.ndarray:
        """The rate of each pair, float64 (pairs,)."""
        distance = self.task.distance(pairs)
        expected = np.where(
            distance <= self.task.max_bins, self.expected[np.minimum(distance, self.task.max_bins)], 0
        )
        return expected * self.visibility[pairs[0]] * self.visibility[pairs[1]]


_FLOOR = 0.5  # a half contact on both sides of the ratio keeps the logarithm finite


@dataclass(frozen=True)
class LowRank:
    """A symmetric matrix of each chromosome by a few of its eigenvectors.

    Attributes
    ----------
    chrom
        int (nodes,): chromosome of each node.
    values
        float64 (chromosomes, rank): eigenvalues; 0 where a chromosome has too few nodes.
    vectors
        float64 (nodes, rank): eigenvectors, of unit length on each chromosome.
    """

    chrom: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, task: EdgeTask, matrix: Any, rank: int, seed: int, which: str = "LM") -> LowRank:
        """The leading eigenvectors of a sparse matrix (nodes, nodes), chromosome by chromosome.

        Parameters
        ----------
        task
            Nodes and their chromosomes.
        matrix
            Symmetric, without entries between chromosomes; or a function that makes a linear operator of
            the nodes (slice) of a chromosome.
        rank
            How many.
        seed
            Of the iteration's first vector.
        which
            ``LM`` for the largest in magnitude, ``LA`` for the largest.
        """
        from scipy.sparse.linalg import eigsh

        vectors, values = np.zeros((task.n_nodes, rank)), np.zeros((int(task.chrom.max()) + 1, rank))
        for chrom in np.unique(task.chrom):
            nodes = np.flatnonzero(task.chrom == chrom)
            block, k = slice(nodes[0], nodes[-1] + 1), min(rank, len(nodes) - 2)
            if k > 0:
                start = np.random.default_rng(seed).normal(size=len(nodes))
                part = matrix(block) if callable(matrix) else matrix[block, block]
                found, axes = eigsh(part, k=k, which=which, v0=start)
                order = np.argsort(-np.abs(found))
                values[chrom, :k], vectors[nodes, :k] = found[order], axes[:, order]
        return cls(task.chrom, values, vectors)

    def __call__(self, pairs: np.ndarray) -> np.ndarray:
        """The matrix at each pair of one chromosome, float64 (pairs,)."""
        values = self.values[self.chrom[pairs[0]]]
        return (values * self.vectors[pairs[0]] * self.vectors[pairs[1]]).sum(axis=1)


def symmetric(task: EdgeTask, pairs: np.ndarray, values: np.ndarray) -> Any:
    """A sparse matrix (nodes, nodes) with `values` at `pairs` (i < j) and their mirror images."""
    from scipy.sparse import csr_array

    upper = csr_array((values, (pairs[0], pairs[1])), shape=(task.n_nodes,) * 2)
    return (upper + upper.T).tocsr()


def _is_contact(task: EdgeTask, pairs: np.ndarray) -> np.ndarray:
    """1 where a pair is a message edge, else 0; float64 (pairs,)."""
    edges = np.sort(task.message[0].astype(np.int64) * task.n_nodes + task.message[1])
    keys = pairs[0] * task.n_nodes + pairs[1]
    at = np.minimum(np.searchsorted(edges, keys), max(len(edges) - 1, 0))
    return (edges[at] == keys).astype(np.float64) if len(edges) else np.zeros(len(keys))


def _residual_factors(model: VisibilityModel, rank: int, seed: int) -> Scorer:
    """Truncated SVD, chromosome by chromosome, of log((contact + 1/2) / (rate + 1/2)) within range."""
    task = model.task
    pairs = pairs_up_to(task.reach)
    residual = np.log((_is_contact(task, pairs) + _FLOOR) / (model(pairs) + _FLOOR))
    low_rank = LowRank.of(task, symmetric(task, pairs, residual), rank, seed)
    return lambda asked: np.log(model(asked) + _FLOOR) + low_rank(asked)


def _correlation_pca(task: EdgeTask, rank: int, seed: int) -> Scorer:
    """Leading components of the correlation between rows of contact / expected, as compartments are read.

    Beyond the range a row is as expected (1). The correlation matrix is never formed.
    """
    from scipy.sparse.linalg import LinearOperator

    pairs = pairs_up_to(task.reach)
    distance, contact = task.distance(pairs), _is_contact(task, pairs)
    offered = np.maximum(np.bincount(distance, minlength=task.max_bins + 1), 1)
    expected = np.bincount(distance, contact, minlength=task.max_bins + 1) / offered
    here = expected[distance]
    excess = np.divide(contact, here, out=np.ones(len(here)), where=here > 0) - 1
    rows = symmetric(task, pairs, excess)

    def correlation(block: slice) -> Any:
        part = rows[block, block]
        n = part.shape[0]
        mean = np.asarray(part.mean(axis=1)).ravel()
        spread = np.sqrt(np.maximum(np.asarray((part**2).mean(axis=1)).ravel() - mean**2, 0))
        scale = np.divide(1, spread, out=np.zeros(n), where=spread > 0)

        def product(vector: np.ndarray) -> np.ndarray:
            scaled = vector.ravel() * scale
            across = part @ scaled - mean @ scaled
            return (part @ across - mean * across.sum()) * scale / n

        return LinearOperator((n, n), matvec=product, dtype=np.float64)

    return LowRank.of(task, correlation, rank, seed, which="LA")


def _laplacian_eigenmap(task: EdgeTask, rank: int, seed: int) -> Scorer:
    """Closeness of two bins in Laplacian eigenmaps of the message edges (Belkin & Niyogi 2003).

    The constant first map is left out. Minus the squared distance is the score: it ranks contacts better
    than the inner product does.
    """
    degree = task.degree
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(task.n_nodes), where=degree > 0)
    weight = scale[task.message[0]] * scale[task.message[1]]
    found = LowRank.of(task, symmetric(task, task.message, weight), rank + 1, seed, which="LA")
    maps = found.vectors[:, 1:] * scale[:, None]
    return lambda pairs: -((maps[pairs[0]] - maps[pairs[1]]) ** 2).sum(axis=1)


def trivial_scorers(task: EdgeTask, *, rank: int = 8, seed: int = 0) -> dict[str, Scorer]:
    """What needs no network, from message edges only.

    Distance; the product of degrees; expected x visibility, and that with a truncated SVD of its residual;
    the leading components of the observed/expected correlation; a spectral embedding.

    Parameters
    ----------
    task
        Nodes, range and message edges.
    rank
        Dimensions of SVD, components and embedding.
    seed
        Of the eigensolver's first vector.
    """
    degree = np.log1p(task.degree)
    model = VisibilityModel.fit(task)
    return {
        "distance": lambda pairs: -task.distance(pairs).astype(float),
        "degree product": lambda pairs: degree[pairs[0]] + degree[pairs[1]],
        "expected x visibility": model,
        f"expected x visibility + SVD({rank})": _residual_factors(model, rank, seed),
        f"O/E correlation PCA({rank})": _correlation_pca(task, rank, seed),
        f"spectral embedding({rank})": _laplacian_eigenmap(task, rank, seed),
    }
