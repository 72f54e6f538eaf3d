"""A model of expression beside accessibility and boosting on the tracks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batch import MapTrackBatch
from ..data.dataset import WindowDataset
from ..data.targets import LEAST_KNOWN
from ..errors import DataError, ModelError
from ..evaluation.expression import ExpressionWindows, expression_differences, expression_estimates
from ..evaluation.table import Result
from ..evaluation.trivial_expression import BoostedTracks, PromoterAccessibility, WindowMean
from ..plot.curves import evaluation_figure
from ..plot.scores import expression_figure
from ..progress import notify
from ..training.checkpoint import CONFIG
from .evaluation_rows import (
    EvaluateConfig,
    EvaluationRequest,
    Opened,
    Rows,
    difference_rows,
    open_evaluation,
    write_evaluation,
)
from .inference import TaskModel
from .model_input import Split
from .window_views import bin_signal, random_batches

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
    mask = batch.target_mask[:, :window_bins].numpy()
    target = np.where(mask, batch.target[:, :window_bins].double().numpy(), np.nan)
    return _Bins(bin_signal(batch, window_bins)[:, :window_bins], target, mask)


def evaluate_expression(out: str | Path, request: EvaluationRequest) -> pd.DataFrame:
    """Score predicted expression and the trivial rows.

    Request and errors as in :func:`~chromweave.workflows.evaluate.evaluate`. Values are log2(mean + 1) of
    each bin. Metrics are those of :mod:`chromweave.evaluation.expression`: across all bins, each counted
    once, across genes (the bins at windows' centres), and with all values flattened as the paper does.
    The rows see the tracks that the model reads; a model of the map alone is held against all the stores
    share but the signal itself.
    """
    config, seed = request.config, request.seed
    opened = open_evaluation("expression", request, contacts=False)
    _require_sense(opened, request)
    tracks = _trivial_tracks(opened)
    truth = _Bins.of(
        _batches(opened, opened.judged, config.split, tracks, config, seed), opened.given.window_bins
    )
    said = {name: _predicted(one, opened.judged, config) for name, one in opened.models.items()}
    rows = _rival_rows(opened, tracks, config, seed)
    said |= {name: row(truth.features) for name, row in rows.items()}
    measured = _measured(opened, truth, config)
    results = []
    for method, values in said.items():
        estimates = expression_estimates(measured, values, seed=seed)
        results += [Result.of("expression", method, name, one, seed=seed) for name, one in estimates.items()]
    for name, values in said.items():
        if name != "model":
            differences = expression_differences(measured, said["model"], values, seed=seed)
            results += difference_rows("expression", name, differences, seed, _SHOWN)
    centre = opened.given.window_bins // 2
    figures: dict[str, Callable[[pd.DataFrame], Figure]] = {
        "": lambda table: evaluation_figure(_shown(table, said), trivial=TRIVIAL_EXPRESSION_ROWS),
        "genes": lambda table: expression_figure(
            truth.target[:, centre],
            said["model"][:, centre],
            _shown(table, said),
            trivial=TRIVIAL_EXPRESSION_ROWS,
            metric="pearson_genes",
        ),
    }
    return write_evaluation(out, "expression", results, opened, config, figures)


def _require_sense(opened: Opened, request: EvaluationRequest) -> None:
    """One signal of all models, and windows whose two segments are one."""
    learned_from = request.trivial_windows or request.windows
    for source, rows in ((request.windows, opened.judged), (learned_from, opened.learning)):
        if (rows.table["x"] != rows.table["y"]).any():
            raise DataError(
                f"{source}: has windows off the diagonal; expression is judged on windows whose two segments "
                f"are one: make them around start sites, or as a grid without a largest distance."
            )
    for one in opened.models.values():
        if _signal(one) != _signal(opened.first):
            raise ModelError(
                f"{one.name}: predicts {_signal(one)}, and {opened.first.name} {_signal(opened.first)}; "
                f"evaluate them one by one."
            )


def _signal(one: TaskModel) -> str:
    """The track that a model predicts."""
    if "signal" not in one.model:
        raise ModelError(f"{one.name}: its {CONFIG} does not say which signal it predicts; it is damaged.")
    return str(one.model["signal"])


def _shown(table: pd.DataFrame, methods: Collection[str]) -> pd.DataFrame:
    return table[table["method"].isin(list(methods)) & table["metric"].isin(_SHOWN)]


def _trivial_tracks(opened: Opened) -> tuple[str, ...]:
    """What the trivial rows read: the model's tracks; of one without, all that the stores share."""
    own = opened.given.transform.tracks
    stores = [opened.judged.store, opened.learning.store]
    signal = _signal(opened.first)
    shared = [name for name in stores[0].track_names if name in stores[1].track_names and name != signal]
    if not own and not shared:
        notify(f"no trivial rows: {stores[0].path} has no track but {signal} for them to read.")
    return own or tuple(shared)


def _dataset(one: TaskModel, rows: Rows, split: Split, *, contacts: bool) -> WindowDataset:
    least = float(one.model.get("least_known", LEAST_KNOWN))
    return one.given.dataset(
        [rows.store], [rows.table], split, contacts=contacts, target=_signal(one), least_known=least
    )


def _batches(
    opened: Opened, rows: Rows, split: Split, tracks: tuple[str, ...], config: EvaluateConfig, seed: int
) -> Iterator[MapTrackBatch]:
    """Windows with the tracks of the trivial rows; of training windows, a part at most."""
    given = replace(opened.given, transform=replace(opened.given.transform, tracks=tracks))
    dataset = _dataset(replace(opened.first, given=given), rows, split, contacts=False)
    most = config.most_training_windows if split == "train" else len(dataset)
    return random_batches(dataset, most, config.batch_size, seed)


def _rival_rows(
    opened: Opened, tracks: tuple[str, ...], config: EvaluateConfig, seed: int
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Each trivial row, fitted, as a function of features; none where there are no tracks to read."""
    if not tracks:
        return {}
    bins = opened.given.window_bins
    learned = _Bins.of(_batches(opened, opened.learning, "train", tracks, config, seed), bins)
    fitted: Any = (PromoterAccessibility(), WindowMean(), BoostedTracks(seed=seed))
    return {
        name: row.fit(learned.features, learned.target, learned.mask).predict
        for name, row in zip(TRIVIAL_EXPRESSION_ROWS, fitted, strict=True)
    }


def _predicted(one: TaskModel, rows: Rows, config: EvaluateConfig) -> np.ndarray:
    """The model's signal of each bin, mean of both segments, float64 (n, bins)."""
    dataset = _dataset(one, rows, config.split, contacts=one.reads_map)
    said = [
        prediction.value.double().cpu().reshape(-1, 2, one.given.window_bins).mean(1).numpy()
        for _, prediction in one.answers(dataset, config.batch_size, f"predicting: {one.name}")
    ]
    return np.concatenate(said)


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
