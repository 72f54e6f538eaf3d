"""A loop model beside distance, one pixel, and boosting on both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DataError
from ..evaluation.bootstrap import BootstrapConfig, block_bootstrap, genome_blocks
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.classification import (
    at_fdr,
    at_threshold,
    auroc,
    average_precision,
    brier,
    calibration_curve,
)
from ..evaluation.strata import LOOP_DISTANCES, stratified_auroc
from ..evaluation.table import Result
from ..evaluation.trivial import fit_boosting, trivial_loop_scores
from ..plot.curves import calibration_figure, evaluation_figure, strata_figure
from ..progress import notify, track
from .evaluation_rows import (
    EvaluateConfig,
    EvaluationRequest,
    Opened,
    Rows,
    open_evaluation,
    write_evaluation,
)
from .loop_scores import score_windows
from .window_scores import scores_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["TRIVIAL_LOOP_ROWS", "evaluate_loops", "headline_scores"]

TRIVIAL_LOOP_ROWS = (
    "distance alone",
    "centre value",
    "centre O/E",
    "5x5 O/E",
    "boosting on distance + O/E",
)
"""Names of the rows that a model has to beat (`evaluation.md` rule 1)."""

_COLUMNS = dict(zip(TRIVIAL_LOOP_ROWS, ("distance", "centre", "centre_oe", "oe_5x5"), strict=False))
_NO_PROBABILITIES = TRIVIAL_LOOP_ROWS[:-1]
_SHOWN = ("auroc", "auroc_distance_matched", "average_precision")
_FDR = 0.05
_COMPLETE = "no masked bin"
_FEW_DRAWS = BootstrapConfig(draws=200)  # of the many strata


class _Metric(NamedTuple):
    """A metric of some columns of the scored windows: label, score, and distance in bins."""

    of: Callable[..., float]
    columns: tuple[str, ...] = ("label", "score")


def _f1(label: np.ndarray, probability: np.ndarray) -> float:
    return at_threshold(label, probability).f1


def _precision(label: np.ndarray, probability: np.ndarray) -> float:
    return at_threshold(label, probability).precision


def _recall(label: np.ndarray, probability: np.ndarray) -> float:
    return at_threshold(label, probability).recall


def _recall_at_fdr(label: np.ndarray, score: np.ndarray) -> float:
    return at_fdr(label, score, fdr=_FDR).recall


_RANKING = {
    "auroc": _Metric(auroc),
    "auroc_distance_matched": _Metric(stratified_auroc, ("label", "score", "distance")),
    "average_precision": _Metric(average_precision),
    f"recall_at_fdr_{_FDR}": _Metric(_recall_at_fdr),
}
_OF_PROBABILITIES = {
    "f1_at_0.5": _Metric(_f1),
    "precision_at_0.5": _Metric(_precision),
    "recall_at_0.5": _Metric(_recall),
    "brier": _Metric(brier),
    "calibration_error": _Metric(expected_calibration_error),
}


def evaluate_loops(out: str | Path, request: EvaluationRequest) -> pd.DataFrame:
    """Score a loop model and the trivial rows on held-out windows.

    Request and errors as in :func:`~chromweave.workflows.evaluate.evaluate`. Metrics: AUROC (pooled, in
    strata of distance, of windows without a masked bin, and within equal distances as
    ``auroc_distance_matched``), average precision, recall at an FDR of 5 %, and where there is a probability
    precision, recall and F1 at 0.5, Brier score and expected calibration error.
    """
    config, seed = request.config, request.seed
    opened = open_evaluation("loops", request)
    scores = _loop_scores(opened, config, seed, request.scores)
    methods = [name for name in (*opened.models, *request.scores, *TRIVIAL_LOOP_ROWS) if name in scores]
    results = [
        result
        for method in track(methods, "evaluating", unit="methods")
        for result in _results(scores, method, seed, config)
    ]
    results += _differences(scores, methods[1:], seed, config)
    figures: dict[str, Callable[[pd.DataFrame], Figure]] = {
        "": lambda table: evaluation_figure(_of_methods(table, methods, _SHOWN), trivial=TRIVIAL_LOOP_ROWS),
        "distances": lambda table: strata_figure(
            _of_methods(table[table["stratum"] != _COMPLETE], methods, ("auroc",)),
            "auroc",
            trivial=TRIVIAL_LOOP_ROWS,
        ),
        "calibration": lambda _: calibration_figure(_curves(scores, methods)),
    }
    return write_evaluation(out, "loops", results, opened, config, figures)


def headline_scores(table: pd.DataFrame) -> pd.DataFrame:
    """What a summary shows of an evaluation's table: ranking metrics over all windows, no differences."""
    plain = (table["stratum"] == "all") & ~table["method"].str.startswith("model - ")
    return table[plain & table["metric"].isin(_SHOWN)]


