"""What candidate pixels are scored by: a loop model, or how far they stand out from what surrounds them."""

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

__all__ = ["LoopScorer", "ModelScores", "PeakScores", "SearchedMap", "score_windows", "temperature_of"]


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


class LoopScorer(Protocol):
    """What scores candidates."""

    @property
    def gives_probability(self) -> bool:
        """Whether scores are probabilities."""
        ...

    def score(self, searched: SearchedMap, found: Candidates) -> np.ndarray:
        """Score of each candidate, float64 (n,); NaN where none can be given."""
        ...


@dataclass(frozen=True)
class PeakScores:
    """Scores from the map alone (see :func:`~chromweave.analysis.enrichment.peak_enrichment`)."""

    config: EnrichmentConfig
    gives_probability = False

    def score(self, searched: SearchedMap, found: Candidates) -> np.ndarray:
        """Standard deviations above the surroundings."""
        layer = searched.store.layer(searched.chrom, searched.resolution)
        return peak_enrichment(
            searched.pixels,
            found.x_bins,
            found.y_bins,
            searched.expected,
            weight=layer.weight(searched.weight),
            valid=layer.valid(searched.weight),
            config=self.config,
        ).score


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
    gives_probability = True

    def score(self, searched: SearchedMap, found: Candidates) -> np.ndarray:
        """Probability; NaN where a window sticks out of the chromosome or is nearly empty."""
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
