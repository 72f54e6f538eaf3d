"""Reading an embedding: how well compartments part in it, and its picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .shifts import circular_shift, empirical_pvalue

__all__ = ["Silhouette", "compartment_silhouette", "silhouette", "umap_layout"]

_MOST_BINS = 6_000  # a distance matrix of 288 MB


@dataclass(frozen=True)
class Silhouette:
    """A silhouette and what circularly shifted labels score.

    Attributes
    ----------
    value
        Mean silhouette, -1 to 1 (Rousseeuw 1987).
    expected
        Mean over the shifts.
    pvalue
        Of a value as large under the shifts.
    bins
        Bins it was computed on.
    """

    value: float
    expected: float
    pvalue: float
    bins: int


def _cosine_distances(latent: np.ndarray) -> np.ndarray:
    """float32 (bins, bins): 1 - cosine; a null vector is at distance 1 from everything."""
    norm = np.linalg.norm(latent, axis=1, keepdims=True)
    unit = (latent / np.where(norm > 0, norm, 1)).astype(np.float32)
    distance = np.maximum(1 - unit @ unit.T, 0)
    np.fill_diagonal(distance, 0)
    return distance


def silhouette(distance: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette of `labels` (bins,) under a distance matrix (bins, bins); Rousseeuw (1987).

    Raises
    ------
    DataError
        Fewer than two labels.
    """
    names, code = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"a silhouette compares groups; all bins are {names[0] if len(names) else 'missing'}."
        )
    member = np.eye(len(names), dtype=distance.dtype)[code]
    sums, sizes = distance @ member, member.sum(axis=0)
    rows = np.arange(len(code))
    own_size = sizes[code]
    inside = sums[rows, code] / np.maximum(own_size - 1, 1)
    others = sums / sizes
    others[rows, code] = np.inf
    outside = others.min(axis=1)
    widest = np.maximum(inside, outside)
    score = np.divide(outside - inside, widest, out=np.zeros(len(code)), where=(widest > 0) & (own_size > 1))
    return float(score.mean())


def compartment_silhouette(
    latent: np.ndarray,
    labels: np.ndarray,
    chrom: np.ndarray,
    *,
    groups: Sequence[str] = ("A", "B"),
    permutations: int = 200,
    seed: int = 0,
) -> Silhouette:
    """Cosine silhouette of A against B, or of other groups, with circular shifts as the null.

    Parameters
    ----------
    latent
        float (bins, dimensions) of the valid bins, in order along their chromosomes.
    labels
        (bins,): A, B or N; bins that are in none of `groups` are left out.
    chrom
        (bins,): chromosome of each bin.
    groups
        Labels that are compared.
    permutations
        Number of shifts.
    seed
        Of the shifts, and of the draw of 6,000 bins where there are more.

    Raises
    ------
    DataError
        There is no A or no B; of other groups, fewer than two.
    """
    rng = np.random.default_rng(seed)
    called = np.flatnonzero(np.isin(labels, tuple(groups)))
    latent, labels, chrom = latent[called], np.asarray(labels)[called], np.asarray(chrom)[called]
    chosen = np.arange(len(labels))
    if len(chosen) > _MOST_BINS:
        chosen = np.sort(rng.choice(len(labels), _MOST_BINS, replace=False))
    distance = _cosine_distances(latent[chosen])
    value = silhouette(distance, labels[chosen])
    null = np.array(
        [silhouette(distance, labels[circular_shift(chrom, rng)][chosen]) for _ in range(permutations)]
    )
    return Silhouette(value, float(null.mean()), empirical_pvalue(value, null), len(chosen))


def umap_layout(
    latents: Sequence[np.ndarray],
    *,
    seed: int = 0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    metric: str = "cosine",
) -> list[np.ndarray]:
    """Lay one or more embeddings out in one plane, the same for the same seed (McInnes et al. 2018).

    Parameters
    ----------
    latents
        float (bins, dimensions) each, all of one encoder; laid out jointly.
    seed
        Fixes the layout, which makes umap-learn run on one thread.
    n_neighbors, min_dist, metric
        As umap-learn has them; fewer neighbours where there are fewer bins.

    Returns
    -------
    list of numpy.ndarray
        float32 (bins, 2) for each of `latents`.

    Raises
    ------
    DataError
        Fewer than four bins, or embeddings of different dimensions.
    """
    widths = {latent.shape[1] for latent in latents}
    if len(widths) != 1:
        raise DataError(f"embeddings to be laid out together must have one dimension, not {sorted(widths)}.")
    rows = np.concatenate(list(latents))
    if len(rows) < 4:
        raise DataError(f"{len(rows)} bins are too few for a UMAP.")
    from threadpoolctl import threadpool_limits

    # numba's OpenMP layer would leave the process with other thread numbers than it found, torch's too.
    with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's and umap-learn's notes about threads and precision
        from umap import UMAP

        reducer = UMAP(
            n_neighbors=min(n_neighbors, len(rows) - 1),
            min_dist=min_dist,
            metric=metric,
            random_state=seed,
            n_jobs=1,
        )
        layout = np.asarray(reducer.fit_transform(rows), dtype=np.float32)
    return np.split(layout, np.cumsum([len(latent) for latent in latents])[:-1])
