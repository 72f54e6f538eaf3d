"""The saddle: contacts between bins grouped by E1, and how strong compartments are on each chromosome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .maps import colour_bar, ratio_reach
from .style import BLUE, DARK, GREY, LIGHT, finite, new_figure, ratio_colours, say_nothing, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

__all__ = ["draw_saddle", "saddle_figure"]

_ROW = 0.2  # inches for each chromosome


@styled
def draw_saddle(ax: Axes, saddle: np.ndarray, corners: Mapping[str, float] | None = None) -> ScalarMappable:
    """Draw mean observed/expected between groups of bins, B to A.

    Parameters
    ----------
    ax
        Axes to draw into.
    saddle
        float (q, q); NaN where there is no pair.
    corners
        ``AA``, ``BB`` and ``AB`` -> their mean, written into the corners.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.patheffects import Normal, Stroke

    reach = ratio_reach(finite(saddle[saddle > 0]))
    image = ax.imshow(
        np.where(saddle <= 0, 1 / reach, saddle),
        norm=LogNorm(1 / reach, reach),
        cmap=ratio_colours(),
        extent=(0, 100, 100, 0),
    )
    ax.set(xlabel="E1 percentile (B to A)", ylabel="E1 percentile (B to A)")
    ax.spines[:].set_visible(True)
    places = {"BB": (4, 4, "left", "top"), "AA": (96, 96, "right", "bottom"), "AB": (96, 4, "right", "top")}
    for name, (x, y, across, up) in places.items():
        if corners and np.isfinite(corners.get(name, np.nan)):
            text = ax.text(x, y, f"{name} {corners[name]:.2f}", ha=across, va=up, color=DARK, gid="corner")
            text.set_path_effects([Stroke(linewidth=2.5, foreground="white"), Normal()])
    return image


@styled
def saddle_figure(
    saddle: np.ndarray,
    *,
    strength: float | None = None,
    corners: Mapping[str, float] | None = None,
    chromosomes: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """A saddle and, where there are several chromosomes, the strength of each beside it.

    Parameters
    ----------
    saddle, corners
        As for :func:`draw_saddle`.
    strength
        Of the whole; stands above the saddle, and as a line among the chromosomes.
    chromosomes
        Chromosome -> strength, NaN where there is none; drawn from top to bottom.
    title
        Above the saddle, before the strength.
    """
    several = chromosomes is not None and len(chromosomes) > 1
    height = max(3.9, _ROW * len(chromosomes) + 1.0) if chromosomes else 3.9
    figure = new_figure(8.2 if several else 4.8, height, "constrained" if several else "compressed")
    axes = figure.subplots(1, 2, width_ratios=[1.7, 1]) if several else [figure.add_subplot()]
    image = draw_saddle(axes[0], saddle, corners)
    said = "" if strength is None else f"strength {strength:.2f}"
    axes[0].set_title(": ".join(part for part in (title, said) if part))
    colour_bar(figure, image, "mean observed / expected", ax=axes[0])
    if several and chromosomes is not None:
        _draw_strengths(axes[1], chromosomes, strength)
    return figure


def _draw_strengths(ax: Axes, chromosomes: Mapping[str, float], whole: float | None) -> None:
    values = np.array(list(chromosomes.values()), dtype=np.float64)
    rows = np.arange(len(values))
    ax.set_yticks(rows, list(chromosomes))
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.set_xlabel("saddle strength, (AA + BB) / AB")
    ax.grid(axis="x", color=LIGHT, lw=0.5)
    if not len(finite(values)):
        say_nothing(ax, "no saddle")
        return
    if whole is not None and np.isfinite(whole):
        ax.axvline(whole, color=GREY, ls=":", lw=1.3, label="all chromosomes", gid="whole")
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0))
    ax.plot(values, rows, "o", color=BLUE, ms=6, gid="strengths")
    ax.set_xlim(min(1.0, 0.95 * float(np.nanmin(values))), 1.05 * max(1.0, float(np.nanmax(values))))
    ax.axvline(1.0, color=DARK, lw=0.8, gid="none")
