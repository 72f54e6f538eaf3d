"""How sure the sign of a first eigenvector is in each bin: a jackknife over the bins it touches.

An eigenvector of a matrix M meets E1 * eigenvalue = M @ E1: a bin is A because its contacts, each weighted by
the partner's E1, say so in sum. Contiguous blocks of partners are left out in turn (Efron 1982), and the sum
is compared with how much it swings.
"""

from __future__ import annotations

import numpy as np

from .reference import cooltools_module

__all__ = ["BLOCKS", "decomposed_matrix", "sign_confidence"]

BLOCKS = 20
"""Blocks of partners; of a chromosome of 60 Mb each is 3 Mb, longer than most compartment domains."""


def decomposed_matrix(balanced: np.ndarray, ignored_diagonals: int, clip_percentile: float) -> np.ndarray:
    """Observed over expected less one, as cooltools' ``cis_eig`` decomposes it.

    Parameters
    ----------
    balanced
        float (bins, bins), symmetric; NaN rows and columns where masked.
    ignored_diagonals
        Diagonals on either side, the main one included, that are put at their expectation.
    clip_percentile
        Observed over expected is cut at this percentile.

    Returns
    -------
    numpy.ndarray
        float64 (valid bins, valid bins): only bins with contacts.
    """
    numutils = cooltools_module("lib.numutils")
    contacts = np.where(np.isfinite(balanced), balanced, 0.0)
    valid = contacts.sum(axis=0) > 0
    for diagonal in range(1 - ignored_diagonals, ignored_diagonals):
        numutils.set_diag(contacts, 1.0, diagonal)
    ratio = numutils.observed_over_expected(contacts, valid)[0][np.ix_(valid, valid)]
    return np.asarray(np.minimum(ratio, np.percentile(ratio, clip_percentile)) - 1.0)


def sign_confidence(matrix: np.ndarray, vector: np.ndarray, blocks: int = BLOCKS) -> np.ndarray:
    """Probability that the sign of each entry of an eigenvector would stay with other partners.

    A bin's entry is a sum over its partners. Left out block by block, they give the sum's standard error,
    and Student's t with `blocks` - 1 degrees of freedom the probability. The axis itself is taken as given:
    it is not asked whether E1 is compartments, nor whether the phasing track put A on the right side.

    Parameters
    ----------
    matrix
        float (n, n), symmetric: what was decomposed.
    vector
        float (n,): its eigenvector, of any scale and sign.
    blocks
        Contiguous blocks of partners; as many as there are bins where there are fewer.

    Returns
    -------
    numpy.ndarray
        float64 (n,), from 0.5 (a coin) to 1.
    """
    from scipy.stats import t

    first = np.unique(np.linspace(0, len(vector), blocks + 1).astype(int))[:-1]
    shares = np.add.reduceat(matrix * vector, first, axis=1)
    total, n = shares.sum(axis=1), len(first)
    error = np.sqrt(n * shares.var(axis=1, ddof=1))
    swing = np.divide(np.abs(total), error, out=np.full(len(total), np.inf), where=error > 0)
    return np.asarray(t.cdf(np.where(total == 0, 0.0, swing), n - 1))
