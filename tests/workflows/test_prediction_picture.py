"""What a picture of a predicted map shows: the file's values, the balanced map, signals of the region."""

import cooler
import hictkpy
import numpy as np
import pandas as pd
import pytest

from chromweave.data.layers import TRACK_WIDTH
from chromweave.errors import ChromosomeError, ConfigError, DataError, WeightError
from chromweave.io.contact_export import ComputedMap, write_predicted_mcool
from chromweave.workflows import prediction_picture
from chromweave.workflows.prediction_picture import picture_of_prediction
from tests.fakes import FakeContacts, FakeTrack, build_fake
from tests.fakes_tasks import DARK, PLACES, RESOLUTION, signal, track_store

N = 41  # bins of chr1
FARTHEST = 6
MASKED = 11


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A predicted map of chr1, a store of tracks alone, and one with a map as well."""
    folder = tmp_path_factory.mktemp("picture")
    i, j = np.triu_indices(N)
    near = (j - i < FARTHEST) & (i != MASKED) & (j != MASKED)
    valid = np.arange(N) != MASKED
    predicted = ComputedMap(i[near], j[near], 1.0 + i[near] + j[near] / 100, valid)
    write_predicted_mcool(folder / "p.mcool", {"chr1": predicted}, PLACES, (RESOLUTION,))
    counts = np.random.default_rng(0).poisson(20, (N, N))
    matrix = np.triu(counts) + np.triu(counts, 1).T
    weights = np.linspace(0.5, 1.5, N)
    weights[3] = np.nan
    contacts = FakeContacts(
        {("chr1", RESOLUTION): matrix, ("chr2", RESOLUTION): np.ones((20, 20), int)},
        {("KR", "chr1", RESOLUTION): weights, ("KR", "chr2", RESOLUTION): np.ones(20)},
        PLACES,
    )
    tracks = [FakeTrack("ATAC", {chrom: signal("ATAC", chrom) for chrom in PLACES.chromosomes})]
    with pytest.MonkeyPatch.context() as patch:
        track_store(patch, folder / "tracks.store")
        build_fake(patch, folder / "both.store", contacts, tracks, assembly=PLACES, chroms=("chr1", "chr2"))
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """What was given to the figure, which is drawn all the same."""
    seen = {}
    figure = prediction_picture.prediction_figure

    def spy(truth, prediction, region, resolution, **more):
        seen.update(truth=truth, prediction=prediction, region=region, resolution=resolution, **more)
        return figure(truth, prediction, region, resolution, **more)

    monkeypatch.setattr(prediction_picture, "prediction_figure", spy)
    return seen


def picture(place, out, store, region="chr1:5,000-25,000", **more):
    picture_of_prediction(out, predicted=place / "p.mcool", store=place / store, region=region, **more)


def test_the_prediction_is_shown_as_far_as_it_goes(place, drawn, tmp_path):
    picture(place, tmp_path / "a.png", "tracks.store")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert drawn["truth"] is None
    i, j = np.indices((20, 20)) + 5
    wanted = 1.0 + np.minimum(i, j) + np.maximum(i, j) / 100
    wanted[(np.abs(i - j) >= FARTHEST) | (i == MASKED) | (j == MASKED)] = np.nan
    np.testing.assert_allclose(drawn["prediction"], wanted)
    assert drawn["max_distance"] == FARTHEST * RESOLUTION
    assert str(drawn["region"]) == "chr1:5,000-25,000"
    assert [track.name for track in drawn["tracks"]] == ["ATAC", "DNase"]
    atac = drawn["tracks"][0]
    assert (atac.start, atac.width) == (5000, TRACK_WIDTH)
    np.testing.assert_allclose(atac.mean, signal("ATAC", "chr1")[50:250], rtol=1e-3)
    assert DARK["chr1"][0] == MASKED
    assert np.isnan(atac.mean[60:70]).all()  # no data stays so


def test_the_measured_map_is_balanced_and_scaled(place, drawn, tmp_path):
    from chromweave.data.store import RegionStore

    picture(place, tmp_path / "a.png", "both.store", tracks=("ATAC",))
    layer = RegionStore.open(place / "both.store").layer("chr1", RESOLUTION)
    raw, weight = layer.dense(5, 25), layer.weight() * np.sqrt(layer.scale())
    np.testing.assert_allclose(drawn["truth"], raw * weight[5:25, None] * weight[5:25])
    assert np.isfinite(drawn["truth"]).all()


def test_observed_over_expected_has_a_mean_of_one_at_each_distance(place, drawn, tmp_path):
    picture(place, tmp_path / "a.png", "both.store", kind="oe")
    for name in ("truth", "prediction"):
        for distance in range(FARTHEST):
            assert np.nanmean(np.diagonal(drawn[name], distance)) == pytest.approx(1)


def test_the_last_bin_ends_with_the_chromosome(place, drawn, tmp_path):
    picture(place, tmp_path / "a.png", "both.store", region="chr1:30,500-40,350")
    assert (drawn["region"].start, drawn["region"].end) == (30_000, 40_350)
    assert drawn["truth"].shape == drawn["prediction"].shape == (11, 11)


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"region": "chr1:5,000-6,500"}, ConfigError, "shorter than three bins of 1,000 bp"),
        ({"region": "chr9:0-9,000"}, ChromosomeError, "chr9"),
        ({"tracks": ("CTCF",)}, DataError, "CTCF"),
    ],
)
def test_what_is_not_there_is_said(place, tmp_path, more, error, said):
    with pytest.raises(error, match=said):
        picture(place, tmp_path / "a.png", "both.store", **more)
    assert not list(tmp_path.iterdir())


def unbalanced(folder, name):
    """Counts of chromosome 1 as a .cool or .mcool file, and its URI."""
    bins = cooler.binnify(pd.Series(dict(PLACES.chromosomes), dtype="int64"), RESOLUTION)
    i, j = np.triu_indices(N)
    counts = np.random.default_rng(0).poisson(20, len(i)) + 1
    cooler.create_cooler(
        f"{folder}/m.cool", bins, pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": counts})
    )
    if name == "m.mcool":
        cooler.zoomify_cooler(f"{folder}/m.cool", f"{folder}/m.mcool", [RESOLUTION], chunksize=1000)
    return folder / name, f"{folder / name}{'::resolutions/1000' if name == 'm.mcool' else ''}"


@pytest.mark.parametrize("name", ["m.cool", "m.mcool"])
def test_an_unbalanced_map_is_balanced_first(place, tmp_path, drawn, name):
    """Which the sentence says how to do; and then it is drawn."""
    path, uri = unbalanced(tmp_path, name)
    given = {"store": place / "tracks.store", "region": "chr1:5,000-25,000"}
    sentence = (
        f"{path}: has no balancing weights 'weight' at 1,000 bp, as every map of predict contacts has; .* "
        rf"\(cooler balance {uri}\), or build a store .*--contacts {path}\)"
    )
    with pytest.raises(WeightError, match=sentence):
        picture_of_prediction(tmp_path / "a.png", predicted=path, **given)
    assert not (tmp_path / "a.png").exists()
    one = cooler.Cooler(uri)
    with one.open("r+") as group:
        group["bins"]["weight"] = np.full(one.info["nbins"], 0.1)
    picture_of_prediction(tmp_path / "a.png", predicted=path, **given)
    raw = one.matrix(balance=False)[5:25, 5:25]
    np.testing.assert_allclose(drawn["prediction"], raw / 100)


def test_a_hic_file_without_weights_is_built_into_a_store(place, tmp_path):
    path = tmp_path / "m.hic"
    writer = hictkpy.hic.FileWriter(path, dict(PLACES.chromosomes), [RESOLUTION], assembly="places")
    writer.add_pixels(pd.DataFrame({"bin1_id": [1, 2], "bin2_id": [3, 3], "count": [4.0, 5.0]}))
    writer.finalize()
    with pytest.raises(WeightError, match=r"m\.hic: .* was measured, build a store with it") as caught:
        picture_of_prediction(
            tmp_path / "a.png", predicted=path, store=place / "tracks.store", region="chr1:0-9,000"
        )
    assert "cooler" not in str(caught.value)
