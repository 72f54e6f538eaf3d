"""Scores over seeds: their mean with an interval, and a model less each row, seed by seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DataError
from .means import mean_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["paired_differences", "summarise_scores"]

_KEYS = ["method", "sampling", "metric"]


def summarise_scores(scores: pd.DataFrame, model: str | None = None) -> pd.DataFrame:
    """Mean and spread over seeds of a table of scores.

    Parameters
    ----------
    scores
        Columns method, sampling, metric, value, seed, as of :func:`chromweave.evaluation.edges.score_edges`
        and :func:`chromweave.evaluation.edge_counts.score_counts`, of one or more seeds.
    model
        A method: rows ``model - method`` with :func:`paired_differences` are added below.

    Returns
    -------
    pandas.DataFrame
        Columns method, sampling, metric, mean, sd and Student's 95 % interval low, high (missing for one
        seed), seeds; methods in their order.
    """
    import pandas as pd

    if model is not None:
        scores = pd.concat([scores, paired_differences(scores, model)], ignore_index=True)
    rows = []
    for key, values in scores.groupby(_KEYS, sort=False)["value"]:
        mean, low, high = mean_interval(values.to_numpy())
        rows.append((*key, mean, values.std(), low, high, values.count()))
    return pd.DataFrame(rows, columns=[*_KEYS, "mean", "sd", "low", "high", "seeds"])


def paired_differences(scores: pd.DataFrame, model: str) -> pd.DataFrame:
    """What `model` scores above every other method, on the same seed, sampling and metric.

    Parameters
    ----------
    scores
        As for :func:`summarise_scores`.
    model
        A method of the table.

    Returns
    -------
    pandas.DataFrame
        The columns of `scores`, method ``model - other``; a seed without both has no row.

    Raises
    ------
    DataError
        The table has no such method, or two values for one seed.
    """
    import pandas as pd

    methods = list(scores["method"].unique())
    if model not in methods:
        raise DataError(f"the scores have no method {model!r}; they have {', '.join(methods)}.")
    where = ["sampling", "metric", "seed"]
    if scores.duplicated(["method", *where]).any():
        raise DataError("a method has two scores for one seed; differences need one of each.")
    own = scores[scores["method"] == model].set_index(where)["value"]
    parts = []
    for other in methods:
        if other != model:
            rows = scores[scores["method"] == other].copy()
            rows["value"] = own.reindex(pd.MultiIndex.from_frame(rows[where])).to_numpy() - rows["value"]
            parts.append(rows.dropna(subset="value").assign(method=f"{model} - {other}"))
    return pd.concat(parts, ignore_index=True) if parts else scores.iloc[:0].copy()
