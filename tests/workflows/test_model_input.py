"""What a model reads, held against stores."""

import pytest

from chromweave import config as configs
from chromweave.data.store import RegionStore
from chromweave.data.transforms import WindowTransform
from chromweave.errors import DataError, ModelError
from chromweave.genome import Assembly
from chromweave.workflows.model_input import ModelInput, open_stores, shared_tracks
from tests.fakes_loops import CHROMS, loop_store

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
        ModelError, match=r"no layer of 10,000 bp, .* \(it has 5,000\); build it with --resolution 10000"
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
