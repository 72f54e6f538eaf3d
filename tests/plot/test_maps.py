import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import DataError
from chromweave.genome import Interval
from chromweave.plot.maps import draw_map, draw_triangle, map_figure, pileup_figure
from chromweave.plot.style import image_bytes, new_figure


def loops(*anchors, chrom="chr22", chrom2=None):
    rows = [(chrom, a, a + 10_000, chrom2 or chrom, b, b + 10_000) for a, b in anchors]
    return pd.DataFrame(rows, columns=["chrom1", "start1", "end1", "chrom2", "start2", "end2"])


@pytest.fixture
def calls():
    return loops((20_050_000, 20_200_000), (20_100_000, 20_300_000))


def test_map_covers_its_region(contacts, region, texts):
    figure = map_figure(contacts, region, 10_000, unit="balanced contacts", title="K562")
    ax, bar = figure.axes
    assert ax.get_xlim() == (20_000_000, 20_400_000)
    assert ax.get_ylim() == (20_400_000, 20_000_000)
    assert ax.get_xlabel() == ax.get_ylabel() == "chr22 (Mb)"
    assert bar.get_ylabel() == "balanced contacts"
    assert {"20.1", "K562"} <= set(texts(figure))


def test_calls_stand_above_the_diagonal_and_truth_below(contacts, region, calls, by_gid):
    ax = map_figure(contacts, region, 10_000, calls=calls, truth=calls).axes[0]
    (called,) = by_gid(ax, "calls")
    (known,) = by_gid(ax, "truth")
    assert called.get_offsets().tolist() == [[20_205_000, 20_055_000], [20_305_000, 20_105_000]]
    assert known.get_offsets().tolist() == [[20_055_000, 20_205_000], [20_105_000, 20_305_000]]


def test_swapped_anchors_are_put_in_order(contacts, region, by_gid):
    ax = map_figure(contacts, region, 10_000, calls=loops((20_200_000, 20_050_000))).axes[0]
    assert by_gid(ax, "calls")[0].get_offsets().tolist() == [[20_205_000, 20_055_000]]


def test_loops_elsewhere_are_passed_over(contacts, region, by_gid, texts):
    far = pd.concat(
        [
            loops((20_050_000, 21_200_000)),
            loops((20_050_000, 20_200_000), chrom="chr1"),
            loops((20_050_000, 20_200_000), chrom2="chr1"),
        ]
    )
    figure = map_figure(contacts, region, 10_000, calls=far)
    assert len(by_gid(figure.axes[0], "calls")[0].get_offsets()) == 0
    assert "called loops (0)" in texts(figure)


def test_an_empty_table_of_loops_draws_none(contacts, region, by_gid):
    ax = map_figure(contacts, region, 10_000, calls=loops()).axes[0]
    assert len(by_gid(ax, "calls")[0].get_offsets()) == 0


def test_no_table_no_legend(contacts, region):
    assert not map_figure(contacts, region, 10_000).legends


def test_zero_is_white_and_masked_is_grey(region):
    matrix = np.full((40, 40), 5.0)
    matrix[0, 1] = 0
    matrix[3, 3] = np.nan
    image = draw_map(new_figure(3, 3).add_subplot(), matrix, region, 10_000)
    colours = image.to_rgba(image.get_array())
    assert colours[0, 1, :3].tolist() == [1, 1, 1]
    assert np.allclose(colours[3, 3, :3], 0xDD / 255)
    assert colours[5, 5, :3].sum() < 2.9


def test_ratio_colours_are_centred_on_one(region):
    matrix = np.ones((40, 40))
    matrix[0, 0] = 8
    image = draw_map(new_figure(3, 3).add_subplot(), matrix, region, 10_000, kind="oe")
    low, high = image.get_clim()
    assert low * high == pytest.approx(1)
    assert high >= 2
    assert np.allclose(image.to_rgba(1.0)[:3], 0.97, atol=0.02)


@pytest.mark.parametrize("value", [np.nan, 0.0], ids=["masked", "zero"])
@pytest.mark.parametrize("draw", [draw_map, draw_triangle])
def test_a_map_without_contacts_is_drawn(value, draw, region, by_gid):
    figure = new_figure(3, 3)
    ax = figure.add_subplot()
    draw(ax, np.full((40, 40), value), region, 10_000)
    assert len(by_gid(ax, "nothing")) == np.isnan(value)
    image_bytes(figure)


