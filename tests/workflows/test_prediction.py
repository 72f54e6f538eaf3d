"""Predicted maps against brute force; the file opens in cooler, cooltools and build; no data stays so."""

from dataclasses import replace

import cooler
import cooltools
import numpy as np
import pytest

from chromweave._version import __version__
from chromweave.data import build as building
from chromweave.data.transforms import WindowTransform
from chromweave.errors import ChromosomeError, ConfigError, DataError, ModelError, OutputError
from chromweave.genome import Assembly, Interval
from chromweave.progress import reporting
from chromweave.workflows.prediction import SCALE, predict_contacts, predicted_band
from chromweave.workflows.stitching import Tiling, taper
from tests.fakes_experiments import News
from tests.fakes_tasks import (
    BINS,
    DARK,
    PLACES,
    CentreOfBins,
    PairsOfBins,
    fake_model,
    save_untrained,
    stored_means,
    track_store,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("prediction") / "a.store")


def by_hand(means, windows, distance):
    """The map of :class:`PairsOfBins` over windows, one entry after the other; NaN where none is."""
    n, half, weight = len(means), BINS // 2, taper(BINS)
    above, below = np.zeros((n, n)), np.zeros((n, n))
    for x, y in zip(*windows, strict=True):
        for a in range(BINS):
            for b in range(BINS):
                i, j = x - half + a, y - half + b
                value = max(means[i] + 2 * means[j] + a / 10 - 3 * b / 10, 0)
                above[min(i, j), max(i, j)] += weight[a] * weight[b] * value
                below[min(i, j), max(i, j)] += weight[a] * weight[b]
    full = np.divide(above, below, out=np.full((n, n), np.nan), where=below > 0)
    full[np.subtract.outer(np.arange(n), np.arange(n)) < -distance] = np.nan
    return np.where(np.isnan(full), full.T, full)


@pytest.mark.parametrize(
    ("farthest", "step", "max_distance", "windows", "distance"),
    [
        (0, None, None, Tiling(BINS, 2), 6),  # a quarter of a window
        (0, 3000, 4999, Tiling(BINS, 3), 4),
        (9, 4000, None, Tiling(BINS, 4, 9), 13),
        (9, 1000, 5000, Tiling(BINS, 1, 5), 5),  # windows off the diagonal only as far as needed
    ],
)
def test_each_pixel_is_the_weighted_mean_of_the_windows_on_it(
    store, farthest, step, max_distance, windows, distance
):
    model = fake_model("contacts", PairsOfBins(), farthest_bins=farthest)
    found = predicted_band(model, store, "chr1", step=step, max_distance=max_distance, batch_size=7)
    expected = by_hand(stored_means(store, "chr1"), windows.anchors(41), distance)
    expected[list(DARK["chr1"])] = expected[:, list(DARK["chr1"])] = np.nan
    np.testing.assert_allclose(found.square(0, 41), expected, atol=1e-5)
    assert np.flatnonzero(~found.valid).tolist() == list(DARK["chr1"])  # bin 5 lacks data only in part
    assert (found.bin2 - found.bin1).max() == distance
    assert (np.diff(found.bin1 * 41 + found.bin2) > 0).all()
    assert found.value.min() >= 0


def test_a_region_has_the_pixels_of_the_whole_map(store):
    model = fake_model("contacts", PairsOfBins(), farthest_bins=6)
    whole = predicted_band(model, store, "chr1")
    windows = []
    region = Interval("chr1", 27_500, 36_001)  # bins 27 to 36

    def noted(batch):
        windows.append(len(batch))
        return batch

    part = predicted_band(model, store, "chr1", region=region, change=noted)
    inside = (whole.bin1 >= 27) & (whole.bin2 < 37)
    assert part.bin1.tolist() == whole.bin1[inside].tolist()
    assert part.bin2.tolist() == whole.bin2[inside].tolist()
    np.testing.assert_allclose(part.value, whole.value[inside], rtol=1e-6)
    assert np.flatnonzero(part.valid).tolist() == [27, 28, 29, 31, 32, 33, 34, 35, 36]
    assert sum(windows) == len(Tiling(BINS, 2, 6).anchors(41, 27, 37).x)
    assert np.isnan(part.square(20, 30)[:7]).all()
    with pytest.raises(ConfigError, match="not on chr2"):
        predicted_band(model, store, "chr2", region=region)
    with pytest.raises(DataError, match="behind the end of chr1"):
        predicted_band(model, store, "chr1", region=Interval("chr1", 41_000, 42_000))


def test_a_change_reaches_the_model_and_not_the_mask(store):
    def silenced(batch):
        return replace(
            batch, tracks=batch.tracks * 0, track_mask=batch.track_mask & False
        )  # fmt: skip

    model = fake_model("contacts", PairsOfBins())
    found = predicted_band(model, store, "chr2", change=silenced)
    expected = by_hand(np.zeros(20), Tiling(BINS, 2).anchors(20), 6)
    np.testing.assert_allclose(found.square(0, 20), expected, atol=1e-6)
    assert found.valid.all()


