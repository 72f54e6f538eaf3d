"""What a model reads, held against stores."""

import numpy as np
import pytest

from chromweave import config as configs
from chromweave.data.store import RegionStore
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import loop_windows
from chromweave.errors import DataError, ModelError
from chromweave.genome import Assembly
from chromweave.workflows.model_input import ModelInput, open_stores, shared_tracks
from tests.fakes_loops import CHROMS, SPLIT, loop_store, planted

INPUT = ModelInput("loopy", 5000, 16, WindowTransform(tracks=("ATAC", "DNase"), augmentations=("swap",)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return loop_store(patch, tmp_path_factory.mktemp("input") / "a.store")


def test_it_survives_a_description(store):
    assert ModelInput.parse(configs.to_mapping(INPUT), "config.json") == INPUT
    assert INPUT.positions == 1600
    INPUT.check(store, "model")


def test_stores_open_by_path_or_as_they_are(store):
    (by_path,), (same,) = open_stores(str(store.path)), open_stores([store])
    assert isinstance(by_path, RegionStore)
    assert same is store


def test_another_assembly_resolution_or_track_is_refused(store, tmp_path):
    other = ModelInput("hg38", 5000, 16, INPUT.transform)
    with pytest.raises(ModelError, match="is of loopy, and the model m reads hg38"):
        other.check(store, "m")
    coarser = ModelInput("loopy", 10_000, 16, INPUT.transform)
    with pytest.raises(
        ModelError, match=r"no layer of 10,000 bp, .*5,000\); build it with --contacts and --resolution 10000"
    ):
        coarser.check(store, "m")
    more = ModelInput("loopy", 5000, 16, WindowTransform(tracks=("ATAC", "CTCF")))
    with pytest.raises(ModelError, match=r"lacks the track CTCF; .* the store has ATAC, DNase"):
        more.check(store, "m")


def test_tracks_in_common(store, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        assembly = Assembly("loopy", dict.fromkeys(CHROMS, 4_000_000))
        second = loop_store(patch, tmp_path / "b.store", tracks=("CTCF", "DNase"), assembly=assembly)
        third = loop_store(patch, tmp_path / "c.store", tracks=("CTCF",), assembly=assembly)
    assert shared_tracks([store, second]) == ("DNase",)
    with pytest.raises(DataError, match=r"no track in common .*a\.store: ATAC, DNase; .*c\.store: CTCF"):
        shared_tracks([store, third])


def test_a_model_that_reads_no_map_takes_a_store_of_another_resolution(store):
    coarser = ModelInput("loopy", 10_000, 16, INPUT.transform)
    coarser.check(store, "m", contacts=False)
    with pytest.raises(ModelError, match="lacks the track CTCF"):
        ModelInput("loopy", 10_000, 16, WindowTransform(tracks=("CTCF",))).check(store, "m", contacts=False)


@pytest.fixture(scope="module")
def table(store):
    return loop_windows(store, planted(), SPLIT, window_bins=16, resolution=5000).table


def test_only_training_windows_are_augmented(store, table):
    parts = {name: INPUT.dataset([store], [table], name) for name in ("train", "valid", "test", "predict")}
    augmented = {name: part.transform.augmentations for name, part in parts.items()}
    assert augmented == {"train": ("swap",), "valid": (), "test": (), "predict": ()}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 240, "valid": 240, "test": 240, "predict": 720,
    }  # fmt: skip


def test_windows_without_a_map_and_with_a_target(store, table):
    given = ModelInput("loopy", 5000, 16, WindowTransform(tracks=("ATAC",)))
    whole, bare = given.dataset([store], [table], "valid").batch([0, 5]), given.dataset(
        [store], [table], "valid", contacts=False, target="DNase"
    ).batch([0, 5])  # fmt: skip
    assert whole.contact_mask.any()
    assert (whole.target, whole.target_mask) == (None, None)
    assert not bare.contact_mask.any()
    assert not bare.contact_map.any()
    assert bare.tracks.shape == whole.tracks.shape == (2, 1600, 1)
    # log2 of a bin's mean of 50 steps of 100 bp, plus 1, of the track that the model does not read
    signal = store.track("DNase", "chr2").mean.astype(float)
    first = table[table["split"] == "valid"].iloc[0]
    steps = signal[(first["x"] - 8 * 5000) // 100 :][:50]
    assert bare.target[0, 0].item() == pytest.approx(np.log2(steps.mean() + 1), rel=1e-4)
    assert bare.target_mask.all()
