"""Called loops beside known ones: precision and recall from the best call down, and by distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .curves import pooled
from .scores import require_columns
from .style import BLUE, DARK, GREY, LIGHT, VERMILLION, WIDTH, finite, new_figure, say_nothing, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["validation_figure"]

_BARS = {"precision": BLUE, "recall": VERMILLION}
_BAR = 0.38  # width of one of the two


@styled
def validation_figure(
    table: pd.DataFrame, strata: Mapping[str, Mapping[str, float | int]], curve: pd.DataFrame
) -> Figure:
    """Precision against recall with the list's own cut marked; beside it, both by anchor distance.

    Parameters
    ----------
    table
        Columns metric, stratum, value, low and high (schema `RESULTS`): precision and recall over all loops
        and by stratum, and shifted_control, which is drawn as a dotted line.
    strata
        By name, called and known: how many loops each stratum holds, written below its bars.
    curve
        Columns called, precision and recall, from the best calls down; empty where they are not ranked.

    Raises
    ------
    SchemaError
        A column is missing.
    """
    require_columns(table, ("metric", "stratum", "value", "low", "high"), "validation_figure")
    require_columns(curve, ("called", "precision", "recall"), "validation_figure")
    figure = new_figure(WIDTH, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.35])
    _draw_curve(left, pooled(table).set_index("metric")["value"], curve)
    _draw_strata(right, table, strata)
    return figure


def _draw_curve(ax: Axes, values: pd.Series, curve: pd.DataFrame) -> None:
    precision, recall = float(values["precision"]), float(values["recall"])
    control = float(values.get("shifted_control", np.nan))
    ax.set(xlabel="recall: share of known loops called", ylabel="precision: share of calls known")
    ax.grid(color=LIGHT, lw=0.5)
    if not np.isfinite([precision, recall]).all():
        say_nothing(ax, "no calls, or no known loops")
        return
    if len(curve):
        ax.plot(
            curve["recall"], curve["precision"], color=BLUE, lw=1.5, label="best calls first", gid="curve"
        )
    ax.plot([recall], [precision], "o", color=DARK, ms=6.5, label="all calls", gid="cut")
    if np.isfinite(control):
        ax.axhline(control, color=GREY, ls=":", lw=1.3, label="calls shifted (chance)", gid="control")
    highest = max([precision, control, *finite(curve["precision"])]) if np.isfinite(control) else precision
    ax.set(xlim=(0, 1.05 * recall or 1), ylim=(0, min(1.05 * highest, 1.02) or 1))
    ax.legend(loc="best")


def _draw_strata(ax: Axes, table: pd.DataFrame, strata: Mapping[str, Mapping[str, float | int]]) -> None:
    """Two bars for each stratum, with their intervals where there are any."""
    names = list(strata)
    if not names:
        say_nothing(ax, "no loops")
        return
    for k, (metric, colour) in enumerate(_BARS.items()):
        rows = table[table["metric"] == metric].set_index("stratum").reindex(names)
        x = np.arange(len(names)) + (k - 0.5) * _BAR
        ax.bar(x, rows["value"], width=_BAR, color=colour, label=metric, gid=metric)
        ax.vlines(x, rows["low"], rows["high"], color=DARK, lw=1.2, gid="interval")
    counts = [f"{strata[name]['called']:,} called\n{strata[name]['known']:,} known" for name in names]
    labels = [f"{name}\n{count}" for name, count in zip(names, counts, strict=True)]
    ax.set_xticks(range(len(names)), labels)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("distance between anchors")
    ax.grid(axis="y", color=LIGHT, lw=0.5)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
