"""How many contacts a held-out pair has: likelihood of raw counts, and correlation beyond the expected.

On a deep map nearly every pair within range touches, and "contact or not" asks little. Here a predictor
gives a mean count to each held-out pair, contacts and pairs without any alike. What distance, visibility and
a small SVD say of the same pairs stands in the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .edge_baselines import LowRank, symmetric
from .edge_sampling import EdgeTask, NonContacts, pairs_up_to
from .metrics import pearson

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CountModel",
    "CountTask",
    "MeanCounts",
    "fit_dispersion",
    "hold_out_counts",
    "negative_binomial_log_likelihood",
    "poisson_log_likelihood",
    "score_counts",
    "trivial_means",
]

MeanCounts = Callable[[np.ndarray], np.ndarray]
"""From pairs (2, pairs) of node indices within range to the mean raw count of each, positive (pairs,)."""

SAMPLING = "counts"

_LEAST_COUNT = 0.5  # of Jeffreys' prior for a Poisson rate: no rate is 0
_ITERATIONS = 20
_DISPERSION_PAIRS = 200_000
_DISPERSIONS = (1e-6, 1e3)


@dataclass(frozen=True)
class CountTask:
    """Raw counts that may be looked at, and those that are asked about.

    Attributes
    ----------
    edges
        Nodes, range and message edges.
    message_counts
        Raw contacts of each message edge, positive (edges,).
    hidden
        int64 (2, pairs): pairs in range of which no predictor may know the count, not even that it is 0: the
        validation and test contacts, and the non-contacts held out with them.
    held_out
        int64 (2, pairs): those of them that are asked about.
    counts
        Raw contacts of each pair asked about, 0 for non-contacts (pairs,).
    """

    edges: EdgeTask
    message_counts: np.ndarray
    hidden: np.ndarray
    held_out: np.ndarray
    counts: np.ndarray

    @cached_property
    def visible(self) -> np.ndarray:
        """Every pair in range that is not hidden, int64 (2, pairs)."""
        pairs = pairs_up_to(self.edges.reach)
        return pairs[:, ~np.isin(self._key(pairs), self._key(self.hidden))]

    @cached_property
    def visible_counts(self) -> np.ndarray:
        """Raw contacts of each visible pair, float64 (pairs,)."""
        key = self._key(self.edges.message)
        order = np.argsort(key)
        wanted = self._key(self.visible)
        at = np.minimum(np.searchsorted(key, wanted, sorter=order), len(key) - 1)
        found = key[order][at] == wanted
        return np.where(found, np.asarray(self.message_counts, dtype=np.float64)[order][at], 0.0)

    def _key(self, pairs: np.ndarray) -> np.ndarray:
        return pairs[0].astype(np.int64) * self.edges.n_nodes + pairs[1]


def hold_out_counts(
    task: EdgeTask,
    message_counts: np.ndarray,
    held_out_counts: np.ndarray,
    *,
    seed: int,
    non_contacts: NonContacts | None = None,
) -> CountTask:
    """Hold out pairs without contacts by the chance at which contacts were held out.

    Of the non-contacts in range as large a part is hidden, and asked about, as of the contacts. The pairs
    asked about are then a uniform sample of all pairs of valid bins in range, and a plain mean over them
    estimates the mean over all, without weights.

    Parameters
    ----------
    task
        Nodes, message edges, held-out contacts, and all known contacts: those in range that are no message
        edges are hidden.
    message_counts, held_out_counts
        Raw contacts of ``task.message`` and ``task.held_out``, positive (edges,).
    seed
        Of the choice of non-contacts.
    non_contacts
        Those of `task`'s map, where they have been listed already.

    Raises
    ------
    DataError
        A contact has no positive count, numbers differ, or there is nothing to ask or to look at.
    """
    for name, pairs, counts in (
        ("message edges", task.message, message_counts),
        ("held-out contacts", task.held_out, held_out_counts),
    ):
        if np.shape(counts) != (pairs.shape[1],):
            raise DataError(f"{pairs.shape[1]:,} {name} have counts of shape {np.shape(counts)}.")
        if not len(counts):
            raise DataError(f"there are no {name}; hold out another fraction or take more chromosomes.")
        if not (np.asarray(counts) > 0).all():
            raise DataError(f"{name} must have raw counts above 0; a pair without contacts is no edge.")
    near = task.known[:, task.distance(task.known) <= task.max_bins].astype(np.int64)
    is_message = np.isin(near[0] * task.n_nodes + near[1], task.message[0] * task.n_nodes + task.message[1])
    contacts = near[:, ~is_message]
    zeros = (non_contacts or NonContacts(task)).near
    order = np.random.default_rng(seed).permutation(zeros.shape[1])
    n_hidden, n_asked = (
        round(zeros.shape[1] * n / near.shape[1]) for n in (contacts.shape[1], task.held_out.shape[1])
    )
    asked = zeros[:, np.sort(order[:n_asked])]
    return CountTask(
        edges=task,
        message_counts=np.asarray(message_counts),
        hidden=np.concatenate([contacts, zeros[:, np.sort(order[:n_hidden])]], axis=1),
        held_out=np.concatenate([task.held_out.astype(np.int64), asked], axis=1),
        counts=np.concatenate([held_out_counts, np.zeros(n_asked, dtype=np.int64)]),
    )


@dataclass(frozen=True)
class CountModel:
    """Mean count of a pair as f(distance) b_i b_j exp(r_ij): expected, visibility, and a low-rank residual.

    Attributes
    ----------
    edges
        Nodes and range.
    expected
        float64 (max_bins + 1,): f, mean raw count of a pair at each distance.
    visibility
        float64 (nodes,): b; 1 where only distance was fitted.
    residual
        r; None for 0.
    """

    edges: EdgeTask
    expected: np.ndarray
    visibility: np.ndarray
    residual: LowRank | None = None

    @classmethod
    def fit(cls, task: CountTask, *, visibility: bool = True, residual: LowRank | None = None) -> CountModel:
        """Fit to the visible pairs, by the alternating updates of a Poisson model.

        Half a contact is added to every distance and every bin (Jeffreys' prior), so that no mean is 0.
        """
        edges, pairs, counts = task.edges, task.visible, task.visible_counts
        distance, n = edges.distance(pairs), edges.n_nodes
        offset = np.exp(residual(pairs)) if residual else np.ones(pairs.shape[1])
        by_distance = np.bincount(distance, counts, minlength=edges.max_bins + 1)
        by_node = _sum_by_node(pairs, counts, n)
        seen, expected = np.ones(n), np.zeros(edges.max_bins + 1)
        for _ in range(_ITERATIONS if visibility else 1):
            offered = np.bincount(distance, offset * seen[pairs].prod(axis=0), minlength=len(expected))
            expected = _rates(by_distance, offered)
            if visibility:
                others = offset * expected[distance]
                foreseen = np.bincount(pairs[0], others * seen[pairs[1]], minlength=n)
                foreseen += np.bincount(pairs[1], others * seen[pairs[0]], minlength=n)
                seen = (by_node + _LEAST_COUNT) / (foreseen + _LEAST_COUNT)
        return cls(edges, expected, seen, residual)

    def __call__(self, pairs: np.ndarray) -> np.ndarray:
        """The mean count of each pair in range, float64 (pairs,)."""
        mean = self.expected[self.edges.distance(pairs)] * self.visibility[pairs].prod(axis=0)
        return mean * np.exp(self.residual(pairs)) if self.residual else mean


def _sum_by_node(pairs: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(pairs[0], values, minlength=n) + np.bincount(pairs[1], values, minlength=n)


def _rates(contacts: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """Mean count at each distance; where no pair is visible, that of its neighbours."""
    held = np.flatnonzero(offered > 0)
    return np.interp(np.arange(len(offered)), held, (contacts[held] + _LEAST_COUNT) / offered[held])


def trivial_means(task: CountTask, *, rank: int = 8, seed: int = 0) -> dict[str, MeanCounts]:
    """Mean counts that need no network: by distance, by expected x visibility, and that with a small SVD.

    The SVD is of log((count + 1/2) / (mean + 1/2)) over the visible pairs; expected and visibility are
    fitted once more beside it. All of them look at visible pairs only.
    """
    model = CountModel.fit(task)
    ratio = np.log((task.visible_counts + _LEAST_COUNT) / (model(task.visible) + _LEAST_COUNT))
    residual = LowRank.of(task.edges, symmetric(task.edges, task.visible, ratio), rank, seed)
    return {
        "distance": CountModel.fit(task, visibility=False),
        "expected x visibility": model,
        f"expected x visibility + SVD({rank})": CountModel.fit(task, residual=residual),
    }


def poisson_log_likelihood(counts: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Log probability of each count, float64, nats; `mean` is positive."""
    from scipy.special import gammaln

    return counts * np.log(mean) - mean - gammaln(counts + 1)


def negative_binomial_log_likelihood(counts: np.ndarray, mean: np.ndarray, dispersion: float) -> np.ndarray:
    """Log probability of each count under a variance of mean + dispersion x mean^2, float64, nats."""
    from scipy.special import gammaln

    size = 1 / dispersion
    choices = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1)
    return choices + counts * np.log(mean / (mean + size)) - size * np.log1p(mean / size)


