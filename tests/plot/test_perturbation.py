import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_hex

from chromweave.errors import DataError
from chromweave.genome import Interval
from chromweave.plot.perturbation import log2_ratio, perturbation_figure
from chromweave.plot.style import GREEN, image_bytes
from chromweave.plot.tracks import SignalTrack

NAN = float("nan")


@pytest.fixture
def edit():
    return Interval("chr22", 20_100_000, 20_120_000)


@pytest.fixture
def signals(region, edit):
    rng = np.random.default_rng(0)
    before = [
        SignalTrack("ATAC", rng.gamma(1, 1, 4000), region.start, 100),
        SignalTrack("CTCF", rng.gamma(1, 1, 4000), region.start, 100, "fold change"),
    ]
    mean = before[1].mean.copy()
    mean[1000:1200] = 0
    return {"tracks_before": before, "tracks_after": [before[0], dataclasses.replace(before[1], mean=mean)]}


@pytest.fixture
def changed(contacts):
    """The pixels of bins 10 and 11 are halved."""
    after = contacts.copy()
    after[10:12] /= 2
    after[:, 10:12] /= 2
    return after


def mesh(ax):
    return next(each for each in ax.collections if hasattr(each, "get_coordinates"))


def test_the_ratio_is_missing_where_either_is_not_above_zero():
    before, after = np.array([1, 2, 0, 4, NAN, -1]), np.array([4, 1, 1, 0, 1, 2])
    np.testing.assert_array_equal(log2_ratio(before, after), [2, -1, NAN, NAN, NAN, NAN])
    np.testing.assert_allclose(
        log2_ratio(before[:4], after[:4], 1), [np.log2(2.5), np.log2(2 / 3), 1, -np.log2(5)]
    )


def test_three_triangles_over_the_signals(contacts, changed, region, edit, signals, texts, by_gid):
    figure = perturbation_figure(contacts, changed, region, 10_000, edits=[edit], unit="contacts", **signals)
    before, after, ratio, *below = figure.axes[:5]
    bars = figure.axes[5:]
    assert [bar.get_ylabel() for bar in bars] == ["contacts", "log2 ratio"]
    assert [ax.get_ylabel() for ax in below] == ["ATAC", "CTCF\n(fold change)"]
    assert mesh(before).norm is mesh(after).norm
    drawn = np.unique(mesh(ratio).get_array().compressed().round(9))
    assert drawn.tolist() == [-2, -1, 0], "halved once for one edited anchor, twice for two"
    assert mesh(ratio).get_clim() == pytest.approx((-2, 2), rel=0.5)
    assert mesh(ratio).get_clim()[0] == -mesh(ratio).get_clim()[1]
    shown = texts(figure)
    assert {"before", "after", "after / before", "edited", "signal before"} <= set(shown)
    assert shown.count("chr22 (Mb)") == 1


def test_the_edit_is_marked_in_every_panel(contacts, changed, region, edit, signals, by_gid):
    figure = perturbation_figure(contacts, changed, region, 10_000, edits=[edit], **signals)
    for ax in figure.axes[:3]:
        (bar,) = by_gid(ax, "edited")
        assert list(bar.get_xdata()) == [edit.start, edit.end]
        (frame,) = by_gid(ax, "edit")
        # From the edit's edges along the diagonals to the sides of the triangle.
        assert list(frame.get_xdata()) == [20_050_000, edit.start, edit.end, 20_260_000]
        assert list(frame.get_ydata()) == [100_000, 0, 0, 280_000]
    for ax in figure.axes[3:5]:
        (span,) = by_gid(ax, "edited")
        assert (span.get_x(), span.get_width()) == (edit.start, 20_000)
        assert to_hex(span.get_facecolor()) == GREEN.lower()


def test_only_what_an_edit_changed_is_outlined(contacts, changed, region, signals, by_gid):
    figure = perturbation_figure(contacts, changed, region, 10_000, **signals)
    same, edited = figure.axes[3:5]
    assert not by_gid(same, "after")
    (outline,) = by_gid(edited, "after")
    values, edges, _ = outline.get_data()
    known = np.flatnonzero(np.isfinite(values))
    assert edges[known[0]] == pytest.approx(20_100_000, abs=600)
    assert edges[known[-1] + 1] == pytest.approx(20_120_000, abs=600)


def test_edits_elsewhere_are_passed_over(contacts, region, by_gid, texts):
    figure = perturbation_figure(
        contacts, contacts, region, 10_000, edits=[Interval("chr1", 20_100_000, 20_120_000)]
    )
    assert not by_gid(figure.axes[0], "edited")
    assert "edited" not in texts(figure)


def test_an_edit_without_effect_is_not_blown_up(contacts, region):
    rounded = contacts * (1 + 1e-6)
    figure = perturbation_figure(contacts, rounded, region, 10_000)
    assert mesh(figure.axes[2]).get_clim() == (-0.1, 0.1)


@pytest.mark.parametrize("max_distance", [None, 120_000])
@pytest.mark.parametrize("kind", ["contacts", "oe"])
def test_a_perturbation_is_legible(
    contacts, changed, region, edit, signals, max_distance, kind, assert_legible
):
    assert_legible(
        perturbation_figure(
            contacts, changed, region, 10_000, edits=[edit], max_distance=max_distance, kind=kind, **signals
        )
    )


def test_maps_without_contacts(region, by_gid):
    nothing = np.full((40, 40), NAN)
    figure = perturbation_figure(nothing, nothing, region, 10_000)
    assert all(by_gid(ax, "nothing") for ax in figure.axes[:3])
    assert image_bytes(figure)


def test_other_signals_after_are_refused(contacts, region, signals):
    signals["tracks_after"] = signals["tracks_after"][:1]
    with pytest.raises(
        DataError, match=r"before an edit \(ATAC, CTCF\) and after it \(ATAC\) must be the same"
    ):
        perturbation_figure(contacts, contacts, region, 10_000, **signals)


def test_a_map_of_another_region_is_refused(contacts, region):
    with pytest.raises(DataError, match="cut both from the same region"):
        perturbation_figure(contacts, np.ones((3, 3)), region, 10_000)
