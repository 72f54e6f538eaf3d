"""What runs along a chromosome: signal, compartments, insulation, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..genome import Interval
from .style import (
    COMPARTMENT_COLOURS,
    DARK,
    GREY,
    MISSING,
    SERIES,
    VERMILLION,
    WIDTH,
    compartment_colour,
    finite,
    genomic_axis,
    new_figure,
    say_nothing,
    styled,
    wrap,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SignalTrack",
    "draw_compartments",
    "draw_delta",
    "draw_edited_signal",
    "draw_eigenvector",
    "draw_insulation",
    "draw_signal",
    "eigenvector_figure",
    "tracks_figure",
]

_MOST_STEPS = 1600  # about twice the pixels across a page


@dataclass(frozen=True)
class SignalTrack:
    """A signal along a region.

    Parameters
    ----------
    name
        What it is called.
    mean
        Mean signal of each bin, float (n,); NaN where there is no data.
    start
        Where the first bin starts, bp.
    width
        Bin size, bp.
    unit
        Unit of the signal, written beside its name.
    """

    name: str
    mean: np.ndarray
    start: int
    width: int
    unit: str = ""


class _Steps(NamedTuple):
    """A function constant over steps: n + 1 edges in bp, n values."""

    edges: np.ndarray
    values: np.ndarray


def _steps(track: SignalTrack) -> _Steps:
    """The track's bins, joined to means over several where there are more than a picture can show."""
    values = np.asarray(track.mean, dtype=np.float64)
    group = max(1, -(-len(values) // _MOST_STEPS))
    padded = np.append(values, np.full(-len(values) % group, np.nan)).reshape(-1, group)
    known = np.isfinite(padded)
    count = known.sum(axis=1)
    mean = np.where(known, padded, 0).sum(axis=1) / np.maximum(count, 1)
    edges = track.start + np.arange(len(mean) + 1) * group * track.width
    return _Steps(edges, np.where(count > 0, mean, np.nan))


def _table_steps(table: pd.DataFrame, column: str) -> _Steps:
    """Rows of a table of touching bins; NaN stands between rows that do not touch."""
    start, end = (table[name].to_numpy(np.int64) for name in ("start", "end"))
    values = table[column].to_numpy(np.float64)
    holes = np.flatnonzero(start[1:] != end[:-1]) + 1
    edges = np.insert(start, holes, end[holes - 1])
    return _Steps(np.append(edges, end[-1:]), np.insert(values, holes, np.nan))


def _stairs(ax: Axes, steps: _Steps, colour: str, keep: np.ndarray | None = None) -> None:
    """Fill between zero and the steps; NaN (and steps not in `keep`) stay empty."""
    values = steps.values if keep is None else np.where(keep, steps.values, np.nan)
    if np.isfinite(values).any():
        ax.stairs(values, steps.edges, baseline=0, fill=True, color=colour, lw=0)


def _shade_missing(ax: Axes, steps: _Steps) -> None:
    """A thin grey band along the bottom wherever there is no data."""
    runs = _runs(~np.isfinite(steps.values))
    spans = [(steps.edges[lower], steps.edges[upper] - steps.edges[lower]) for lower, upper in runs]
    if spans:
        across = ax.get_xaxis_transform()
        ax.broken_barh(spans, (0, 0.08), transform=across, color=MISSING, lw=0, gid="missing")


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open runs of True."""
    flips = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in flips.reshape(-1, 2)]


def _side_label(ax: Axes, text: str) -> None:
    ax.set_ylabel(wrap(text, 18), rotation=0, ha="right", va="center")


def _two_ticks(ax: Axes, low: float, high: float) -> None:
    """Ticks at both ends only, their labels kept inside, so that stacked panels do not collide."""
    ax.set_ylim(low, high)
    ax.set_yticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
    bottom, top = ax.yaxis.get_majorticklabels()
    bottom.set_verticalalignment("bottom")
    top.set_verticalalignment("top")


@styled
def draw_signal(ax: Axes, track: SignalTrack, region: Interval, colour: str = DARK) -> None:
    """Draw a signal as filled steps from zero; where there is no data, a grey band along the bottom."""
    steps = _steps(track)
    shown = _inside(steps, region)
    _stairs(ax, steps, colour)
    if len(shown):
        _shade_missing(ax, steps)
    else:
        say_nothing(ax)
    _from_zero(ax, shown)
    genomic_axis(ax, region)
    _side_label(ax, _with_unit(track))


def _inside(steps: _Steps, region: Interval) -> np.ndarray:
    """The finite values that the region shows."""
    return finite(steps.values[(steps.edges[1:] > region.start) & (steps.edges[:-1] < region.end)])


def _from_zero(ax: Axes, shown: np.ndarray) -> None:
    """Limits that hold zero and every value shown."""
    low, high = (min(0.0, shown.min()), max(0.0, shown.max())) if len(shown) else (0.0, 1.0)
    _two_ticks(ax, low, high if high > low else low + 1.0)


def _with_unit(track: SignalTrack) -> str:
    return f"{track.name}\n({track.unit})" if track.unit else track.name


@styled
def draw_edited_signal(
    ax: Axes, before: SignalTrack, after: SignalTrack, region: Interval, colour: str = VERMILLION
) -> None:
    """Draw a signal as it was, filled grey, and its outline after an edit in `colour`, where they differ."""
    old, new = _steps(before), _steps(after)
    _stairs(ax, old, GREY)
    changed = new.values
    if len(old.values) == len(new.values) and np.array_equal(old.edges, new.edges):
        differs = ~np.isclose(old.values, new.values, equal_nan=True)
        near = differs | np.append(differs[1:], False) | np.append(False, differs[:-1])
        changed = np.where(near, new.values, np.nan)
    if np.isfinite(changed).any():
        ax.stairs(changed, new.edges, baseline=None, color=colour, lw=1.1, gid="after")
    shown = np.concatenate([_inside(old, region), _inside(new, region)])
    if not len(shown):
        say_nothing(ax)
    _from_zero(ax, shown)
    genomic_axis(ax, region)
    _side_label(ax, _with_unit(before))


@styled
def tracks_figure(
    tracks: Sequence[SignalTrack], region: Interval, *, compartments: pd.DataFrame | None = None
) -> Figure:
    """Signals of a region under one another, with a compartment strip on top where a table is given."""
    strip = compartments is not None
    figure = new_figure(WIDTH, 0.75 + 0.65 * len(tracks) + 0.3 * strip)
    rows = len(tracks) + strip
    axes = figure.subplots(
        rows, 1, sharex=True, squeeze=False, height_ratios=[0.3] * strip + [1] * len(tracks)
    )[:, 0]
    if compartments is not None:
        draw_compartments(axes[0], compartments, region)
    for ax, track, colour in zip(axes[strip:], tracks, _cycle(len(tracks)), strict=True):
        draw_signal(ax, track, region, colour)
    label_outer(axes)
    return figure


def _cycle(n: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(n)]


def label_outer(axes: Sequence[Axes] | np.ndarray) -> None:
    """Keep the genomic label and ticks on the lowest of stacked axes only."""
    for ax in axes[:-1]:
        ax.set_xlabel("")
        ax.tick_params(axis="x", labelbottom=False)


def _on(table: pd.DataFrame, region: Interval) -> pd.DataFrame:
    """Rows of a table of bins that overlap `region`, in order."""
    here = (table["chrom"] == region.chrom) & (table["start"] < region.end) & (table["end"] > region.start)
    return table[here].sort_values("start")


@styled
def draw_compartments(ax: Axes, table: pd.DataFrame, region: Interval) -> None:
    """Draw a strip of compartments (columns chrom, start, end, compartment): A vermillion, B blue, N grey."""
    here = _on(table, region)
    names = here["compartment"].astype(str)
    for name in dict.fromkeys(names):
        rows = here[names == name]
        spans = list(zip(rows["start"], rows["end"] - rows["start"], strict=True))
        ax.broken_barh(spans, (0, 1), facecolors=compartment_colour(name), lw=0, gid=f"compartment {name}")
    if here.empty:
        say_nothing(ax)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    genomic_axis(ax, region)
    _side_label(ax, "A/B")


@styled
def draw_eigenvector(ax: Axes, table: pd.DataFrame, region: Interval, name: str = "E1") -> None:
    """Draw E1 along a region (schema `COMPARTMENTS`), vermillion in A, blue in B, grey where masked."""
    here = _on(table, region)
    steps = _table_steps(here, "E1")
    with np.errstate(invalid="ignore"):
        positive = steps.values >= 0
    _stairs(ax, steps, COMPARTMENT_COLOURS["A"], positive)
    _stairs(ax, steps, COMPARTMENT_COLOURS["B"], ~positive)
    _symmetric(ax, steps)
    genomic_axis(ax, region)
    _side_label(ax, name)


def _symmetric(ax: Axes, steps: _Steps) -> None:
    """Limits as far below zero as above, a line at zero, missing bins marked."""
    shown = np.abs(finite(steps.values))
    reach = float(np.quantile(shown, 0.995)) if len(shown) else 0.0
    _two_ticks(ax, -(reach or 1.0), reach or 1.0)
    ax.axhline(0, color=GREY, lw=0.6, gid="zero")
    if len(shown):
        _shade_missing(ax, steps)
    else:
        say_nothing(ax)


@styled
def draw_insulation(ax: Axes, table: pd.DataFrame, region: Interval) -> None:
    """Draw an insulation score (schema `INSULATION`) as a line, boundaries as ticks along the bottom."""
    here = _on(table, region)
    middle = (here["start"] + here["end"]).to_numpy(np.float64) / 2
    score = here["log2_insulation_score"].to_numpy(np.float64)
    shown = finite(score)
    ax.plot(middle, score, color=DARK, lw=1.0, gid="insulation")
    boundary = middle[here["is_boundary"].to_numpy(bool)]
    ax.plot(
        boundary,
        np.full(len(boundary), 0.08),
        ls="",
        marker="|",
        ms=6,
        mew=1.4,
        color=VERMILLION,
        transform=ax.get_xaxis_transform(),
        gid="boundaries",
    )
    if not len(shown):
        say_nothing(ax)
    low, high = (shown.min(), shown.max()) if len(shown) else (-1.0, 1.0)
    pad = 0.15 * (high - low) or 1.0
    _two_ticks(ax, low - pad, high + pad / 3)
    genomic_axis(ax, region)
    _side_label(ax, "insulation\n(log2)")


@styled
def draw_delta(ax: Axes, table: pd.DataFrame, region: Interval, name: str = "difference") -> None:
    """Draw a difference between two conditions along a region.

    Parameters
    ----------
    ax
        Axes to draw into.
    table
        Columns chrom, start, end, delta (NaN where either is masked) and, optionally, shifted (bool): bins
        called different, drawn dark among the grey of the others.
    region
        What is shown.
    name
        What the difference is.
    """
    here = _on(table, region)
    steps = _table_steps(here, "delta")
    _stairs(ax, steps, MISSING)
    if "shifted" in here.columns and len(here):
        shifted = _table_steps(here.assign(shifted=here["shifted"].astype(float)), "shifted").values
        _stairs(ax, steps, DARK, shifted == 1)
    _symmetric(ax, steps)
    genomic_axis(ax, region)
    _side_label(ax, name)


@styled
def eigenvector_figure(
    tables: Mapping[str, pd.DataFrame], region: Interval, *, delta: pd.DataFrame | None = None
) -> Figure:
    """E1 of each sample under one another, and their difference (as :func:`draw_delta`) at the bottom."""
    rows = len(tables) + (delta is not None)
    figure = new_figure(WIDTH, 0.9 + 0.85 * rows)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, table) in zip(axes, tables.items(), strict=False):
        draw_eigenvector(ax, table, region, f"{name}\nE1")
    if delta is not None:
        draw_delta(axes[-1], delta, region)
    label_outer(axes)
    _compartment_legend(figure, shifted=delta is not None and "shifted" in delta.columns)
    return figure


def _compartment_legend(figure: Figure, *, shifted: bool) -> None:
    from matplotlib.patches import Patch

    entries = {"A": COMPARTMENT_COLOURS["A"], "B": COMPARTMENT_COLOURS["B"], "masked": MISSING}
    handles = [Patch(color=colour, label=label) for label, colour in entries.items()]
    if shifted:
        handles.append(Patch(color=DARK, label="shifted bins"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
