"""How well contacts and expression are predicted: by distance, gene by gene, and with parts left out.

:func:`chromweave.plot.curves.evaluation_figure` shows any table of results; these are the pictures that a
table cannot say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, SchemaError
from .curves import draw_scores, method_legend, pooled
from .maps import colour_bar
from .style import (
    DARK,
    GREY,
    LIGHT,
    VERMILLION,
    WIDTH,
    count_colours,
    distance_axis,
    finite,
    new_figure,
    say_nothing,
    series_colours,
    styled,
    wrap,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ablation_figure", "contacts_figure", "expression_figure"]

_FEW = 400  # points that can be told apart when drawn one by one
_DASHES = ("--", ":", "-.")


def require_columns(table: pd.DataFrame, names: Iterable[str], figure: str) -> None:
    """Refuse a table that lacks one of the columns `names`."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise SchemaError(
            f"{figure}: the table to draw has no column {missing[0]!r}; "
            f"it has {', '.join(map(str, table.columns)) or 'none'}."
        )


@styled
def contacts_figure(
    curves: pd.DataFrame, *, trivial: Collection[str] = (), value: str = "pearson", label: str = ""
) -> Figure:
    """Correlation of predicted with measured contacts within each distance: a line for each method.

    Parameters
    ----------
    curves
        Columns method, distance_bp, `value` and, optionally, low and high (ends of an interval, drawn as a
        band). Distances without a value leave a gap.
    trivial
        Methods that are no model, drawn grey and dashed.
    value
        Column on the y axis.
    label
        What it is; "Pearson r within a distance" where it is `pearson`, else the column's name.

    Raises
    ------
    SchemaError
        A column is missing.
    """
    require_columns(curves, ("method", "distance_bp", value), "contacts_figure")
    figure = new_figure(7.6, 3.8)
    ax = figure.add_subplot()
    methods = list(dict.fromkeys(curves["method"].astype(str)))
    colours = series_colours(method for method in methods if method not in trivial)
    dashes = iter(_DASHES * len(methods))
    for method in methods:
        rows = curves[curves["method"].astype(str) == method].sort_values("distance_bp", kind="stable")
        line = "-" if method in colours else next(dashes)
        known = "" if len(finite(rows[value])) else " (undefined)"
        _draw_curve(ax, rows, value, colours.get(method, GREY), line, wrap(method + known, 28))
    if len(finite(curves[value])):
        ax.axhline(0, color=LIGHT, lw=0.8, zorder=0)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    else:
        say_nothing(ax, "no scores")
    ax.grid(axis="y", color=LIGHT, lw=0.5)
    ax.set_xlabel("genomic distance")
    distance_axis(ax)
    ax.set_ylabel(label or ("Pearson r within a distance" if value == "pearson" else value))
    return figure


def _draw_curve(ax: Axes, rows: pd.DataFrame, value: str, colour: str, line: str, label: str) -> None:
    x = rows["distance_bp"].to_numpy(np.float64)
    if {"low", "high"} <= set(rows.columns) and len(finite(rows["low"])):
        low, high = (rows[name].to_numpy(np.float64) for name in ("low", "high"))
        ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0, gid="interval")
    marker = "o" if len(rows) <= 30 else ""
    ax.plot(
        x,
        rows[value],
        color=colour,
        ls=line,
        lw=1.5,
        marker=marker,
        ms=3,
        label=label,
        gid="model" if line == "-" else "trivial",
    )


@styled
def expression_figure(
    truth: np.ndarray,
    prediction: np.ndarray,
    table: pd.DataFrame | None = None,
    *,
    trivial: Collection[str] = (),
    metric: str | None = None,
    unit: str = "log2",
) -> Figure:
    """Predicted against measured expression with Pearson's r, and the scores of all methods beside it.

    Parameters
    ----------
    truth, prediction
        float (n,), on the scale of `unit`; pairs with a missing value are left out.
    table
        Columns method, metric, value and, optionally, low, high and stratum (schema `RESULTS`).
    trivial
        Methods of the table that are no model.
    metric
        The one of the table's metrics to show; the first if not given.
    unit
        Of both axes.

    Raises
    ------
    DataError
        The two do not have the same length.
    SchemaError
        A column of the table is missing.
    """
    truth, prediction = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise DataError(
            f"expression_figure: measured values of shape {truth.shape} and predicted ones of shape "
            f"{prediction.shape} are no pairs; give one value of each for every gene."
        )
    beside = table is not None and len(table) > 0
    figure = new_figure(WIDTH if beside else 4.8, 4.2)
    axes = (
        figure.subplots(1, 2, width_ratios=[1, 1.1], squeeze=False)[0] if beside else [figure.add_subplot()]
    )
    _draw_pairs(figure, axes[0], truth, prediction, unit)
    if table is not None and beside:
        require_columns(table, ("method", "metric", "value"), "expression_figure")
        rows = pooled(table)
        chosen = metric or str(rows["metric"].iloc[0])
        rows = rows[rows["metric"].astype(str) == chosen]
        methods = list(dict.fromkeys(rows["method"].astype(str)))
        draw_scores(axes[1], rows, methods, frozenset(trivial))
        axes[1].set_title(chosen)
        method_legend(figure, trivial=bool(set(trivial) & set(methods)), chance=False)
    return figure


