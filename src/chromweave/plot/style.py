"""How every picture looks: colours, fonts, axes in bp; drawn on Agg, without pyplot or global state.

Public drawing functions run inside :func:`styled`, which applies :data:`RC` for the time of the call only.
Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np

from ..genome import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "COMPARTMENT_COLOURS",
    "DARK",
    "GREEN",
    "GREY",
    "LIGHT",
    "MISSING",
    "RC",
    "SERIES",
    "VERMILLION",
    "WIDTH",
    "compartment_colour",
    "contact_colours",
    "count_colours",
    "distance_axis",
    "finite",
    "format_bp",
    "genomic_axis",
    "image_bytes",
    "new_figure",
    "ratio_colours",
    "say_nothing",
    "series_colours",
    "styled",
    "wrap",
]

P = ParamSpec("P")
R = TypeVar("R")

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
DARK, GREY, LIGHT = "#333333", "#999999", "#DDDDDD"
MISSING = "#C4C4C4"

SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Okabe and Ito's colours in the order lines take them; yellow is left out, as it is lost on white."""

COMPARTMENT_COLOURS = {"A": VERMILLION, "B": BLUE, "N": GREY}
"""A (active), B (inactive), N (masked)."""

WIDTH = 10.0
"""Width in inches of a figure that fills a page (960 CSS pixels)."""

RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": DARK,
    "axes.labelcolor": DARK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "chromweave",  # the same figure is the same bytes
    "text.color": DARK,
    "text.parse_math": False,  # a dollar sign in a sample's name is a dollar sign
    "text.usetex": False,
    "xtick.color": DARK,
    "xtick.labelsize": 8.5,
    "ytick.color": DARK,
    "ytick.labelsize": 8.5,
}
"""matplotlib settings of every picture; never applied globally."""

# From white over yellow and red to near black, lightness falling all the way: the field's habit for contacts.
_FALL = ("#ffffff", "#fff0c9", "#fdc77b", "#f58b4c", "#d9402f", "#9b1029", "#4a0a1e", "#14020a")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under :data:`RC`; matplotlib's global settings are as before when it returns."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context(RC):  # type: ignore[arg-type]  # its keys are typed one by one
            return draw(*args, **kwargs)

    return inside


@styled
def new_figure(
    width: float = WIDTH, height: float = 4.0, layout: Literal["constrained", "compressed"] = "constrained"
) -> Figure:
    """An empty figure of `width` x `height` inches that lays itself out, on an Agg canvas.

    A `compressed` layout keeps a colour bar beside axes of a fixed aspect, such as a square map.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


@styled
def image_bytes(figure: Figure, kind: Literal["png", "svg"] = "png", dpi: float = 160) -> bytes:
    """The figure as a PNG or SVG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None}
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


@cache
def contact_colours() -> Colormap:
    """Colours of contacts, white to near black; bins without data are light grey."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("chromweave_contacts", _FALL).with_extremes(bad=LIGHT)


@cache
def count_colours() -> Colormap:
    """Colours of how much there is where a little must be told from white: light blue to near black."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = ("#d6e6f2", "#7fb4d8", BLUE, "#00436b", "#001c2e")
    return LinearSegmentedColormap.from_list("chromweave_counts", shades).with_extremes(bad=LIGHT)


@cache
def ratio_colours() -> Colormap:
    """Colours of a ratio to what is expected: blue below, white at, red above; no data is light grey."""
    import matplotlib as mpl

    return mpl.colormaps["RdBu_r"].with_extremes(bad=LIGHT)


def compartment_colour(name: str) -> str:
    """Colour of a compartment; a sub-compartment (``A1``, ``B2``) takes that of its letter."""
    return COMPARTMENT_COLOURS.get(str(name)[:1].upper(), GREY)


def series_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each distinct name, in order of appearance; they repeat after seven."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(dict.fromkeys(names))}


def format_bp(distance: float) -> str:
    """A distance in bp as a reader says it: ``500 bp``, ``25 kb``, ``1.5 Mb``."""
    if distance == 0:
        return "0"
    for unit, size in (("Mb", 1e6), ("kb", 1e3)):
        if abs(distance) >= size:
            return f"{distance / size:.4g} {unit}"
    return f"{distance:.4g} bp"


def genomic_axis(ax: Axes, region: Interval, axis: Literal["x", "y"] = "x", ticks: int = 6) -> None:
    """Limit an axis whose data are in bp to `region`, with ticks and a label in Mb.

    Parameters
    ----------
    ax
        Axes to set; a y axis runs downwards, as the rows of a map do.
    region
        What is shown.
    axis
        Which axis.
    ticks
        At most this many intervals between ticks.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    which.set_major_formatter(FuncFormatter(lambda bp, _: f"{bp / 1e6:.10g}"))
    which.set_label_text(f"{region.chrom} (Mb)")
    if axis == "x":
        ax.set_xlim(region.start, region.end)
    else:
        ax.set_ylim(region.end, region.start)


def distance_axis(ax: Axes, axis: Literal["x", "y"] = "x") -> None:
    """Ticks of an axis in bp written as distances (``100 kb``)."""
    from matplotlib.ticker import FuncFormatter

    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_major_formatter(FuncFormatter(lambda bp, _: format_bp(bp)))


def say_nothing(ax: Axes, message: str = "no data") -> None:
    """Write `message` in the middle of axes that have nothing to show."""
    ax.text(0.5, 0.5, message, transform=ax.transAxes, ha="center", va="center", color=GREY, gid="nothing")


def wrap(text: str, width: int) -> str:
    """`text` broken into lines of at most `width` characters; its own line breaks are kept."""
    return "\n".join("\n".join(textwrap.wrap(line, width)) for line in text.splitlines())


def finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The finite ones of `values`, flat, float64."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[np.isfinite(array)]