def test_one_bin(texts):
    figure = map_figure(np.array([[3.0]]), Interval("chr1", 0, 700), 1000)
    assert figure.axes[0].get_xlim() == (0, 700)
    image_bytes(figure)


@pytest.mark.parametrize("draw", [draw_map, draw_triangle])
def test_a_map_of_another_region_is_refused(draw, region):
    with pytest.raises(DataError, match=r"has 40 bins of 10,000 bp, but the map to draw is 39 x 39"):
        draw(new_figure(2, 2).add_subplot(), np.ones((39, 39)), region, 10_000)


def test_triangle_places_a_pixel_over_its_middle(contacts, region):
    mesh = draw_triangle(new_figure(6, 3).add_subplot(), contacts, region, 10_000)
    corners = mesh.get_coordinates()
    # Pixel (2, 5) spans 30 to 40 kb of distance at its left and right corners, around 20.04 Mb.
    assert corners[2, 5].tolist() == [20_035_000, 30_000]
    assert corners[3, 6].tolist() == [20_045_000, 30_000]
    assert corners[2, 6].tolist() == [20_040_000, 40_000]
    assert corners[3, 5].tolist() == [20_040_000, 20_000]


def test_triangle_shows_the_upper_half_within_its_height(contacts, region):
    ax = new_figure(6, 3).add_subplot()
    mesh = draw_triangle(ax, contacts, region, 10_000, max_distance=100_000)
    shown = ~np.ma.getmaskarray(mesh.get_array()).reshape(40, 40)
    i, j = np.indices((40, 40))
    expected = (j >= i) & (j - i <= 10) & (i != 7) & (j != 7)
    assert (shown == expected).all()
    assert ax.get_ylim() == (0, 100_000)


def test_triangle_marks_loops_at_their_distance(contacts, region, calls, by_gid):
    ax = new_figure(6, 3).add_subplot()
    draw_triangle(ax, contacts, region, 10_000, calls=calls, truth=calls)
    expected = [[20_130_000, 150_000], [20_205_000, 200_000]]
    assert by_gid(ax, "calls")[0].get_offsets().tolist() == expected
    assert by_gid(ax, "truth")[0].get_offsets().tolist() == expected


def test_pileup_says_its_scores(texts):
    figure = pileup_figure(
        np.full((5, 5), 2.0), np.ones((5, 5)), 5000, score=2.5, control_score=1.01, count=1234
    )
    left, right, bar = figure.axes
    assert {"loops (n = 1,234): APA 2.50", "shifted control: 1.01"} <= set(texts(figure))
    assert left.get_xlim() == right.get_xlim() == (-12.5, 12.5)
    assert left.images[0].get_clim() == right.images[0].get_clim()
    assert left.get_xticks().tolist() == [-10, 0, 10]
    assert bar.get_ylabel() == "mean observed / expected"


def test_pileup_of_nothing_is_drawn(texts):
    nothing = np.full((5, 5), np.nan)
    figure = pileup_figure(nothing, nothing, 5000, score=np.nan, control_score=np.nan, count=0)
    assert figure.axes[0].images[0].get_clim() == (0.5, 2.0)
    assert texts(figure).count("no data") == 2
    image_bytes(figure)


@settings(max_examples=25)
@given(st.integers(-6, 6), st.floats(0.5, 5))
def test_colour_bars_have_at_least_two_numbers_and_no_crowd(exponent, decades):
    matrix = np.logspace(exponent, exponent + decades, 16).reshape(4, 4)
    figure = map_figure(matrix, Interval("chr1", 0, 4000), 1000)
    low, high = figure.axes[0].images[0].get_clim()
    ticks = figure.axes[1].get_yticks()
    assert 2 <= ((ticks >= low) & (ticks <= high)).sum() <= 12


def test_map_is_legible(contacts, region, calls, assert_legible):
    assert_legible(map_figure(contacts, region, 10_000, calls=calls, truth=calls, title="K562"))


def test_map_of_a_whole_chromosome_is_legible(assert_legible):
    assert_legible(map_figure(np.ones((64, 64)), Interval("chr20", 0, 63_025_520), 1_000_000))


def test_pileup_is_legible(assert_legible):
    pile = np.random.default_rng(0).gamma(4, 0.3, (21, 21))
    assert_legible(pileup_figure(pile, pile, 10_000, score=10.25, control_score=1.0, count=12_345))