def _draw_pairs(figure: Figure, ax: Axes, truth: np.ndarray, prediction: np.ndarray, unit: str) -> None:
    """Points where there are few, hexagons coloured by their number where there are many."""
    from matplotlib.ticker import MaxNLocator

    known = np.isfinite(truth) & np.isfinite(prediction)
    x, y = truth[known], prediction[known]
    ax.set(xlabel=f"measured, {unit}", ylabel=f"predicted, {unit}")
    if not len(x):
        say_nothing(ax)
        return
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    pad = 0.03 * (high - low) or 1.0
    ax.plot([low, high], [low, high], color=GREY, ls=":", lw=1, zorder=0, gid="identity")
    if len(x) <= _FEW:
        ax.scatter(x, y, s=14, color=DARK, alpha=0.5, lw=0, gid="pairs")
    else:
        extent = (low, high, low, high)
        cells = ax.hexbin(x, y, gridsize=45, extent=extent, mincnt=1, bins="log", cmap=count_colours())
        cells.set_gid("pairs")
        colour_bar(figure, cells, "genes", ax=ax)
    ax.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), aspect=1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6))
    ax.text(
        0.03,
        0.97,
        f"r = {_pearson(x, y)}\nn = {len(x):,}",
        transform=ax.transAxes,
        va="top",
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        gid="r",
    )


def _pearson(x: np.ndarray, y: np.ndarray) -> str:
    """Pearson's r to two places, or why there is none."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "undefined"
    return f"{np.corrcoef(x, y)[0, 1]:.2f}"


@styled
def ablation_figure(table: pd.DataFrame, *, full: str | None = None, trivial: Collection[str] = ()) -> Figure:
    """What each part of a model is worth: a panel for each metric, a row for the model without that part.

    Parameters
    ----------
    table
        Columns method, metric, value and, optionally, low, high and stratum (schema `RESULTS`). Methods keep
        their order of appearance; rows of several runs share a line.
    full
        The method with nothing left out, whose mean is a dotted line to measure by; the first if not given.
    trivial
        Methods that are no model.

    Raises
    ------
    SchemaError
        A column is missing.
    DataError
        No row is called `full`.
    """
    require_columns(table, ("method", "metric", "value"), "ablation_figure")
    table = pooled(table)
    methods = list(dict.fromkeys(table["method"].astype(str)))
    metrics = list(dict.fromkeys(table["metric"].astype(str)))
    if full is not None and full not in methods:
        raise DataError(
            f"ablation_figure: no row is called {full!r}; there are {', '.join(methods) or 'none'}."
        )
    columns = min(max(len(metrics), 1), 3)
    rows = max(1, -(-len(metrics) // columns))
    tall = 0.8 + 0.32 * max(len(methods), 1)
    figure = new_figure({1: 6.2, 2: 8.2, 3: WIDTH}[columns], rows * tall + 0.3)
    if not metrics:
        say_nothing(figure.add_subplot(), "no scores")
        return figure
    for i, metric in enumerate(metrics):
        ax = figure.add_subplot(rows, columns, i + 1)
        part = table[table["metric"].astype(str) == metric]
        draw_scores(ax, part, methods, frozenset(trivial))
        whole = finite(part["value"][part["method"].astype(str) == (full or methods[0])])
        if len(whole):
            ax.axvline(float(whole.mean()), color=VERMILLION, ls=":", lw=1.3, zorder=0, gid="full")
        ax.set_title(wrap(metric, 28))
        if i % columns:
            ax.tick_params(axis="y", labelleft=False)
    _full_legend(figure, full or methods[0])
    return figure


def _full_legend(figure: Figure, full: str) -> None:
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=VERMILLION, ls=":", lw=1.3, label=wrap(full, 40))
    figure.legend(handles=[line], loc="outside upper right")
