"""Contact maps: the square, the triangle and aggregate peaks.

Matrices are float (n, n), symmetric, NaN at masked bins; a bin is `resolution` bp and bin 0 starts at the
region's start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..errors import DataError
from ..genome import Interval
from .style import (
    BLUE,
    GREEN,
    LIGHT,
    contact_colours,
    finite,
    genomic_axis,
    new_figure,
    ratio_colours,
    say_nothing,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

__all__ = ["draw_map", "draw_triangle", "map_figure", "pileup_figure"]

Kind = Literal["contacts", "oe"]


class MapScale(NamedTuple):
    """How values become colours, and the values to colour."""

    values: np.ndarray
    norm: Normalize
    colours: Colormap


def map_scale(matrix: np.ndarray, kind: Kind) -> MapScale:
    """Logarithmic colours for the values of one map, or of several stacked ones that are to be compared."""
    from matplotlib.colors import LogNorm

    values = np.asarray(matrix, dtype=np.float64)
    positive = finite(values[values > 0])
    if kind == "oe":
        reach = ratio_reach(positive)
        low, high, colours = 1 / reach, reach, ratio_colours()
    else:
        low, high = np.quantile(positive, [0.05, 0.995]) if len(positive) else (1.0, 1.0)
        low, high, colours = low / 2, max(high, 2 * low), contact_colours()
    # A count of zero is data: it takes the scale's lowest colour, not that of a masked bin.
    return MapScale(np.where(values < low, low, values), LogNorm(low, high), colours)


def check_map(matrix: np.ndarray, region: Interval, resolution: int) -> None:
    """Refuse a matrix that does not have the region's number of bins."""
    bins = -(-len(region) // resolution)
    if np.shape(matrix) != (bins, bins):
        raise DataError(
            f"{region} has {bins} bins of {resolution:,} bp, but the map to draw is "
            f"{' x '.join(map(str, np.shape(matrix)))}; cut both from the same region."
        )


def ratio_reach(ratios: np.ndarray) -> float:
    """The largest fold change to tell apart, the same up and down; at least 2."""
    if not len(ratios):
        return 2.0
    return float(max(2.0, 2 ** np.quantile(np.abs(np.log2(ratios)), 0.99)))


def colour_bar(
    figure: Figure, mappable: ScalarMappable, label: str, *, ax: Any = None, cax: Any = None
) -> None:
    """A logarithmic colour bar with plain numbers, beside `ax` or in `cax`."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = mappable.get_clim()
    decades = float(np.log10(high / low))
    bar = figure.colorbar(mappable, ax=ax, cax=cax, label=label, shrink=0.7, aspect=25)
    subs = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0, 3.0) if decades < 4 else (1.0,)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=subs))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.outline.set_linewidth(0.5)


@styled
def draw_map(
    ax: Axes,
    matrix: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    kind: Kind = "contacts",
    calls: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
) -> ScalarMappable:
    """Draw a square map, rows downwards; called loops above the diagonal, known ones below.

    Parameters
    ----------
    ax
        Axes to draw into.
    matrix
        Contacts or observed/expected, float (n, n).
    region
        What the matrix covers; its last bin may be shorter.
    resolution
        Bin size, bp.
    kind
        ``"contacts"`` (log colours) or ``"oe"`` (observed/expected, colours centred on 1).
    calls, truth
        BEDPE tables; loops outside the region are passed over.

    Raises
    ------
    DataError
        The matrix does not have the region's number of bins.
    """
    check_map(matrix, region, resolution)
    scale = map_scale(matrix, kind)
    n = len(scale.values)
    end = region.start + n * resolution
    image = ax.imshow(
        scale.values, norm=scale.norm, cmap=scale.colours, extent=(region.start, end, end, region.start)
    )
    if not len(finite(matrix)):
        say_nothing(ax, "no contacts")
    _mark(ax, calls, region, above=True)
    _mark(ax, truth, region, above=False)
    genomic_axis(ax, region)
    genomic_axis(ax, region, "y")
    ax.spines[:].set_visible(True)
    return image


class _Peaks(NamedTuple):
    """Middles of the two anchors of loops, bp."""

    first: np.ndarray
    second: np.ndarray


def _peaks(loops: pd.DataFrame | None, region: Interval) -> _Peaks:
    """The loops with both anchors' middles inside `region`."""
    if loops is None or not len(loops):
        return _Peaks(np.empty(0), np.empty(0))
    first = ((loops["start1"] + loops["end1"]) / 2).to_numpy(np.float64)
    second = ((loops["start2"] + loops["end2"]) / 2).to_numpy(np.float64)
    here = ((loops["chrom1"] == region.chrom) & (loops["chrom2"] == region.chrom)).to_numpy()
    for middle in (first, second):
        here &= (region.start <= middle) & (middle < region.end)
    return _Peaks(np.minimum(first, second)[here], np.maximum(first, second)[here])


def _mark(ax: Axes, loops: pd.DataFrame | None, region: Interval, *, above: bool) -> None:
    if loops is None:
        return
    peaks = _peaks(loops, region)
    x, y = (peaks.second, peaks.first) if above else (peaks.first, peaks.second)
    area = float(np.clip(6000 / max(len(x), 1), 14, 60))
    _circle(ax, x, y, area, called=above, label=f"{'called' if above else 'known'} loops ({len(x):,})")


def _circle(ax: Axes, x: np.ndarray, y: np.ndarray, area: float, *, called: bool, label: str) -> None:
    """Open blue circles for called loops, open green squares for known ones, with a white rim."""
    from matplotlib.patheffects import Normal, Stroke

    ax.scatter(
        x,
        y,
        s=area,
        marker="o" if called else "s",
        facecolors="none",
        edgecolors=BLUE if called else GREEN,
        linewidths=1.3,
        label=label,
        gid="calls" if called else "truth",
        path_effects=[Stroke(linewidth=2.8, foreground="white"), Normal()],
    )


@styled
def map_figure(
    matrix: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    kind: Kind = "contacts",
    unit: str = "contacts",
    calls: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
    title: str = "",
) -> Figure:
    """One square map with its colour bar; parameters as in :func:`draw_map`, `unit` names the colours."""
    figure = new_figure(7.4, 6.6, "compressed")
    ax = figure.add_subplot()
    image = draw_map(ax, matrix, region, resolution, kind=kind, calls=calls, truth=truth)
    colour_bar(figure, image, unit, ax=ax)
    if title:
        ax.set_title(title)
    if ax.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def draw_triangle(
    ax: Axes,
    matrix: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    max_distance: int | None = None,
    kind: Kind = "contacts",
    calls: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
) -> ScalarMappable:
    """Draw the upper half of a map turned by 45 degrees: position along x, distance (bp) along y.

    `max_distance` (bp) cuts the triangle; the other parameters are those of :func:`draw_map`.
    """
    check_map(matrix, region, resolution)
    scale = map_scale(matrix, kind)
    reach = map_reach(matrix, resolution, max_distance)
    mesh = draw_tilted(ax, scale, region, resolution, reach)
    if not len(finite(matrix)):
        say_nothing(ax, "no contacts")
    _mark_triangle(ax, calls, region, called=True)
    _mark_triangle(ax, truth, region, called=False)
    genomic_axis(ax, region)
    ax.set_ylim(0, reach)
    return mesh


def map_reach(matrix: np.ndarray, resolution: int, max_distance: int | None) -> int:
    """The largest distance (bp) that a triangle of `matrix` shows."""
    return min(max_distance or len(matrix) * resolution, len(matrix) * resolution)


def draw_tilted(
    ax: Axes, scale: MapScale, region: Interval, resolution: int, reach: int, *, down: bool = False
) -> ScalarMappable:
    """Draw coloured values as a triangle over light grey, apex up, or `down` with distance below zero."""
    n = len(scale.values)
    sign = -1.0 if down else 1.0
    edges = region.start + np.arange(n + 1) * resolution
    row, column = edges[:, None], edges[None, :]
    steps = np.arange(n)[None, :] - np.arange(n)[:, None]
    hidden = (steps < 0) | (steps * resolution > reach)
    apex = (edges[0] + edges[-1]) / 2
    ax.fill([edges[0], edges[-1], apex], [0, 0, sign * n * resolution], color=LIGHT, lw=0)
    return ax.pcolormesh(
        (row + column) / 2,
        sign * (column - row),
        np.ma.masked_where(hidden | np.isnan(scale.values), scale.values),
        norm=scale.norm,
        cmap=scale.colours.with_extremes(bad=(0, 0, 0, 0)),
        rasterized=True,
    )


def _mark_triangle(ax: Axes, loops: pd.DataFrame | None, region: Interval, *, called: bool) -> None:
    if loops is None:
        return
    peaks = _peaks(loops, region)
    x, y = (peaks.first + peaks.second) / 2, peaks.second - peaks.first
    _circle(ax, x, y, 36 if called else 75, called=called, label=f"{'called' if called else 'known'} loops")


@styled
def pileup_figure(
    loops: np.ndarray,
    control: np.ndarray,
    resolution: int,
    *,
    score: float,
    control_score: float,
    count: int | None = None,
) -> Figure:
    """Aggregate peak analysis: mean observed/expected around loops and around shifted positions.

    Parameters
    ----------
    loops, control
        Mean observed/expected, float (2f + 1, 2f + 1), centred on the loops and on their shifted controls.
    resolution
        Bin size, bp.
    score, control_score
        Centre against corners (or however the pile-up was scored), written into the titles.
    count
        Number of loops piled up.
    """
    from matplotlib.colors import LogNorm

    figure = new_figure(7.6, 3.7, "compressed")
    axes = figure.subplots(1, 2, sharey=True)
    both = np.concatenate([np.ravel(loops), np.ravel(control)])
    reach = ratio_reach(finite(both[both > 0]))
    flank = len(loops) // 2 * resolution / 1e3
    many = "" if count is None else f" (n = {count:,})"
    image = None
    for ax, matrix, title in (
        (axes[0], loops, f"loops{many}: APA {score:.2f}"),
        (axes[1], control, f"shifted control: {control_score:.2f}"),
    ):
        edge = flank + resolution / 2e3
        image = ax.imshow(
            np.where(matrix <= 0, 1 / reach, matrix),
            norm=LogNorm(1 / reach, reach),
            cmap=ratio_colours(),
            extent=(-edge, edge, edge, -edge),
        )
        ax.set_title(title)
        if not len(finite(matrix)):
            say_nothing(ax)
        ax.set_xticks([-flank, 0, flank])
        ax.set_yticks([-flank, 0, flank])
        ax.set_xlabel("downstream anchor (kb)")
        ax.spines[:].set_visible(True)
    axes[0].set_ylabel("upstream anchor (kb)")
    assert image is not None
    colour_bar(figure, image, "mean observed / expected", ax=axes)
    return figure
