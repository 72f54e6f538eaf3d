import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import StepPatch

from chromweave.errors import DataError
from chromweave.genome import Interval
from chromweave.plot.comparison import distances_figure, draw_distances
from chromweave.plot.style import image_bytes, new_figure

NAN = float("nan")


def bins(values, chrom="chr1", **columns):
    starts = 100 * np.arange(len(values))
    return pd.DataFrame({"chrom": chrom, "start": starts, "end": starts + 100, "cosine": values, **columns})


def steps(ax):
    """gid -> what is drawn, NaN where nothing is."""
    return {patch.get_gid(): patch.get_data() for patch in ax.patches if isinstance(patch, StepPatch)}


def test_shifted_bins_are_drawn_apart():
    ax = new_figure(6, 2).add_subplot()
    table = bins([0.1, 0.5, NAN, 0.2], shifted=[False, True, False, True])
    draw_distances(ax, table, Interval("chr1", 0, 400), "cosine", reach=1.0)
    drawn = steps(ax)
    np.testing.assert_array_equal(drawn["others"].values, [0.1, NAN, NAN, NAN])
    np.testing.assert_array_equal(drawn["shifted"].values, [NAN, 0.5, NAN, 0.2])
    assert drawn["shifted"].edges.tolist() == [0, 100, 200, 300, 400]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 400), (0, 1))


def test_without_calls_there_is_one_kind_of_bin():
    ax = new_figure(6, 2).add_subplot()
    draw_distances(ax, bins([1.0, 2.0, 2.0]), Interval("chr1", 0, 300), "cosine")
    assert list(steps(ax)) == ["others"]
    assert ax.get_ylim() == (0, 2)


def test_a_chromosome_without_a_distance_says_so(texts):
    figure = distances_figure(pd.concat([bins([0.3, 0.4]), bins([NAN, NAN], "chr2")]), "cosine")
    assert "no data" in texts(figure)


def test_chromosomes_stand_under_one_another_on_one_scale(texts, assert_legible):
    calls = {"compartment_first": ["A", "B", "N"], "compartment_second": ["A", "A", "N"]}
    table = pd.concat(
        [
            bins([0.1, 0.4, NAN], shifted=[False, True, False], **calls),
            bins([0.1, 0.2, NAN], "chr2", shifted=[False, False, False], **calls),
        ]
    )
    figure = distances_figure(table, "cosine", first="GM12878", second="IMR90")
    assert_legible(figure)
    shown = texts(figure)
    assert shown.count("GM12878") == shown.count("IMR90") == shown.count("cosine") == 2
    assert {"A", "B", "N", "distance", "distance of shifted bins"} <= set(shown)
    tracks = [ax for ax in figure.axes if ax.get_ylabel() == "cosine"]
    assert [ax.get_xlabel() for ax in tracks] == ["chr1 (Mb)", "chr2 (Mb)"]
    assert tracks[0].get_ylim() == tracks[1].get_ylim()
    assert image_bytes(figure).startswith(b"\x89PNG")


def test_what_is_not_known_has_no_entry(texts):
    shown = texts(distances_figure(bins([0.1, 0.2]), "cosine"))
    assert "distance" in shown
    assert not {"A", "first", "distance of shifted bins"} & set(shown)


def test_no_bin_at_all():
    with pytest.raises(DataError, match="no bin"):
        distances_figure(bins([]), "cosine")
