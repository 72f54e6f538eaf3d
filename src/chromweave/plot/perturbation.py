"""What an edit of the input does to a predicted map: before, after, their ratio, and the edited signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..genome import Interval
from .maps import Kind, MapScale, check_map, colour_bar, draw_tilted, map_reach, map_scale
from .predicted import name_triangle, shown_part, triangle_height
from .style import (
    GREEN,
    GREY,
    VERMILLION,
    WIDTH,
    distance_axis,
    finite,
    genomic_axis,
    new_figure,
    ratio_colours,
    say_nothing,
    styled,
)
from .tracks import SignalTrack, draw_edited_signal, label_outer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

__all__ = ["log2_ratio", "perturbation_figure"]

_LEAST_REACH = 0.1  # log2: an edit that changes nothing is a white triangle, not rounding in full colour


def log2_ratio(before: np.ndarray, after: np.ndarray, pseudocount: float = 0.0) -> np.ndarray:
    """log2((after + pseudocount) / (before + pseudocount)), float64; NaN where either is not above zero."""
    old, new = (np.asarray(each, np.float64) + pseudocount for each in (before, after))
    known = (old > 0) & (new > 0)
    ratio = np.full(old.shape, np.nan)
    ratio[known] = np.log2(new[known]) - np.log2(old[known])
    return ratio


@styled
def perturbation_figure(
    before: np.ndarray,
    after: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    edits: Sequence[Interval] = (),
    tracks_before: Sequence[SignalTrack] = (),
    tracks_after: Sequence[SignalTrack] = (),
    kind: Kind = "contacts",
    unit: str = "contacts",
    pseudocount: float = 0.0,
    max_distance: int | None = None,
    title: str = "",
) -> Figure:
    """Predicted maps before and after an edit, the log2 of their ratio, and the signals, edits marked in all.

    Parameters
    ----------
    before, after
        Predicted values, float (n, n), NaN where nothing is predicted.
    region
        What both cover.
    resolution
        Bin size, bp.
    edits
        The edited intervals: shaded along the signals, and in the maps under a V that holds every pixel with
        an edited anchor, or with anchors either side of the edit. Those outside the region are passed over.
    tracks_before, tracks_after
        The same signals in the same order: grey as they were, and in colour where the edit changed them.
    kind, unit
        As in :func:`chromweave.plot.predicted.prediction_figure`; both maps share one scale.
    pseudocount
        Added to both values before the ratio, so that pixels near zero do not fill the picture.
    max_distance
        Cuts the triangles, bp.
    title
        Written above; the region if not given.

    Raises
    ------
    DataError
        A matrix does not have the region's number of bins, or the signals before and after are not the same.
    """
    _check_tracks(tracks_before, tracks_after)
    for matrix in (before, after):
        check_map(matrix, region, resolution)
    reach = map_reach(before, resolution, max_distance)
    tall = 0.8 * triangle_height(region, reach)
    heights = [tall] * 3 + [0.55] * len(tracks_before)
    figure = new_figure(WIDTH, sum(heights) + 1.0)
    figure.get_layout_engine().set(hspace=0.02, h_pad=0.03)  # type: ignore[union-attr, call-arg]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[60, 1])
    first = figure.add_subplot(grid[0, 0])
    axes = [first] + [figure.add_subplot(grid[row, 0], sharex=first) for row in range(1, len(heights))]

    maps = np.stack([shown_part(matrix, resolution, reach) for matrix in (before, after)])
    both = map_scale(maps, kind)
    change = _ratio_scale(log2_ratio(maps[0], maps[1], pseudocount))
    scales = (*(both._replace(values=values) for values in both.values), change)
    meshes = [
        draw_tilted(ax, scale, region, resolution, reach) for ax, scale in zip(axes, scales, strict=False)
    ]
    for ax, scale, name in zip(axes, scales, ("before", "after", "after / before"), strict=False):
        _finish(ax, scale, name, region, reach)
    colour_bar(figure, meshes[0], unit, cax=figure.add_subplot(grid[:2, 1]))
    _ratio_bar(figure, meshes[2], figure.add_subplot(grid[2, 1]))

    for ax, old, new in zip(axes[3:], tracks_before, tracks_after, strict=True):
        draw_edited_signal(ax, old, new, region)
    for edit in edits:
        if edit.overlaps(region):
            _mark_edit(axes[:3], axes[3:], edit, region, reach)
    first.set_title(title or str(region))
    label_outer(axes)
    _legend(figure, tracks=bool(tracks_before), edits=any(edit.overlaps(region) for edit in edits))
    return figure


def _check_tracks(before: Sequence[SignalTrack], after: Sequence[SignalTrack]) -> None:
    names = [[track.name for track in tracks] for tracks in (before, after)]
    if names[0] != names[1]:
        raise DataError(
            f"the signals before an edit ({', '.join(names[0]) or 'none'}) and after it "
            f"({', '.join(names[1]) or 'none'}) must be the same, in the same order; give both in full."
        )


def _ratio_scale(ratio: np.ndarray) -> MapScale:
    """Blue where the edit takes away, red where it adds, as far down as up."""
    from matplotlib.colors import Normalize

    sizes = np.abs(finite(ratio))
    reach = max(_LEAST_REACH, float(np.quantile(sizes, 0.999))) if len(sizes) else 1.0
    return MapScale(ratio, Normalize(-reach, reach), ratio_colours())


def _finish(ax: Axes, scale: MapScale, name: str, region: Interval, reach: int) -> None:
    from matplotlib.ticker import MaxNLocator

    genomic_axis(ax, region)
    ax.set_ylim(0, reach)
    ax.set_ylabel("distance")
    ax.yaxis.set_major_locator(MaxNLocator(3, prune="upper"))
    distance_axis(ax, "y")
    name_triangle(ax, name)
    if not len(finite(scale.values)):
        say_nothing(ax, "no contacts")


def _ratio_bar(figure: Figure, mappable: ScalarMappable, cax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(mappable, cax=cax, label="log2 ratio", extend="both")
    bar.ax.yaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    bar.outline.set_linewidth(0.5)


def _mark_edit(
    maps: Sequence[Axes], signals: Sequence[Axes], edit: Interval, region: Interval, reach: int
) -> None:
    from matplotlib.patheffects import Normal, Stroke

    start, end = max(edit.start, region.start), min(edit.end, region.end)
    left, right = min(reach, start - region.start), min(reach, region.end - end)
    for ax in maps:
        ax.plot(
            [start - left / 2, start, end, end + right / 2],
            [left, 0, 0, right],
            color=GREEN,
            lw=1.0,
            ls=(0, (4, 3)),
            gid="edit",
            path_effects=[Stroke(linewidth=2.4, foreground="white"), Normal()],
        )
        ax.plot([start, end], [0, 0], color=GREEN, lw=4, solid_capstyle="butt", clip_on=False, gid="edited")
    for ax in signals:
        ax.axvspan(start, end, color=GREEN, alpha=0.2, lw=0, gid="edited")


def _legend(figure: Figure, *, tracks: bool, edits: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    if edits:
        handles.append(Line2D([], [], color=GREEN, lw=3, label="edited"))
    if tracks:
        handles += [
            Patch(color=GREY, label="signal before"),
            Line2D([], [], color=VERMILLION, lw=1.3, label="signal after, where changed"),
        ]
    if handles:
        figure.legend(handles=handles, loc="outside lower right", ncols=len(handles))
