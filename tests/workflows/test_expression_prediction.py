"""A predicted signal against brute force, its bigWig, and the table of start sites."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from chromweave.data.transforms import WindowTransform
from chromweave.errors import ChromosomeError, ConfigError, DataError, ModelError, OutputError
from chromweave.genome import Interval
from chromweave.progress import reporting
from chromweave.workflows.expression_prediction import (
    MASKED,
    NO_TRACKS,
    TOO_SHORT,
    linear,
    predict_expression,
    predicted_signal,
)
from chromweave.workflows.pair_scoring import ELSEWHERE
from chromweave.workflows.stitching import Tiling, taper
from tests.fakes import FakeTrack, build_fake, random_contacts
from tests.fakes_experiments import News
from tests.fakes_tasks import (
    BINS,
    DARK,
    PLACES,
    RESOLUTION,
    EachBin,
    PairsOfBins,
    fake_model,
    save_untrained,
    signal,
    stored_means,
    track_store,
)

NAMES = ("ATAC", "DNase", "CAGE")
RAW, LOG2 = WindowTransform(signal="raw"), WindowTransform(signal="log2")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("expression") / "a.store", names=NAMES)


def by_hand(means, step):
    """The signal of :class:`EachBin`: two values of each bin of a window, one for each segment."""
    above, below = np.zeros(len(means)), np.zeros(len(means))
    for x in Tiling(BINS, step).anchors(len(means)).x:
        for a, weight in enumerate(taper(BINS)):
            i = x - BINS // 2 + a
            for value in (means[i] - a / 10, means[i] + 2 * a / 10):
                above[i] += weight * value
                below[i] += weight
    return above / below


def cage(**more):
    return fake_model("expression", EachBin(), signal="CAGE", **more)


@pytest.mark.parametrize("step", [None, 1000, 4000])
def test_each_bin_is_the_weighted_mean_of_the_windows_on_it(store, step):
    found = predicted_signal(cage(), store, "chr1", step=step, batch_size=3)
    expected = by_hand(stored_means(store, "chr1"), 2 if step is None else step // 1000)
    expected[list(DARK["chr1"])] = np.nan
    np.testing.assert_allclose(found.value, expected, atol=1e-5)
    assert np.flatnonzero(~found.valid).tolist() == list(DARK["chr1"])


def test_a_region_and_a_change(store):
    whole = predicted_signal(cage(), store, "chr1")
    region = Interval("chr1", 27_500, 36_001)
    part = predicted_signal(cage(), store, "chr1", region=region)
    np.testing.assert_allclose(part.value[27:37], whole.value[27:37], rtol=1e-6)
    assert np.isnan(np.delete(part.value, np.arange(27, 37))).all()
    twice = predicted_signal(
        cage(), store, "chr2", change=lambda batch: replace(batch, tracks=2 * batch.tracks)
    )
    np.testing.assert_allclose(twice.value, by_hand(2 * stored_means(store, "chr2"), 2), atol=1e-5)
    with pytest.raises(ConfigError, match="not on chr2"):
        predicted_signal(cage(), store, "chr2", region=region)


def test_the_linear_scale():
    value = np.array([3.0, 0.0, -1.0, np.nan])
    np.testing.assert_allclose(linear(value, LOG2), [7, 0, 0, np.nan])
    np.testing.assert_allclose(linear(value, RAW), [3, 0, 0, np.nan])


def logarithmic():
    return cage(transform=WindowTransform(tracks=("ATAC", "DNase"), signal="log2"))


def test_the_bigwig_is_on_the_linear_scale(store, tmp_path):
    done = predict_expression(tmp_path / "p", model=logarithmic(), store=store)
    assert (done.signal, done.bigwig, done.table) == ("CAGE", tmp_path / "p.bw", None)
    found = predicted_signal(logarithmic(), store, "chr1")
    assert found.value[~np.isnan(found.value)].min() > 0
    with pyBigWig.open(str(done.bigwig)) as file:
        assert file.chroms() == {"chr1": 40_350, "chr2": 20_000}  # chr3 is shorter than a window
        values = [file.values("chr1", i * RESOLUTION, i * RESOLUTION + 1)[0] for i in range(41)]
        np.testing.assert_allclose(values, 2**found.value - 1, rtol=1e-5)
        assert file.intervals("chr1")[-1][1] == 40_350
    said = json.loads((tmp_path / "p.json").read_text())
    assert (said["signal"], said["chromosomes"], said["step"]) == ("CAGE", ["chr1", "chr2"], 2000)
    assert said["scale"] == "linear: 2**v - 1 of what the model says, not below 0"


GENES = (
    "chrom\ttss\tname\tstrand\n2\t8500\tB\t-\nchr1\t20999\tA\t+\nchr1\t11500\tdark\t+\nchr3\t10\tshort\t-\n"
)


def test_the_table_of_start_sites(store, tmp_path):
    (tmp_path / "genes.tsv").write_text(GENES)
    done = predict_expression(tmp_path / "p", model=logarithmic(), store=store, tss=tmp_path / "genes.tsv")
    table = pd.read_csv(done.table, sep="\t")
    assert list(table.columns) == [
        "chrom", "tss", "name", "strand", "predicted_log2", "predicted", "measured_log2", "measured",
        "reason",
    ]  # fmt: skip
    assert table[["chrom", "tss", "name", "strand"]].values.tolist() == [
        ["chr2", 8500, "B", "-"], ["chr1", 20_999, "A", "+"],
        ["chr1", 11_500, "dark", "+"], ["chr3", 10, "short", "-"],
    ]  # fmt: skip
    one, two = (predicted_signal(logarithmic(), store, chrom).value for chrom in ("chr1", "chr2"))
    np.testing.assert_allclose(table["predicted_log2"], [two[8], one[20], np.nan, np.nan], rtol=1e-5)
    np.testing.assert_allclose(table["predicted"], 2 ** table["predicted_log2"] - 1, rtol=1e-4)
    measured = [
        stored_means(store, chrom, ("CAGE",))[i] for chrom, i in (("chr2", 8), ("chr1", 20), ("chr3", 0))
    ]
    np.testing.assert_allclose(table["measured"].dropna(), measured, rtol=1e-5)
    assert table["measured"].isna().tolist() == [False, False, True, False]
    np.testing.assert_allclose(table["measured_log2"], np.log2(table["measured"] + 1), rtol=1e-4)


def test_what_has_no_prediction_has_a_reason(tmp_path, monkeypatch):
    """A dark bin, a chromosome shorter than a window, and one that the store has left out."""
    store = track_store(monkeypatch, tmp_path / "b.store", chroms=["chr1", "chr3"])
    (tmp_path / "genes.tsv").write_text(GENES)
    news = News()
    with reporting(news):
        done = predict_expression(tmp_path / "p", model=cage(), store=store, tss=tmp_path / "genes.tsv")
    assert done.genes["reason"].tolist() == [ELSEWHERE, "", NO_TRACKS, TOO_SHORT]
    assert done.genes["predicted"].notna().tolist() == [False, True, False, False]
    assert done.reasons == {NO_TRACKS: 1, ELSEWHERE: 1, TOO_SHORT: 1}
    assert news.lines[-1] == (
        "1 of 4 start sites predicted (others: 1 bin without track data, 1 chromosome not in the store, "
        f"1 chromosome shorter than a window): {tmp_path}/p.genes.tsv"
    )
    said = json.loads((tmp_path / "p.json").read_text())
    assert (said["start_sites"], said["not_predicted"]) == (4, done.reasons)
    read = pd.read_csv(done.table, sep="\t")
    assert read["reason"].isna().tolist() == read["predicted"].notna().tolist()
    (tmp_path / "genes.tsv").write_text("chrom\ttss\tname\nchr1\t20\tA\n")
    with reporting(news):
        done = predict_expression(tmp_path / "p", model=cage(), store=store, tss=tmp_path / "genes.tsv")
    assert done.reasons == {}
    assert news.lines[-1] == f"1 of 1 start sites predicted: {tmp_path}/p.genes.tsv"


def test_what_was_not_measured_has_no_column_and_other_chromosomes_no_row(tmp_path, monkeypatch):
    store = track_store(monkeypatch, tmp_path / "b.store")
    (tmp_path / "genes.tsv").write_text(GENES.replace("\tstrand", "").replace("\t-", "").replace("\t+", ""))
    given = {"model": cage(), "store": store, "tss": tmp_path / "genes.tsv"}
    done = predict_expression(tmp_path / "p", **given, chroms=["1"])
    assert list(done.genes.columns) == [
        "chrom", "tss", "name", "strand", "predicted_log2", "predicted", "reason",
    ]  # fmt: skip
    assert done.genes["name"].tolist() == ["A", "dark"]
    raw = predicted_signal(cage(), store, "chr1").value[20]
    assert done.genes["predicted"][0] == pytest.approx(raw)
    assert done.genes["predicted_log2"][0] == pytest.approx(np.log2(raw + 1))
    (tmp_path / "genes.tsv").write_text("chrom\ttss\tname\nchr1\t20\tA\n")
    with pytest.raises(DataError, match="has no site on chr2"):
        predict_expression(tmp_path / "p", **given, chroms=["chr2"])


@pytest.mark.parametrize(("setting", "second"), [({}, False), ({"least_known": 0.4}, True)])
def test_as_much_of_a_bin_must_be_measured_as_in_training(tmp_path, monkeypatch, setting, second):
    """Of bin 20, 5 of 10 steps have data; of bin 8, 4. Half is enough unless the model says otherwise."""
    values = signal("CAGE", "chr1")
    values[205:210] = values[84:90] = np.nan
    tracks = [FakeTrack("CAGE", {"chr1": values}), FakeTrack("ATAC", {"chr1": signal("ATAC", "chr1")})]
    store = build_fake(monkeypatch, tmp_path / "c.store", None, tracks, assembly=PLACES)
    (tmp_path / "genes.tsv").write_text("chrom\ttss\tname\nchr1\t20000\tA\nchr1\t8000\tB\n")
    model = cage(tracks=("ATAC",), **setting)
    done = predict_expression(tmp_path / "p", model=model, store=store, tss=tmp_path / "genes.tsv")
    expected = [values[200:205].mean(), values[80:84].mean() if second else np.nan]
    np.testing.assert_allclose(done.genes["measured"], expected, rtol=1e-3)


def test_a_model_that_reads_the_map_needs_one(store, tmp_path, monkeypatch):
    bimodal = save_untrained(tmp_path / "both", "expression", mode="bimodal", signal="CAGE")
    with pytest.raises(ModelError, match="has no layer of 1,000 bp"):
        predict_expression(tmp_path / "p", model=bimodal, store=store)
    contacts = random_contacts(resolutions=(RESOLUTION,), chroms=("chr1",), assembly=PLACES, freak=7)
    tracks = [FakeTrack(name, {"chr1": signal(name, "chr1")}) for name in NAMES]
    both = build_fake(monkeypatch, tmp_path / "d.store", contacts, tracks, assembly=PLACES)
    assert predicted_signal(bimodal, both, "chr1").valid.sum() == 39
    alone = save_untrained(tmp_path / "map", "expression", mode="map", signal="CAGE")
    found = predicted_signal(alone, both, "chr1")
    assert np.flatnonzero(~found.valid).tolist() == [8, 20, 40]  # masked in the map
    (tmp_path / "genes.tsv").write_text("chrom\ttss\tname\nchr1\t8999\tA\nchr1\t9000\tB\n")
    done = predict_expression(tmp_path / "p", model=alone, store=both, tss=tmp_path / "genes.tsv")
    assert done.genes["reason"].tolist() == [MASKED, ""]


def test_what_does_not_fit_is_refused(store, tmp_path):
    (tmp_path / "genes.tsv").write_text("chrom\ttss\tname\nchr1\t99999\tA\n")
    contacts = fake_model("contacts", PairsOfBins())
    no_signal = fake_model("expression", EachBin())
    more = cage(tracks=("ATAC", "H3K27ac"))
    for error, message, changes in (
        (ModelError, "of finetune --task contacts; .* --task expression", {"model": contacts}),
        (ModelError, "names no signal", {"model": no_signal}),
        (ModelError, "lacks the track H3K27ac", {"model": more}),
        (ChromosomeError, "chr7", {"chroms": ["chr7"]}),
        (DataError, "chr3: shorter than a window", {"chroms": ["chr3"]}),
        (ConfigError, "multiple of the bins' 1,000 bp", {"step": 1}),
        (DataError, "outside chr1", {"tss": tmp_path / "genes.tsv"}),
    ):
        with pytest.raises(error, match=message):
            predict_expression(tmp_path / "p", **({"model": cage(), "store": store} | changes))
    (tmp_path / "p.genes.tsv").mkdir()
    with pytest.raises(OutputError, match=r"p\.genes\.tsv: is a directory"):
        predict_expression(tmp_path / "p", model=cage(), store=store, tss=tmp_path / "genes.tsv")
    assert not list(tmp_path.glob("p.bw"))
