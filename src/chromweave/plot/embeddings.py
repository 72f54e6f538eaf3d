"""Embeddings of bins in the plane, coloured by what is known of them, and compartment switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import (
    DARK,
    compartment_colour,
    finite,
    new_figure,
    say_nothing,
    series_colours,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_embedding", "embedding_figure", "switches_figure"]


@styled
def draw_embedding(
    ax: Axes, coordinates: np.ndarray, bins: pd.DataFrame, colour_by: str, *, method: str = "UMAP"
) -> None:
    """Scatter bins in two dimensions, coloured by one property, with its legend or colour bar.

    Points are drawn in a random but fixed order, so that no group hides another.

    Parameters
    ----------
    ax
        Axes to draw into.
    coordinates
        Float (n, 2); rows with NaN are left out.
    bins
        One row per point, as AnnData's `obs`.
    colour_by
        ``"position"`` (column start, bp, coloured in Mb), a number column, or a column of groups; groups
        named A..., B... and N in a column called compartment take the compartments' colours.
    method
        What the axes are called.
    """
    points = np.asarray(coordinates, dtype=np.float64)
    order = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(points).all(axis=1)))
    column = "start" if colour_by == "position" else colour_by
    values = bins[column].iloc[order]
    _axes(ax, method, colour_by)
    if not len(order):
        say_nothing(ax)
    elif values.dtype.kind in "iuf":
        label, unit = ("position (Mb)", 1e6) if colour_by == "position" else (colour_by, 1.0)
        numbers = values.to_numpy(np.float64, na_value=np.nan) / unit
        _by_number(ax, points[order], numbers, label)
    else:
        _by_group(ax, points[order], values.astype(str).to_numpy(), colour_by)


def _axes(ax: Axes, method: str, title: str) -> None:
    ax.set_xlabel(f"{method} 1")
    ax.set_ylabel(f"{method} 2")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(f"by {title.replace('_', ' ')}")


def _size(n: int) -> float:
    """Area of a point, in points squared: smaller where there are more."""
    return float(np.clip(6000 / n, 2, 28))


def _by_number(ax: Axes, points: np.ndarray, values: np.ndarray, label: str) -> None:
    cloud = ax.scatter(
        points[:, 0], points[:, 1], c=values, s=_size(len(points)), cmap="viridis", lw=0, rasterized=True
    )
    known = finite(values)
    if len(known) and known.min() < known.max():
        bar = ax.figure.colorbar(cloud, ax=ax, label=label, shrink=0.8, aspect=25)
        bar.outline.set_linewidth(0.5)


def _by_group(ax: Axes, points: np.ndarray, groups: np.ndarray, kind: str) -> None:
    names = sorted(set(groups))
    if kind == "compartment" and {name[:1] for name in names} <= set("ABN"):
        shades = {name: compartment_colour(name) for name in names}
    else:
        shades = series_colours(names)
    colours = [shades[group] for group in groups]
    ax.scatter(points[:, 0], points[:, 1], c=colours, s=_size(len(points)), lw=0, alpha=0.8, rasterized=True)
    for name in names:
        count = int((groups == name).sum())
        ax.scatter([], [], s=28, color=shades[name], lw=0, label=f"{name} ({count:,})")
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        handletextpad=0.2,
        borderaxespad=0.3,
        ncols=1 + (len(names) - 1) // 14,
    )


@styled
def embedding_figure(
    coordinates: np.ndarray,
    bins: pd.DataFrame,
    colour_by: Sequence[str] = ("compartment", "position"),
    *,
    method: str = "UMAP",
) -> Figure:
    """One panel of the same points for each property; parameters as in :func:`draw_embedding`."""
    columns = 2 if len(colour_by) == 4 else min(len(colour_by), 3)
    rows = -(-len(colour_by) // columns)
    width = {1: 4.8, 2: 8.6, 3: 11.4}[columns]
    figure = new_figure(width, 3.5 * rows)
    for i, name in enumerate(colour_by, 1):
        draw_embedding(figure.add_subplot(rows, columns, i), coordinates, bins, name, method=method)
    return figure


@styled
def switches_figure(switches: pd.DataFrame, *, first: str = "first", second: str = "second") -> Figure:
    """Heat map of compartments in one condition (rows) against another (columns).

    Each cell holds its number of bins and, where the table has it, the number expected by chance.

    Parameters
    ----------
    switches
        Schema `SWITCHES`.
    first, second
        Names of the conditions.
    """
    names = sorted({*switches["first"].astype(str), *switches["second"].astype(str)})
    place = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    expected = np.full_like(counts, np.nan)
    for row in switches.to_dict("records"):
        cell = place[str(row["first"])], place[str(row["second"])]
        counts[cell] = row["bins"]
        expected[cell] = row.get("expected", np.nan)
    figure = new_figure(1.9 + 0.95 * max(len(names), 1), 1.0 + 0.85 * max(len(names), 1))
    ax = figure.add_subplot()
    if names:
        _heat(ax, counts, expected)
        figure.colorbar(ax.images[0], ax=ax, label="bins", shrink=0.8, aspect=18)
    else:
        say_nothing(ax)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel(second)
    ax.set_ylabel(first)
    ax.spines[:].set_visible(True)
    return figure


def _heat(ax: Axes, counts: np.ndarray, expected: np.ndarray) -> None:
    ax.imshow(counts, cmap="Blues", vmin=0, vmax=max(counts.max(), 1))
    for (i, j), count in np.ndenumerate(counts):
        text = f"{count:,.0f}"
        if np.isfinite(expected[i, j]):
            text += f"\n({expected[i, j]:,.0f} exp.)"
        dark = count > 0.55 * counts.max()
        ax.text(j, i, text, ha="center", va="center", fontsize=8.5, color="white" if dark else DARK)
