"""How far what was learned carries: to few labels, and to other cell lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .scores import require_columns
from .style import (
    DARK,
    LIGHT,
    WIDTH,
    count_colours,
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

__all__ = ["fewshot_figure", "matrix_figure"]

_FEWEST_DRAWS = 3  # from which on an interval of their mean is shown
_DARK_FROM = 0.4625  # of the colours, whence white is read better than black


@styled
def fewshot_figure(table: pd.DataFrame, *, metric: str = "") -> Figure:
    """Score against the share of the labels used: a line for each start, its draws as faint points.

    Parameters
    ----------
    table
        Columns start ("pre-trained", "scratch"), ratio (share of the training samples, above 0), value, and
        mean, low, high: a row for each draw, the last three alike in all of one start and ratio. Lines are
        means, with an interval where low and high are not missing and there are three draws or more: of two
        it is wider than any axis. With a column metric, each has its own panel.
    metric
        What `value` is, where there is no column metric.

    Raises
    ------
    SchemaError
        A column is missing.
    DataError
        A ratio is not above 0, so that a logarithmic axis cannot show it.
    """
    require_columns(table, ("start", "ratio", "value", "mean", "low", "high"), "fewshot_figure")
    if not (table["ratio"].to_numpy(np.float64) > 0).all():
        raise DataError(
            f"fewshot_figure: a ratio of {table['ratio'].min():g} is no share of the samples; "
            "give shares above 0."
        )
    names = table["metric"].astype(str) if "metric" in table.columns else table["start"].map(lambda _: metric)
    panels = list(dict.fromkeys(names)) or [metric]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = new_figure({1: 5.6, 2: 8.6, 3: WIDTH}[columns], 3.1 * rows + 0.4)
    colours = series_colours(table["start"].astype(str))
    for i, name in enumerate(panels, 1):
        ax = figure.add_subplot(rows, columns, i)
        _draw_starts(ax, table[names == name], colours)
        ax.set_ylabel(wrap(name, 28))
    if colours:
        _start_legend(figure, colours)
    return figure


def _draw_starts(ax: Axes, table: pd.DataFrame, colours: dict[str, str]) -> None:
    if not len(finite(table["value"])):
        say_nothing(ax, "no scores")
        return
    ax.set_xscale("log")
    for i, (start, colour) in enumerate(colours.items()):
        rows = table[table["start"].astype(str) == start]
        # A little to the side of one another, so that intervals of equal means can be told apart.
        nudge = 1.0 + 0.06 * (i - (len(colours) - 1) / 2)
        ax.plot(
            rows["ratio"] * nudge,
            rows["value"],
            ls="",
            marker="o",
            ms=4,
            mew=0,
            color=colour,
            alpha=0.3,
            gid="draws",
        )
        means = rows.drop_duplicates("ratio").sort_values("ratio")
        x = means["ratio"].to_numpy(np.float64) * nudge
        drawn = rows.groupby("ratio")["value"].count().reindex(means["ratio"]).to_numpy() >= _FEWEST_DRAWS
        ends = means.loc[drawn, ["low", "high"]].to_numpy(np.float64).T
        ax.vlines(x[drawn], *ends, color=colour, lw=1.4, gid="interval")
        ax.plot(
            x,
            means["mean"],
            color=colour,
            lw=1.5,
            marker="os^vD"[i % 5],
            ms=5,
            gid="mean",
        )
    _shares(ax, np.unique(table["ratio"].to_numpy(np.float64)))
    ax.grid(axis="y", color=LIGHT, lw=0.5)


def _shares(ax: Axes, ratios: np.ndarray) -> None:
    """Ticks at the shares there are, as percentages, leaving out those too near to the one before."""
    from matplotlib.ticker import NullLocator

    span = np.log10(ratios[-1] / ratios[0]) or 1.0
    kept: list[float] = []
    for ratio in ratios[::-1].tolist():  # from the largest: all samples is the one to read off first
        if not kept or np.log10(kept[-1] / ratio) > 0.12 * span:
            kept.append(ratio)
    ax.set_xticks(kept, [f"{100 * ratio:.3g} %" for ratio in kept])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("share of the training samples")


def _start_legend(figure: Figure, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, lw=1.5, marker="os^vD"[i % 5], ms=5, label=start)
        for i, (start, colour) in enumerate(colours.items())
    ]
    handles.append(
        Line2D([], [], color=DARK, ls="", marker="o", mew=0, ms=4, alpha=0.3, label="single draws")
    )
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))


@styled
def matrix_figure(table: pd.DataFrame, *, metric: str = "", title: str = "") -> Figure:
    """Scores of models of each cell line on each cell line: trained down the side, tested along the bottom.

    Parameters
    ----------
    table
        Columns train, test and value, one row for each pair; pairs without a row or value stay grey. Cells
        within one line are framed.
    metric
        What the values are, written beside the colours.
    title
        Written above.

    Raises
    ------
    SchemaError
        A column is missing.
    DataError
        A pair has several rows.
    """
    require_columns(table, ("train", "test", "value"), "matrix_figure")
    twice = table[table.duplicated(["train", "test"])]
    if len(twice):
        first = twice.iloc[0]
        raise DataError(
            f"matrix_figure: {first['train']} tested on {first['test']} has more than one row; average over "
            "runs, or choose one metric, first."
        )
    trains, tests = (list(dict.fromkeys(table[name].astype(str))) for name in ("train", "test"))
    tests = [*(name for name in trains if name in tests), *(name for name in tests if name not in trains)]
    values = np.full((len(trains), len(tests)), np.nan)
    for row in table.to_dict("records"):
        values[trains.index(str(row["train"])), tests.index(str(row["test"]))] = row["value"]
    figure = new_figure(2.6 + 0.85 * max(len(tests), 2), 1.25 + 0.55 * max(len(trains), 2), "compressed")
    ax = figure.add_subplot()
    if len(finite(values)):
        _draw_cells(figure, ax, values, trains, tests, metric)
    else:
        say_nothing(ax, "no scores")
    ax.set_title(title)
    return figure


def _draw_cells(
    figure: Figure, ax: Axes, values: np.ndarray, trains: list[str], tests: list[str], metric: str
) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator

    known = finite(values)
    pad = 0.1 * float(np.ptp(known)) or 0.05
    low, high = float(known.min()) - pad, float(known.max()) + pad
    image = ax.imshow(values, cmap=count_colours(), vmin=low, vmax=high, aspect=0.65)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if (value - low) / (high - low) > _DARK_FROM else "black"
            ax.text(column, row, f"{value:.3f}", ha="center", va="center", color=ink, gid="value")
        if trains[row] == tests[column]:
            ax.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, fill=False, ec=DARK, lw=1.6, clip_on=False, gid="same"
                )
            )
    ax.set_xticks(range(len(tests)), [wrap(name, 12) for name in tests])
    ax.set_yticks(range(len(trains)), [wrap(name, 18) for name in trains])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="tested on", ylabel="trained on")
    bar = figure.colorbar(image, ax=ax, label=metric, shrink=0.8, aspect=20)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.outline.set_linewidth(0.5)
