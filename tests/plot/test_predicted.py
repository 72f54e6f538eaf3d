import numpy as np
import pytest

from chromweave.errors import DataError
from chromweave.plot.predicted import prediction_figure
from chromweave.plot.style import image_bytes
from chromweave.plot.tracks import SignalTrack


@pytest.fixture
def tracks(region):
    rng = np.random.default_rng(0)
    return [
        SignalTrack("ATAC", rng.gamma(1, 1, 4000), region.start, 100),
        SignalTrack("CTCF", rng.gamma(1, 1, 4000), region.start, 100, "fold change"),
    ]


def meshes(ax):
    return [each for each in ax.collections if hasattr(each, "get_coordinates")]


def test_the_prediction_mirrors_the_measured_map(contacts, region, tracks, texts, by_gid):
    figure = prediction_figure(contacts, 2 * contacts, region, 10_000, tracks=tracks, unit="contacts")
    top, bar, *below = figure.axes
    up, down = meshes(top)
    np.testing.assert_array_equal(down.get_coordinates()[..., 0], up.get_coordinates()[..., 0])
    np.testing.assert_array_equal(down.get_coordinates()[..., 1], -up.get_coordinates()[..., 1])
    np.testing.assert_allclose(down.get_array().compressed(), 2 * up.get_array().compressed())
    assert top.get_ylim() == (-400_000, 400_000)
    assert bar.get_ylabel() == "contacts"
    assert [ax.get_ylabel() for ax in below] == ["ATAC", "CTCF\n(fold change)"]
    shown = texts(figure)
    assert {"measured", "predicted", str(region)} <= set(shown)
    assert shown.count("chr22 (Mb)") == 1
    assert shown.count("200 kb") == 2, "distances count from the diagonal both ways"
    assert len(by_gid(top, "ruler")) == 1


def test_both_maps_share_one_scale_of_what_is_shown(contacts, region):
    far = np.abs(np.subtract.outer(np.arange(40), np.arange(40))) > 10
    spiked = np.where(far, 1e9, contacts)
    figure = prediction_figure(contacts, spiked, region, 10_000, max_distance=100_000)
    up, down = meshes(figure.axes[0])
    assert up.norm is down.norm
    assert up.get_clim()[1] <= 100, "what lies beyond the distance shown moves no colour"
    assert len(figure.axes) == 2, "one colour bar"
    assert figure.axes[0].get_ylim() == (-100_000, 100_000)


def test_masked_bins_stay_empty_in_either_map(contacts, region):
    whole = np.where(np.isnan(contacts), 1.0, contacts)
    up, down = meshes(prediction_figure(whole, contacts, region, 10_000).axes[0])
    lost = np.ma.getmaskarray(down.get_array()) & ~np.ma.getmaskarray(up.get_array())
    assert lost.reshape(40, 40).sum() == 40


def test_a_prediction_alone_stands_upright(contacts, region, tracks, texts, by_gid, assert_legible):
    figure = prediction_figure(None, contacts, region, 10_000, tracks=tracks, title="K562")
    assert figure.axes[0].get_ylim() == (0, 400_000)
    assert len(meshes(figure.axes[0])) == 1
    assert "measured" not in texts(figure)
    assert figure.axes[0].get_title("left") == "K562"
    assert not by_gid(figure.axes[0], "ruler")
    assert_legible(figure)


def test_observed_over_expected_is_centred_on_one(contacts, region):
    distance = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    ratio = contacts * (1 + distance) / 100
    figure = prediction_figure(ratio, 2 * ratio, region, 10_000, kind="oe", unit="observed / expected")
    low, high = meshes(figure.axes[0])[0].get_clim()
    assert low * high == pytest.approx(1)


@pytest.mark.parametrize("max_distance", [None, 150_000])
def test_two_triangles_are_legible(contacts, region, tracks, max_distance, assert_legible):
    assert_legible(
        prediction_figure(contacts, contacts, region, 10_000, tracks=tracks, max_distance=max_distance)
    )


def test_a_map_without_contacts_is_said_to_be_empty(contacts, region, texts):
    figure = prediction_figure(np.full((40, 40), np.nan), contacts, region, 10_000)
    assert {"measured (no contacts)", "predicted"} <= set(texts(figure))
    assert image_bytes(figure)


@pytest.mark.parametrize("wrong", ["truth", "prediction"])
def test_a_map_of_another_region_is_refused(wrong, contacts, region):
    given = {"truth": contacts, "prediction": contacts, wrong: np.ones((3, 3))}
    with pytest.raises(DataError, match="cut both from the same region"):
        prediction_figure(given["truth"], given["prediction"], region, 10_000)
