"""How many loops each caller finds, and how many of them are known from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .scores import require_columns
from .style import BLUE, DARK, LIGHT, SKY, new_figure, say_nothing, styled, wrap

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["annotation_figure"]


@styled
def annotation_figure(table: pd.DataFrame) -> Figure:
    """Bars of the loops called and of those validated, a pair for each caller, with their proportion.

    Parameters
    ----------
    table
        Columns method, called, matched: a row for each caller; missing values for one that has no list.

    Raises
    ------
    SchemaError
        A column is missing.
    """
    require_columns(table, ("method", "called", "matched"), "annotation_figure")
    figure = new_figure(7.6, 1.0 + 0.42 * max(len(table), 1))
    ax = figure.add_subplot()
    if not len(table):
        say_nothing(ax, "no callers")
        return figure
    places = np.arange(len(table))
    called, matched = (table[name].to_numpy(np.float64) for name in ("called", "matched"))
    ax.barh(places, np.nan_to_num(called), 0.62, color=SKY, label="called", gid="called")
    ax.barh(places, np.nan_to_num(matched), 0.34, color=BLUE, label="of these published", gid="matched")
    for y, (all_calls, known) in enumerate(zip(called, matched, strict=True)):
        text = "no list" if np.isnan(all_calls) else f"{known / all_calls:.0%}" if all_calls else "0 calls"
        end = 0.0 if np.isnan(all_calls) else all_calls
        ax.annotate(
            text, (end, y), xytext=(4, 0), textcoords="offset points", va="center", color=DARK, fontsize=8
        )
    ax.set_yticks(places, [wrap(str(name), 26) for name in table["method"]])
    ax.invert_yaxis()
    ax.set_xlabel("loops")
    ax.margins(x=0.12)
    ax.grid(axis="x", color=LIGHT, lw=0.5)
    ax.legend(loc="lower right")
    return figure
