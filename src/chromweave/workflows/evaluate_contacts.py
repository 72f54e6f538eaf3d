"""A model that predicts contact maps beside the mean at each distance and the nearest training window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..batch import MapTrackBatch
from ..data.dataset import WindowDataset
from ..evaluation.bootstrap import Estimate
from ..evaluation.table import Result
from ..evaluation.trivial import distance_grid
from ..evaluation.trivial_contacts import DistanceMeanMaps, NearestWindowMaps, TrackVisibility
from ..evaluation.windows import MapScoreConfig, WindowMapScores, paired_differences
from ..genome import summarise
from ..plot.curves import evaluation_figure
from ..plot.scores import contacts_figure
from ..progress import notify
from ..training.checkpoint import CONFIG
from .contact_scale import ContactScale
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

__all__ = ["SAME_PLACE", "TRIVIAL_CONTACT_ROWS", "evaluate_contacts"]

TRIVIAL_CONTACT_ROWS = (
    "per-distance mean",
    "per-distance mean x visibility",
    "nearest training window",
)
"""Names of the rows that a model has to beat (`evaluation.md` rule 1)."""

SAME_PLACE = "same place, training line"
"""Another row, where the trivial rows learn from another cell line: that line's map of the same window."""

_SHOWN = ("scc", "log_oe_pearson", "insulation", "pearson", "r2")


@dataclass(frozen=True)
class _Windows:
    """A batch of windows as the rows see them: truth, mask, distance, and what tracks say of each bin."""

    truth: np.ndarray
    mask: np.ndarray
    distance: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class _TrivialRows:
    """The trivial rows, fitted."""

    mean: DistanceMeanMaps
    visible: DistanceMeanMaps
    visibility: TrackVisibility
    nearest: NearestWindowMaps

    @classmethod
    def learned(cls, dataset: WindowDataset, config: EvaluateConfig, seed: int) -> _TrivialRows:
        mean, visible, nearest = DistanceMeanMaps(), DistanceMeanMaps(), NearestWindowMaps()
        batches = random_batches(dataset, config.most_training_windows, config.batch_size, seed)
        parts = [_seen(batch, dataset) for batch in batches]
        for part in parts:
            mean.fit(part.features, part.truth, part.mask, part.distance)
            nearest.fit(part.features, part.truth, part.mask, part.distance)
        visibility = TrackVisibility(mean)
        for part in parts:
            visibility.fit(part.features, part.truth, part.mask, part.distance)
        for part in parts:
            seen = visibility.predict(part.features)
            visible.fit(part.features, part.truth, part.mask, part.distance, seen)
        return cls(mean, visible, visibility, nearest)

    def predict(self, windows: _Windows) -> dict[str, np.ndarray]:
        seen = self.visibility.predict(windows.features)
        rows = (
            self.mean.predict(windows.features, windows.distance),
            self.visible.predict(windows.features, windows.distance, seen),
            self.nearest.predict(windows.features, windows.distance),
        )
        return dict(zip(TRIVIAL_CONTACT_ROWS, rows, strict=True))


def evaluate_contacts(out: str | Path, request: EvaluationRequest) -> pd.DataFrame:
    """Score predicted windows of the contact map and the trivial rows.

    Request and errors as in :func:`~chromweave.workflows.evaluate.evaluate`. Truth and predictions are
    balanced contacts on the scale of counts; metrics are those of
    :class:`~chromweave.evaluation.windows.WindowMapScores`, and Pearson correlation at each distance as
    ``pearson`` in the strata ``N bins``. A visibility that balanced maps could have is one that tracks tell:
    a linear function of each bin's signal, learned on training windows.
    """
    config, seed = request.config, request.seed
    opened = open_evaluation("contacts", request)
    rows = _TrivialRows.learned(_dataset(opened.first, opened.learning, "train"), config, seed)
    scores = _scored(opened, rows, _same_place(opened), config)
    blocks = opened.judged.blocks(config.block)
    results = []
    for method, of in scores.items():
        results += _results(method, of.estimates(blocks, seed), seed)
        results += _curve(method, of, seed)
    for row in [name for name in scores if name != "model"]:
        differences = paired_differences(scores["model"], scores[row], blocks, seed)
        results += difference_rows("contacts", row, differences, seed, _SHOWN)
    figures: dict[str, Callable[[pd.DataFrame], Figure]] = {
        "": lambda table: evaluation_figure(_shown(table, tuple(scores)), trivial=_trivial_names(scores)),
        "distances": lambda table: contacts_figure(
            _distances(table, tuple(scores), opened.given.resolution), trivial=_trivial_names(scores)
        ),
    }
    return write_evaluation(out, "contacts", results, opened, config, figures)


