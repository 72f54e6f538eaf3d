"""The map over what lies along it: a triangle, compartments, insulation and signals on one genomic axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..genome import Interval
from .maps import Kind, colour_bar, draw_triangle, map_reach
from .style import SERIES, WIDTH, distance_axis, new_figure, styled
from .tracks import SignalTrack, draw_compartments, draw_insulation, draw_signal, label_outer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["browser_figure"]


class _Panel(NamedTuple):
    """One row below the map: its height in inches, and what draws it."""

    height: float
    draw: Callable[[Axes], None]


def _panels(
    region: Interval,
    tracks: Sequence[SignalTrack],
    compartments: pd.DataFrame | None,
    insulation: pd.DataFrame | None,
) -> list[_Panel]:
    panels = []
    if compartments is not None:
        panels.append(_Panel(0.22, partial(draw_compartments, table=compartments, region=region)))
    if insulation is not None:
        panels.append(_Panel(0.7, partial(draw_insulation, table=insulation, region=region)))
    for i, track in enumerate(tracks):
        colour = SERIES[i % len(SERIES)]
        panels.append(_Panel(0.55, partial(draw_signal, track=track, region=region, colour=colour)))
    return panels


@styled
def browser_figure(
    matrix: np.ndarray,
    region: Interval,
    resolution: int,
    *,
    max_distance: int | None = None,
    kind: Kind = "contacts",
    unit: str = "contacts",
    tracks: Sequence[SignalTrack] = (),
    calls: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
    compartments: pd.DataFrame | None = None,
    insulation: pd.DataFrame | None = None,
    title: str = "",
) -> Figure:
    """A map turned by 45 degrees over the compartments, insulation and signals of the same region.

    Parameters
    ----------
    matrix, region, resolution, max_distance, kind, calls, truth
        As in :func:`chromweave.plot.maps.draw_triangle`.
    unit
        What the colours of the map are.
    tracks
        Signals, drawn in order.
    compartments, insulation
        Tables of the schemas `COMPARTMENTS` and `INSULATION`.
    title
        Written above the map.
    """
    from matplotlib.ticker import MaxNLocator

    panels = _panels(region, tracks, compartments, insulation)
    reach = map_reach(matrix, resolution, max_distance)
    tall = float(np.clip((WIDTH - 1.8) * reach / (2 * len(region)), 1.4, 4.2))
    heights = [tall, *(panel.height for panel in panels)]
    figure = new_figure(WIDTH, sum(heights) + 0.9)
    figure.get_layout_engine().set(hspace=0.02, h_pad=0.02)  # type: ignore[union-attr, call-arg]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[60, 1])
    top = figure.add_subplot(grid[0, 0])
    mesh = draw_triangle(
        top, matrix, region, resolution, max_distance=max_distance, kind=kind, calls=calls, truth=truth
    )
    colour_bar(figure, mesh, unit, cax=figure.add_subplot(grid[0, 1]))
    top.set_ylabel("distance")
    top.yaxis.set_major_locator(MaxNLocator(4))
    distance_axis(top, "y")
    top.set_title(title or str(region))
    axes = [top]
    for row, panel in enumerate(panels, 1):
        ax = figure.add_subplot(grid[row, 0], sharex=top)
        panel.draw(ax)
        axes.append(ax)
    label_outer(axes)
    if top.get_legend_handles_labels()[0]:
        top.legend(loc="upper right", borderaxespad=0)
    return figure
