"""Edge prediction measured so that distance cannot own the score: three samplings, and the trivial rows.

A pair of bins is scored higher when a contact is more likely. Scores are compared on held-out contacts
against as many non-contacts, drawn in three ways that are always reported side by side. What a line of
arithmetic reaches on the same pairs stands in the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from .classification import auroc, average_precision

__all__ = [
    "SAMPLINGS",
    "EdgeSample",
    "EdgeTask",
    "NonContacts",
    "Scorer",
    "VisibilityModel",
    "edge_samples",
    "score_edges",
    "summarise_scores",
    "trivial_scorers",
]

SAMPLINGS = ("uniform", "in-range", "matched")
"""How non-contacts are drawn: any pair of a chromosome; within the contacts' range; at their distances."""

_ENUMERATE = 20_000_000

Scorer = Callable[[np.ndarray], np.ndarray]
"""From pairs (2, pairs) of node indices to one number per pair; higher means a contact is likelier."""


@dataclass(frozen=True)
class EdgeTask:
    """What an edge predictor is asked, and what it may look at.

    Attributes
    ----------
    chrom, bins
        int (nodes,): chromosome index, and bin within it, of each node. Nodes are the valid bins, sorted.
    message
        int (2, edges): contacts the predictor may use, node indices i < j.
    held_out
        int (2, edges): contacts it is asked about.
    known
        int (2, contacts): every contact of the map, at any distance; no negative is one of these.
    max_bins
        Largest distance of a contact that is an edge, in bins.
    """

    chrom: np.ndarray
    bins: np.ndarray
    message: np.ndarray
    held_out: np.ndarray
    known: np.ndarray
    max_bins: int

    @property
    def n_nodes(self) -> int:
        """Number of valid bins."""
        return len(self.bins)

    def distance(self, pairs: np.ndarray) -> np.ndarray:
        """Distance of each pair in bins, int (pairs,)."""
        return self.bins[pairs[1]].astype(np.int64) - self.bins[pairs[0]]

    @cached_property
    def ends(self) -> np.ndarray:
        """int (nodes,): one past the last node of each node's chromosome."""
        return np.searchsorted(self.chrom, self.chrom, side="right")

    @cached_property
    def reach(self) -> np.ndarray:
        """int (nodes,): one past the last node within `max_bins` of each node, on its chromosome."""
        stride = int(self.bins.max(initial=0)) + self.max_bins + 1
        position = self.chrom.astype(np.int64) * stride + self.bins
        return np.searchsorted(position, position + self.max_bins, side="right")


