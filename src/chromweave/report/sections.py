"""The parts of a report, each built from plain arrays and tables; what a run lacks is simply not built.

`notes` are the caller's own paragraphs, shown after the ones that explain the pictures.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..genome import Interval
from ..plot.browser import browser_figure
from ..plot.curves import (
    calibration_figure,
    decay_figure,
    evaluation_figure,
    pooled,
    strata_figure,
    training_figure,
)
from ..plot.embeddings import embedding_figure, switches_figure
from ..plot.maps import Kind, map_figure, pileup_figure
from ..plot.saddle import saddle_figure
from ..plot.style import format_bp
from ..plot.tracks import SignalTrack, eigenvector_figure
from .page import Cell, Figure, Link, Section, Table, figure_from, table_from

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Peaks",
    "View",
    "comparison_section",
    "compartments_section",
    "embedding_section",
    "evaluation_section",
    "files_section",
    "loops_section",
    "map_section",
    "pretraining_section",
    "tracks_section",
    "training_section",
]


@dataclass(frozen=True, kw_only=True)
class View:
    """A region and what is known of it.

    Parameters
    ----------
    name
        Cell line or sample.
    region
        Where.
    resolution
        Bin size of the matrix, bp.
    matrix
        Contacts or observed/expected, float (n, n), NaN where masked; its first bin starts at the region's.
    kind, unit
        How the matrix is coloured, and what its values are.
    max_distance
        Height of the triangle, bp; None for all of it.
    tracks
        Signals along the region.
    calls, truth
        BEDPE tables of called and of known loops.
    compartments, insulation
        Tables of the schemas `COMPARTMENTS` and `INSULATION`.
    """

    name: str
    region: Interval
    resolution: int
    matrix: np.ndarray
    kind: Kind = "contacts"
    unit: str = "contacts"
    max_distance: int | None = None
    tracks: Sequence[SignalTrack] = ()
    calls: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None
    compartments: pd.DataFrame | None = None
    insulation: pd.DataFrame | None = None


@dataclass(frozen=True)
class Peaks:
    """An aggregate peak and its control: mean observed/expected (2f + 1, 2f + 1), scores, loops piled up."""

    loops: np.ndarray
    control: np.ndarray
    score: float
    control_score: float
    count: int
    resolution: int


def map_section(view: View, *, decay: pd.DataFrame | None = None, notes: Sequence[str] = ()) -> Section:
    """The square map with its loops, and P(s) where `decay` (sample, distance, value) is given."""
    caption = (
        f"Contact map of {view.name}, {view.region}, bins of {format_bp(view.resolution)}, "
        "logarithmic colours; bins without data are grey."
    )
    if view.calls is not None:
        caption += " Circles above the diagonal: called loops."
    if view.truth is not None:
        caption += " Squares below it: known loops."
    picture = map_figure(
        view.matrix,
        view.region,
        view.resolution,
        kind=view.kind,
        unit=view.unit,
        calls=view.calls,
        truth=view.truth,
    )
    figures = [figure_from(picture, caption)]
    if decay is not None:
        figures.append(
            figure_from(decay_figure(decay), "Contacts against genomic distance, P(s).", kind="svg")
        )
    return Section("Contact map", "map", tuple(notes), tuple(figures))


def tracks_section(views: Sequence[View], *, notes: Sequence[str] = ()) -> Section:
    """Each view's map as a triangle over its compartments, insulation and tracks."""
    prose = (
        "The map is turned by 45 degrees, so that all panels share one genomic axis. A grey band along the "
        "bottom of a signal marks bins without data, which is not the same as no signal.",
        *notes,
    )
    figures = []
    for view in views:
        picture = browser_figure(
            view.matrix,
            view.region,
            view.resolution,
            max_distance=view.max_distance,
            kind=view.kind,
            unit=view.unit,
            tracks=view.tracks,
            calls=view.calls,
            truth=view.truth,
            compartments=view.compartments,
            insulation=view.insulation,
            title=f"{view.name}, {view.region}",
        )
        shown = [track.name for track in view.tracks]
        listed = f" over {', '.join(shown)}" if shown else ""
        caption = f"{view.name}, {view.region}: contacts in bins of {format_bp(view.resolution)}{listed}."
        figures.append(figure_from(picture, caption))
    return Section("Map and tracks", "tracks", prose, tuple(figures))


