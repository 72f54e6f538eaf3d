"""What an edge predictor is asked: held-out contacts against non-contacts, drawn in several ways.

Non-contacts live among valid bins and never touch a known contact of any split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DataError

__all__ = [
    "DEGREE_MATCHED",
    "SAMPLINGS",
    "EdgeSample",
    "EdgeTask",
    "NonContacts",
    "Scorer",
    "edge_samples",
    "pairs_up_to",
]

SAMPLINGS = ("uniform", "in-range", "matched")
"""How non-contacts are drawn: any pair of a chromosome; within the contacts' range; at their distances."""

DEGREE_MATCHED = "degree-matched"
"""A fourth way: at the contacts' distances, among bins with about as many contacts."""

_ENUMERATE = 20_000_000
_DEGREE_GROUPS = 20

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
    def degree(self) -> np.ndarray:
        """int64 (nodes,): message edges of each node."""
        return np.bincount(self.message.ravel(), minlength=self.n_nodes)

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


def pairs_up_to(ends: np.ndarray) -> np.ndarray:
    """All pairs (i, j) with i < j < ends[i], sorted by i then j; int64 (2, pairs).

    With ``task.reach`` every pair within range, with ``task.ends`` every pair of one chromosome.
    """
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
        return self._unknown(pairs_up_to(self._task.reach))

    @cached_property
    def _all(self) -> np.ndarray | None:
        """Every non-contact at any distance, where the pairs can be listed at all."""
        ends = self._task.ends
        if int((ends - np.arange(len(ends)) - 1).sum()) > _ENUMERATE:
            return None
        return self._unknown(pairs_up_to(ends))

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

    def matched(
        self, positives: np.ndarray, rng: np.random.Generator, degrees: np.ndarray | None = None
    ) -> EdgeSample:
        """As many contacts as non-contacts at every distance of every chromosome.

        Where non-contacts run out at a distance, contacts at that distance are left out too, so that
        distance alone scores exactly 0.5.

        Parameters
        ----------
        positives
            Contacts, int (2, pairs).
        rng
            Source of the draws.
        degrees
            Contacts of each node, (nodes,): pairs are then matched within twentieths of the product of
            their degrees, too.
        """
        wanted, offered = self._stratum(positives), self._stratum(self.near)
        if degrees is not None:
            groups = self._degree_groups(positives, degrees)
            wanted = wanted * _DEGREE_GROUPS + groups[: len(wanted)]
            offered = offered * _DEGREE_GROUPS + groups[len(wanted) :]
        numbers = np.bincount(wanted, minlength=int(offered.max(initial=0)) + 1)
        limits = np.bincount(offered, minlength=len(numbers))
        return EdgeSample(
            positives[:, _choose_per_stratum(wanted, limits, rng)],
            self.near[:, _choose_per_stratum(offered, numbers, rng)],
        )

    def _degree_groups(self, positives: np.ndarray, degrees: np.ndarray) -> np.ndarray:
        """Twentieth of the degree product, of the contacts and then of the non-contacts in range; int64."""
        pairs = np.concatenate([positives, self.near], axis=1)
        product = np.log1p(degrees)[pairs].sum(axis=0)
        cuts = np.quantile(product, np.arange(1, _DEGREE_GROUPS) / _DEGREE_GROUPS)
        return np.searchsorted(cuts, product, side="right")

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


def edge_samples(
    task: EdgeTask, seed: int, non_contacts: NonContacts | None = None, *, degree_matched: bool = False
) -> dict[str, EdgeSample]:
    """The held-out contacts against as many non-contacts, in each of :data:`SAMPLINGS`.

    Where a sampling has fewer non-contacts than there are contacts, contacts are left out at random, so that
    chance has an average precision of 0.5 everywhere.

    Parameters
    ----------
    task
        What is held out.
    seed
        Of the draws.
    non_contacts
        Those of `task`'s map, where they have been listed already.
    degree_matched
        Whether to add :data:`DEGREE_MATCHED`, by degrees among message edges.

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
    order = list(SAMPLINGS)
    if degree_matched:
        samples[DEGREE_MATCHED] = source.matched(task.held_out, rng, task.degree)
        order.append(DEGREE_MATCHED)
    for name, sample in samples.items():
        if sample.negatives.shape[1] == 0:
            raise DataError(
                f"no non-contact for the {name!r} sampling: every pair of valid bins it draws from touches. "
                "Take a finer resolution or a shallower map."
            )
    return {name: samples[name] for name in order}
