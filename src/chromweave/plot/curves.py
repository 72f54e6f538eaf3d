"""Curves and tables of numbers: contact decay, training, evaluation with intervals, calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .style import (
    BLUE,
    DARK,
    GREY,
    LIGHT,
    VERMILLION,
    WIDTH,
    distance_axis,
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

__all__ = [
    "calibration_figure",
    "decay_figure",
    "evaluation_figure",
    "pooled",
    "strata_figure",
    "training_figure",
]

_METHOD_WIDTH = 40  # characters of a method's name on one line
_SPLITS = {"train": (BLUE, "-"), "valid": (VERMILLION, "--"), "test": (DARK, ":")}


@styled
def decay_figure(table: pd.DataFrame, *, slope: float | None = -1.0, unit: str = "mean contacts") -> Figure:
    """P(s): contacts against genomic distance, both axes logarithmic.

    Parameters
    ----------
    table
        Columns sample, distance (bp, > 0) and value; rows not above zero are left out.
    slope
        Exponent of a grey guide line through the first sample; None for no guide.
    unit
        What `value` is.
    """
    figure = new_figure(5.6, 4.0)
    ax = figure.add_subplot()
    shown = table[(table["distance"] > 0) & (table["value"] > 0)].sort_values("distance", kind="stable")
    colours = series_colours(shown["sample"].astype(str))
    for name, rows in shown.groupby("sample", sort=False, observed=True):
        ax.plot(rows["distance"], rows["value"], color=colours[str(name)], lw=1.4, label=str(name))
    if len(shown):
        _log_log(ax)
        if slope is not None:
            _guide(ax, shown, slope)
        ax.legend(loc="lower left")
    else:
        say_nothing(ax)
    ax.set_xlabel("genomic distance")
    ax.set_ylabel(unit)
    return figure


def _log_log(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,)))
    distance_axis(ax)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())
    ax.grid(color=LIGHT, lw=0.5)


def _guide(ax: Axes, table: pd.DataFrame, slope: float) -> None:
    rows = table[table["sample"] == table["sample"].iloc[0]]
    middle = rows.iloc[len(rows) // 2]
    x = np.array([rows["distance"].min(), rows["distance"].max()], dtype=np.float64)
    y = 1.6 * middle["value"] * (x / middle["distance"]) ** slope
    ax.plot(x, y, color=GREY, lw=1, ls=":", label=f"slope {slope:g}", gid="guide")


@styled
def training_figure(
    metrics: pd.DataFrame,
    *,
    title: str = "",
    names: Mapping[str, str] | None = None,
    chance: Mapping[str, float] | None = None,
) -> Figure:
    """Every metric of a training run in its own panel: training solid, validation dashed.

    Parameters
    ----------
    metrics
        Columns step, epoch, split, metric, value. The x axis is the epoch where each is logged at most once
        an epoch, the optimiser step otherwise. Values that are not finite are left out.
    title
        Written above the panels.
    names
        Metric -> title of its panel, in the order of the panels; metrics not named are left out. Without it,
        all are shown under their own names.
    chance
        Metric -> what a model that knows nothing scores, above 0: a dotted line, on a logarithmic axis, where
        each step up is as many times chance. Values of 0 lie below the axis.
    """
    chance = chance or {}
    shown = metrics[np.isfinite(metrics["value"].to_numpy(np.float64))]
    found = dict.fromkeys(shown["metric"].astype(str))
    titles = {name: name for name in found} if names is None else {n: names[n] for n in names if n in found}
    shown = shown[shown["metric"].astype(str).isin(titles)]
    columns = min(max(len(titles), 1), 3)
    rows = max(1, -(-len(titles) // columns))
    figure = new_figure({1: 4.8, 2: 7.6, 3: WIDTH}[columns], 2.35 * rows + 0.5)
    if not titles:
        say_nothing(figure.add_subplot(), "no metrics")
    x = _progress_column(shown)
    for i, (name, heading) in enumerate(titles.items(), 1):
        ax = figure.add_subplot(rows, columns, i)
        _draw_metric(ax, shown[shown["metric"].astype(str) == name], x)
        if name in chance:
            _draw_chance(ax, chance[name])
        ax.set_title(wrap(heading, 28))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    if titles:
        _split_legend(figure, _splits(shown), chance=bool(set(chance) & set(titles)))
    return figure


def _progress_column(metrics: pd.DataFrame) -> str:
    known = metrics[metrics["epoch"].notna()]
    once = not known.duplicated(["metric", "split", "epoch"]).any()
    return "epoch" if once and len(known) == len(metrics) else "step"


def _splits(metrics: pd.DataFrame) -> list[str]:
    """The splits there are: training, validation, test, then any others."""
    found = dict.fromkeys(metrics["split"].astype(str))
    return [*(split for split in _SPLITS if split in found), *(s for s in found if s not in _SPLITS)]


def _style(split: str) -> tuple[str, str]:
    return _SPLITS.get(split, (GREY, "-."))


def _draw_metric(ax: Axes, rows: pd.DataFrame, x: str) -> None:
    from matplotlib.ticker import MaxNLocator

    for split in _splits(rows):
        part = rows[rows["split"].astype(str) == split].sort_values(x, kind="stable")
        colour, line = _style(split)
        marker = "o" if len(part) <= 40 else ""
        ax.plot(part[x], part["value"], color=colour, ls=line, marker=marker, ms=3, lw=1.3, gid=split)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(x)
    ax.grid(axis="y", color=LIGHT, lw=0.5)


def _draw_chance(ax: Axes, chance: float) -> None:
    """A line at `chance`, and a logarithmic axis that shows it beside the curves drawn before."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in ax.lines])
    above = np.append(values[values > 0], chance)
    # At least a decade, so that ticks have something to stand on; before the scale, which asks for values.
    ax.set_ylim(above.min() / 2, max(2 * above.max(), 10 * above.min()))
    ax.set_yscale("log", nonpositive="clip")
    decades = np.log10(above.max() / above.min())
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.axhline(chance, color=GREY, ls=":", lw=1.3, gid="chance")