def loops_section(
    calls: pd.DataFrame,
    *,
    peaks: Peaks | None = None,
    scores: pd.DataFrame | None = None,
    trivial: Collection[str] = (),
    calibration: pd.DataFrame | None = None,
    most: int = 15,
    notes: Sequence[str] = (),
) -> Section:
    """Called loops: how many, their aggregate peak, their scores beside the trivial rules, and the list.

    Parameters
    ----------
    calls
        Schema `LOOPS`, best first.
    peaks
        Aggregate peak analysis of the calls.
    scores, trivial
        As :func:`chromweave.plot.curves.evaluation_figure`.
    calibration
        As :func:`chromweave.plot.curves.calibration_figure`.
    most
        Rows of the list.
    notes
        Further paragraphs.
    """
    figures: list[Figure] = []
    if peaks is not None:
        figures.append(_peaks_figure(peaks))
    tables = []
    if scores is not None:
        figures += _scores_figures(scores, trivial)
        tables.append(_scores_table(scores, trivial))
    if calibration is not None:
        caption = "Calibration: on the dotted line, a probability means what it says."
        figures.append(figure_from(calibration_figure(calibration), caption, kind="svg"))
    wanted = ("chrom1", "start1", "end1", "start2", "end2", "probability", "observed", "oe", "distance")
    listed = [name for name in wanted if name in calls.columns]
    tables.append(table_from(calls, "Called loops", columns=listed, most=most))
    return Section("Loops", "loops", (_count_loops(calls), *notes), tuple(figures), tuple(tables))


def _count_loops(calls: pd.DataFrame) -> str:
    if not len(calls):
        return "No loop was called."
    distance = (calls["start2"] - calls["start1"]).abs()
    number = "1 loop was" if len(calls) == 1 else f"{len(calls):,} loops were"
    return f"{number} called; the median distance between anchors is {format_bp(float(distance.median()))}."


def _peaks_figure(peaks: Peaks) -> Figure:
    picture = pileup_figure(
        peaks.loops,
        peaks.control,
        peaks.resolution,
        score=peaks.score,
        control_score=peaks.control_score,
        count=peaks.count,
    )
    caption = (
        f"Aggregate peak analysis of {peaks.count:,} loops: mean observed / expected around the loops, and "
        "around the same positions shifted along the diagonal, where no peak should be."
    )
    return figure_from(picture, caption)


def _scores_figures(scores: pd.DataFrame, trivial: Collection[str]) -> list[Figure]:
    caption = "Scores on held-out data, with intervals where there are any."
    if trivial:
        caption += (
            " Grey squares are trivial rules: a model that does not beat them has learned nothing more."
        )
    figures = [figure_from(evaluation_figure(scores, trivial=trivial), caption, kind="svg")]
    for metric in _stratified(scores):
        picture = strata_figure(scores, metric, trivial=trivial)
        figures.append(figure_from(picture, f"{metric} within each stratum.", kind="svg"))
    return figures


def _stratified(scores: pd.DataFrame) -> list[str]:
    """The metrics that were also measured within strata."""
    if "stratum" not in scores.columns:
        return []
    return list(dict.fromkeys(scores.loc[scores["stratum"] != "all", "metric"].astype(str)))


def _scores_table(scores: pd.DataFrame, trivial: Collection[str]) -> Table:
    """Methods down, metrics across: value, and its interval in brackets; several seeds stand side by side."""
    scores = pooled(scores)
    metrics = list(dict.fromkeys(scores["metric"].astype(str)))
    cells: dict[str, dict[str, str]] = {}
    for row in scores.to_dict("records"):
        text = f"{row['value']:.3f}"
        low, high = row.get("low", np.nan), row.get("high", np.nan)
        if np.isfinite([low, high]).all():
            text += f" [{low:.3f}, {high:.3f}]"
        cell = cells.setdefault(str(row["method"]), {})
        metric = str(row["metric"])
        cell[metric] = f"{cell[metric]}; {text}" if metric in cell else text
    rows = tuple(
        (name, "trivial rule" if name in trivial else "model", *(of.get(metric) for metric in metrics))
        for name, of in cells.items()
    )
    return Table("The same as numbers", ("method", "kind", *metrics), rows)


def training_section(runs: Mapping[str, pd.DataFrame], *, notes: Sequence[str] = ()) -> Section:
    """The curves of each training run: name -> its metrics (step, epoch, split, metric, value)."""
    figures = tuple(
        figure_from(training_figure(metrics, title=name), f"Training of {name}.", kind="svg")
        for name, metrics in runs.items()
    )
    prose = ("Solid: training data. Dashed: validation data, never trained on.", *notes)
    return Section("Training", "training", prose if figures else tuple(notes), figures)