def _of_methods(table: pd.DataFrame, methods: list[str], metrics: tuple[str, ...]) -> pd.DataFrame:
    return table[table["method"].isin(methods) & table["metric"].isin(metrics)]


def _loop_scores(
    opened: Opened, config: EvaluateConfig, seed: int, given: Mapping[str, str | Path]
) -> pd.DataFrame:
    """Labelled windows with a column for each method: models', given tables' and the trivial rows' scores.

    A score that is missing (masked bins) becomes the lowest of its method: such a pixel would not be called.
    """
    import pandas as pd

    wanted, fitting = (_labelled(rows) for rows in (opened.judged, opened.learning))
    if wanted.table["label"].nunique() != 2:
        raise DataError(
            f"{opened.paths[1]}: of the split {config.split!r} {len(wanted.table):,} windows are labelled; "
            f"loops and negatives are both needed, so make windows around known loops."
        )
    trivial = _trivial(wanted)
    columns = {name: trivial[column] for name, column in _COLUMNS.items()}
    if fitting.table["label"].nunique() < 2:
        notify(f"no row {TRIVIAL_LOOP_ROWS[-1]!r}: no training windows of both loops and others.")
    else:
        boosted = fit_boosting(_trivial(fitting), fitting.table["label"].to_numpy(), seed=seed)
        columns[TRIVIAL_LOOP_ROWS[-1]] = pd.Series(boosted.predict(trivial), index=wanted.table.index)
    for name, one in opened.models.items():
        scored = score_windows(one.loaded, wanted.store, wanted.table, batch_size=config.batch_size)
        columns[name] = pd.Series(scored, index=wanted.table.index)
    for name, path in given.items():
        columns[name] = pd.Series(scores_of(path, wanted.table), index=wanted.table.index)
    filled = {name: values.fillna(values.min()).fillna(0.0) for name, values in columns.items()}
    distance = (wanted.table["y"] - wanted.table["x"]).rename("distance")
    complete = pd.Series(_complete(opened, wanted), index=wanted.table.index, name="complete")
    return pd.concat([wanted.table, distance, complete, pd.DataFrame(filled)], axis=1)


def _labelled(rows: Rows) -> Rows:
    table = rows.table[rows.table["label"].notna()]
    table.attrs = dict(rows.table.attrs)
    return Rows(rows.store, table)


def _trivial(rows: Rows) -> pd.DataFrame:
    import pandas as pd

    resolution = int(rows.table.attrs["resolution"])
    weight = rows.store.default_weight(resolution)
    parts = [
        trivial_loop_scores(rows.store.layer(str(chrom), resolution), here, weight)
        for chrom, here in rows.table.groupby("chrom", sort=False)
    ]
    return pd.concat(parts).loc[rows.table.index]


