"""Loops on a contact map: pixels worth scoring, and one loop for each cluster of scored pixels.

MIX-HIC's whole-chromosome annotation (its appendix A.2): Peakachu's candidates (Salameh et al. 2020) and
RefHiC's pooling (Zhang & Blanchette 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from .. import schemas
from ..errors import ConfigError, DataError
from ..evaluation.expected import MapLayer, PixelTable, expected_by_distance
from .clustering import ClusterConfig, Clusters, density_clusters

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CandidateConfig", "Candidates", "candidates", "cluster", "expected_by_distance"]

_CHUNK = 1 << 20  # pixels tested at a time: a few tens of MB whatever the map's depth


@dataclass(frozen=True)
class CandidateConfig:
    """Which pixels are worth scoring.

    Parameters
    ----------
    min_distance, max_distance
        Distance between the anchors, bp, both ends included.
    pvalue
        Poisson survival below which a pixel is kept (no correction for the number of tests).
    """

    min_distance: int = 20_000
    max_distance: int = 2_000_000
    pvalue: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.min_distance <= self.max_distance:
            raise ConfigError(
                f"candidates need 0 <= min_distance <= max_distance, not {self.min_distance:,} and "
                f"{self.max_distance:,} bp."
            )
        if not 0 < self.pvalue <= 1:
            raise ConfigError(f"pvalue must lie in (0, 1], not {self.pvalue}.")


@dataclass(frozen=True)
class Candidates:
    """Pixels with more contacts than their distance and visibility explain, ordered by (x, y).

    Parameters
    ----------
    x_bins, y_bins
        Bins of the two anchors within the chromosome, int32 (n,), x <= y.
    count
        Raw contacts, float64 (n,).
    expected
        Contacts expected there, on the scale of raw counts, float64 (n,).
    pvalue
        P(X > count) for X ~ Poisson(expected), float64 (n,).
    """

    x_bins: np.ndarray
    y_bins: np.ndarray
    count: np.ndarray
    expected: np.ndarray
    pvalue: np.ndarray

    def __len__(self) -> int:
        return len(self.x_bins)

    def __getitem__(self, chosen: np.ndarray) -> Candidates:
        """Some of them: bool or int (n,)."""
        return Candidates(*(getattr(self, one.name)[chosen] for one in fields(self)))


def candidates(layer: MapLayer, *, weight: str | None, config: CandidateConfig | None = None) -> Candidates:
    """Find the pixels whose count a Poisson law around a monotone distance expectation does not explain.

    With E_d the mean balanced value at distance d over positions of valid bins, made non-increasing by
    isotonic regression, pixel (i, j) is expected to hold E_d / (w_i w_j) contacts; it is kept if it holds
    some and P(X > count) is below the threshold.

    Parameters
    ----------
    layer
        The chromosome's map.
    weight
        Name of the balancing vector; None tests raw counts against their plain mean at each distance.
    config
        Distances and threshold.

    Raises
    ------
    ConfigError
        The layer's band ends before the largest distance asked for.
    WeightError
        The layer has no such vector.
    """
    config = config or CandidateConfig()
    near, far = _distance_range(layer, config)
    if near > far:
        return _join([])
    vector = None if weight is None else layer.weight(weight)
    valid = layer.valid(weight)
    pixels = layer.pixels((far + 1) * layer.resolution)
    expected = expected_by_distance(pixels, far + 1, weight=vector, valid=valid, first=near, monotone=True)
    visibility = np.where(valid, 1.0 if vector is None else 1.0 / vector, np.nan)
    starts = range(0, len(pixels.bin1), _CHUNK)
    return _join(
        [_enriched(pixels, slice(s, s + _CHUNK), expected, visibility, near, config) for s in starts]
    )


def _distance_range(layer: MapLayer, config: CandidateConfig) -> tuple[int, int]:
    """Nearest and furthest distance in whole bins, as far as the chromosome goes."""
    near = -(-config.min_distance // layer.resolution)
    far = min(config.max_distance // layer.resolution, layer.n_bins - 1)
    if layer.n_diagonals is not None and far >= layer.n_diagonals:
        raise ConfigError(
            f"max_distance is {config.max_distance:,} bp, but the store holds distances below "
            f"{layer.n_diagonals * layer.resolution:,} bp at {layer.resolution:,} bp; ask for less, or build "
            "the store with a larger --max-distance."
        )
    return near, far


def _enriched(
    pixels: PixelTable,
    part: slice,
    expected: np.ndarray,
    visibility: np.ndarray,
    near: int,
    config: CandidateConfig,
) -> Candidates:
    """Candidates among one stretch of pixels."""
    from scipy.special import pdtrc  # training imports this room's settings, and does without scipy

    x, y, count = (np.asarray(column[part]) for column in (pixels.bin1, pixels.bin2, pixels.count))
    distance = y - x
    inside = (distance >= near) & (distance < len(expected)) & (count > 0)
    x, y, count = x[inside], y[inside], count[inside].astype(np.float64)
    rate = expected[distance[inside]] * visibility[x] * visibility[y]
    pvalue = pdtrc(count, rate)
    keep = pvalue < config.pvalue  # False where a bin is masked: its rate is NaN
    return Candidates(x[keep], y[keep], count[keep], rate[keep], pvalue[keep])


def _join(parts: list[Candidates]) -> Candidates:
    if not parts:
        bins, values = np.empty(0, np.int32), np.empty(0)
        return Candidates(bins, bins, values, values, values)
    return Candidates(
        np.concatenate([part.x_bins for part in parts]),
        np.concatenate([part.y_bins for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.expected for part in parts]),
        np.concatenate([part.pvalue for part in parts]),
    )


def cluster(
    found: Candidates,
    score: np.ndarray,
    *,
    chrom: str,
    resolution: int,
    length: int | None = None,
    probability: np.ndarray | None = None,
    config: ClusterConfig | None = None,
) -> pd.DataFrame:
    """Merge scored candidates into loops, one row for each cluster.

    Parameters
    ----------
    found
        Candidates of one chromosome.
    score
        Of each candidate, float (n,); NaN where none could be given (such rows are left out).
    chrom
        Name of the chromosome.
    resolution
        Bin size, bp.
    length
        Length of the chromosome, bp; where given, the last bin ends there.
    probability
        A model's, of each candidate, float (n,), where there is a model.
    config
        How to cluster.

    Returns
    -------
    pandas.DataFrame
        Columns of `schemas.LOOPS`, ordered by position, without q-values; no row where nothing is left.

    Raises
    ------
    DataError
        There is not one score for each candidate.
    """
    score = np.asarray(score, dtype=np.float64)
    if score.shape != found.x_bins.shape:
        raise DataError(
            f"{len(found):,} candidates, but scores of shape {score.shape}; score every candidate."
        )
    clusters = density_clusters(found.x_bins, found.y_bins, score, config or ClusterConfig())
    table = _loop_table(found, score, clusters, chrom, resolution)
    if probability is not None:
        table["probability"] = np.asarray(probability, np.float64)[_in_order(found, clusters)]
    if length is not None:
        table[["end1", "end2"]] = table[["end1", "end2"]].clip(upper=length)
    return schemas.LOOPS.check(table, f"loops of {chrom}")


def _in_order(found: Candidates, clusters: Clusters) -> np.ndarray:
    """Index of each cluster's representative, by position."""
    at = clusters.representative
    return at[np.lexsort((found.y_bins[at], found.x_bins[at]))]


def _loop_table(
    found: Candidates, score: np.ndarray, clusters: Clusters, chrom: str, resolution: int
) -> pd.DataFrame:
    import pandas as pd

    member = _in_order(found, clusters)
    label = clusters.label[member]
    x, y = (bins[member].astype(np.int64) * resolution for bins in (found.x_bins, found.y_bins))
    return pd.DataFrame(
        {
            "chrom1": np.full(len(member), chrom, dtype=object),
            "start1": x,
            "end1": x + resolution,
            "chrom2": np.full(len(member), chrom, dtype=object),
            "start2": y,
            "end2": y + resolution,
            "name": np.array([f"{chrom}_loop{k + 1}" for k in range(len(member))], dtype=object),
            "score": score[member],
            "strand1": np.full(len(member), ".", dtype=object),
            "strand2": np.full(len(member), ".", dtype=object),
            "probability": np.full(len(member), np.nan),
            "qvalue": np.full(len(member), np.nan),
            "observed": found.count[member],
            "expected": found.expected[member],
            "oe": found.count[member] / found.expected[member],
            "distance": y - x,
            "cluster_size": clusters.size[label],
            "density": clusters.density[clusters.centre[label]],
        }
    )
