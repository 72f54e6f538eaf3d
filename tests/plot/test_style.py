import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.genome import Interval
from chromweave.plot import style


def luminance(colour):
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_importing_the_room_loads_no_matplotlib():
    code = (
        "import sys, chromweave.plot.browser, chromweave.plot.curves, chromweave.plot.embeddings, "
        "chromweave.report.sections; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_never_loads_pyplot():
    code = (
        "import sys; from chromweave.plot.style import new_figure, image_bytes; f = new_figure(2, 1); "
        "f.add_subplot(); image_bytes(f); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_hold_inside_and_only_inside():
    before = dict(mpl.rcParams)

    @style.styled
    def inside():
        return mpl.rcParams["axes.titlelocation"]

    assert inside() == "left"
    assert dict(mpl.rcParams) == before


def test_settings_come_back_after_an_error():
    before = dict(mpl.rcParams)

    @style.styled
    def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        fails()
    assert dict(mpl.rcParams) == before


def test_the_callers_settings_do_not_reach_our_pictures():
    with mpl.rc_context({"axes.titlelocation": "right", "font.size": 30}):
        ax = style.styled(lambda: style.new_figure(3, 2).add_subplot())()
        assert ax.xaxis.label.get_fontsize() == 9


@pytest.mark.parametrize(
    ("kind", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml")], ids=["png", "svg"]
)
def test_the_same_figure_is_the_same_bytes(kind, magic):
    def draw():
        figure = style.new_figure(3, 2)
        figure.add_subplot().plot([0, 1], [1, 0], label="a")
        return style.image_bytes(figure, kind)

    first = draw()
    assert first.startswith(magic)
    assert first == draw()


def test_a_png_has_the_figures_size_in_pixels():
    data = style.image_bytes(style.new_figure(3, 2), dpi=100)
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (300, 200)


def test_contact_colours_darken_all_the_way():
    shades = [luminance(colour) for colour in style.contact_colours()(np.linspace(0, 1, 64))]
    assert shades[0] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(shades) <= 0).all()
    assert shades[-1] < 0.01


def test_ratio_colours_are_white_in_the_middle_and_blue_below():
    colours = style.ratio_colours()
    assert luminance(colours(0.5)) > 0.9
    low, high = colours(0.05), colours(0.95)
    assert low[2] > low[0]
    assert high[0] > high[2]


def test_masked_bins_have_a_colour_of_their_own():
    for colours in (style.contact_colours(), style.count_colours(), style.ratio_colours()):
        assert mpl.colors.to_hex(colours(np.nan)) == style.LIGHT.lower()


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("A", style.VERMILLION),
        ("B", style.BLUE),
        ("A1", style.VERMILLION),
        ("B2.1", style.BLUE),
        ("N", style.GREY),
        ("?", style.GREY),
        ("", style.GREY),
    ],
)
def test_compartment_colour(name, colour):
    assert style.compartment_colour(name) == colour


def test_series_colours_differ_and_keep_their_order():
    colours = style.series_colours(["b", "a", "b", "c"])
    assert list(colours) == ["b", "a", "c"]
    assert len(set(colours.values())) == 3
    assert colours["b"] == style.BLUE


def test_every_series_colour_can_be_seen_on_white():
    # WCAG asks a contrast of 3 for graphics; Okabe and Ito's light three come near 2 and are taken last.
    contrast = [1.05 / (luminance(colour) + 0.05) for colour in style.SERIES]
    assert min(contrast) > 2
    assert min(contrast[:2]) > 3


@pytest.mark.parametrize(
    ("distance", "text"),
    [(0, "0"), (500, "500 bp"), (1000, "1 kb"), (25_000, "25 kb"), (1_500_000, "1.5 Mb"), (-2e6, "-2 Mb")],
)
def test_format_bp(distance, text):
    assert style.format_bp(distance) == text


def test_genomic_axis_counts_in_mb(texts):
    figure = style.new_figure(8, 2)
    ax = figure.add_subplot()
    style.genomic_axis(ax, Interval("chr2", 1_000_000, 2_000_000))
    assert ax.get_xlim() == (1_000_000, 2_000_000)
    assert ax.get_xlabel() == "chr2 (Mb)"
    assert {"1", "1.2", "1.4", "1.6", "1.8", "2"} <= set(texts(figure))


def test_a_genomic_y_axis_runs_downwards():
    ax = style.new_figure(2, 2).add_subplot()
    style.genomic_axis(ax, Interval("chr2", 10, 20), "y")
    assert ax.get_ylim() == (20, 10)


@given(
    st.integers(0, 240_000_000),
    st.integers(1, 10_000_000),
)
def test_ticks_of_any_region_are_told_apart(start, length):
    ax = style.new_figure(8, 2).add_subplot()
    style.genomic_axis(ax, Interval("chr1", start, start + length))
    labels = [ax.xaxis.get_major_formatter()(tick) for tick in ax.get_xticks()]
    assert len(set(labels)) == len(labels)


def test_a_dollar_sign_is_no_formula():
    figure = style.new_figure(3, 2)

    @style.styled
    def label():
        figure.add_subplot().set_title("a $x_1$ \\frac")

    label()
    assert style.image_bytes(figure)


def test_wrap():
    assert style.wrap("one two three\nfour", 8) == "one two\nthree\nfour"


def test_finite():
    assert style.finite([[1, np.nan], [np.inf, 2]]).tolist() == [1, 2]


def test_little_is_told_from_white_and_more_is_always_darker():
    shades = [luminance(colour) for colour in style.count_colours()(np.linspace(0, 1, 64))]
    assert (np.diff(shades) < 0).all()
    assert shades[0] < 0.8