def _trivial_names(scores: Mapping[str, WindowMapScores]) -> tuple[str, ...]:
    return tuple(name for name in scores if name in (*TRIVIAL_CONTACT_ROWS, SAME_PLACE))


def _shown(table: pd.DataFrame, methods: tuple[str, ...]) -> pd.DataFrame:
    return table[table["method"].isin(methods) & table["metric"].isin(_SHOWN) & (table["stratum"] == "all")]


def _distances(table: pd.DataFrame, methods: tuple[str, ...], resolution: int) -> pd.DataFrame:
    import pandas as pd

    rows = table[table["method"].isin(methods) & (table["metric"] == "pearson") & (table["stratum"] != "all")]
    distance = rows["stratum"].str.removesuffix(" bins").astype(int) * resolution
    return pd.DataFrame({"method": rows["method"], "distance_bp": distance, "pearson": rows["value"]})


def _dataset(one: TaskModel, rows: Rows, split: Split) -> WindowDataset:
    """Windows with linear contacts and the model's tracks."""
    given = one.given
    linear = replace(given, transform=replace(given.transform, contacts="linear"))
    return linear.dataset([rows.store], [rows.table], split)


def _seen(batch: MapTrackBatch, dataset: WindowDataset) -> _Windows:
    distance = distance_grid(batch.x.numpy(), batch.y.numpy(), dataset.window_bins)
    return _Windows(
        batch.contact_map[:, 0].double().numpy(),
        batch.contact_mask[:, 0].numpy(),
        distance,
        bin_signal(batch, dataset.window_bins),
    )


def _same_place(opened: Opened) -> WindowDataset | None:
    """The judged windows, cut from the store that the trivial rows learn from.

    None if that is the truth, or lacks a chromosome of theirs.
    """
    judged, learning = (
        rows.store.layer_sha256(opened.given.resolution) for rows in (opened.judged, opened.learning)
    )
    if judged == learning:
        return None
    other, judged_on = opened.learning.store, opened.judged.table["chrom"].unique()
    if missing := [str(chrom) for chrom in judged_on if chrom not in other.chromosomes]:
        notify(
            f"{other.path}: lacks {summarise(missing)}, where windows are judged: the row {SAME_PLACE!r} is "
            "left out."
        )
        return None
    given = replace(opened.given, transform=replace(opened.given.transform, contacts="linear"))
    return given.dataset([other], [opened.judged.table], "predict")


def _scored(
    opened: Opened,
    rows: _TrivialRows,
    same: WindowDataset | None,
    config: EvaluateConfig,
) -> dict[str, WindowMapScores]:
    dataset = _dataset(opened.first, opened.judged, config.split)
    bins = opened.given.window_bins
    settings = MapScoreConfig(insulation_width=10 if bins >= 21 else None)
    names = (*opened.models, *TRIVIAL_CONTACT_ROWS, *([SAME_PLACE] if same is not None else []))
    scores = {name: WindowMapScores(settings) for name in names}
    first = 0
    said = [_predicted(one, opened.judged, config) for one in opened.models.values()]
    for several in zip(*said, strict=True):
        batch = several[0].batch
        windows = _seen(batch, dataset)
        rivals = rows.predict(windows)
        if same is not None:
            other = _seen(same.batch(range(first, first + len(batch))), same)
            rivals[SAME_PLACE] = np.where(other.mask, other.truth, rivals[TRIVIAL_CONTACT_ROWS[0]])
        first += len(batch)
        predicted = dict(zip(opened.models, (one.contacts for one in several), strict=True))
        for name, prediction in {**predicted, **rivals}.items():
            scores[name].add(windows.truth, prediction, windows.mask, windows.distance)
    return scores


class _Predicted(NamedTuple):
    """Windows, and a model's contacts of them, float64 (n, bins, bins)."""

    batch: MapTrackBatch
    contacts: np.ndarray


def _predicted(one: TaskModel, rows: Rows, config: EvaluateConfig) -> Iterator[_Predicted]:
    scale = ContactScale.of(one.model, one.given.transform, f"{one.name}: {CONFIG}")
    dataset = _dataset(one, rows, config.split)
    for batch, said in one.answers(dataset, config.batch_size, f"predicting contacts: {one.name}"):
        value = said.value[:, 0].double().cpu().numpy()
        yield _Predicted(batch, scale.windows(value, batch.x.numpy(), batch.y.numpy()))


def _results(method: str, estimates: Mapping[str, Estimate], seed: int) -> list[Result]:
    return [Result.of("contacts", method, name, one, seed=seed) for name, one in estimates.items()]


def _curve(method: str, scores: WindowMapScores, seed: int) -> list[Result]:
    curve = scores.by_distance()
    return [
        Result("contacts", method, "pearson", float(value), f"{distance} bins", n=int(n), seed=seed)
        for distance, value, n in zip(curve.distance, curve.value, curve.n, strict=True)
    ]
