"""What candidate pixels are scored by: how far they stand out from what surrounds them, a model, or both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from ..analysis.enrichment import EnrichmentConfig, peak_enrichment
from ..analysis.loops import Candidates
from ..batch import Prediction
from ..data.placement import Placement
from ..data.quality import QualityFilter
from ..data.store import RegionStore
from ..errors import ModelError
from ..evaluation.expected import PixelTable
from ..genome import ChromSplit
from ..training.checkpoint import CONFIG, LoadedModel
from .inference import TaskModel, window_table
from .model_input import StoreLike, open_stores

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = [
    "CandidateScores",
    "CombinedScores",
    "LoopScorer",
    "ModelScores",
    "PeakScores",
    "SearchedMap",
    "score_windows",
    "temperature_of",
]

_SURE = 1e-6  # of a probability: what lies nearer to 0 or 1 a model cannot tell apart


@dataclass(frozen=True)
class SearchedMap:
    """A chromosome's map in which loops are looked for: the real one, or a decoy.

    Parameters
    ----------
    store
        Hands out the map and the tracks.
    chrom, resolution
        Which map.
    weight
        Name of the balancing vector.
    pixels
        Upper triangle, raw counts.
    expected
        Mean balanced value at each distance, float64 (distances,).
    """

    store: RegionStore
    chrom: str
    resolution: int
    weight: str
    pixels: PixelTable
    expected: np.ndarray


@dataclass(frozen=True)
class CandidateScores:
    """Scores of candidates.

    Parameters
    ----------
    score
        What they are compared by, float64 (n,); NaN where none can be given.
    probability
        What a model says, float64 (n,), NaN where it was not asked; None without a model.
    """

    score: np.ndarray
    probability: np.ndarray | None = None


class LoopScorer(Protocol):
    """What scores candidates."""

    def score(self, searched: SearchedMap, found: Candidates) -> CandidateScores:
        """Score of each candidate."""
        ...


@dataclass(frozen=True)
class PeakScores:
    """Scores from the map alone (see :func:`~chromweave.analysis.enrichment.peak_enrichment`)."""

    config: EnrichmentConfig

    def score(self, searched: SearchedMap, found: Candidates) -> CandidateScores:
        """Standard deviations above the surroundings."""
        layer = searched.store.layer(searched.chrom, searched.resolution)
        enrichment = peak_enrichment(
            searched.pixels,
            found.x_bins,
            found.y_bins,
            searched.expected,
            weight=layer.weight(searched.weight),
            valid=layer.valid(searched.weight),
            config=self.config,
        )
        return CandidateScores(enrichment.score)


@dataclass(frozen=True)
class ModelScores:
    """Calibrated probabilities of a loop model.

    Parameters
    ----------
    task
        The model.
    batch_size
        Windows at a time.
    min_nonzero
        Windows with a smaller fraction of non-zero entries are not scored: the model has learned from none.
    """

    task: TaskModel
    batch_size: int = 256
    min_nonzero: float = 0.1

    def score(self, searched: SearchedMap, found: Candidates) -> CandidateScores:
        """Probability; NaN where a window sticks out of the chromosome or is nearly empty."""
        probability = self.probability(searched, found)
        return CandidateScores(probability, probability)

    def probability(self, searched: SearchedMap, found: Candidates) -> np.ndarray:
        """The same as an array, float64 (n,)."""
        given, x, y = self.task.given, found.x_bins, found.y_bins
        placement = Placement(
            searched.store, given.resolution, given.window_bins, ChromSplit((searched.chrom,), (), ())
        )
        scored = np.flatnonzero(placement.inside(searched.chrom, x, y))
        passed = placement.passes(
            QualityFilter(self.min_nonzero),
            searched.chrom,
            x[scored].astype(np.int64),
            y[scored].astype(np.int64),
        )
        scored = scored[passed]
        score = np.full(len(found), np.nan)
        score[scored] = score_windows(
            self.task.loaded,
            searched.store,
            window_table(searched.chrom, x[scored], y[scored], given.resolution),
            batch_size=self.batch_size,
            description=f"scoring {len(scored):,} candidates of {searched.chrom}",
        )
        return score


@dataclass(frozen=True)
class CombinedScores:
    """How far a pixel stands out, plus a weight times the log-odds a model gives it.

    A model has learned from whole windows what loops look like, and where the tracks expect them; it was not
    asked which pixel of a peak is its summit, nor trained on all that a chromosome holds. So it is asked only
    about pixels that stand out, and what it says is added as evidence.

    Parameters
    ----------
    peaks, model
        The two.
    least
        Standard deviations from which on the model is asked; other pixels have no score.
    weight
        Standard deviations that a unit of log-odds (natural) is worth.
    """

    peaks: PeakScores
    model: ModelScores
    least: float
    weight: float

    def score(self, searched: SearchedMap, found: Candidates) -> CandidateScores:
        """The sum; NaN where the model was not asked or does not say."""
        enrichment = self.peaks.score(searched, found).score
        with np.errstate(invalid="ignore"):
            asked = np.flatnonzero(enrichment >= self.least)
        probability = np.full(len(found), np.nan)
        probability[asked] = self.model.probability(searched, found[asked])
        certain = np.clip(probability, _SURE, 1 - _SURE)
        return CandidateScores(enrichment + self.weight * np.log(certain / (1 - certain)), probability)


def temperature_of(task: TaskModel) -> float:
    """What a loop model's logits are divided by, so that its probabilities are calibrated; 1 if it has none.

    Raises
    ------
    ModelError
        It is not above 0.
    """
    value = task.model.get("temperature", 1.0)
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(
            f"the model {task.name}: its temperature is {value!r}, where a number above 0 is needed; its "
            f"{CONFIG} is damaged."
        )
    return float(value)


def score_windows(
    model: str | Path | LoadedModel,
    store: StoreLike,
    table: pd.DataFrame,
    *,
    batch_size: int = 256,
    description: str = "scoring windows",
) -> np.ndarray:
    """Calibrated probability of a loop at the centre of each window: sigmoid(logit / temperature).

    Parameters
    ----------
    model
        Run folder of :func:`finetune`, or the model itself.
    store
        Where the windows are cut from; contacts only where the model reads them, and tracks likewise.
    table
        :data:`schemas.WINDOWS`; labels are not looked at.
    batch_size
        Windows at a time.
    description
        What the progress bar says.

    Returns
    -------
    numpy.ndarray
        float32, one per row of `table`.

    Raises
    ------
    ModelError
        The folder holds no loop model, or the store does not fit it.
    """
    task = TaskModel.of(model, "loops")
    temperature = temperature_of(task)
    (opened,) = open_stores(store)
    task.check(opened)
    if not len(table):
        return np.empty(0, np.float32)
    if table.attrs:
        task.given.check_windows(table, task.name)
    answers = task.answers(task.windows(opened, table), batch_size, description)
    return np.concatenate([_probability(answer.prediction, temperature) for answer in answers])


def _probability(prediction: Prediction, temperature: float) -> np.ndarray:
    assert prediction.logit is not None
    return torch.sigmoid(prediction.logit.float() / temperature).cpu().numpy()