_LEARNED = {
    "retrieval_top1": "retrieval, top 1",
    "retrieval_top5": "retrieval, top 5",
    "mapping_cosine": "mapping cosine",
    "alignment": "alignment (lower is better)",
    "uniformity": "uniformity (lower is better)",
    "orthogonal": "orthogonality (0 is best)",
}
_OPTIMISED = {
    "loss": "loss",
    "contrastive": "contrastive loss",
    "mapping": "mapping loss",
    "orthogonal": "orthogonal loss",
    "temperature": "temperature",
}


def pretraining_section(
    metrics: pd.DataFrame,
    *,
    title: str = "Pre-training",
    anchor: str = "pretraining",
    notes: Sequence[str] = (),
) -> Section:
    """What pre-training learned: retrieval beside chance, alignment and uniformity, and the losses.

    Parameters
    ----------
    metrics
        A run's metrics (step, epoch, split, metric, value), epochs from 1.
    title, anchor
        Heading, and name in the page's address.
    notes
        Further paragraphs.
    """
    valid = metrics[(metrics["split"].astype(str) == "valid") & metrics["value"].notna()]
    chance = _retrieval_chance(valid)
    figures: list[Figure] = []
    if valid["metric"].isin(_LEARNED).any():
        caption = (
            "Validation windows after each epoch. Retrieval: how often a window's own tracks are the nearest "
            "to its map (top 1), or among the nearest five (top 5), of all validation windows, and the other "
            "way round; the dotted line is chance. Mapping cosine: of inferred and true tokens. "
            "Orthogonality: overlap of what a modality shares with the other and what it keeps to itself."
        )
        picture = training_figure(valid, title="what was learned", names=_LEARNED, chance=chance)
        figures.append(figure_from(picture, caption, kind="svg"))
    if metrics["metric"].isin(_OPTIMISED).any():
        picture = training_figure(metrics, title="what was optimised", names=_OPTIMISED)
        caption = "The loss and its terms. Solid: training data. Dashed: validation data, never trained on."
        figures.append(figure_from(picture, caption, kind="svg"))
    tables = (_learned_table(valid, chance),) if len(valid) else ()
    prose = (
        "A low loss alone says little: where every window looks alike to the model, terms of it fall all the "
        "same, and retrieval stays at chance. Alignment is the mean squared distance of a map and its own "
        "tracks, uniformity how evenly windows spread over the sphere; a model that made all windows alike "
        "would be well aligned and not uniform (0).",
        *(() if len(valid) else ("There was no validation: nothing is known of held-out windows.",)),
        *notes,
    )
    return Section(title, anchor, prose if figures else tuple(notes), tuple(figures), tables)


def _retrieval_chance(valid: pd.DataFrame) -> dict[str, float]:
    """What guessing would give, by the latest validation."""
    known = valid.loc[valid["metric"].astype(str) == "retrieval_chance", "value"]
    if known.empty:
        return {}
    one = float(known.iloc[-1])
    return {"retrieval_top1": one, "retrieval_top5": min(1.0, 5 * one)}


def _learned_table(valid: pd.DataFrame, chance: Mapping[str, float]) -> Table:
    """Each validation score after the first, the best and the last epoch, beside chance."""
    wide = valid.pivot_table(index="epoch", columns="metric", values="value", aggfunc="last", observed=True)
    best = wide["loss"].idxmin() if "loss" in wide else wide.index[-1]
    columns = {
        "after the first epoch": wide.iloc[0],
        f"of the kept epoch {best:g}": wide.loc[best],
        "after the last epoch": wide.iloc[-1],
    }
    rows: list[tuple[Cell, ...]] = []
    for name, meaning in {"loss": "loss", **_LEARNED}.items():
        if name not in wide:
            continue
        values = [float(column[name]) for column in columns.values()]
        expected = chance.get(name, np.nan)
        times = values[1] / expected
        rows.append((meaning, *map(_short, (*values, expected)), f"{times:.1f}" if times >= 0 else None))
    caption = "Scores on validation windows; the epoch with the lowest loss is kept."
    return Table(caption, ("score", *columns, "chance", "times chance"), tuple(rows))


def _short(value: float) -> str | None:
    return f"{value:.4g}" if np.isfinite(value) else None


