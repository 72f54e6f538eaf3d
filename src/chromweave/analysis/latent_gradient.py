"""How fast an embedding changes along the chromosome, against insulation and boundaries."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import DataError
from ..evaluation.classification import auroc
from ..evaluation.metrics import spearman
from .readings import Reading, against_shifts

__all__ = ["gradient_against_insulation", "latent_gradient"]

_FEWEST = 10


def latent_gradient(
    rows: np.ndarray, chrom: np.ndarray, *, metric: Literal["cosine", "l2"] = "cosine"
) -> np.ndarray:
    """Mean distance of each bin's vector from those of the bins before and behind it.

    Parameters
    ----------
    rows
        float (bins, dimensions), every bin along its chromosome; NaN where masked.
    chrom
        (bins,): chromosome of each bin.
    metric
        ``cosine``: 1 - cosine (a null vector is at distance 1 from everything); ``l2``.

    Returns
    -------
    numpy.ndarray
        float64 (bins,); NaN where the bin or a neighbour is masked, and at a chromosome's ends.
    """
    rows, chrom = np.asarray(rows, dtype=np.float64), np.asarray(chrom)
    before, behind = rows[:-1], rows[1:]
    if metric == "l2":
        step = np.linalg.norm(behind - before, axis=1)
    else:
        lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
        product = (before * behind).sum(axis=1)
        some = np.where(lengths > 0, lengths, 1)  # NaN is not above 0, and product keeps it
        step = 1 - np.clip(np.where(lengths == 0, 0, product / some), -1, 1)
    step = np.where(chrom[1:] == chrom[:-1], step, np.nan)
    gradient = np.full(len(rows), np.nan)
    gradient[1:-1] = (step[:-1] + step[1:]) / 2
    return gradient


def gradient_against_insulation(
    gradient: np.ndarray,
    score: np.ndarray,
    boundary: np.ndarray,
    chrom: np.ndarray,
    *,
    permutations: int = 200,
    seed: int = 0,
) -> dict[str, Reading]:
    """Rank correlation of the gradient with the insulation score, and how well it finds boundaries.

    Insulation is low at a boundary: a gradient that follows domains correlates negatively with it, and the
    p-value is of a correlation as negative. Circular shifts turn score and boundaries together.

    Parameters
    ----------
    gradient
        float (bins,) of :func:`latent_gradient`; NaN is left out.
    score
        float (bins,): insulation score, NaN is left out.
    boundary
        bool (bins,): boundaries.
    chrom
        (bins,): chromosome of each bin, equal ones next to each other.
    permutations, seed
        Of the shifts.

    Returns
    -------
    dict
        ``spearman`` (with the score) and ``boundary auroc`` (NaN without boundaries).

    Raises
    ------
    DataError
        Fewer than ten bins have both.
    """
    both = np.flatnonzero(np.isfinite(gradient) & np.isfinite(score))
    if len(both) < _FEWEST:
        raise DataError(
            f"{len(both)} bins have both a gradient and an insulation score; {_FEWEST} at least are needed. "
            "Is the table of the embedding's chromosomes and resolution?"
        )
    values = gradient[both]

    def statistics(annotation: np.ndarray) -> dict[str, float]:
        return {
            "spearman": spearman(annotation[:, 0], values),
            "boundary auroc": auroc(annotation[:, 1], values),
        }

    annotation = np.stack([score[both], np.asarray(boundary, dtype=bool)[both].astype(np.float64)], axis=1)
    return against_shifts(
        statistics,
        annotation,
        np.asarray(chrom)[both],
        permutations=permutations,
        seed=seed,
        smaller={"spearman"},
    )