def _pairs_up_to(ends: np.ndarray) -> np.ndarray:
    """All pairs (i, j) with i < j < ends[i], sorted by i then j; int64 (2, pairs)."""
    nodes = np.arange(len(ends))
    lengths = np.maximum(ends - nodes - 1, 0)
    first = np.repeat(nodes, lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.stack([first, first + 1 + np.arange(len(first)) - np.repeat(starts, lengths)])


class NonContacts:
    """Pairs of valid bins of one chromosome with no contact at all on the map.

    Parameters
    ----------
    task
        Nodes, known contacts and range.
    """

    def __init__(self, task: EdgeTask) -> None:
        self._task = task
        known = task.known.astype(np.int64)
        self._known = np.unique(known[0] * task.n_nodes + known[1])

    def _unknown(self, pairs: np.ndarray) -> np.ndarray:
        keys = pairs[0] * self._task.n_nodes + pairs[1]
        at = np.searchsorted(self._known, keys)
        found = at < len(self._known)
        found[found] = self._known[at[found]] == keys[found]
        return pairs[:, ~found]

    @cached_property
    def near(self) -> np.ndarray:
        """Every non-contact within range, int64 (2, pairs)."""
        return self._unknown(_pairs_up_to(self._task.reach))

    @cached_property
    def _all(self) -> np.ndarray | None:
        """Every non-contact at any distance, where the pairs can be listed at all."""
        ends = self._task.ends
        if int((ends - np.arange(len(ends)) - 1).sum()) > _ENUMERATE:
            return None
        return self._unknown(_pairs_up_to(ends))

    def uniform(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Up to `n` different non-contacts at any distance, each equally likely; int64 (2, pairs)."""
        if self._all is not None:
            return _choose(self._all, n, rng)
        ends, nodes = self._task.ends, np.arange(self._task.n_nodes)
        choices = np.cumsum(ends - nodes - 1)
        found = np.empty((2, 0), dtype=np.int64)
        while found.shape[1] < n:  # a genome has far more non-contacts than anyone draws
            at = rng.integers(0, choices[-1], size=2 * n)
            first = np.searchsorted(choices, at, side="right")
            drawn = self._unknown(np.stack([first, ends[first] - choices[first] + at]))
            found = np.unique(np.concatenate([found, drawn], axis=1), axis=1)
        return _choose(found, n, rng)

    def in_range(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Up to `n` different non-contacts within the range of the contacts; int64 (2, pairs)."""
        return _choose(self.near, n, rng)

    def matched(self, positives: np.ndarray, rng: np.random.Generator) -> EdgeSample:
        """As many contacts as non-contacts at every distance of every chromosome.

        Where non-contacts run out at a distance, contacts at that distance are left out too, so that
        distance alone scores exactly 0.5.
        """
        wanted, offered = self._stratum(positives), self._stratum(self.near)
        numbers = np.bincount(wanted, minlength=int(offered.max(initial=0)) + 1)
        limits = np.bincount(offered, minlength=len(numbers))
        return EdgeSample(
            positives[:, _choose_per_stratum(wanted, limits, rng)],
            self.near[:, _choose_per_stratum(offered, numbers, rng)],
        )

    def _stratum(self, pairs: np.ndarray) -> np.ndarray:
        chrom = self._task.chrom[pairs[0]].astype(np.int64)
        return chrom * (self._task.max_bins + 1) + self._task.distance(pairs)


def _choose(pairs: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    if pairs.shape[1] <= n:
        return pairs
    return pairs[:, rng.choice(pairs.shape[1], n, replace=False)]


def _choose_per_stratum(stratum: np.ndarray, limits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of at most ``limits[s]`` random members of each stratum s."""
    order = np.lexsort((rng.random(len(stratum)), stratum))
    ordered = stratum[order]
    rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < limits[ordered]])


@dataclass(frozen=True)
class EdgeSample:
    """Equally many contacts and non-contacts, int (2, pairs) each."""

    positives: np.ndarray
    negatives: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """Contacts, then non-contacts."""
        return np.concatenate([self.positives, self.negatives], axis=1)

    @property
    def labels(self) -> np.ndarray:
        """True for the contacts, in the order of `pairs`."""
        return np.arange(self.positives.shape[1] + self.negatives.shape[1]) < self.positives.shape[1]


def edge_samples(task: EdgeTask, seed: int, non_contacts: NonContacts | None = None) -> dict[str, EdgeSample]:
    """The held-out contacts against as many non-contacts, in each of :data:`SAMPLINGS`.

    Where a sampling has fewer non-contacts than there are contacts, contacts are left out at random, so that
    chance has an average precision of 0.5 everywhere.

    Raises
    ------
    DataError
        Nothing was held out, or a sampling finds no non-contact.
    """
    if task.held_out.shape[1] == 0:
        raise DataError("no contact is held out; hold out a larger fraction or take more chromosomes.")
    source = non_contacts or NonContacts(task)
    rng = np.random.default_rng(seed)
    n = task.held_out.shape[1]
    samples = {"matched": source.matched(task.held_out, rng)}
    for name, draw in (("uniform", source.uniform), ("in-range", source.in_range)):
        negatives = draw(n, rng)
        samples[name] = EdgeSample(_choose(task.held_out, negatives.shape[1], rng), negatives)
    for name, sample in samples.items():
        if sample.negatives.shape[1] == 0:
            raise DataError(
                f"no non-contact for the {name!r} sampling: every pair of valid bins it draws from touches. "
                "Take a finer resolution or a shallower map."
            )
    return {name: samples[name] for name in SAMPLINGS}


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
        pairs = _pairs_up_to(task.reach)
        distance, n = task.distance(pairs), task.n_nodes
        contacts = np.bincount(task.distance(task.message), minlength=task.max_bins + 1)
        degree = np.bincount(task.message.ravel(), minlength=n)
        visibility, expected = np.ones(n), np.zeros(task.max_bins + 1)
        for _ in range(iterations):
            weight = visibility[pairs[0]] * visibility[pairs[1]]
            offered = np.bincount(distance, weight, minlength=task.max_bins + 1)
            expected = np.divide(contacts, offered, out=np.zeros(len(offered)), where=offered > 0)
            rate = expected[distance]
            foreseen = np.bincount(pairs[0], rate * visibility[pairs[1]], minlength=n)
            foreseen += np.bincount(pairs[1], rate * visibility[pairs[0]], minlength=n)
            visibility = np.divide(degree, foreseen, out=np.zeros(n), where=foreseen > 0)
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


def _residual_factors(model: VisibilityModel, rank: int, seed: int) -> Scorer:
    """Truncated SVD, chromosome by chromosome, of log((contact + 1/2) / (rate + 1/2)) within range."""
    from scipy.sparse import csr_array

    task = model.task
    pairs = _pairs_up_to(task.reach)
    seen = csr_array((np.ones(task.message.shape[1]), task.message), shape=(task.n_nodes,) * 2)
    contact = np.asarray(seen[pairs[0], pairs[1]]).ravel()
    residual = csr_array(
        (np.log((contact + _FLOOR) / (model(pairs) + _FLOOR)), pairs), shape=(task.n_nodes,) * 2
    )
    symmetric = (residual + residual.T).tocsr()
    vectors, values = np.zeros((task.n_nodes, rank)), np.zeros((int(task.chrom.max()) + 1, rank))
    for chrom in np.unique(task.chrom):
        nodes = np.flatnonzero(task.chrom == chrom)
        k = min(rank, len(nodes) - 2)
        if k > 0:
            block = symmetric[nodes[0] : nodes[-1] + 1, nodes[0] : nodes[-1] + 1]
            found, axes = _leading(block, k, seed)
            values[chrom, :k], vectors[nodes, :k] = found, axes

    def score(asked: np.ndarray) -> np.ndarray:
        low_rank = (values[task.chrom[asked[0]]] * vectors[asked[0]] * vectors[asked[1]]).sum(axis=1)
        return np.log(model(asked) + _FLOOR) + low_rank

    return score


def _leading(matrix: Any, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(seed).normal(size=matrix.shape[0])
    return eigsh(matrix, k=k, which="LM", v0=start)


def trivial_scorers(task: EdgeTask, *, rank: int = 8, seed: int = 0) -> dict[str, Scorer]:
    """What needs no network: distance, degree product, expected x visibility, and that with a small SVD.

    All of them look at message edges only.
    """
    degree = np.log1p(np.bincount(task.message.ravel(), minlength=task.n_nodes))
    model = VisibilityModel.fit(task)
    return {
        "distance": lambda pairs: -task.distance(pairs).astype(float),
        "degree product": lambda pairs: degree[pairs[0]] + degree[pairs[1]],
        "expected x visibility": model,
        f"expected x visibility + SVD({rank})": _residual_factors(model, rank, seed),
    }


def score_edges(
    samples: Mapping[str, EdgeSample], scorers: Mapping[str, Scorer], *, seed: int
) -> pd.DataFrame:
    """AUC and average precision of every scorer under every sampling.

    Returns
    -------
    pandas.DataFrame
        Columns method, sampling, metric (``auc`` or ``ap``), value, seed, pairs (contacts = non-contacts).
    """
    rows = []
    for method, scorer in scorers.items():
        for sampling, sample in samples.items():
            scores = np.asarray(scorer(sample.pairs), dtype=float)
            for metric, measure in (("auc", auroc), ("ap", average_precision)):
                value = float(measure(sample.labels, scores))
                rows.append((method, sampling, metric, value, seed, sample.positives.shape[1]))
    return pd.DataFrame(rows, columns=["method", "sampling", "metric", "value", "seed", "pairs"])


def summarise_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of a table of :func:`score_edges`.

    Returns
    -------
    pandas.DataFrame
        Columns method, sampling, metric, mean, sd (missing for one seed), seeds; methods in their order.
    """
    groups = scores.groupby(["method", "sampling", "metric"], sort=False)["value"]
    return groups.agg(mean="mean", sd="std", seeds="count").reset_index()
