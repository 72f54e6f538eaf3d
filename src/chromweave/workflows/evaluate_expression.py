"""A model of expression beside accessibility and boosting on the tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batch import MapTrackBatch
from ..data.dataset import WindowDataset
from ..errors import DataError
from ..evaluation.expression import ExpressionWindows, expression_differences, expression_estimates
from ..evaluation.table import Result
from ..evaluation.trivial_expression import BoostedTracks, PromoterAccessibility, WindowMean
from ..models.tasks import reads_map
from ..plot.curves import evaluation_figure
from ..plot.scores import expression_figure
from .evaluation_rows import (
    EvaluateConfig,
    Opened,
    Rows,
    difference_rows,
    open_evaluation,
    write_evaluation,
)
from .model_input import Split, StoreLike
from .window_views import bin_signal, predictions, random_batches

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["TRIVIAL_EXPRESSION_ROWS", "evaluate_expression"]

TRIVIAL_EXPRESSION_ROWS = ("promoter accessibility", "window mean", "boosting on binned tracks")
"""Names of the rows that a model has to beat (`evaluation.md` rule 1)."""

_SHOWN = ("pearson_genes", "r2_genes", "pearson", "r2", "spearman_genes", "spearman")


@dataclass(frozen=True)
class _Bins:
    """Windows as the rows see them: features (n, bins, tracks), target and mask (n, bins)."""

    features: np.ndarray
    target: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, batches: Iterable[MapTrackBatch], window_bins: int) -> _Bins:
        parts = [_bins(batch, window_bins) for batch in batches]
        return cls(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("features", "target", "mask"))
        )


def _bins(batch: MapTrackBatch, window_bins: int) -> _Bins:
    """Of windows on the diagonal, whose two segments are one: the first of them."""
    assert batch.target is not None
    assert batch.target_mask is not None
    if not bool((batch.x == batch.y).all()):
        raise DataError(
            "expression is judged on windows on the diagonal, whose two segments are one; make the table "
            "around tss, or as a grid without a largest distance."
        )
    mask = batch.target_mask[:, :window_bins].numpy()
    target = np.where(mask, batch.target[:, :window_bins].double().numpy(), np.nan)
    return _Bins(bin_signal(batch, window_bins)[:, :window_bins], target, mask)


def evaluate_expression(
    out: str | Path,
    *,
    model: str | Path,
    store: StoreLike,
    windows: str | Path,
    trivial_store: StoreLike | None = None,
    trivial_windows: str | Path | None = None,
    seed: int = 0,
    config: EvaluateConfig | None = None,
) -> pd.DataFrame:
    """Score predicted expression and the trivial rows.

    Parameters and errors as in :func:`~chromweave.workflows.evaluate.evaluate`. Values are log2(mean + 1) of
    each bin. Metrics are those of :mod:`chromweave.evaluation.expression`: across all bins, each counted
    once, across genes (the bins at windows' centres), and with all values flattened as the paper does.
    The rows see the tracks that the model reads; a model of the map alone is held against all the stores
    share but the signal itself.
    """
    config = config or EvaluateConfig()
    opened = open_evaluation(
        "expression", model, store, windows, config, trivial_store, trivial_windows,
        contacts=False,
    )  # fmt: skip
    judged = _dataset(opened, opened.judged, config.split, contacts=reads_map(opened.model["mode"]))
    rows = _rival_rows(opened, config, seed)
    truth, said = _predicted(opened, judged, config)
    rivals = {name: row(truth.features) for name, row in rows.items()}
    measured = _measured(opened, truth, config)
    results = []
    for method, values in {"model": said, **rivals}.items():
        estimates = expression_estimates(measured, values, seed=seed)
        results += [Result.of("expression", method, name, one, seed=seed) for name, one in estimates.items()]
    for name, values in rivals.items():
        differences = expression_differences(measured, said, values, seed=seed)
        results += difference_rows("expression", name, differences, seed, _SHOWN)
    centre = opened.given.window_bins // 2
    figures: dict[str, Callable[[pd.DataFrame], Figure]] = {
        "": lambda table: evaluation_figure(_shown(table, rivals), trivial=TRIVIAL_EXPRESSION_ROWS),
        "genes": lambda table: expression_figure(
            truth.target[:, centre],
            said[:, centre],
            _shown(table, rivals),
            trivial=TRIVIAL_EXPRESSION_ROWS,
            metric="pearson_genes",
        ),
    }
    return write_evaluation(out, "expression", results, opened, config, figures)


def _shown(table: pd.DataFrame, rivals: Mapping[str, np.ndarray]) -> pd.DataFrame:
    return table[table["method"].isin(["model", *rivals]) & table["metric"].isin(_SHOWN)]


def _dataset(opened: Opened, rows: Rows, split: Split, *, contacts: bool) -> WindowDataset:
    target = str(opened.model["signal"])
    least = float(opened.model["least_known"])
    return opened.given.dataset(
        [rows.store], [rows.table], split, contacts=contacts, target=target, least_known=least
    )


def _rival_rows(
    opened: Opened, config: EvaluateConfig, seed: int
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Each trivial row as a function of features; none for a model that reads no tracks."""
    if not opened.given.transform.tracks:
        return {}
    dataset = _dataset(opened, opened.learning, "train", contacts=False)
    bins = opened.given.window_bins
    learned = _Bins.of(random_batches(dataset, config.most_training_windows, config.batch_size, seed), bins)
    fitted: Any = (PromoterAccessibility(), WindowMean(), BoostedTracks(seed=seed))
    return {
        name: row.fit(learned.features, learned.target, learned.mask).predict
        for name, row in zip(TRIVIAL_EXPRESSION_ROWS, fitted, strict=True)
    }


def _predicted(opened: Opened, judged: WindowDataset, config: EvaluateConfig) -> tuple[_Bins, np.ndarray]:
    """The windows, and the model's signal of each bin, mean of both segments, float64 (n, bins)."""
    bins = opened.given.window_bins
    parts, said = [], []
    for batch, prediction in predictions(opened.loaded.network, judged, config.batch_size):
        parts.append(batch)
        said.append(prediction.value.double().reshape(-1, 2, bins).mean(1).numpy())
    return _Bins.of(parts, bins), np.concatenate(said)


def _measured(opened: Opened, truth: _Bins, config: EvaluateConfig) -> ExpressionWindows:
    resolution, bins = opened.given.resolution, opened.given.window_bins
    table = opened.judged.table
    first = table["x"].to_numpy() // resolution - bins // 2
    return ExpressionWindows(
        truth.target,
        truth.mask,
        table["chrom"].to_numpy(),
        first[:, None] + np.arange(bins),
        max(config.block // resolution, 1),
    )
