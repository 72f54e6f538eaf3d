import numpy as np
import pandas as pd
import pytest

from chromweave.genome import Interval
from chromweave.plot.style import BLUE, DARK, VERMILLION, image_bytes, new_figure
from chromweave.plot.tracks import (
    SignalTrack,
    draw_compartments,
    draw_delta,
    draw_edited_signal,
    draw_eigenvector,
    draw_insulation,
    draw_signal,
    eigenvector_figure,
    tracks_figure,
)

WHERE = Interval("chr22", 1000, 1600)


def signal(*values, name="ATAC", start=1000, width=100, unit=""):
    return SignalTrack(name, np.array(values, dtype=np.float32), start, width, unit)


def bins(n=6, start=1000, width=100, **columns):
    starts = start + width * np.arange(n)
    return pd.DataFrame({"chrom": "chr22", "start": starts, "end": starts + width, **columns})


def compartments(e1):
    e1 = np.asarray(e1, dtype=np.float64)
    names = np.where(np.isnan(e1), "N", np.where(e1 >= 0, "A", "B"))
    return bins(len(e1), E1=e1, compartment=names)


@pytest.fixture
def ax():
    return new_figure(8, 1.5).add_subplot()


def stairs(ax):
    from matplotlib.patches import StepPatch

    return [patch for patch in ax.patches if isinstance(patch, StepPatch)]


def spans(ax, by_gid, gid):
    """Left and right ends of the rectangles called `gid`."""
    return [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max())
        for collection in by_gid(ax, gid)
        for path in collection.get_paths()
    ]


def test_signal_keeps_gaps_and_marks_them(ax, by_gid):
    draw_signal(ax, signal(1, 2, np.nan, np.nan, 4, 0), WHERE)
    (patch,) = stairs(ax)
    values, edges, _ = patch.get_data()
    assert edges.tolist() == [1000, 1100, 1200, 1300, 1400, 1500, 1600]
    np.testing.assert_array_equal(values, [1, 2, np.nan, np.nan, 4, 0])
    assert spans(ax, by_gid, "missing") == [(1200, 1400)]
    assert ax.get_ylim() == (0, 4)
    assert ax.get_xlim() == (1000, 1600)


def test_signal_limits_come_from_what_is_shown(ax):
    draw_signal(ax, signal(50, 1, 2, 3, 4, 5, 6, 90, start=900), WHERE)
    assert ax.get_ylim() == (0, 6)


def test_negative_signal_reaches_below_zero(ax):
    draw_signal(ax, signal(-1, 2, 0, 0, 0, 0), WHERE)
    assert ax.get_ylim() == (-1, 2)


@pytest.mark.parametrize("values", [[np.nan] * 6, []], ids=["all missing", "no bins"])
def test_signal_without_data_says_so(values, ax, by_gid):
    draw_signal(ax, signal(*values), WHERE)
    assert not stairs(ax)
    assert [text.get_text() for text in by_gid(ax, "nothing")] == ["no data"]
    assert ax.get_ylim() == (0, 1)
    image_bytes(ax.figure)


def test_a_flat_signal_and_a_single_bin(ax):
    draw_signal(ax, signal(0), WHERE)
    assert ax.get_ylim() == (0, 1)
    image_bytes(ax.figure)


def test_long_signals_are_joined_to_means_of_what_is_known(ax, by_gid):
    values = np.tile([2.0, 4.0], 1600)  # two bins a step
    values[:2] = np.nan
    values[2] = np.nan
    draw_signal(ax, SignalTrack("x", values, 0, 10), Interval("chr22", 0, 32_000))
    drawn, edges, _ = stairs(ax)[0].get_data()
    assert len(drawn) == 1600
    assert edges[:3].tolist() == [0, 20, 40]
    np.testing.assert_array_equal(drawn[:3], [np.nan, 4, 3])
    assert spans(ax, by_gid, "missing") == [(0, 20)]


def test_unit_stands_beside_the_name(ax):
    draw_signal(ax, signal(1, 2, name="ATAC", unit="RPGC"), WHERE)
    assert ax.get_ylabel() == "ATAC\n(RPGC)"


def test_compartment_strip_has_a_colour_for_each(ax, by_gid):
    draw_compartments(ax, compartments([1, 1, -1, np.nan, -1, 1]), WHERE)
    assert spans(ax, by_gid, "compartment A") == [(1000, 1100), (1100, 1200), (1500, 1600)]
    assert spans(ax, by_gid, "compartment B") == [(1200, 1300), (1400, 1500)]
    assert spans(ax, by_gid, "compartment N") == [(1300, 1400)]


def test_compartments_of_another_chromosome_are_no_data(ax, by_gid):
    draw_compartments(ax, compartments([1, -1]).assign(chrom="chr1"), WHERE)
    assert by_gid(ax, "nothing")


def test_eigenvector_is_vermillion_above_and_blue_below(ax, by_gid):
    from matplotlib.colors import to_hex

    draw_eigenvector(ax, compartments([1, 0.5, -2, np.nan, -1, 1]), WHERE, "K562")
    above, below = stairs(ax)
    assert (to_hex(above.get_facecolor()), to_hex(below.get_facecolor())) == (
        VERMILLION.lower(),
        BLUE.lower(),
    )
    np.testing.assert_array_equal(above.get_data().values, [1, 0.5, np.nan, np.nan, np.nan, 1])
    np.testing.assert_array_equal(below.get_data().values, [np.nan, np.nan, -2, np.nan, -1, np.nan])
    assert spans(ax, by_gid, "missing") == [(1300, 1400)]
    low, high = ax.get_ylim()
    assert low == -high
    assert ax.get_ylabel() == "K562"