def _split_legend(figure: Figure, splits: list[str], *, chance: bool = False) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for split in splits:
        colour, line = _style(split)
        handles.append(Line2D([], [], color=colour, ls=line, marker="o", ms=3, label=split))
    if chance:
        handles.append(Line2D([], [], color=GREY, ls=":", lw=1.3, label="chance"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))


@styled
def evaluation_figure(
    table: pd.DataFrame,
    *,
    trivial: Collection[str] = (),
    chance: Mapping[str, float] | None = None,
) -> Figure:
    """Methods down the side, a panel for each metric, points with intervals; trivial rows are grey squares.

    Parameters
    ----------
    table
        Columns method, metric, value and, optionally, low and high (ends of an interval, may be missing).
        Methods keep their order of appearance. Where there is a column stratum (schema `RESULTS`), its rows
        "all" are shown; :func:`strata_figure` shows the others.
    trivial
        Methods that are no model: a constant or a simple rule that a model has to beat.
    chance
        Metric -> value of an uninformed guess, drawn as a dotted line.
    """
    table = pooled(table)
    methods = list(dict.fromkeys(table["method"].astype(str)))
    metrics = list(dict.fromkeys(table["metric"].astype(str)))
    columns = min(max(len(metrics), 1), 3)
    rows = max(1, -(-len(metrics) // columns))
    lines = max((wrap(method, _METHOD_WIDTH).count("\n") + 1 for method in methods), default=1)
    tall = 0.75 + (0.1 + 0.17 * lines) * max(len(methods), 1)
    figure = new_figure({1: 6.2, 2: 8.2, 3: WIDTH}[columns], rows * tall + 0.4)
    if not metrics:
        say_nothing(figure.add_subplot(), "no scores")
        return figure
    for i, metric in enumerate(metrics):
        ax = figure.add_subplot(rows, columns, i + 1)
        part = table[table["metric"].astype(str) == metric]
        draw_scores(ax, part, methods, frozenset(trivial))
        if chance and metric in chance:
            ax.axvline(chance[metric], color=GREY, ls=":", lw=1, gid="chance")
        ax.set_title(wrap(metric, 28))
        if i % columns:
            ax.tick_params(axis="y", labelleft=False)
    method_legend(figure, trivial=bool(set(trivial) & set(methods)), chance=bool(chance))
    return figure


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a results table over all samples: stratum "all", or every row where there are no strata."""
    return table[table["stratum"] == "all"] if "stratum" in table.columns else table


@styled
def strata_figure(table: pd.DataFrame, metric: str, *, trivial: Collection[str] = ()) -> Figure:
    """One metric within strata (of distance, say): a line for each method, trivial rules grey and dashed.

    Parameters
    ----------
    table
        Columns method, metric, stratum, value and, optionally, low and high (schema `RESULTS`). Strata keep
        their order of appearance; "all" is left out.
    metric
        Which metric to show.
    trivial
        As in :func:`evaluation_figure`.
    """
    shown = table[(table["metric"] == metric) & (table["stratum"] != "all")]
    strata = list(dict.fromkeys(shown["stratum"].astype(str)))
    methods = list(dict.fromkeys(shown["method"].astype(str)))
    colours = series_colours(method for method in methods if method not in trivial)
    figure = new_figure(WIDTH, 3.6)
    ax = figure.add_subplot()
    for i, method in enumerate(methods):
        rows = shown[shown["method"].astype(str) == method]
        nudge = 0.3 * ((i + 0.5) / len(methods) - 0.5)
        x = np.array([strata.index(str(stratum)) for stratum in rows["stratum"]]) + nudge
        _draw_stratified(ax, rows, x, colours.get(method), "os^vDPX"[i % 7], wrap(method, 28))
    ax.set_xticks(range(len(strata)), [wrap(stratum, max(6, 70 // len(strata))) for stratum in strata])
    ax.set_ylabel(metric)
    ax.grid(axis="y", color=LIGHT, lw=0.5)
    if methods:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    else:
        say_nothing(ax, "no scores")
    return figure


def _draw_stratified(
    ax: Axes, rows: pd.DataFrame, x: np.ndarray, colour: str | None, marker: str, label: str
) -> None:
    simple = colour is None
    ink = colour or GREY
    if {"low", "high"} <= set(rows.columns):
        ax.vlines(x, rows["low"], rows["high"], color=ink, lw=1.2, gid="interval")
    ax.plot(
        x,
        rows["value"],
        color=ink,
        ls="--" if simple else "-",
        lw=1.2,
        marker=marker,
        ms=5,
        mfc="white" if simple else ink,
        label=label,
        gid="trivial" if simple else "model",
    )


def draw_scores(ax: Axes, rows: pd.DataFrame, methods: list[str], trivial: frozenset[str]) -> None:
    """Draw the rows of one metric as points with intervals, a line for each of `methods`."""
    from matplotlib.ticker import MaxNLocator

    for row in rows.to_dict("records"):
        method, value = str(row["method"]), float(row["value"])
        simple = method in trivial
        colour = GREY if simple else BLUE
        y = methods.index(method)
        ends = [float(row.get("low", np.nan)), float(row.get("high", np.nan))]
        if np.isfinite(ends).all():
            ax.plot(ends, [y, y], color=colour, lw=1.6, gid="interval")
        ax.plot(
            [value],
            [y],
            ls="",
            marker="s" if simple else "o",
            ms=5.5 if simple else 6.5,
            color=colour,
            mfc="white" if simple else colour,
            gid="trivial" if simple else "model",
        )
    ax.set_yticks(range(len(methods)), [wrap(method, _METHOD_WIDTH) for method in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.margins(x=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="x", color=LIGHT, lw=0.5)


def method_legend(figure: Figure, *, trivial: bool, chance: bool) -> None:
    """Say above a figure what the points of :func:`draw_scores` are."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=BLUE, marker="o", ms=6.5, lw=1.6, label="model, with interval")]
    if trivial:
        handles.append(
            Line2D([], [], color=GREY, marker="s", ms=5.5, mfc="white", lw=1.6, label="trivial rule")
        )
    if chance:
        handles.append(Line2D([], [], color=GREY, ls=":", lw=1, label="chance"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))


@styled
def calibration_figure(table: pd.DataFrame) -> Figure:
    """Share of true positives against predicted probability.

    Parameters
    ----------
    table
        Columns method, predicted (mean probability of a bin of predictions), observed (share of positives in
        it) and count (predictions in it; the area of its point).
    """
    figure = new_figure(4.6, 4.0)
    ax = figure.add_subplot()
    ax.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1, label="calibrated", gid="ideal")
    colours = series_colours(table["method"].astype(str))
    most = table["count"].max() if len(table) else 1
    for name, rows in table.groupby("method", sort=False, observed=True):
        rows = rows.sort_values("predicted")
        ax.plot(rows["predicted"], rows["observed"], color=colours[str(name)], lw=1.3, label=str(name))
        ax.scatter(rows["predicted"], rows["observed"], s=60 * rows["count"] / most, color=colours[str(name)])
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share of true loops", aspect=1)
    ax.legend(loc="upper left")
    return figure