def compartments_section(
    tables: Mapping[str, pd.DataFrame],
    region: Interval,
    *,
    saddles: Mapping[str, np.ndarray] | None = None,
    notes: Sequence[str] = (),
) -> Section:
    """E1 of each sample along a region, saddles, and how many bins each compartment has.

    Parameters
    ----------
    tables
        Sample -> table of the schema `COMPARTMENTS`.
    region
        What is drawn; counts are of the whole tables.
    saddles
        Sample -> saddle, float (q, q).
    notes
        Further paragraphs.
    """
    caption = f"First eigenvector along {region}: A is vermillion, B is blue, masked bins are grey."
    figures = [figure_from(eigenvector_figure(tables, region), caption)]
    for name, saddle in (saddles or {}).items():
        caption = f"Saddle of {name}: contacts between bins ordered by E1."
        figures.append(figure_from(saddle_figure(saddle, title=name), caption))
    rows: list[tuple[Cell, ...]] = []
    for name, table in tables.items():
        letters = table["compartment"].astype(str).str[:1]
        counts = [int((letters == letter).sum()) for letter in "ABN"]
        called = counts[0] + counts[1]
        rows.append((name, *counts, counts[0] / called if called else None))
    counted = Table("Bins in each compartment", ("sample", "A", "B", "masked", "share of A"), tuple(rows))
    return Section("Compartments", "compartments", tuple(notes), tuple(figures), (counted,))


def embedding_section(
    coordinates: np.ndarray,
    bins: pd.DataFrame,
    *,
    colour_by: Sequence[str] = ("compartment", "position"),
    method: str = "UMAP",
    notes: Sequence[str] = (),
) -> Section:
    """Bins in the plane, float (n, 2), coloured by columns of `bins`, one row per point (AnnData's `obs`)."""
    picture = embedding_figure(coordinates, bins, colour_by, method=method)
    caption = f"{method} of the embedding of {len(bins):,} bins, coloured by {', '.join(colour_by)}."
    prose = (
        f"Each point is a bin. {method} keeps neighbours together; distances between far groups, and the "
        "directions of its axes, mean nothing.",
        *notes,
    )
    return Section("Embedding", "embedding", prose, (figure_from(picture, caption),))


def comparison_section(
    tables: Mapping[str, pd.DataFrame],
    region: Interval,
    *,
    delta: pd.DataFrame,
    switches: pd.DataFrame | None = None,
    shifted: pd.DataFrame | None = None,
    most: int = 15,
    notes: Sequence[str] = (),
) -> Section:
    """Two samples compared: their E1, the difference along the region, switches, and the bins that shifted.

    Parameters
    ----------
    tables
        First and second sample -> table of the schema `COMPARTMENTS`.
    region
        What is drawn.
    delta
        Columns chrom, start, end, delta and, optionally, shifted (bool).
    switches
        Schema `SWITCHES`.
    shifted
        The bins that differ most, best first, any columns.
    most
        Rows of their list.
    notes
        Further paragraphs.
    """
    names = list(tables)
    caption = f"{' and '.join(names)} along {region}, and their difference at the bottom."
    figures = [figure_from(eigenvector_figure(tables, region, delta=delta), caption)]
    if switches is not None and len(switches):
        first, second = (*names, "first", "second")[:2]
        picture = switches_figure(switches, first=first, second=second)
        caption = f"Compartments of {first} (rows) against {second} (columns): number of bins"
        caption += " (and expected by chance)." if "expected" in switches.columns else "."
        figures.append(figure_from(picture, caption, kind="svg"))
    listed = () if shifted is None else (table_from(shifted, "Bins that differ most", most=most),)
    return Section("Comparison", "comparison", tuple(notes), tuple(figures), listed)


def evaluation_section(
    scores: pd.DataFrame,
    *,
    trivial: Collection[str] = (),
    title: str = "Evaluation",
    anchor: str = "evaluation",
    notes: Sequence[str] = (),
) -> Section:
    """Scores of methods (method, metric, value, low, high, stratum) as figures and as numbers."""
    figures = tuple(_scores_figures(scores, trivial))
    return Section(title, anchor, tuple(notes), figures, (_scores_table(scores, trivial),))


def files_section(files: Mapping[str | Path, str], page: str | Path) -> Section:
    """Where each file is: path -> what it is, linked relative to the page's own folder.

    A path that does not exist is named without a link.
    """
    rows: list[tuple[Cell, ...]] = []
    for path, meaning in files.items():
        relative = Path(os.path.relpath(path, Path(page).parent)).as_posix()
        # "./": a file called "a:b" is no address of scheme "a".
        rows.append((Link(relative, f"./{relative}") if Path(path).exists() else relative, meaning))
    table = Table("Paths are relative to this page.", ("file", "what it is"), tuple(rows))
    return Section("Files", "files", (), (), (table,) if rows else ())