def test_bins_left_out_of_a_table_are_a_gap(ax, by_gid):
    table = compartments([1, 2, 3, 4, 5, 6]).drop(index=[2, 3]).iloc[::-1]
    draw_eigenvector(ax, table, WHERE)
    values, edges, _ = stairs(ax)[0].get_data()
    np.testing.assert_array_equal(edges, [1000, 1100, 1200, 1400, 1500, 1600])
    np.testing.assert_array_equal(values, [1, 2, np.nan, 5, 6])
    assert spans(ax, by_gid, "missing") == [(1200, 1400)]


@pytest.mark.parametrize("e1", [[np.nan] * 4, []], ids=["all masked", "no rows"])
def test_eigenvector_without_values(e1, ax, by_gid):
    draw_eigenvector(ax, compartments(e1), WHERE)
    assert by_gid(ax, "nothing")
    assert ax.get_ylim() == (-1, 1)
    image_bytes(ax.figure)


def test_insulation_line_and_boundaries(ax, by_gid):
    table = bins(
        3, log2_insulation_score=[0.5, -1.0, np.nan], is_boundary=[False, True, False], is_bad_bin=False
    )
    draw_insulation(ax, table, WHERE)
    (line,) = by_gid(ax, "insulation")
    (marks,) = by_gid(ax, "boundaries")
    assert line.get_xdata().tolist() == [1050, 1150, 1250]
    np.testing.assert_array_equal(line.get_ydata(), [0.5, -1, np.nan])
    assert marks.get_xdata().tolist() == [1150]
    assert ax.get_ylim()[0] < -1
    assert ax.get_ylabel() == "insulation\n(log2)"


def test_insulation_without_values(ax, by_gid):
    draw_insulation(ax, bins(2, log2_insulation_score=[np.nan] * 2, is_boundary=False), WHERE)
    assert by_gid(ax, "nothing")
    image_bytes(ax.figure)


def test_delta_marks_shifted_bins(ax):
    from matplotlib.colors import to_hex

    table = bins(4, delta=[0.1, -2.0, np.nan, 1.0], shifted=[False, True, True, False])
    draw_delta(ax, table, WHERE)
    every, shifted = stairs(ax)
    np.testing.assert_array_equal(every.get_data().values, [0.1, -2, np.nan, 1])
    np.testing.assert_array_equal(shifted.get_data().values, [np.nan, -2, np.nan, np.nan])
    assert to_hex(shifted.get_facecolor()) == DARK


def test_delta_without_calls_is_one_colour(ax):
    draw_delta(ax, bins(2, delta=[1.0, -1.0]), WHERE, "distance")
    assert len(stairs(ax)) == 1
    assert ax.get_ylabel() == "distance"


def test_eigenvectors_share_one_axis(texts, assert_legible):
    first, second = compartments([1, -1, 1, -1, 1, -1]), compartments([1, 1, 1, -1, -1, -1])
    delta = bins(delta=second.E1 - first.E1, shifted=False)
    figure = eigenvector_figure({"GM12878": first, "IMR90": second}, WHERE, delta=delta)
    assert [ax.get_ylabel() for ax in figure.axes] == ["GM12878\nE1", "IMR90\nE1", "difference"]
    assert texts(figure).count("chr22 (Mb)") == 1
    assert {"A", "B", "masked", "shifted bins"} <= set(texts(figure))
    assert_legible(figure)


def test_tracks_figure_is_legible(assert_legible):
    where = Interval("chr22", 20_000_000, 22_000_000)
    rng = np.random.default_rng(0)
    names = ["ATAC", "DNase", "a mark with a very long name indeed", "H3K27me3"]
    tracks = [SignalTrack(n, rng.gamma(1, 300, 20_000), where.start, 100, "RPGC") for n in names]
    table = bins(20, start=20_000_000, width=100_000, compartment=["A", "B"] * 10)
    figure = tracks_figure(tracks, where, compartments=table)
    assert len(figure.axes) == 5
    assert_legible(figure)


def test_one_track_alone(assert_legible):
    assert_legible(tracks_figure([signal(1, 2, 3, 4, 5, 6)], WHERE))


def test_an_edited_signal_is_outlined_where_it_changed(ax, region, by_gid):
    before = SignalTrack("CTCF", np.ones(400), region.start, 1_000)
    after = SignalTrack("CTCF", np.where(np.arange(400) == 100, 3.0, 1.0), region.start, 1_000)
    draw_edited_signal(ax, before, after, region)
    (outline,) = by_gid(ax, "after")
    assert outline.get_data().values[99:102].tolist() == [1, 3, 1]
    assert np.isfinite(outline.get_data().values).sum() == 3, (
        "with the bins beside it, so that the step shows"
    )
    assert ax.get_ylim() == (0, 3)


def test_a_signal_that_was_not_edited_has_no_outline(ax, region, by_gid):
    track = SignalTrack("ATAC", np.ones(400), region.start, 1_000)
    draw_edited_signal(ax, track, track, region)
    assert not by_gid(ax, "after")


def test_an_edited_signal_without_data(ax, region, by_gid):
    track = SignalTrack("ATAC", np.full(400, np.nan), region.start, 1_000)
    draw_edited_signal(ax, track, track, region)
    assert by_gid(ax, "nothing")
