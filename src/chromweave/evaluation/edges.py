"""Edge prediction measured so that distance cannot own the score: three samplings, and the trivial rows.

A pair of bins is scored higher when a contact is more likely. Scores are compared on held-out contacts
against as many non-contacts, drawn in three ways that are always reported side by side
(:mod:`.edge_sampling`). What a line of arithmetic reaches on the same pairs stands in the same table
(:mod:`.edge_baselines`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .classification import auroc, average_precision
from .edge_baselines import VisibilityModel, trivial_scorers
from .edge_sampling import (
    DEGREE_MATCHED,
    SAMPLINGS,
    EdgeSample,
    EdgeTask,
    NonContacts,
    Scorer,
    edge_samples,
)
from .edge_summaries import paired_differences, summarise_scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DEGREE_MATCHED",
    "SAMPLINGS",
    "EdgeSample",
    "EdgeTask",
    "NonContacts",
    "Scorer",
    "VisibilityModel",
    "edge_samples",
    "paired_differences",
    "score_edges",
    "summarise_scores",
    "trivial_scorers",
]


def score_edges(
    samples: Mapping[str, EdgeSample], scorers: Mapping[str, Scorer], *, seed: int
) -> pd.DataFrame:
    """AUC and average precision of every scorer under every sampling.

    Returns
    -------
    pandas.DataFrame
        Columns method, sampling, metric (``auc`` or ``ap``), value, seed, pairs (contacts = non-contacts).
    """
    import pandas as pd

    rows = []
    for method, scorer in scorers.items():
        for sampling, sample in samples.items():
            scores = np.asarray(scorer(sample.pairs), dtype=float)
            for metric, measure in (("auc", auroc), ("ap", average_precision)):
                value = float(measure(sample.labels, scores))
                rows.append((method, sampling, metric, value, seed, sample.positives.shape[1]))
    return pd.DataFrame(rows, columns=["method", "sampling", "metric", "value", "seed", "pairs"])