def test_values_become_contacts_at_their_distance(store):
    """A log ratio of 0 everywhere: what is expected at each distance, the last one beyond the known."""
    transform = WindowTransform(tracks=("DNase",), contacts="observed_expected")
    expected = [9.0, 5.0, 3.0, 1.0, 0.5]
    model = fake_model("contacts", PairsOfBins(factor=0.0), transform=transform, expected=expected,
                       farthest_bins=4)  # fmt: skip
    found = predicted_band(model, store, "chr2")
    np.testing.assert_allclose(found.value, [expected[min(d, 4)] for d in found.bin2 - found.bin1])
    assert (found.bin2 - found.bin1).max() == 4 + BINS - 2


def test_pixels_of_exactly_0_are_counted_as_the_file_does_not_keep_them(store, tmp_path):
    """Nothing is expected one bin off the diagonal, where chr2 has 19 pixels; it has 105 within 5 bins."""
    transform = WindowTransform(tracks=("DNase",), contacts="observed_expected")
    network = PairsOfBins(factor=0.0)
    model = fake_model("contacts", network, transform=transform, expected=[9.0, 0.0, 3.0])
    news = News()
    with reporting(news):
        done = predict_contacts(
            tmp_path / "p.mcool", model=model, store=store, chroms=["chr2"], max_distance=5000
        )
    assert (done.pixels, done.zeros) == (105, 19)
    assert cooler.Cooler(f"{done.path}::resolutions/1000").info["nnz"] == 105 - 19
    assert news.lines[-1].endswith("p.mcool (105 pixels of 1,000 bp, 19 of them exactly 0)")


@pytest.fixture(scope="module")
def written(store, tmp_path_factory):
    """A map of all chromosomes as a file, and what was said of it."""
    out = tmp_path_factory.mktemp("written") / "predicted.mcool"
    model = fake_model("contacts", PairsOfBins(), farthest_bins=4)
    return predict_contacts(out, model=model, store=store), model


def test_the_file_holds_the_map(store, written):
    done, model = written
    assert (done.chromosomes, done.max_distance, done.step) == (("chr1", "chr2"), 10_000, 2000)
    assert done.resolutions == (1000, 5000, 10_000)  # chr2 would be one bin of 25 kb
    assert cooler.fileops.list_coolers(str(done.path)) == [f"/resolutions/{r}" for r in done.resolutions]
    fine = cooler.Cooler(f"{done.path}::resolutions/1000")
    found = predicted_band(model, store, "chr1")
    np.testing.assert_allclose(
        fine.matrix(balance=True).fetch("chr1"),
        np.where(np.isnan(square := found.square(0, 41)) & np.outer(found.valid, found.valid), 0, square),
    )
    assert fine.matrix(balance=False).fetch("chr1").dtype == np.float64
    weight = fine.bins()[:]["weight"].to_numpy()
    bins = fine.bins()[:]
    dark = (bins["chrom"] == "chr3") | ((bins["chrom"] == "chr1") & bins["start"].isin([11_000, 30_000]))
    assert np.isnan(weight[dark]).all()
    assert (weight[~dark] == 1).all()
    assert done.pixels == len(found.value) + len(predicted_band(model, store, "chr2").value)
    assert (done.zeros, fine.info["nnz"]) == (0, done.pixels)
    coarse = cooler.Cooler(f"{done.path}::resolutions/5000").matrix(balance=False).fetch("chr1")
    first = np.triu(found.square(0, 5)).sum()
    assert coarse[0, 0] == pytest.approx(first)


def test_the_file_says_where_it_comes_from(store, written):
    said = cooler.Cooler(f"{written[0].path}::resolutions/10000").info["metadata"]
    assert said["scale"] == SCALE == "balanced contacts on the scale of the training maps"
    assert (said["model"], said["store"], said["chromweave"]) == ("at hand", str(store.path), __version__)
    assert (said["max_distance"], said["step"], said["contacts_at_most"]) == (10_000, 2000, 1.0)
    assert said["tracks"] == ["ATAC", "DNase"]


@pytest.mark.filterwarnings("ignore:The default of observed=False:FutureWarning")  # in cooltools
def test_cooltools_reads_the_file(written):
    fine = cooler.Cooler(f"{written[0].path}::resolutions/1000")
    view = cooltools.lib.common.make_cooler_view(fine)
    view = view[view["chrom"] != "chr3"].reset_index(drop=True)
    expected = cooltools.expected_cis(fine, view_df=view)
    chr2 = expected[expected["region1"] == "chr2"]
    matrix = fine.matrix(balance=True).fetch("chr2")
    for distance in (2, 10):
        mean = chr2.loc[chr2["dist"] == distance, "balanced.avg"].item()
        assert mean == pytest.approx(np.diagonal(matrix, distance).mean())
    insulation = cooltools.insulation(fine, [3000], view_df=view, ignore_diags=0)
    assert np.isfinite(insulation["log2_insulation_score_3000"]).sum() > 30


