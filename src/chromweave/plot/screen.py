"""A screen of many edits: the effect of each, ranked, and the names of those that matter most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from .scores import require_columns
from .style import BLUE, DARK, GREY, LIGHT, VERMILLION, WIDTH, new_figure, say_nothing, styled, wrap

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["screen_figure"]

_NAME_WIDTH = 34  # characters of a name on one line


@styled
def screen_figure(table: pd.DataFrame, *, top: int = 15, effect: str = "effect", title: str = "") -> Figure:
    """All effects of a screen from the largest to the smallest, and the `top` by size with their names.

    Parameters
    ----------
    table
        Columns name and effect (of any sign; missing where there is none, which is left out) and, optionally,
        low and high, the ends of an interval. A row for each edit.
    top
        How many to name.
    effect
        What the effect is, with its unit.
    title
        Written above.

    Raises
    ------
    SchemaError
        A column is missing.
    ConfigError
        `top` is below 1.
    """
    require_columns(table, ("name", "effect"), "screen_figure")
    if top < 1:
        raise ConfigError(f"screen_figure: top is how many edits to name, at least 1, not {top}.")
    known = table[np.isfinite(table["effect"].to_numpy(np.float64))]
    known = known.sort_values("effect", ascending=False, kind="stable").reset_index(drop=True)
    order = np.argsort(-known["effect"].abs().to_numpy(), kind="stable")
    named = np.sort(order[:top])
    figure = new_figure(WIDTH, max(3.2, 1.0 + 0.24 * len(named)))
    if not len(known):
        say_nothing(figure.add_subplot(), "no effects")
        return figure
    ranked, names = figure.subplots(1, 2, width_ratios=[1, 1.15])
    _draw_ranks(ranked, known["effect"].to_numpy(np.float64), named, effect)
    _draw_named(names, known.iloc[named], effect)
    ranked.set_title(title or f"{len(known):,} edits")
    names.set_title("the largest" if len(named) < len(known) else "all")
    return figure


def _colours(effects: np.ndarray) -> list[str]:
    """Vermillion for what an edit adds, blue for what it takes away."""
    return [VERMILLION if value > 0 else BLUE if value < 0 else GREY for value in effects]


def _draw_ranks(ax: Axes, effects: np.ndarray, named: np.ndarray, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    rank = np.arange(1, len(effects) + 1)
    ax.axhline(0, color=GREY, lw=0.6)
    ax.scatter(rank, effects, s=8, color=GREY, lw=0, gid="all", rasterized=True)
    ax.scatter(rank[named], effects[named], s=22, c=_colours(effects[named]), lw=0, gid="named")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set(xlabel="rank", ylabel=label)
    ax.grid(axis="y", color=LIGHT, lw=0.5)


def _draw_named(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    effects = rows["effect"].to_numpy(np.float64)
    y = np.arange(len(rows))
    colours = _colours(effects)
    ax.axvline(0, color=DARK, lw=0.8)
    ax.hlines(y, 0, effects, colors=colours, lw=1.0, alpha=0.5)
    if {"low", "high"} <= set(rows.columns):
        ax.hlines(y, rows["low"], rows["high"], colors=colours, lw=1.8, gid="interval")
    ax.scatter(effects, y, c=colours, s=30, lw=0, zorder=3, gid="effects")
    ax.set_yticks(y, [wrap(str(name), _NAME_WIDTH) for name in rows["name"]])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel(label)
    ax.grid(axis="x", color=LIGHT, lw=0.5)
