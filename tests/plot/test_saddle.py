import numpy as np
import pytest

from chromweave.plot.saddle import saddle_figure
from chromweave.plot.style import image_bytes

CORNERS = {"AA": 1.65, "BB": 1.9, "AB": 0.55}


def planted(n=50):
    """From 0.5 between the kinds to 2 within them."""
    side = np.linspace(-1, 1, n)
    return 2.0 ** np.outer(side, side)


def test_one_chromosome_is_a_saddle_alone(texts, by_gid):
    figure = saddle_figure(
        np.array([[2.0, 0.5], [0.5, 4.0]]), strength=3.14159, chromosomes={"chr20": 3.14159}, title="GM12878"
    )
    ax, bar = figure.axes
    assert "GM12878: strength 3.14" in texts(figure)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 100), (100, 0))
    assert bar.get_ylabel() == "mean observed / expected"
    low, high = ax.images[0].get_clim()
    assert low * high == pytest.approx(1), "as much colour below as above"
    assert by_gid(ax, "corner") == []


def test_corners_say_their_mean(by_gid):
    ax = saddle_figure(planted(), corners={**CORNERS, "AB": np.nan}).axes[0]
    assert [text.get_text() for text in by_gid(ax, "corner")] == ["BB 1.90", "AA 1.65"]


def test_strengths_of_chromosomes_from_top_to_bottom(by_gid, texts):
    given = {"chr1": 2.5, "chr2": np.nan, "chrX": 0.8}
    figure = saddle_figure(planted(), strength=2.0, chromosomes=given)
    right = next(ax for ax in figure.axes if "strength" in ax.get_xlabel())
    (points,) = by_gid(right, "strengths")
    np.testing.assert_equal(points.get_xdata(), [2.5, np.nan, 0.8])
    assert points.get_ydata().tolist() == [0, 1, 2]
    assert right.get_ylim() == (2.5, -0.5)
    assert [label.get_text() for label in right.get_yticklabels()] == list(given)
    (whole,) = by_gid(right, "whole")
    assert list(whole.get_xdata()) == [2.0, 2.0]
    low, high = right.get_xlim()
    assert low < 0.8 < 2.5 < high
    assert {"chr1", "chrX", "all chromosomes"} <= set(texts(figure))


def test_nothing_is_drawn_as_nothing(texts):
    empty = saddle_figure(
        np.full((5, 5), np.nan), strength=np.nan, chromosomes={"chr1": np.nan, "chr2": np.nan}
    )
    assert "no saddle" in texts(empty)
    image_bytes(empty)


def test_it_is_legible(assert_legible):
    genome = {f"chr{name}": 2.0 + 0.02 * k for k, name in enumerate([*range(1, 23), "X", "Y"])}
    assert_legible(saddle_figure(planted(), strength=2.1, corners=CORNERS, chromosomes=genome, title="K562"))
    two = {"chr21": 2.3, "chr22": 2.31}
    assert_legible(saddle_figure(planted(), strength=2.1, corners=CORNERS, chromosomes=two))
    assert_legible(saddle_figure(planted(), strength=2.1, corners=CORNERS, title="GM12878"))
