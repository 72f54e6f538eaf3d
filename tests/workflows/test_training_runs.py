"""What every training does before and after: tables without test windows, folders that are one run's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chromweave.data.store import RegionStore
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import loop_windows, write_windows
from chromweave.errors import ConfigError, DataError, ModelError, OutputError, ResolutionError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.progress import reporting
from chromweave.training.engine import FitConfig
from chromweave.training.objectives import PairedPretraining
from chromweave.workflows.foundation_settings import LoadingConfig, PretrainConfig
from chromweave.workflows.networks import PRETRAIN, load
from chromweave.workflows.training_runs import (
    checkpoint_of,
    input_of,
    read_tables,
    run_windows,
    save_run,
    sized,
    start,
    table_paths,
    train,
)
from tests.fakes import build_fake, random_track
from tests.fakes_loops import ASSEMBLY, CHROMS, RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

SETTINGS = PretrainConfig(
    network=MixHicConfig(channels=8, heads=1, depth=1), fit=FitConfig(epochs=1, batch_size=32)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(folder / "w.parquet", table)
    wide = loop_windows(store, planted(), SPLIT, window_bins=20, resolution=RESOLUTION).table
    write_windows(folder / "wide.parquet", wide)
    return folder


@pytest.fixture
def store(place):
    return RegionStore.open(place / "a.store")


class Notes:
    def __init__(self):
        self.lines = []

    def track(self, items, description, total, unit):
        yield from items

    def notify(self, message):
        self.lines.append(message)


# --- tables


def test_one_table_or_several(place):
    assert table_paths("w.parquet") == table_paths(Path("w.parquet")) == [Path("w.parquet")]
    assert table_paths(["a", Path("b")]) == [Path("a"), Path("b")]


def test_test_windows_are_read_only_when_they_are_to_be_trained_on(place, store):
    (table,) = read_tables([store], place / "w.parquet")
    assert set(table["split"]) == {"train", "valid"}
    (every,) = read_tables([store], place / "w.parquet", test=True)
    assert set(every["split"]) == {"train", "valid", "test"}
    assert len(every) == 720 == 3 * len(table) // 2


def test_every_store_has_a_table_and_all_tables_one_geometry(place, store):
    with pytest.raises(ConfigError, match=r"2 store\(s\) and 1 window table\(s\): give one table per store"):
        read_tables([store, store], place / "w.parquet")
    with pytest.raises(DataError, match=r"differ in window_bins \(16, 20\); make them alike"):
        read_tables([store, store], [place / "w.parquet", place / "wide.parquet"])


def test_a_table_of_other_contacts_is_refused_whether_they_are_read_or_not(place, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        other = loop_store(patch, tmp_path / "b.store", seed=5)
    for contacts in (True, False):
        with pytest.raises(DataError, match="were made for other contacts"):
            read_tables([other], place / "w.parquet", contacts=contacts)


def test_a_store_without_the_map_does_where_none_is_read(place, store, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        tracks = [random_track(name, assembly=ASSEMBLY, chroms=CHROMS) for name in ("ATAC", "DNase")]
        bare = build_fake(patch, tmp_path / f"{store.name}.store", None, tracks, assembly=ASSEMBLY)
    with pytest.raises(ResolutionError, match="no contacts"):
        read_tables([bare], place / "w.parquet")
    (table,) = read_tables([bare], place / "w.parquet", contacts=False)
    assert len(table) == 480


# --- what is read


def test_a_new_model_reads_what_the_stores_share_or_what_is_named(place, store, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        second = loop_store(patch, tmp_path / "b.store", tracks=("CTCF", "DNase"))
    tables = read_tables([store], place / "w.parquet")
    found = input_of([store, second], tables, WindowTransform())
    assert (found.assembly, found.resolution, found.window_bins) == ("loopy", RESOLUTION, WINDOW_BINS)
    assert found.transform.tracks == ("DNase",)
    named = input_of([store, second], tables, WindowTransform(tracks=("ATAC",)))
    assert named.transform.tracks == ("ATAC",)
    assert input_of([store, second], tables, WindowTransform(), tracks=False).transform.tracks == ()


def test_sizes_follow_the_data_and_tracks_where_some_are_read(place, store):
    tables = read_tables([store], place / "w.parquet")
    given = input_of([store], tables, WindowTransform())
    network = sized(MixHicConfig(n_tracks=7), given)
    assert (network.n_tracks, network.window_bins, network.positions) == (2, 16, 1600)
    without = replace(given, transform=WindowTransform())
    assert sized(MixHicConfig(n_tracks=7), without).n_tracks == 7


def test_windows_of_a_run(place, store):
    tables = read_tables([store], place / "w.parquet")
    given = input_of([store], tables, WindowTransform(augmentations=("swap",)))
    chosen = run_windows([store], tables, given, "run", seed=1)
    assert (len(chosen.train), chosen.n_valid) == (240, 240)
    assert (chosen.train.transform.augmentations, chosen.valid.transform.augmentations) == (("swap",), ())
    first = tables[0][tables[0]["split"] == "train"].iloc[0]
    described = chosen.describe(chosen.train.batch(range(9)))
    assert described.startswith(f"among windows a chr1:{first['x']:,}/{first['y']:,}, a chr1:")
    assert described.endswith(", ...")
    assert described.count("chr1:") == 8
    assert "..." not in chosen.describe(chosen.train.batch([0, 1]))


def test_windows_without_validation_are_told(place, store):
    (table,) = read_tables([store], place / "w.parquet")
    alone = table[table["split"] == "train"]
    alone.attrs = dict(table.attrs)
    listener = Notes()
    with reporting(listener):
        chosen = run_windows([store], [alone], input_of([store], [alone], WindowTransform()), "run", seed=1)
    assert (chosen.valid, chosen.n_valid) == (None, 0)
    assert any("no window has the split 'valid'" in line for line in listener.lines)


def test_what_the_stores_lack_is_said_before_anything_is_cut(place, store):
    tables = read_tables([store], place / "w.parquet")
    given = input_of([store], tables, WindowTransform(tracks=("ATAC", "CTCF")))
    with pytest.raises(ModelError, match="lacks the track CTCF"):
        run_windows([store], tables, given, "run", seed=1)
    with pytest.raises(ModelError, match="16 bins of 5,000 bp, and the model run reads 20 bins"):
        run_windows([store], tables, replace(given, window_bins=20, transform=WindowTransform()), "run", 1)


def test_a_target_is_cut_with_the_windows(place, store):
    tables = read_tables([store], place / "w.parquet")
    given = input_of([store], tables, WindowTransform(tracks=("ATAC",)))
    chosen = run_windows([store], tables, given, "run", seed=1, contacts=False, target="DNase")
    for windows in (chosen.train, chosen.valid):
        batch = windows.batch([0, 1])
        assert batch.target.shape == (2, 2 * WINDOW_BINS)
        assert not batch.contact_mask.any()
    assert run_windows([store], tables, given, "run", seed=1).train.batch([0]).target is None


# --- folders


def test_a_checkpoint_may_be_named():
    assert checkpoint_of(True) is True
    assert checkpoint_of(False) is False
    assert checkpoint_of("run/last.ckpt") == checkpoint_of(Path("run/last.ckpt")) == Path("run/last.ckpt")


def inputs_of(place):
    return [place / "a.store", place / "w.parquet"]


def begin(run, place, config=SETTINGS, kind="pretrain", seed=1, resume=False, inputs=None):
    return start(run, kind, config, seed, inputs or inputs_of(place), resume)


def test_a_folder_is_of_one_kind_of_run(place, tmp_path):
    begin(tmp_path / "r", place, kind="finetune-loops")
    with pytest.raises(OutputError, match="holds a 'finetune-loops' run"):
        begin(tmp_path / "r", place, kind="finetune-contacts")


def test_starting_anew_removes_the_old_model_and_resuming_does_not(place, tmp_path):
    run = begin(tmp_path / "r", place)
    left = ["model.safetensors", "config.json", "README.md", "tensorboard/events"]
    (run / "tensorboard").mkdir()
    for name in left:
        (run / name).write_text("old")
    assert begin(run, place, resume=True) == run
    assert all((run / name).exists() for name in left)
    begin(run, place)
    assert not any((run / name).exists() for name in left)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 9}, {"patience": 2}, {"checkpoint_every": 4}, {"tensorboard": True},
        {"accelerator": "cpu"}, {"devices": 1},
    ],
)  # fmt: skip
def test_a_run_may_be_resumed_for_longer_and_elsewhere(place, tmp_path, changes):
    begin(tmp_path / "r", place)
    begin(tmp_path / "r", place, replace(SETTINGS, fit=replace(SETTINGS.fit, **changes)), resume=True)


def test_workers_and_residence_may_change(place, tmp_path):
    begin(tmp_path / "r", place)
    for loading in (LoadingConfig(workers=2), LoadingConfig(resident=True)):
        begin(tmp_path / "r", place, replace(SETTINGS, loading=loading), resume=True)


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, fit=replace(SETTINGS.fit, batch_size=5)),
        replace(SETTINGS, network=replace(SETTINGS.network, depth=2)),
        replace(SETTINGS, transform=WindowTransform(clip=10.0)),
        replace(SETTINGS, loading=LoadingConfig(store_weights=(1.0,))),
    ],
)
def test_what_a_step_computes_may_not_change(place, tmp_path, other):
    begin(tmp_path / "r", place)
    with pytest.raises(ConfigError, match=r"config\.toml: the run was started with other settings"):
        begin(tmp_path / "r", place, other, resume=True)


def test_seed_and_inputs_of_a_resumed_run_are_the_same(place, tmp_path):
    with pytest.raises(ModelError, match="there is no run to resume; start it without resuming"):
        begin(tmp_path / "r", place, resume=True)
    begin(tmp_path / "r", place)
    with pytest.raises(ConfigError, match="started with seed 1; resume with the same one"):
        begin(tmp_path / "r", place, seed=2, resume=True)
    with pytest.raises(DataError, match=r"wide\.parquet: is not what the run .* was started with"):
        begin(tmp_path / "r", place, inputs=[place / "a.store", place / "wide.parquet"], resume=True)


# --- a training


def test_a_short_last_batch_is_left_out_unless_it_is_the_only_one(place, store, tmp_path):
    tables = read_tables([store], place / "w.parquet")
    given = input_of([store], tables, WindowTransform())
    chosen = run_windows([store], tables, given, "run", seed=1)
    for size, steps in ((100, 2), (500, 1)):
        config = FitConfig(epochs=1, batch_size=size, accelerator="cpu")
        network = MixHicPretrain(sized(SETTINGS.network, given))
        result = train(
            tmp_path / str(size), network, PairedPretraining(), chosen, config, LoadingConfig(),
            seed=1, resume=False, description="training",
        )  # fmt: skip
        assert result.steps == steps
    said = [{"name": "a", "manifest_sha256": "ab", **{s: {"windows": 1, "chromosomes": ["chr1"]}
             for s in ("train", "valid")}}]  # fmt: skip
    odd = replace(result, best_metrics={"loss": 2.0, "auroc": float("nan")})
    save_run(
        tmp_path / "500", network, PRETRAIN, {"network": {"channels": 8, "heads": 1, "depth": 1,
        "window_bins": 16, "positions": 1600}}, given, odd, data=said, inputs=[place / "w.parquet"],
        seed=3, pretrained="before", transferred_tensors=4,
    )  # fmt: skip
    loaded = load(tmp_path / "500")
    provenance = loaded.description.provenance
    assert (provenance["seed"], provenance["epochs"], provenance["best_epoch"]) == (3, 1, 1)
    assert provenance["validation"] == {"loss": 2.0}  # a score that is not known is no score
    assert (provenance["pretrained"], provenance["data"]) == ("before", said)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)
    assert (tmp_path / "500" / "README.md").is_file()
