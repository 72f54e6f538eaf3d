"""Predictions before and after edits, held against stores whose tracks were edited before they were built."""

import json
from dataclasses import replace

import cooler
import numpy as np
import pandas as pd
import pybigtools
import pytest
import torch

from chromweave.batch import Prediction
from chromweave.data.edits import SignalEdit
from chromweave.data.transforms import WindowTransform
from chromweave.errors import AssemblyError, ChromosomeError, ConfigError, DataError, ModelError
from chromweave.genome import Interval
from chromweave.progress import Silent, reporting
from chromweave.workflows.edit_effects import insulation_at_centre, log2_change
from chromweave.workflows.edit_task import reach_bins
from chromweave.workflows.edited_windows import EditableModel
from chromweave.workflows.expression_prediction import linear, predicted_signal
from chromweave.workflows.inference import window_table
from chromweave.workflows.perturbation import perturb
from chromweave.workflows.prediction import predicted_band
from tests.fakes import FakeTrack, build_fake, random_contacts
from tests.fakes_tasks import (
    BINS,
    DARK,
    PLACES,
    RESOLUTION,
    CentreOfBins,
    EachBin,
    PairsOfBins,
    bin_means,
    fake_model,
    save_untrained,
    signal,
    stored_means,
    track_store,
)

EDITS = (
    SignalEdit(Interval("chr1", 19_000, 20_500), ("ATAC",), 3.0),
    SignalEdit(Interval("chr1", 20_000, 21_000)),
)
LOG2 = WindowTransform(tracks=("ATAC", "DNase"), clip=1.0)


def edited_signal(name):
    """What `EDITS` make of a track of chr1, in plain numpy."""
    values = signal(name, "chr1").astype(np.float16).astype(np.float32)
    median = np.nanmedian(values)
    if name == "ATAC":
        values[190:205] *= 3
    values[200:210] = np.where(np.isnan(values[200:210]), np.nan, median)
    return values


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("perturbation") / "a.store")


@pytest.fixture(scope="module")
def edited_store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        tracks = [FakeTrack(name, {"chr1": edited_signal(name)}) for name in ("ATAC", "DNase")]
        out = tmp_path_factory.mktemp("perturbation") / "b.store"
        return build_fake(patch, out, None, tracks, assembly=PLACES)


def contact_model(transform=LOG2, **more):
    return fake_model("contacts", PairsOfBins(), transform=transform, **more)


def raw_cool(path, n_bins=41):
    """chr1 of a .cool as written, symmetric."""
    return cooler.Cooler(str(path)).matrix(balance=False).fetch("chr1")[:n_bins, :n_bins]


@pytest.mark.parametrize("farthest", [0, 9])
def test_maps_before_and_after(store, edited_store, tmp_path, farthest):
    model = contact_model(farthest_bins=farthest)
    region = Interval("chr1", 12_000, 29_000)
    done = perturb(tmp_path / "out", model=model, store=store, edits=EDITS, region=region)
    before = predicted_band(model, store, "chr1", region=region)
    after = predicted_band(model, edited_store, "chr1", region=region)
    square = np.zeros((41, 41))
    for name, values in (
        ("before", before.value),
        ("after", after.value),
        ("difference", after.value - before.value),
    ):
        square[before.bin1, before.bin2] = square[before.bin2, before.bin1] = values
        np.testing.assert_allclose(raw_cool(tmp_path / "out" / f"{name}.cool"), square, rtol=2e-3, atol=1e-3)
    assert np.abs(after.value - before.value).max() > 1  # of about 20
    assert done.region == region
    weight = cooler.Cooler(str(tmp_path / "out" / "before.cool")).bins().fetch("chr1")["weight"]
    assert np.flatnonzero(weight.notna()).tolist() == list(range(12, 29))
    assert done.summary["pixels"] == len(before.value)


def test_before_is_what_is_predicted_without_edits(store, tmp_path):
    model = contact_model()
    perturb(tmp_path / "out", model=model, store=store, edits=EDITS, region=Interval("chr1", 0, 40_350))
    found = predicted_band(model, store, "chr1")
    square = np.zeros((41, 41))
    square[found.bin1, found.bin2] = square[found.bin2, found.bin1] = found.value
    np.testing.assert_array_equal(raw_cool(tmp_path / "out" / "before.cool"), square)


def test_a_factor_of_1_changes_nothing(store, tmp_path):
    edit = SignalEdit(Interval("chr1", 15_000, 25_000), factor=1.0)
    done = perturb(tmp_path / "out", model=contact_model(), store=store, edits=[edit])
    assert not raw_cool(tmp_path / "out" / "difference.cool").any()
    assert (done.table.loc[done.table["measure"] != "pixel", "change"] == 0).all()
    assert not (done.table["measure"] == "pixel").any()
    assert done.summary["mean_abs_log2_ratio"] == done.summary["insulation_change"] == 0


