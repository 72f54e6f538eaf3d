"""Iterative correction (ICE) in memory, equal to ``cooler balance --cis-only``.

Imakaev et al., Nature Methods 9:999 (2012), with the bin filters of cooler's ``balance`` in cooler's order:
non-zeros, total, then the genome-wide MAD rule on the marginals of each chromosome over their median.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from ..errors import BalancingError, DataError
from ..progress import track
from .pixels import Pixels
from .weights import Weight

__all__ = ["ice", "ice_cis"]


def ice(
    pixels: Pixels,
    *,
    ignore_diags: int = 2,
    mad_max: float = 5,
    min_nnz: int = 10,
    min_count: float = 0,
    tol: float = 1e-5,
    max_iters: int = 200,
    rescale_marginals: bool = True,
) -> Weight:
    """Balance one chromosome by itself; see :func:`ice_cis`, which equals it on a one-chromosome file.

    Parameters
    ----------
    pixels
        Raw contacts at all distances.
    ignore_diags
        Diagonals left out, the main one first.
    mad_max
        Mask bins whose log marginal lies more than this many median absolute deviations below the median;
        0 for no such filter.
    min_nnz
        Mask bins with fewer pixels than this.
    min_count
        Mask bins with fewer contacts than this.
    tol
        Stop when the variance of the balanced row sums is below this.
    max_iters
        Give up after this many rounds.
    rescale_marginals
        Make balanced rows sum to 1.

    Returns
    -------
    Weight
        Called ``"weight"``, origin ``"computed"``; NaN at masked bins.

    Raises
    ------
    BalancingError
        No convergence in `max_iters` rounds.
    """
    return ice_cis(
        {"the map": pixels},
        ignore_diags=ignore_diags,
        mad_max=mad_max,
        min_nnz=min_nnz,
        min_count=min_count,
        tol=tol,
        max_iters=max_iters,
        rescale_marginals=rescale_marginals,
    )["the map"]


def ice_cis(
    pixels: Mapping[str, Pixels],
    *,
    ignore_diags: int = 2,
    mad_max: float = 5,
    min_nnz: int = 10,
    min_count: float = 0,
    tol: float = 1e-5,
    max_iters: int = 200,
    rescale_marginals: bool = True,
) -> dict[str, Weight]:
    """Balance every chromosome within itself, as ``cooler balance --cis-only`` does with the same arguments.

    The MAD filter compares bins of all chromosomes given, so a map balanced in parts masks other bins
    than one balanced whole. Parameters and errors are those of :func:`ice`; a chromosome whose bins are all
    filtered out gets a vector of NaN.
    """
    if not pixels:
        raise DataError("no chromosome to balance was given.")
    matrices = {chrom: _matrix(one, ignore_diags) for chrom, one in pixels.items()}
    usable = _filter(matrices, mad_max, min_nnz, min_count)
    weights = {}
    for chrom in track(list(pixels), "balancing", unit="chromosome"):
        bias = _iterate(matrices.pop(chrom), usable[chrom], chrom, tol, max_iters, rescale_marginals)
        weights[chrom] = Weight("weight", bias, "computed")
    return weights


def _matrix(pixels: Pixels, ignore_diags: int) -> sparse.csr_array:
    """The upper triangle as float64 CSR, its first diagonals zero; index arrays are shared with `pixels`."""
    value = pixels.count.astype(np.float64)
    value[pixels.bin2 - pixels.bin1 < ignore_diags] = 0
    bounds = np.searchsorted(pixels.bin1, np.arange(pixels.n_bins + 1)).astype(np.int32)
    return sparse.csr_array((value, pixels.bin2, bounds), shape=(pixels.n_bins, pixels.n_bins))


def _product(upper: sparse.csr_array, diagonal: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The symmetric matrix, given as its upper triangle and diagonal, times a vector."""
    return np.asarray(upper @ vector + upper.T @ vector - diagonal * vector)


def _filter(
    matrices: Mapping[str, sparse.csr_array], mad_max: float, min_nnz: int, min_count: float
) -> dict[str, np.ndarray]:
    """Which bins of each chromosome take part."""
    usable, relative = {}, {}
    for chrom, upper in matrices.items():
        ones = np.ones(upper.shape[0])
        present = sparse.csr_array(
            ((upper.data != 0).astype(np.float64), upper.indices, upper.indptr), upper.shape
        )
        total = _product(upper, upper.diagonal(), ones)
        usable[chrom] = (_product(present, present.diagonal(), ones) >= min_nnz) & (total >= min_count)
        relative[chrom] = total / np.median(total[total > 0]) if (total > 0).any() else total
    if mad_max > 0:
        pooled = np.concatenate([marginal[marginal > 0] for marginal in relative.values()])
        cutoff = _lowest(np.log(pooled), mad_max) if len(pooled) else 0.0
        for chrom, marginal in relative.items():
            usable[chrom] &= marginal >= cutoff
    return usable


def _lowest(logs: np.ndarray, mad_max: float) -> float:
    middle = np.median(logs)
    return float(np.exp(middle - mad_max * np.median(np.abs(logs - middle))))


def _iterate(
    upper: sparse.csr_array,
    usable: np.ndarray,
    chrom: str,
    tol: float,
    max_iters: int,
    rescale_marginals: bool,
) -> np.ndarray:
    """Divide the bias by the balanced row sums until these vary no more."""
    bias, diagonal = usable.astype(np.float64), upper.diagonal()
    variance, mean = np.nan, np.nan
    for _ in range(max_iters):
        sums = bias * _product(upper, diagonal, bias)
        filled = sums != 0
        if not filled.any():
            return np.full(len(bias), np.nan)
        mean, variance = float(sums[filled].mean()), float(sums[filled].var())
        bias[filled] /= sums[filled] / mean
        if variance < tol:
            break
    else:
        raise BalancingError(
            f"balancing {chrom} did not converge: after {max_iters} rounds the row sums have a variance of "
            f"{variance:.3g}, and {tol:.3g} is asked. Give a larger max_iters or tol, mask sparse "
            "bins with a larger min_nnz, or leave this chromosome out."
        )
    bias[bias == 0] = np.nan
    return bias / np.sqrt(mean) if rescale_marginals else bias
