"""Windows that could not be judged are refused first; all arms read and are alike."""

from dataclasses import replace

import pytest

from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError, DataError, ModelError
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows.experiment_input import alike, one_process, read, reading, require_samples
from chromweave.workflows.foundation_settings import FinetuneConfig
from chromweave.workflows.model_input import ModelInput, open_stores
from tests.fakes_experiments import fake_run
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

CONFIG = FinetuneConfig.preset("tiny", epochs=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store and its windows."""
    folder = tmp_path_factory.mktemp("input")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(folder / "loops.parquet", table)
    return folder


def without(place, name, change):
    table = read_windows(place / "loops.parquet", splits=["train", "valid", "test"])
    changed = change(table)
    changed.attrs = table.attrs
    write_windows(place / name, changed)
    return place / name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table[table["split"] != "test"], "has no window of the split 'test'"),
        (lambda table: table.assign(label=float("nan")), "windows have no label"),
        (lambda table: table[(table["split"] != "valid") | (table["label"] == 1)], "the split 'valid'"),
    ],
)
def test_windows_that_could_not_be_judged_are_refused_before_any_training(place, change, said):
    (store,) = open_stores(place / "a.store")
    path = without(place, "changed.parquet", change)
    with pytest.raises(DataError, match=said):
        require_samples("loops", store, path)
    if "label" in said:
        require_samples("contacts", store, path)


def test_an_unknown_task(place):
    with pytest.raises(ConfigError, match="no task 'tads'; there are loops, contacts, expression"):
        require_samples("tads", None, place / "loops.parquet")


def test_from_scratch_means_the_same_network_and_input(tmp_path):
    network = MixHicConfig(channels=8, heads=1, depth=1, n_tracks=3, head_dropout=0.3)
    transform = WindowTransform(contacts="log1p", tracks=("A", "B", "C"), augmentations=("jitter",))
    source = fake_run(
        tmp_path / "pre",
        "mixhic-pretrain",
        data=ModelInput("loopy", 5000, 16, transform),
        network=network,
    )
    ours = alike(FinetuneConfig.preset("tiny"), "loops", source)
    of_heads = ("head_dropout", "contact_mixing", "fusion", "unimodal_heads")
    assert ours.network == replace(network, **{n: getattr(CONFIG.network, n) for n in of_heads})
    assert (ours.transform.contacts, ours.transform.tracks) == ("log1p", ("A", "B", "C"))
    assert ours.transform.augmentations == CONFIG.transform.augmentations
    contacts = alike(FinetuneConfig.preset("tiny", "contacts"), "contacts", source)
    assert contacts.transform.contacts == "observed_expected"
    other = fake_run(tmp_path / "loops", "mixhic-loops")
    with pytest.raises(
        ModelError, match="is a model of finetune --task loops; give a run folder of pretrain"
    ):
        alike(CONFIG, "loops", other)


class Tracks:
    def __init__(self, *names):
        self.track_names, self.path = names, "x.store"


def test_tracks_that_are_read():
    stores = [Tracks("ATAC", "CAGE", "CTCF"), Tracks("CAGE", "ATAC")]
    assert reading(CONFIG, "loops", stores).transform.tracks == ("ATAC", "CAGE")
    assert reading(CONFIG, "expression", stores).transform.tracks == ("ATAC",)
    named = replace(CONFIG, transform=replace(CONFIG.transform, tracks=("CTCF",)))
    assert reading(named, "loops", stores) == named
    silent = replace(CONFIG, mode="map")
    assert reading(silent, "loops", stores) == silent
    assert reading(silent, "loops", stores, whatever_mode=True).transform.tracks == ("ATAC", "CAGE")
    with pytest.raises(ConfigError, match="no track but CAGE"):
        reading(CONFIG, "expression", [Tracks("CAGE")])


def test_an_experiment_is_one_process():
    one_process(CONFIG)
    with pytest.raises(ConfigError, match="leave devices and nodes at 1"):
        one_process(replace(CONFIG, fit=FitConfig(devices=2)))


def test_windows_of_another_store_are_refused(place, tmp_path, monkeypatch):
    other = loop_store(monkeypatch, tmp_path / "b.store", seed=1)
    with pytest.raises(DataError, match="made for other contacts"):
        read(place / "loops.parquet", other, "train")
