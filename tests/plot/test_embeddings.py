import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from chromweave.plot.embeddings import draw_embedding, embedding_figure, switches_figure
from chromweave.plot.style import BLUE, GREY, VERMILLION, image_bytes, new_figure


@pytest.fixture
def bins():
    return pd.DataFrame(
        {
            "chrom": "chr21",
            "start": [0, 40_000_000, 10_000_000, 20_000_000],
            "compartment": pd.Categorical(["A", "B", "B", "N"]),
            "cell_line": ["GM12878", "IMR90", "GM12878", "IMR90"],
            "degree": [1.0, 2.0, np.nan, 4.0],
        }
    )


POINTS = np.array([[0.0, 0], [1, 1], [2, 4], [3, 9]])


def drawn(ax):
    """x of each point -> its colour, read after drawing."""
    ax.figure.draw_without_rendering()
    cloud = ax.collections[0]
    return {
        float(x): tuple(np.round(colour[:3], 4))
        for (x, _), colour in zip(cloud.get_offsets(), cloud.get_facecolors(), strict=True)
    }


def rgb(colour):
    return tuple(np.round(to_rgb(colour), 4))


def test_compartments_have_their_colours_wherever_their_points_are_drawn(bins):
    ax = new_figure(4, 3).add_subplot()
    draw_embedding(ax, POINTS, bins, "compartment")
    assert drawn(ax) == {0.0: rgb(VERMILLION), 1.0: rgb(BLUE), 2.0: rgb(BLUE), 3.0: rgb(GREY)}
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["A (1)", "B (2)", "N (1)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("UMAP 1", "UMAP 2")


def test_position_is_coloured_in_mb(bins):
    figure = embedding_figure(POINTS, bins, ["position"], method="PCA")
    ax, bar = figure.axes
    assert bar.get_ylabel() == "position (Mb)"
    assert ax.collections[0].get_clim() == (0, 40)
    assert ax.get_xlabel() == "PCA 1"


def test_numbers_take_a_colour_bar(bins):
    figure = embedding_figure(POINTS, bins, ["degree"])
    assert figure.axes[1].get_ylabel() == "degree"
    assert figure.axes[0].collections[0].get_clim() == (1, 4)


def test_integers_that_may_be_missing(bins):
    bins["cluster"] = pd.array([1, None, 3, 4], dtype="Int64")
    assert embedding_figure(POINTS, bins, ["cluster"]).axes[0].collections[0].get_clim() == (1, 4)


def test_joint_panel_tells_the_cell_lines_apart(bins, texts):
    figure = embedding_figure(POINTS, bins, ["compartment", "position", "cell_line"])
    assert {"by compartment", "by position", "by cell line", "GM12878 (2)", "IMR90 (2)"} <= set(texts(figure))
    colours = drawn(figure.axes[-1])
    assert colours[0.0] == colours[2.0] != colours[1.0] == colours[3.0]


def test_no_group_is_drawn_wholly_on_top():
    n = 200
    groups = pd.DataFrame({"sample": ["first"] * n + ["second"] * n})
    points = np.column_stack([np.arange(2 * n), np.zeros(2 * n)])
    ax = new_figure(4, 3).add_subplot()
    draw_embedding(ax, points, groups, "sample")
    order = ax.collections[0].get_offsets()[:, 0]
    assert abs((order[:n] < n).mean() - 0.5) < 0.1


def test_rows_without_coordinates_are_left_out(bins):
    points = POINTS.copy()
    points[1, 0] = np.nan
    ax = new_figure(4, 3).add_subplot()
    draw_embedding(ax, points, bins, "compartment")
    assert sorted(drawn(ax)) == [0, 2, 3]


def test_one_point_and_none(bins, by_gid):
    figure = embedding_figure(POINTS[:1], bins.iloc[:1])
    assert len(figure.axes) == 2  # one value makes no colour bar
    image_bytes(figure)
    empty = embedding_figure(POINTS[:0], bins.iloc[:0])
    assert all(by_gid(ax, "nothing") for ax in empty.axes)
    image_bytes(empty)


def test_embedding_is_legible(assert_legible):
    rng = np.random.default_rng(0)
    n = 3000
    obs = pd.DataFrame(
        {
            "start": np.arange(n) * 40_000,
            "compartment": rng.choice(["A1", "A2", "B1", "B2", "B3", "N"], n),
            "cluster": rng.integers(0, 20, n).astype(str),
            "sample": rng.choice(["GM12878", "IMR90 (second replicate)"], n),
        }
    )
    kinds = ["compartment", "position", "cluster", "sample"]
    assert_legible(embedding_figure(rng.normal(size=(n, 2)), obs, kinds))


@pytest.fixture
def switches():
    return pd.DataFrame(
        {
            "first": ["A", "A", "B"],
            "second": ["A", "B", "B"],
            "bins": [1200, 30, 900],
            "expected": [600.2, np.nan, 500.0],
            "pvalue": [0.001, 1.0, 0.001],
        }
    )


def test_switches_put_the_first_condition_on_rows(switches, texts, assert_legible):
    figure = switches_figure(switches, first="GM12878", second="IMR90")
    ax = figure.axes[0]
    assert ax.images[0].get_array().tolist() == [[1200, 30], [0, 900]]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("GM12878", "IMR90")
    assert {"1,200\n(600 exp.)", "30", "0", "900\n(500 exp.)"} <= set(texts(figure))
    assert_legible(figure)


def test_switches_between_sub_compartments_are_legible(assert_legible):
    names = [f"{letter}{i}" for letter in "AB" for i in range(1, 5)]
    rows = [(a, b, 12_345, 9_999.0) for a in names for b in names]
    table = pd.DataFrame(rows, columns=["first", "second", "bins", "expected"])
    assert_legible(switches_figure(table))


def test_no_switches(switches, by_gid):
    figure = switches_figure(switches.iloc[:0])
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)