def _complete(opened: Opened, rows: Rows) -> np.ndarray:
    """Which windows have no masked bin: what no read can cover shows in maps and tracks alike."""
    half = opened.given.window_bins // 2
    resolution = opened.given.resolution
    complete = np.ones(len(rows.table), dtype=bool)
    for chrom in rows.table["chrom"].unique():
        valid = rows.store.layer(str(chrom), resolution).valid(rows.store.default_weight(resolution))
        masked = np.concatenate([[0], np.cumsum(~valid)])
        here = np.flatnonzero((rows.table["chrom"] == chrom).to_numpy())
        for side in ("x", "y"):
            anchor = rows.table[side].to_numpy()[here] // resolution
            complete[here] &= masked[np.minimum(anchor + half, len(valid))] == masked[anchor - half]
    return complete


def _results(scores: pd.DataFrame, method: str, seed: int, config: EvaluateConfig) -> list[Result]:
    """Every metric of one method over all windows, and its AUROC within strata."""
    metrics = _RANKING | (_OF_PROBABILITIES if _is_probability(scores, method) else {})
    found = [
        _result(scores, method, name, metric, "all", seed, config) for name, metric in metrics.items()
    ]  # fmt: skip
    for stratum, rows in _strata(scores).items():
        found.append(
            _result(scores[rows], method, "auroc", _RANKING["auroc"], stratum, seed, config, _FEW_DRAWS)
        )
    return found


def _is_probability(scores: pd.DataFrame, method: str) -> bool:
    return method not in _NO_PROBABILITIES and bool(scores[method].between(0, 1).all())


def _strata(scores: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """Windows by distance, and those without a masked bin; strata of fewer than ten windows are left out."""
    distance = scores["distance"].to_numpy()
    chosen = {_COMPLETE: scores["complete"].to_numpy()}
    for low, high in pairwise(LOOP_DISTANCES):
        name = f"{low // 1000} to {high // 1000} kb"
        below = distance <= high if high == LOOP_DISTANCES[-1] else distance < high
        chosen[name] = (distance >= low) & below
    return {name: rows for name, rows in chosen.items() if rows.sum() >= 10}


def _result(
    scores: pd.DataFrame,
    method: str,
    name: str,
    metric: _Metric,
    stratum: str,
    seed: int,
    config: EvaluateConfig,
    bootstrap: BootstrapConfig | None = None,
) -> Result:
    columns = {**scores, "score": scores[method]}
    samples = [np.asarray(columns[column], dtype=float) for column in metric.columns]
    estimate = block_bootstrap(metric.of, samples, _blocks(scores, config), seed=seed, config=bootstrap)
    return Result.of("loops", method, name, estimate, stratum=stratum, seed=seed)


def _blocks(scores: pd.DataFrame, config: EvaluateConfig) -> np.ndarray:
    return genome_blocks(scores["chrom"].to_numpy(), scores["x"].to_numpy(), config.block)


def _differences(scores: pd.DataFrame, rows: list[str], seed: int, config: EvaluateConfig) -> list[Result]:
    """The model less each trivial row, over the same resampled blocks."""
    blocks, found = _blocks(scores, config), []
    for row in rows:
        for name in _SHOWN:
            metric = _RANKING[name]
            more = [scores[column].to_numpy(dtype=float) for column in metric.columns[2:]]

            def difference(
                label: np.ndarray,
                one: np.ndarray,
                two: np.ndarray,
                *rest: np.ndarray,
                metric: _Metric = metric,
            ) -> float:
                return metric.of(label, one, *rest) - metric.of(label, two, *rest)

            samples = [scores[column].to_numpy(dtype=float) for column in ("label", "model", row)]
            estimate = block_bootstrap(difference, [*samples, *more], blocks, seed=seed)
            found.append(Result.of("loops", f"model - {row}", name, estimate, seed=seed))
    return found


def _curves(scores: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Observed frequency against probability, for `plot.curves.calibration_figure`."""
    import pandas as pd

    parts = []
    for method in methods:
        if _is_probability(scores, method):
            curve = calibration_curve(scores["label"].to_numpy(float), scores[method].to_numpy(float))
            parts.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "predicted": curve.predicted,
                        "observed": curve.observed,
                        "count": curve.n,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
