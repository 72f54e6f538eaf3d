"""Clusters of an embedding against compartments and sub-compartments."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .readings import Reading, against_shifts

__all__ = ["NO_LABEL", "cluster_agreement", "cluster_bins"]

NO_LABEL = "N"
"""What a bin without a call is labelled."""


def cluster_bins(latent: np.ndarray, clusters: int, *, seed: int = 0) -> np.ndarray:
    """k-means on directions: rows of length 1, as the cosine silhouette sees them.

    Parameters
    ----------
    latent
        float (bins, dimensions).
    clusters
        How many.
    seed
        Of the ten starts, of which the best is taken.

    Returns
    -------
    numpy.ndarray
        int64 (bins,), clusters numbered by size, the largest 0.

    Raises
    ------
    DataError
        There are fewer bins than clusters.
    """
    from sklearn.cluster import KMeans

    if clusters < 1 or len(latent) < clusters:
        raise DataError(f"{len(latent)} bins cannot be divided into {clusters} clusters.")
    rows = np.asarray(latent, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    found = KMeans(clusters, n_init=10, random_state=seed).fit_predict(rows / np.where(length > 0, length, 1))
    order = np.argsort(-np.bincount(found, minlength=clusters), kind="stable")
    return np.argsort(order)[found].astype(np.int64)


def cluster_agreement(
    clusters: np.ndarray, labels: np.ndarray, chrom: np.ndarray, *, permutations: int = 200, seed: int = 0
) -> dict[str, Reading]:
    """Adjusted Rand index and normalised mutual information, with circular shifts as the null.

    Parameters
    ----------
    clusters
        (bins,): of :func:`cluster_bins`.
    labels
        (bins,): compartment of each bin; bins that are ``N`` are left out.
    chrom
        (bins,): chromosome of each bin, equal ones next to each other.
    permutations, seed
        Of the shifts.

    Returns
    -------
    dict
        ``ari`` (Hubert & Arabie 1985) and ``nmi`` (over the mean of the entropies).

    Raises
    ------
    DataError
        Fewer than two labels.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    labels = np.asarray(labels, dtype=object)
    called = np.flatnonzero(labels != NO_LABEL)
    names, code = np.unique(labels[called].astype(str), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"clusters are compared with groups; all bins are {names[0] if len(names) else 'N'}.")
    groups = np.asarray(clusters)[called]

    def score(shifted: np.ndarray) -> dict[str, float]:
        return {
            "ari": adjusted_rand_score(shifted, groups),
            "nmi": normalized_mutual_info_score(shifted, groups),
        }

    return against_shifts(score, code, np.asarray(chrom)[called], permutations=permutations, seed=seed)