def test_build_reads_the_file(store, written, tmp_path):
    """And takes the assembly, which no name stands for, from it."""
    again = building.build(
        tmp_path / "again.store",
        contacts=str(written[0].path),
        tracks={},
        resolutions=[1000],
        max_distance=11_000,
    )
    assert again.assembly == store.assembly == PLACES
    found = predicted_band(written[1], store, "chr2")
    stored = again.layer("chr2", 1000).dense(weight="weight")
    known = np.isfinite(found.square(0, 20))
    np.testing.assert_allclose(stored[known], found.square(0, 20)[known], rtol=1e-6)
    assert not again.layer("chr1", 1000).valid()[list(DARK["chr1"])].any()


def test_chromosomes_come_in_the_stores_order_and_only_those_wanted(store, tmp_path):
    model = fake_model("contacts", PairsOfBins())
    done = predict_contacts(tmp_path / "p.mcool", model=model, store=store, chroms=["2", "chr1", "chr2"])
    assert done.chromosomes == ("chr1", "chr2")
    one = predict_contacts(tmp_path / "p.mcool", model=model, store=store.path, chroms=["chr2"])
    assert one.chromosomes == ("chr2",)
    long = predict_contacts(tmp_path / "p.mcool", model=model, store=store.path, chroms=["chr1"])
    assert long.resolutions == (1000, 5000, 10_000, 25_000)
    weight = cooler.Cooler(f"{one.path}::resolutions/1000").bins().fetch("chr2")["weight"]
    assert weight.isna().all()


def test_a_run_folder_predicts_alike_whatever_the_batch(store, tmp_path):
    run = save_untrained(tmp_path / "run", "contacts")
    one, other = (predicted_band(run, store, "chr1", batch_size=size) for size in (1, 64))
    np.testing.assert_allclose(one.value, other.value, rtol=1e-4)
    assert one.value.std() > 0
    assert (one.bin2 - one.bin1).max() == 12
    done = predict_contacts(tmp_path / "p.mcool", model=run, store=store)
    said = cooler.Cooler(f"{done.path}::resolutions/1000").info["metadata"]
    assert said["model"] == str(run)
    assert len(said["model_sha256"]) == 64


def test_a_distance_out_of_reach_names_what_reaches_it(store):
    model = fake_model("contacts", PairsOfBins())
    assert (predicted_band(model, store, "chr2", max_distance=7000, step=1000)).valid.all()
    with pytest.raises(ConfigError, match=r"up to 6,000 bp .* 7,000 bp are asked for; a step of 1,000 bp"):
        predicted_band(model, store, "chr2", max_distance=7000)
    with pytest.raises(ConfigError, match="reaches 7,000 bp at most, with a step of one bin"):
        predicted_band(model, store, "chr2", max_distance=8000)
    with pytest.raises(ConfigError, match="at least one bin of 1,000 bp"):
        predicted_band(model, store, "chr2", max_distance=999)
    with pytest.raises(ConfigError, match="cannot be 5 bins apart"):
        predicted_band(model, store, "chr2", step=5000)


def test_models_that_do_not_fit_are_refused(store, tmp_path, monkeypatch):
    out = tmp_path / "p.mcool"
    loops = fake_model("loops", CentreOfBins())
    with pytest.raises(ModelError, match=r"at hand: is a model of finetune --task loops; .* --task contacts"):
        predict_contacts(out, model=loops, store=store)
    run = save_untrained(tmp_path / "loops", "loops")
    with pytest.raises(ModelError, match=r"/loops: is a model of finetune --task loops; .* --task contacts"):
        predict_contacts(out, model=run, store=store)
    more = fake_model("contacts", PairsOfBins(), tracks=("ATAC", "CTCF"))
    with pytest.raises(
        ModelError, match=r"lacks the track CTCF; .* reads ATAC, CTCF, the store has ATAC, DNase"
    ):
        predict_contacts(out, model=more, store=store)
    other = track_store(
        monkeypatch, tmp_path / "b.store", assembly=Assembly("else", dict(PLACES.chromosomes))
    )
    model = fake_model("contacts", PairsOfBins())
    with pytest.raises(ModelError, match="is of else, and the model at hand reads places"):
        predict_contacts(out, model=model, store=other)
    no_mode = fake_model("contacts", PairsOfBins())
    no_mode = replace(no_mode, description=replace(no_mode.description, model={}))
    with pytest.raises(ModelError, match="lacks the mode"):
        predict_contacts(out, model=no_mode, store=store)
    ratio = WindowTransform(tracks=("ATAC",), contacts="observed_expected")
    with pytest.raises(ModelError, match="lacks the expected contacts"):
        predict_contacts(out, model=fake_model("contacts", PairsOfBins(), transform=ratio), store=store)
    assert not out.exists()


def test_places_that_do_not_fit_are_refused(store, tmp_path):
    model, out = fake_model("contacts", PairsOfBins()), tmp_path / "p.mcool"
    with pytest.raises(
        DataError, match=r"chr3: shorter than a window of the model at hand \(8 bins of 1,000"
    ):
        predict_contacts(out, model=model, store=store, chroms=["chr3"])
    with pytest.raises(ChromosomeError, match="chr9"):
        predict_contacts(out, model=model, store=store, chroms=["chr9"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        predict_contacts(tmp_path / "folder", model=model, store=store)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
