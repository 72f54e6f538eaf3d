"""Bins that differ more between conditions than between replicates, at a false discovery rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["false_discovery_qvalues", "replicate_calls", "replicate_pvalues", "with_replicates"]

_NO_REPLICATE = "a null needs a replicate; give another encoding of the first condition."
_FEWEST = 20  # distances of replicates in a compartment, for it to be a null of its own


def replicate_pvalues(
    observed: np.ndarray, null: np.ndarray, stratum: np.ndarray, null_stratum: np.ndarray
) -> np.ndarray:
    """How often replicates are as far apart as a bin of two conditions is, (1 + hits) / (1 + draws).

    Parameters
    ----------
    observed
        Distance of each bin between the conditions, float (bins,); NaN stays NaN.
    null
        Distances between replicates, float (draws,); NaN is left out.
    stratum, null_stratum
        What kind of bin each is, (bins,) and (draws,): a bin is compared with its own kind, or with all
        where that has fewer than 20 distances.

    Returns
    -------
    numpy.ndarray
        float64 (bins,); never 0.

    Raises
    ------
    DataError
        Replicates have no bin in common.
    """
    observed, null = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    known = np.isfinite(null)
    null, null_stratum = null[known], np.asarray(null_stratum)[known]
    if not len(null):
        raise DataError("the replicates have no valid bin in common; their distances are no null.")
    pvalues = np.full(len(observed), np.nan)
    for kind in set(np.asarray(stratum).tolist()):
        draws = null[null_stratum == kind]
        draws = np.sort(draws if len(draws) >= _FEWEST else null)
        bins = np.flatnonzero((np.asarray(stratum) == kind) & np.isfinite(observed))
        hits = len(draws) - np.searchsorted(draws, observed[bins], side="left")
        pvalues[bins] = (1 + hits) / (1 + len(draws))
    return pvalues


def false_discovery_qvalues(pvalues: np.ndarray) -> np.ndarray:
    """Benjamini & Hochberg's (1995) adjusted p-values, float64 (n,); NaN stays NaN and counts as no test."""
    from scipy.stats import false_discovery_control

    pvalues = np.asarray(pvalues, dtype=np.float64)
    known = np.isfinite(pvalues)
    qvalues = np.full(len(pvalues), np.nan)
    if known.any():
        qvalues[known] = false_discovery_control(pvalues[known], method="bh")
    return qvalues


def with_replicates(
    distances: pd.DataFrame, nulls: Sequence[pd.DataFrame], *, distance: str = "cosine", fdr: float = 0.05
) -> pd.DataFrame:
    """Add to each bin what replicates say of its distance.

    A bin is compared with all bins of its compartment (in the first condition) in every pair of replicates,
    as some compartments are noisier than others, and of all chromosomes, as the null must be fine enough: the
    least p-value there can be is 1 / (1 + distances). Of m bins, k are called at `fdr` only if their p-values
    are at most k x fdr / m; with the least p-value that takes k >= m / (fdr x (1 + distances)), about
    m / distances x 20 at 5 %. A few bins that shift, with one pair of replicates, are therefore never
    called, however far apart they lie.

    Parameters
    ----------
    distances
        Of :func:`chromweave.analysis.compare.bin_distances`, first condition against second.
    nulls
        The same of pairs of replicates of one condition, on the same bins.
    distance
        Which one.
    fdr
        Of the bins that are called shifted.

    Returns
    -------
    pandas.DataFrame
        `distances` with `pvalue`, `qvalue` (missing where masked) and `shifted`.

    Raises
    ------
    ConfigError
        `fdr` is out of range.
    DataError
        There is no null, or no bin in common.
    """
    import pandas as pd

    if not 0 < fdr < 1:
        raise ConfigError(f"fdr must lie between 0 and 1, not at {fdr:g}.")
    if not nulls:
        raise DataError(_NO_REPLICATE)
    replicates = pd.concat(list(nulls), ignore_index=True)
    pvalue = replicate_pvalues(
        distances[distance].to_numpy(), replicates[distance].to_numpy(), _kind(distances), _kind(replicates)
    )
    qvalue = false_discovery_qvalues(pvalue)
    return distances.assign(pvalue=pvalue, qvalue=qvalue, shifted=np.nan_to_num(qvalue, nan=1.0) <= fdr)


def replicate_calls(nulls: Sequence[pd.DataFrame], *, distance: str = "cosine", fdr: float = 0.05) -> float:
    """Share of bins that :func:`with_replicates` would call between replicates, who should have none.

    A distance is no test of the null it is part of, so that each chromosome's are called with those of the
    other chromosomes. A share of `fdr` or more says that noise differs along the genome, and that calls
    between conditions are not at their rate.

    Parameters
    ----------
    nulls, distance, fdr
        As for :func:`with_replicates`.

    Returns
    -------
    float
        Over all pairs of replicates and all chromosomes; NaN with a single chromosome.

    Raises
    ------
    ConfigError
        `fdr` is out of range.
    DataError
        There is no null, or no bin in common.
    """
    import pandas as pd

    if not nulls:
        raise DataError(_NO_REPLICATE)
    called, tested = 0, 0
    for chrom in pd.concat([one["chrom"] for one in nulls]).unique():
        others = [one[one["chrom"] != chrom] for one in nulls]
        if not any(map(len, others)):
            return float("nan")
        for one in nulls:
            found = with_replicates(one[one["chrom"] == chrom], others, distance=distance, fdr=fdr)
            called += int(found["shifted"].sum())
            tested += int(found["pvalue"].notna().sum())
    return called / tested if tested else float("nan")


def _kind(distances: pd.DataFrame) -> np.ndarray:
    if "compartment_first" in distances.columns:
        return distances["compartment_first"].to_numpy(dtype=object)
    return np.full(len(distances), "all", dtype=object)
