"""Two conditions along the genome: compartments of both, and how far apart their embeddings are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..genome import Interval
from .style import (
    COMPARTMENT_COLOURS,
    DARK,
    PURPLE,
    WIDTH,
    finite,
    genomic_axis,
    new_figure,
    say_nothing,
    styled,
)
from .tracks import draw_compartments

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["distances_figure", "draw_distances"]

_STRIP, _TRACK = 0.16, 0.8  # inches
_SHOWN = 0.995  # quantile of the distances that the axis reaches to


@styled
def draw_distances(
    ax: Axes, table: pd.DataFrame, region: Interval, distance: str, *, reach: float | None = None
) -> None:
    """Draw the distance of each bin between two conditions, shifted bins in colour.

    Parameters
    ----------
    ax
        Axes to draw into.
    table
        Every bin of the chromosome in order: chrom, start, end, that of `distance` (NaN where masked), and
        optionally shifted (bool).
    region
        What is shown.
    distance
        Column to draw.
    reach
        Where the axis ends; the 99.5th percentile of what is shown without it.
    """
    here = table[table["chrom"] == region.chrom]
    values = here[distance].to_numpy(np.float64)
    edges = np.append(here["start"].to_numpy(np.int64), here["end"].to_numpy(np.int64)[-1:])
    known = np.isfinite(values)
    called = here["shifted"].to_numpy(bool) if "shifted" in here.columns else np.zeros(len(here), dtype=bool)
    for rows, colour, gid in ((known & ~called, PURPLE, "others"), (known & called, DARK, "shifted")):
        if rows.any():
            ax.stairs(np.where(rows, values, np.nan), edges, fill=True, color=colour, lw=0, gid=gid)
    if not known.any():
        say_nothing(ax)
    top = reach or (float(np.quantile(values[known], _SHOWN)) if known.any() else 0.0) or 1.0
    ax.set_ylim(0, top)
    ax.set_yticks([0, top], ["0", f"{top:.2g}"])
    genomic_axis(ax, region)
    ax.set_ylabel(distance, rotation=0, ha="right", va="center")


@styled
def distances_figure(
    table: pd.DataFrame, distance: str, *, first: str = "first", second: str = "second"
) -> Figure:
    """Compartments of both conditions and the distance between them, chromosome under chromosome.

    Parameters
    ----------
    table
        Every bin in order: chrom, start, end and that of `distance`; compartment_first, compartment_second
        and shifted where they are known.
    distance
        Column to draw.
    first, second
        Names of the conditions.

    Raises
    ------
    DataError
        The table has no bin.
    """
    if table.empty:
        raise DataError("there is no bin whose distance could be drawn.")
    conditions = {"compartment_first": first, "compartment_second": second}
    strips = {column: name for column, name in conditions.items() if column in table.columns}
    chroms = list(dict.fromkeys(table["chrom"]))
    height = len(chroms) * (len(strips) * _STRIP + _TRACK + 0.62) + 0.4
    figure = new_figure(WIDTH, height)
    shown = finite(table[distance])
    reach = float(np.quantile(shown, _SHOWN)) if len(shown) else None
    blocks = figure.subfigures(len(chroms), 1, squeeze=False)[:, 0]
    for block, chrom in zip(blocks, chroms, strict=True):
        region = Interval(chrom, 0, int(table.loc[table["chrom"] == chrom, "end"].max()))
        axes = block.subplots(
            len(strips) + 1, 1, squeeze=False, sharex=True, height_ratios=[_STRIP] * len(strips) + [_TRACK]
        )[:, 0]
        for ax, (column, name) in zip(axes, strips.items(), strict=False):
            draw_compartments(ax, table.rename(columns={column: "compartment"}), region)
            ax.set_ylabel(name, rotation=0, ha="right", va="center")
            ax.set_xlabel("")
            ax.tick_params(axis="x", bottom=False, labelbottom=False)
        draw_distances(axes[-1], table, region, distance, reach=reach)
    _legend(blocks[0], bool(strips), "shifted" in table.columns)
    return figure


def _legend(block: SubFigure, compartments: bool, called: bool) -> None:
    from matplotlib.patches import Patch

    entries = dict(COMPARTMENT_COLOURS) if compartments else {}
    entries["distance"] = PURPLE
    if called:
        entries["distance of shifted bins"] = DARK
    handles = [Patch(color=colour, label=label) for label, colour in entries.items()]
    block.legend(handles=handles, loc="outside upper right", ncols=len(handles))