def fit_dispersion(counts: np.ndarray, mean: np.ndarray) -> float:
    """The dispersion under which `counts` are likeliest, given their means; between 1e-6 and 1000."""
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return -float(negative_binomial_log_likelihood(counts, mean, float(np.exp(logarithm))).mean())

    found = minimize_scalar(loss, bounds=np.log(_DISPERSIONS), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def score_counts(task: CountTask, predictors: Mapping[str, MeanCounts], *, seed: int) -> pd.DataFrame:
    """Likelihood of the held-out counts, and correlation of observed/expected, of every predictor.

    Parameters
    ----------
    task
        What is asked.
    predictors
        Mean counts by method; a likelihood is comparable between them, as all give counts of the same pairs.
    seed
        For the table, and of the visible pairs that a dispersion is fitted on, where there are very many.

    Returns
    -------
    pandas.DataFrame
        Columns method, sampling (``counts``), metric, value, seed, pairs. Metrics: ``poisson`` and
        ``negative binomial``, mean log-likelihood per held-out pair in nats, the latter with the
        ``dispersion`` that fits this predictor's visible pairs; ``log O/E pearson``, correlation of
        log(count / expected) with log(mean / expected) over held-out pairs with contacts (missing where the
        predictor knows distance only).

    Raises
    ------
    DataError
        A predicted mean is not positive and finite.
    """
    import pandas as pd

    by_distance = CountModel.fit(task, visibility=False)
    rng = np.random.default_rng(seed)
    chosen = np.arange(task.visible.shape[1])
    if len(chosen) > _DISPERSION_PAIRS:
        chosen = np.sort(rng.choice(len(chosen), _DISPERSION_PAIRS, replace=False))
    touched = task.counts > 0
    expected = by_distance(task.held_out)[touched]
    rows = []
    for method, predictor in predictors.items():
        mean = _means(predictor, task.held_out, method)
        known = _means(predictor, task.visible[:, chosen], method)
        dispersion = fit_dispersion(task.visible_counts[chosen], known)
        values = {
            "poisson": poisson_log_likelihood(task.counts, mean).mean(),
            "negative binomial": negative_binomial_log_likelihood(task.counts, mean, dispersion).mean(),
            "dispersion": dispersion,
            "log O/E pearson": pearson(
                np.log(task.counts[touched] / expected), np.log(mean[touched] / expected)
            ),
        }
        rows += [
            (method, SAMPLING, name, float(value), seed, len(task.counts)) for name, value in values.items()
        ]
    return pd.DataFrame(rows, columns=["method", "sampling", "metric", "value", "seed", "pairs"])


def _means(predictor: MeanCounts, pairs: np.ndarray, method: str) -> np.ndarray:
    mean = np.asarray(predictor(pairs), dtype=np.float64)
    if mean.shape != (pairs.shape[1],):
        raise DataError(f"{method}: gave means of shape {mean.shape} for {pairs.shape[1]:,} pairs.")
    if not (np.isfinite(mean) & (mean > 0)).all():
        raise DataError(f"{method}: a mean count must be finite and above 0; some are not.")
    return mean
