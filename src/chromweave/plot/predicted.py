"""A predicted map below the measured one, mirrored at the genomic axis, with the signals it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..genome import Interval
from .maps import Kind, check_map, colour_bar, draw_tilted, map_reach, map_scale
from .style import DARK, SERIES, WIDTH, distance_axis, finite, format_bp, genomic_axis, new_figure, styled
from .tracks import SignalTrack, draw_signal, label_outer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

__all__ = ["draw_two_triangles", "prediction_figure"]


class _Half(NamedTuple):
    """One of two triangles: its values, what it is called, and whether its apex is below."""

    matrix: np.ndarray
    name: str
    down: bool


def shown_part(matrix: np.ndarray, resolution: int, reach: int) -> np.ndarray:
    """`matrix` as float64, NaN beyond `reach` bp from the diagonal, which no picture shows."""
    values = np.array(matrix, dtype=np.float64)
    bins = np.arange(len(values))
    values[np.abs(np.subtract.outer(bins, bins)) * resolution > reach] = np.nan
    return values


@styled
def draw_two_triangles(
    ax: Axes,
    truth: np.ndarray | None,
    prediction: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    kind: Kind = "contacts",
    max_distance: int | None = None,
    names: tuple[str, str] = ("measured", "predicted"),
) -> ScalarMappable:
    """Draw the measured map as a triangle, and the predicted one mirrored below it, in the same colours.

    Parameters are those of :func:`prediction_figure`. The colours span what both have within `max_distance`.
    Without a measured map, the prediction stands alone, apex up.
    """
    if truth is None:
        halves = [_Half(prediction, names[1], False)]
    else:
        halves = [_Half(truth, names[0], False), _Half(prediction, names[1], True)]
    for half in halves:
        check_map(half.matrix, region, resolution)
    reach = map_reach(prediction, resolution, max_distance)
    parts = [shown_part(half.matrix, resolution, reach) for half in halves]
    scale = map_scale(np.stack(parts), kind)
    for half, part, values in zip(halves, parts, scale.values, strict=True):
        coloured = scale._replace(values=values)
        mesh = draw_tilted(ax, coloured, region, resolution, reach, down=half.down)
        nothing = "" if len(finite(part)) else " (no contacts)"
        name_triangle(ax, half.name + nothing, down=half.down)
    genomic_axis(ax, region)
    ax.set_ylim(0 if truth is None else -reach, reach)
    _distances(ax)
    if truth is not None:
        _ruler(ax, region)
    return mesh


def name_triangle(ax: Axes, name: str, *, down: bool = False) -> None:
    """Write what a triangle is into its empty corner, on white where the map reaches there."""
    ax.text(
        0.004,
        0.01 if down else 0.99,
        name,
        transform=ax.transAxes,
        va="bottom" if down else "top",
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        gid="name",
    )


def _distances(ax: Axes) -> None:
    """Ticks in bp from the diagonal, the same upwards and downwards."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_ylabel("distance")
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], symmetric=True))
    distance_axis(ax, "y")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda bp, _: format_bp(abs(bp))))


def _ruler(ax: Axes, region: Interval) -> None:
    """A thin genomic axis between the two triangles, its ticks those of the labelled axis."""
    ticks = [x for x in ax.get_xticks() if region.start <= x <= region.end]
    ax.axhline(0, color="white", lw=3.5)
    ax.axhline(0, color=DARK, lw=0.8, gid="ruler")
    ax.plot(ticks, np.zeros(len(ticks)), ls="", marker="|", ms=6, mew=0.9, color=DARK, gid="ruler ticks")


@styled
def prediction_figure(
    truth: np.ndarray | None,
    prediction: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    tracks: Sequence[SignalTrack] = (),
    kind: Kind = "contacts",
    unit: str = "contacts",
    max_distance: int | None = None,
    names: tuple[str, str] = ("measured", "predicted"),
    title: str = "",
) -> Figure:
    """A measured map, the predicted one mirrored below it, and the signals of the region under both.

    Parameters
    ----------
    truth
        Measured values, float (n, n), symmetric, NaN where masked; None for the prediction alone.
    prediction
        Predicted values on the same scale, float (n, n), NaN where nothing is predicted.
    region
        What the matrices cover; the last bin may be shorter.
    resolution
        Bin size, bp.
    tracks
        Signals, drawn in order.
    kind
        ``"contacts"`` (log colours) or ``"oe"`` (observed/expected, colours centred on 1).
    unit
        What the colours are.
    max_distance
        Cuts both triangles, bp.
    names
        What the measured and the predicted map are called.
    title
        Written above; the region if not given.

    Raises
    ------
    DataError
        A matrix does not have the region's number of bins.
    """
    reach = map_reach(prediction, resolution, max_distance)
    tall = triangle_height(region, reach) * (1 if truth is None else 1.9)
    heights = [tall, *(0.55 for _ in tracks)]
    figure = new_figure(WIDTH, sum(heights) + 0.9)
    figure.get_layout_engine().set(hspace=0.02, h_pad=0.02)  # type: ignore[union-attr, call-arg]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[60, 1])
    top = figure.add_subplot(grid[0, 0])
    mesh = draw_two_triangles(
        top, truth, prediction, region, resolution, kind=kind, max_distance=max_distance, names=names
    )
    colour_bar(figure, mesh, unit, cax=figure.add_subplot(grid[0, 1]))
    top.set_title(title or str(region))
    axes = [top]
    for row, track in enumerate(tracks, 1):
        axes.append(figure.add_subplot(grid[row, 0], sharex=top))
        draw_signal(axes[-1], track, region, SERIES[(row - 1) % len(SERIES)])
    label_outer(axes)
    return figure


def triangle_height(region: Interval, reach: int) -> float:
    """Inches of a triangle across the page, so that it is not far from 45 degrees."""
    return float(np.clip((WIDTH - 1.8) * reach / (2 * len(region)), 1.4, 4.2))