def test_the_table_of_a_map(store, tmp_path):
    model, region = contact_model(), Interval("chr1", 10_000, 33_000)
    done = perturb(tmp_path / "out", model=model, store=store, edits=EDITS, region=region)
    before, after = (raw_cool(tmp_path / "out" / f"{name}.cool") for name in ("before", "after"))
    table = pd.read_csv(tmp_path / "out" / "perturbation.tsv", sep="\t")
    assert list(table.columns) == list(done.table.columns)
    bins = [b for b in range(10, 33) if b not in DARK["chr1"]]
    pairs = np.array([(i, i + 3) for i in bins if i + 3 in bins])
    (row,) = table[(table["measure"] == "distance") & (table["distance"] == 3 * RESOLUTION)].itertuples()
    old, new = before[tuple(pairs.T)], after[tuple(pairs.T)]
    assert row.pixels == len(pairs)
    assert row.before == pytest.approx(old.mean(), rel=1e-5)
    assert row.after == pytest.approx(new.mean(), rel=1e-5)
    assert row.change == pytest.approx(np.abs(log2_change(old, new)).mean(), rel=1e-4)
    walls = table[table["measure"] == "insulation"]
    assert walls["start1"].tolist() == [19_000, 20_000]
    for middle, found in zip((19, 20), walls.itertuples(), strict=True):
        around = slice(middle - 4, middle + 4)
        near = np.abs(np.subtract.outer(np.arange(8), np.arange(8))) <= 6  # as far as is predicted
        squares = [np.where(near, each[around, around], np.nan) for each in (before, after)]
        score = insulation_at_centre(np.stack(squares))
        assert (found.before, found.after) == pytest.approx(tuple(score), rel=1e-4)
        assert found.change == pytest.approx(score[1] - score[0], rel=1e-3)
    largest = table[table["measure"] == "pixel"]
    ratio = np.triu(log2_change(before, after))
    assert len(largest) == 20
    assert largest["change"].abs().is_monotonic_decreasing
    assert largest["change"].abs().iloc[0] == pytest.approx(np.abs(ratio).max(), rel=1e-5)
    first = largest.iloc[0]
    at = (int(first["start1"]) // RESOLUTION, int(first["start2"]) // RESOLUTION)
    assert ratio[at] == pytest.approx(first["change"], rel=1e-5)


def test_only_what_can_be_seen_of_the_edit_is_predicted_by_default(store, tmp_path):
    edit = SignalEdit(Interval("chr1", 19_000, 20_000))
    near = perturb(tmp_path / "near", model=contact_model(), store=store, edits=[edit])
    assert near.region == Interval("chr1", 12_000, 27_000)  # windows of 8 bins around the edit's one
    far = perturb(tmp_path / "far", model=contact_model(farthest_bins=30), store=store, edits=[edit])
    assert far.region == Interval("chr1", 0, 40_350)
    assert (tmp_path / "near" / "perturbation.png").read_bytes().startswith(b"\x89PNG")


def test_an_edit_is_seen_as_far_as_two_bins_of_a_window_lie_apart(store):
    """A model that says of each row what its window's last column has: 9 + 8 - 1 bins, and none farther."""

    class LastColumn(PairsOfBins):
        def forward(self, contact_map, tracks):
            last = bin_means(tracks)[:, 1, -1]
            return Prediction(last[:, None, None, None].expand(-1, 1, BINS, BINS))

    model = EditableModel.open(fake_model("contacts", LastColumn(), transform=LOG2, farthest_bins=9), store)
    reach, edited = reach_bins(model), 25
    table = window_table("chr1", np.arange(4, 28), np.arange(4, 28) + 9, RESOLUTION)
    edit = SignalEdit(Interval("chr1", edited * RESOLUTION, (edited + 1) * RESOLUTION))
    changed = []
    for answer in model.answers(table, [[edit]] * len(table), 64, "asking"):
        at = (answer.before.value != answer.after.value).numpy()
        first = answer.batch.x.numpy() - BINS // 2
        changed += [edited - (first[k] + a) for k, _, a, _ in np.argwhere(at)]
    assert max(changed) == reach == 16


def test_the_folder_says_what_it_is(store, tmp_path):
    run = save_untrained(tmp_path / "run", "contacts")
    done = perturb(tmp_path / "out", model=run, store=store.path, edits=EDITS)
    said = json.loads((tmp_path / "out" / "perturbation.json").read_text())
    assert (said["kind"], said["task"], said["model"]) == ("perturbation", "contacts", str(run))
    assert said["edits"] == [
        {"interval": "chr1:19,000-20,500", "tracks": ["ATAC"], "factor": 3.0},
        {"interval": "chr1:20,000-21,000", "tracks": [], "factor": None},
    ]
    stored = np.asarray(store.track("DNase", "chr1").mean, np.float32)
    assert said["background"]["DNase"] == pytest.approx(float(np.nanmedian(stored)))
    assert [entry["path"] for entry in said["inputs"]] == [str(store.path), str(run / "config.json")]
    assert said["summary"] == done.summary
    about = cooler.Cooler(str(tmp_path / "out" / "difference.cool")).info["metadata"]
    assert about["edits"] == said["edits"]
    # A real network: edits reach it, and the map is that of predict where they do not.
    assert 0 < done.summary["mean_abs_log2_ratio"] < 1
    found = predicted_band(run, store, "chr1", region=done.region)
    np.testing.assert_array_equal(
        raw_cool(tmp_path / "out" / "before.cool")[found.bin1, found.bin2], found.value
    )


def test_batches_do_not_matter(store, tmp_path):
    run = save_untrained(tmp_path / "run", "contacts")
    tables = [
        perturb(tmp_path / f"{size}", model=run, store=store, edits=EDITS, batch_size=size).table["change"]
        for size in (1, 64)
    ]
    np.testing.assert_allclose(*(table.to_numpy(float) for table in tables), atol=1e-4)


@pytest.mark.parametrize("transform", [LOG2, replace(LOG2, signal="raw")], ids=["log2", "raw"])
def test_expression(store, edited_store, tmp_path, transform):
    model = fake_model("expression", EachBin(), transform=transform, signal="CAGE")
    done = perturb(tmp_path / "out", model=model, store=store, edits=EDITS)
    assert done.region == Interval("chr1", 12_000, 28_000)  # as far as windows around the edits
    before, after = (
        linear(predicted_signal(model, each, "chr1", region=done.region).value, transform)
        for each in (store, edited_store)
    )
    inside = slice(12, 28)
    assert done.table["start"].tolist() == list(range(12_000, 28_000, 1000))
    np.testing.assert_array_equal(done.table["before"], before[inside])
    np.testing.assert_allclose(done.table["after"], after[inside], rtol=1e-3)
    np.testing.assert_allclose(done.table["log2_ratio"], log2_change(before, after)[inside], atol=2e-3)
    region = Interval("chr1", 11_000, 28_000)
    wider = perturb(tmp_path / "wider", model=model, store=store, edits=EDITS, region=region).table
    assert np.isnan(wider["before"].iloc[0])  # bin 11 is dark
    np.testing.assert_array_equal(wider["before"].iloc[1:], done.table["before"])
    changed = np.flatnonzero(np.abs(done.table["log2_ratio"]) > 1e-6) + 12
    assert changed.tolist() == [19, 20]
    for name in ("before", "after", "log2_ratio"):
        file = pybigtools.open(str(tmp_path / "out" / f"{name}.bw"))
        found = [value for _, _, value in file.records("chr1", 12_000, 28_000)]
        np.testing.assert_allclose(found, done.table[name], rtol=1e-5, atol=1e-6)
    assert (tmp_path / "out" / "perturbation.png").read_bytes().startswith(b"\x89PNG")


def bedpe(path, pairs):
    rows = [f"chr1\t{i}000\t{i + 1}000\tchr1\t{j}000\t{j + 1}000" for i, j in pairs]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_loops(store, edited_store, tmp_path):
    model = fake_model(
        "loops", CentreOfBins(), transform=replace(LOG2, signal="raw"), mode="tracks", temperature=2.0
    )
    loops = bedpe(tmp_path / "a.bedpe", [(19, 24), (15, 22), (11, 19), (2, 19), (5, 36)])
    done = perturb(tmp_path / "out", model=model, store=store, edits=EDITS, loops=loops)
    assert done.table["start1"].tolist() == [19_000, 15_000, 11_000, 2_000]  # the last is far away
    assert done.table["reason"].tolist() == [
        "",
        "",
        "no data at an anchor",
        "window sticks out of the chromosome",
    ]
    old, new = stored_means(store, "chr1"), stored_means(edited_store, "chr1")
    logits = np.array([[each[i] + each[j] - 5 for i, j in ((19, 24), (15, 22))] for each in (old, new)]) / 2
    probability = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(done.table["probability_before"], [*probability[0], np.nan, np.nan], rtol=1e-5)
    np.testing.assert_allclose(done.table["probability_after"], [*probability[1], np.nan, np.nan], rtol=1e-3)
    change = done.table["logit_change"].to_numpy()
    assert change[0] == pytest.approx(logits[1, 0] - logits[0, 0], rel=1e-3)
    assert abs(change[0]) > 0.5
    assert change[1] == 0
    assert done.summary == {"loops": 2, "largest_logit_change": change[0]}


def test_a_map_that_is_read_is_kept(tmp_path, monkeypatch):
    """The bimodal stand-in adds the map's middle to what it makes of the tracks."""

    class Both(CentreOfBins):
        def forward(self, contact_map, tracks):
            found = super().forward(None, tracks)
            logit = found.logit + contact_map[:, 0, 4, 4]
            return type(found)(torch.sigmoid(logit), logit)

    contacts = random_contacts(resolutions=(1000,), chroms=("chr1",), assembly=PLACES, freak=3)
    tracks = [FakeTrack(name, {"chr1": signal(name, "chr1")}) for name in ("ATAC", "DNase")]
    both = build_fake(
        monkeypatch, tmp_path / "c.store", contacts, tracks, assembly=PLACES, max_distance=30_000
    )
    loops = bedpe(tmp_path / "a.bedpe", [(19, 24), (20, 25)])
    transform = replace(LOG2, signal="raw")
    said = []

    class Listening(Silent):
        def notify(self, message):
            said.append(message)

    changes = []
    for network, mode in ((Both(), "bimodal"), (CentreOfBins(), "tracks")):
        model = fake_model("loops", network, transform=transform, mode=mode)
        with reporting(Listening()):
            done = perturb(tmp_path / mode, model=model, store=both, edits=EDITS, loops=loops)
        changes.append(done.table)
    assert sum("kept as measured" in message for message in said) == 1
    middles = contacts.maps["chr1", 1000][[19, 20], [24, 25]]
    assert middles.any()
    assert changes[0]["reason"].iloc[1] == "no data at an anchor"  # bin 20 is masked in the map
    assert changes[0]["logit_change"].iloc[0] == pytest.approx(changes[1]["logit_change"].iloc[0], rel=1e-5)


def refused(store, tmp_path, model=None, edits=EDITS, **more):
    return perturb(tmp_path / "out", model=model or contact_model(), store=store, edits=edits, **more)


def test_what_cannot_be_edited_is_refused(store, tmp_path):
    for mode in ("map", "infer_tracks"):
        with pytest.raises(ModelError, match=rf"reads no tracks \(its mode is {mode}\)"):
            refused(store, tmp_path, fake_model("loops", CentreOfBins(), mode=mode))
    with pytest.raises(ModelError, match="does not read the track CAGE; it reads ATAC, DNase"):
        refused(store, tmp_path, edits=[SignalEdit(Interval("chr1", 0, 1000), ("CAGE",))])
    with pytest.raises(ConfigError, match="nothing to edit"):
        refused(store, tmp_path, edits=[])
    elsewhere = [*EDITS, SignalEdit(Interval("chr2", 1000, 2000))]
    with pytest.raises(ConfigError, match="lie on chr1, chr2"):
        refused(store, tmp_path, edits=elsewhere)
    with pytest.raises(ConfigError, match="lie on chr1, chr2"):
        refused(store, tmp_path, region=Interval("chr2", 0, 9000))
    with pytest.raises(AssemblyError, match="ends beyond chr1, which is 40,350 bp long"):
        refused(store, tmp_path, edits=[SignalEdit(Interval("chr1", 40_000, 41_000))])
    with pytest.raises(ChromosomeError, match="chr9"):
        refused(store, tmp_path, edits=[SignalEdit(Interval("chr9", 0, 1000))])
    with pytest.raises(DataError, match="shorter than a window"):
        refused(store, tmp_path, edits=[SignalEdit(Interval("chr3", 0, 1000))])
    assert not (tmp_path / "out").exists()


def test_models_and_stores_that_do_not_fit_are_refused(store, tmp_path):
    model = contact_model()
    other = dict(model.description.data) | {"assembly": "hg19"}
    with pytest.raises(ModelError, match="is of places, and the model at hand reads hg19"):
        refused(store, tmp_path, replace(model, description=replace(model.description, data=other)))
    kind = replace(model.description, kind="mixhic-pretrain")
    with pytest.raises(ModelError, match="is one of pretrain, which predicts nothing"):
        refused(store, tmp_path, replace(model, description=kind))
    with pytest.raises(ModelError, match="lacks the track CAGE"):
        refused(store, tmp_path, contact_model(WindowTransform(tracks=("ATAC", "CAGE"), clip=1.0)))
    with pytest.raises(ModelError, match="is no model folder"):
        refused(store, tmp_path, tmp_path)


def test_loops_are_for_loop_models(store, tmp_path):
    loops = bedpe(tmp_path / "a.bedpe", [(5, 36)])
    with pytest.raises(ConfigError, match="predicts contacts"):
        refused(store, tmp_path, loops=loops)
    model = fake_model("loops", CentreOfBins())
    with pytest.raises(ConfigError, match="needs --loops"):
        refused(store, tmp_path, model)
    with pytest.raises(DataError, match="no loop has an anchor in"):
        refused(store, tmp_path, model, loops=loops)
