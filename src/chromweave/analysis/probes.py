"""A linear probe: what of a bin's compartment a plane through the embedding tells, on unseen blocks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError, DataError
from ..evaluation.classification import auroc
from .readings import Reading, against_shifts

__all__ = ["Fold", "Probe", "blocked_folds", "linear_probe"]


class Fold(NamedTuple):
    """Indices of bins to learn from and of bins to ask, int64 (n,) each."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Probe:
    """What a linear probe found.

    Attributes
    ----------
    auroc
        Of A against B, from the log-odds of bins in held-out blocks.
    balanced_accuracy
        Mean of the fractions of A and of B that are told right.
    probability
        float64 (bins,): probability of A from the fold that did not learn from the bin; NaN for bins that are
        neither A nor B, or had no fold to be asked in.
    """

    auroc: Reading
    balanced_accuracy: Reading
    probability: np.ndarray


def blocked_folds(chrom: np.ndarray, bins: np.ndarray, *, block: int, gap: int, folds: int = 5) -> list[Fold]:
    """Divide bins into folds of whole blocks, so that no bin is learned from beside one that is asked.

    Each chromosome is cut into blocks of `block` bins; block k goes to fold k modulo `folds`, counted through
    all chromosomes. Bins within `gap` bins of a block that is asked are left out of what is learned from.

    Parameters
    ----------
    chrom, bins
        (n,): chromosome, and bin within it, of each row.
    block, gap
        In bins.
    folds
        At most; as many as there are blocks where those are fewer.

    Raises
    ------
    ConfigError
        `block` or `folds` is too small, or `gap` negative.
    DataError
        There are fewer than two blocks.
    """
    if block < 1 or gap < 0 or folds < 2:
        raise ConfigError(
            f"folds need block >= 1, gap >= 0 and at least two folds, not {block}, {gap} and {folds}."
        )
    names = np.unique(np.asarray(chrom), return_inverse=True)[1]
    bins = np.asarray(bins, dtype=np.int64)
    blocks = np.unique(np.stack([names, bins // block], axis=1), axis=0, return_inverse=True)[1].ravel()
    n_blocks = int(blocks.max(initial=-1)) + 1
    if n_blocks < 2:
        raise DataError(
            f"{len(bins)} bins in blocks of {block} are {n_blocks} block; a probe learns from some and is "
            "asked about others. Take shorter blocks or more chromosomes."
        )
    fold = blocks % min(folds, n_blocks)
    # Far enough apart that a gap never reaches into the next chromosome.
    position = names.astype(np.int64) * (int(bins.max()) + gap + 1) + bins
    found = []
    for k in range(min(folds, n_blocks)):
        test = np.flatnonzero(fold == k)
        asked = np.sort(position[test])
        after = np.searchsorted(asked, position)
        below = position - asked[np.maximum(after - 1, 0)]
        above = asked[np.minimum(after, len(asked) - 1)] - position
        near = ((after > 0) & (below <= gap)) | ((after < len(asked)) & (above <= gap))
        found.append(Fold(np.flatnonzero((fold != k) & ~near), test))
    return found


def linear_probe(
    latent: np.ndarray,
    labels: np.ndarray,
    chrom: np.ndarray,
    bins: np.ndarray,
    *,
    block: int,
    gap: int | None = None,
    folds: int = 5,
    permutations: int = 200,
    seed: int = 0,
) -> Probe:
    """Logistic regression of A against B on an embedding, cross-validated in blocks.

    Dimensions are standardised by the bins learned from, the penalty is scikit-learn's default, and classes
    weigh alike. Shifted labels go through the same folds.

    Parameters
    ----------
    latent
        float (bins, dimensions) of the valid bins, in order along their chromosomes.
    labels
        (bins,): A, B or N; bins that are neither A nor B are left out.
    chrom, bins
        (bins,): chromosome, and bin within it.
    block, gap, folds
        See :func:`blocked_folds`; the gap is a quarter of a block if not given.
    permutations, seed
        Of the circular shifts.

    Raises
    ------
    DataError
        There is no A or no B, or there are fewer than two blocks.
    """
    called = np.flatnonzero(np.isin(labels, ("A", "B")))
    truth = np.asarray(labels, dtype=object)[called] == "A"
    if truth.all() or not truth.any():
        raise DataError("a probe tells A from B; the bins have only one of them, or none.")
    gap = max(block // 4, 1) if gap is None else gap
    rows, where = np.asarray(latent, dtype=np.float64)[called], np.asarray(chrom)[called]
    division = blocked_folds(where, np.asarray(bins)[called], block=block, gap=gap, folds=folds)

    def score(answer: np.ndarray) -> dict[str, float]:
        odds = _log_odds(rows, answer, division)
        asked = np.isfinite(odds)
        right = (odds > 0) == answer
        sides = [right[asked & (answer == side)] for side in (True, False)]
        balanced = float(np.mean([side.mean() for side in sides])) if all(map(len, sides)) else np.nan
        return {"auroc": auroc(answer[asked], odds[asked]), "balanced accuracy": balanced}

    found = against_shifts(score, truth, where, permutations=permutations, seed=seed)
    probability = np.full(len(latent), np.nan)
    probability[called] = 1 / (1 + np.exp(-_log_odds(rows, truth, division)))
    return Probe(found["auroc"], found["balanced accuracy"], probability)


def _log_odds(rows: np.ndarray, truth: np.ndarray, division: list[Fold]) -> np.ndarray:
    """Log-odds of A, of each row by the fold that asks it; NaN where that has only one class to learn."""
    from sklearn.linear_model import LogisticRegression

    odds = np.full(len(rows), np.nan)
    for train, test in division:
        if len(np.unique(truth[train])) == 2:
            centre, spread = rows[train].mean(axis=0), rows[train].std(axis=0)
            scaled = (rows - centre) / np.where(spread > 0, spread, 1)
            probe = LogisticRegression(class_weight="balanced", max_iter=1000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a fit that has not quite converged: it is good enough
                probe.fit(scaled[train], truth[train])
            odds[test] = probe.decision_function(scaled[test])
    return odds
