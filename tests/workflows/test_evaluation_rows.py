"""What is opened to be judged, what is refused before anything is computed, and what is written."""

import json

import numpy as np
import pandas as pd
import pytest

from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import write_windows
from chromweave.errors import AssemblyError, ConfigError, DataError, ModelError, SchemaError
from chromweave.evaluation.bootstrap import Estimate
from chromweave.evaluation.table import Result, read_results
from chromweave.files import sha256
from chromweave.plot.style import new_figure
from chromweave.progress import reporting
from chromweave.workflows import evaluation_rows
from chromweave.workflows.evaluation_rows import (
    EvaluateConfig,
    EvaluationRequest,
    Rows,
    difference_rows,
    open_evaluation,
    write_evaluation,
)
from tests.fakes_evaluation import (
    CHROMS,
    READ,
    asked,
    cell_line,
    changed,
    everything,
    unreadable,
    untrained,
)
from tests.fakes_experiments import News

TEST = EvaluateConfig()


def opened(place, *, task="loops", contacts=True, **more):
    return open_evaluation(task, EvaluationRequest(**asked(place, task, **more)), contacts=contacts)


# --- what is opened


@pytest.fixture
def splits_read(monkeypatch):
    """The splits that are read, one table after the other."""
    found, read = [], evaluation_rows.read_windows

    def spy(*arguments, **options):
        found.append(options["splits"])
        return read(*arguments, **options)

    monkeypatch.setattr(evaluation_rows, "read_windows", spy)
    return found


@pytest.mark.parametrize(("split", "other"), [("test", "valid"), ("valid", "test")])
def test_nothing_is_opened_but_the_split_and_what_trained(place, split, other, splits_read, tmp_path):
    write_windows(tmp_path / "w.parquet", unreadable(everything(place / "loops.parquet"), other))
    found = opened(place, windows=tmp_path / "w.parquet", config=EvaluateConfig(split))
    assert splits_read == [(split,), ("train",)]
    assert set(found.judged.table["split"]) == {split}
    assert set(found.learning.table["split"]) == {"train"}
    assert set(found.judged.table["chrom"]) == {CHROMS[1 if split == "valid" else 2]}
    assert found.judged.store.path == found.learning.store.path == place / "a.store"


def test_trivial_rows_may_learn_elsewhere(place):
    found = opened(
        place,
        task="contacts",
        trivial_store=place / "b.store",
        trivial_windows=place / "maps_b.parquet",
    )
    assert (found.judged.store.name, found.learning.store.name) == ("a", "b")
    assert list(map(str, found.paths)) == [
        str(place / name)
        for name in (
            "a.store",
            "maps_a.parquet",
            "map_model/config.json",
            "b.store",
            "maps_b.parquet",
        )
    ]


def test_the_training_of_a_model_leaves_no_augmentation_behind(place, tmp_path):
    transform = WindowTransform(tracks=READ, augmentations=("flip", "jitter"))
    untrained(tmp_path / "m", "loops", transform=transform)
    assert opened(place, model=tmp_path / "m").given.transform == WindowTransform(tracks=READ)


def test_a_model_that_reads_no_tracks_needs_none(place, tmp_path):
    transform = WindowTransform(tracks=("H3K27ac",))
    untrained(tmp_path / "m", "loops", mode="map", transform=transform)
    assert opened(place, model=tmp_path / "m").given.transform.tracks == ()


def test_a_test_split_that_pre_training_saw_is_spoken_of(place, tmp_path):
    untrained(tmp_path / "m", "loops", provenance={"include_test_chromosomes": True})
    for model, split, lines in (
        (tmp_path / "m", "test", 1),
        (tmp_path / "m", "valid", 0),
        ("loop_model", "test", 0),
    ):
        news = News()
        with reporting(news):
            opened(place, model=model, config=EvaluateConfig(split))
        assert len(news.lines) == lines
        assert all(
            f"{tmp_path}/m: its pre-training saw windows of the test split" in line for line in news.lines
        )


@pytest.mark.parametrize("training", ["fine-tuning", "pre-training"])
def test_windows_where_a_model_was_trained_are_counted(place, tmp_path, training):
    """Stretches over half of the test chromosome's windows, and on a chromosome nothing is judged on."""
    judged = opened(place).judged.table
    middle = int(judged["y"].max()) // 2
    covered = {CHROMS[0]: [[0, 10**8]], CHROMS[2]: [[0, middle]]}
    learned = [{"name": "b", "train": {"chromosomes": [*CHROMS], "stretches": covered}}]
    provenance = {"data": learned}
    if training == "pre-training":
        provenance = {"pretrained": "p", "pretraining_data": learned}
    untrained(tmp_path / "m", "loops", provenance=provenance)
    news = News()
    with reporting(news):
        opened(place, model=tmp_path / "m")
    half = int(judged.attrs["resolution"]) * int(judged.attrs["window_bins"]) // 2
    count = int((judged[["x", "y"]].min(axis=1) - half < middle).sum())
    assert 0 < count < len(judged)
    (line,) = news.lines
    assert f"{count} of the {len(judged)} windows it is judged on touch windows that its {training}" in line


def test_models_beside_are_opened_alike(place, tmp_path, splits_read):
    untrained(tmp_path / "m", "loops", mode="map")
    found = opened(place, beside={"map alone": tmp_path / "m"})
    assert splits_read == [("test",), ("train",)]  # for all models at once
    assert list(found.models) == ["model", "map alone"]
    assert found.models["map alone"].given.transform.tracks == ()
    assert tmp_path / "m" / "config.json" in found.paths
    with pytest.raises(ConfigError, match="name the one beside otherwise"):
        opened(place, beside={"model": tmp_path / "m"})


def test_blocks_are_of_the_genome(place):
    found = opened(place, task="contacts")
    blocks = found.judged.blocks(1_000_000)
    assert len(np.unique(blocks)) == 4
    x = found.judged.table["x"].to_numpy()
    assert ((x[1:] // 1_000_000 == x[:-1] // 1_000_000) == (blocks[1:] == blocks[:-1])).all()


# --- what is refused


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"split": "train"}, "judged on test or valid, not on 'train'"),
        ({"block": 0}, "block must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"most_training_windows": -1}, "most_training_windows must be at least 1, not -1"),
    ],
)
def test_settings_without_sense(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        EvaluateConfig(**change)


@pytest.mark.parametrize("more", [{"trivial_store": "b.store"}, {"trivial_windows": "maps_b.parquet"}])
def test_half_of_what_trivial_rows_learn_from(place, more):
    with pytest.raises(ConfigError, match="give both, or neither"):
        EvaluationRequest(**asked(place, "contacts", **more))


def test_a_store_of_another_resolution(place, tmp_path):
    untrained(tmp_path / "m", "loops", resolution=10_000)
    with pytest.raises(ModelError, match=r"a\.store: has no layer of 10,000 bp.*has 5,000.*--resolution"):
        opened(place, model=tmp_path / "m")


def test_a_store_without_a_track_of_the_model(place, tmp_path):
    untrained(tmp_path / "m", "loops", tracks=("ATAC", "H3K27ac"))
    with pytest.raises(ModelError, match=r"a\.store: lacks the track H3K27ac; .*ATAC, DNase, CAGE.*--add-tr"):
        opened(place, model=tmp_path / "m")


def test_a_store_of_another_assembly(place, tmp_path):
    untrained(tmp_path / "m", "loops", assembly="hg38")
    with pytest.raises(ModelError, match=r"a\.store: is of loopy, and the model .*/m reads hg38"):
        opened(place, model=tmp_path / "m")


def test_windows_of_another_assembly(place, tmp_path):
    table = everything(place / "loops.parquet")
    table.attrs["assembly"] = "mm10"
    write_windows(tmp_path / "w.parquet", table)
    with pytest.raises(AssemblyError, match=r"w\.parquet: the windows are of mm10.*make windows for this"):
        opened(place, windows=tmp_path / "w.parquet")


def test_windows_of_another_store(place):
    with pytest.raises(DataError, match=r"maps_b\.parquet: the windows were made for other contacts"):
        opened(place, task="contacts", windows=place / "maps_b.parquet")
    with pytest.raises(DataError, match=r"maps_a\.parquet: the windows were made for other contacts"):
        opened(
            place,
            task="contacts",
            trivial_store=place / "b.store",
            trivial_windows=place / "maps_a.parquet",
        )


def test_windows_of_another_size(place, tmp_path):
    untrained(tmp_path / "m", "loops", bins=32)
    sentence = r"loops\.parquet: the windows have 16 bins .*make windows for it"
    with pytest.raises(ModelError, match=sentence):
        opened(place, model=tmp_path / "m")
    with pytest.raises(ModelError, match=sentence):
        opened(place, beside={"wider": tmp_path / "m"})


def test_the_table_has_to_fit_the_model_beside_that_alone_reads_contacts(place, tmp_path):
    """A model of tracks makes do with a store, or with windows of a store, that has no contacts."""
    with pytest.MonkeyPatch.context() as patch:
        bare = cell_line(patch, tmp_path / "bare" / "a.store", contacts=False)
    for mode in ("tracks", "bimodal"):
        untrained(tmp_path / mode, "loops", mode=mode)
    table = everything(place / "loops.parquet")
    table.attrs["layer_sha256"] = ""
    write_windows(tmp_path / "w.parquet", table)
    given, both = (
        {"model": tmp_path / "tracks", "contacts": False},
        {"beside": {"both": tmp_path / "bimodal"}},
    )
    assert opened(place, **given, store=bare.path).judged.store.path == bare.path
    with pytest.raises(ModelError, match=r"a\.store: has no layer of 5,000 bp, which the model .*bimodal"):
        opened(place, **given, store=bare.path, **both)
    assert len(opened(place, **given, windows=tmp_path / "w.parquet").judged.table)
    with pytest.raises(DataError, match=r"w\.parquet: the windows were made for other contacts"):
        opened(place, **given, windows=tmp_path / "w.parquet", **both)


@pytest.mark.parametrize(("left_out", "sentence"), [("test", "nothing to judge"), ("train", "to learn from")])
def test_a_split_without_windows(place, tmp_path, left_out, sentence):
    table = everything(place / "loops.parquet")
    write_windows(tmp_path / "w.parquet", changed(table, table["split"] != left_out))
    with pytest.raises(
        DataError, match=rf"w\.parquet: has no window of the split '{left_out}': .*{sentence}"
    ):
        opened(place, windows=tmp_path / "w.parquet")


def test_a_model_of_another_task(place):
    with pytest.raises(
        ModelError, match=r"map_model: is a model of finetune --task contacts; .* finetune --task loops"
    ):
        opened(place, model=place / "map_model")


def test_contacts_have_to_be_there_to_judge_by(place, tmp_path):
    """A contact model reads none."""
    with pytest.MonkeyPatch.context() as patch:
        store = cell_line(patch, tmp_path / "tracks.store", contacts=False)
    with pytest.raises(ModelError, match=r"tracks\.store: has no layer of 5,000 bp.*it has none"):
        opened(place, task="contacts", store=store.path)


# --- what is written


def estimate(value, low=np.nan, high=np.nan):
    return Estimate(value, low, high, 12, 6, 0)


def test_differences_are_named_after_both(place):
    found = difference_rows(
        "contacts",
        "per-distance mean",
        {"scc": estimate(0.2, -0.1, 0.4), "r2": estimate(0.1)},
        3,
        ("r2", "x"),
    )
    assert found == [Result.of("contacts", "model - per-distance mean", "r2", estimate(0.1), seed=3)]


def test_a_table_says_what_it_comes_from(place, tmp_path):
    found = opened(place)
    results = [Result.of("loops", "model", "auroc", estimate(0.7, 0.6, 0.8), seed=4)]
    table = write_evaluation(
        tmp_path / "out", "loops", results, found, TEST, {"": lambda _: new_figure(2, 2), "b": _plain}
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "loops.tsv",
        "loops.json",
        "loops.png",
        "loops_b.png",
    }
    assert read_results(tmp_path / "out" / "loops.json").equals(table)
    said = json.loads((tmp_path / "out" / "loops.json").read_text())
    assert said["config"] == {
        "split": "test", "block": 5_000_000, "batch_size": 64, "most_training_windows": 4000,
    }  # fmt: skip
    assert {"chromweave", "command", "time", "machine", "packages", "git_commit"} <= set(said)
    checksums = {one["path"]: one["sha256"] for one in said["inputs"]}
    assert checksums == {
        str(place / "a.store"): sha256(place / "a.store" / "manifest.json"),
        str(place / "loops.parquet"): sha256(place / "loops.parquet"),
        str(place / "loop_model" / "config.json"): sha256(place / "loop_model" / "config.json"),
    }


def _plain(table):
    assert table["method"].tolist() == ["model"]
    return new_figure(2, 2)


def test_a_figure_that_fails_leaves_nothing(place, tmp_path):
    def failing(table):
        raise SchemaError("no")

    with pytest.raises(SchemaError):
        write_evaluation(tmp_path / "out", "loops", [], opened(place), TEST, {"": _plain_any, "b": failing})
    assert not (tmp_path / "out").exists()


def _plain_any(table):
    return new_figure(2, 2)


def test_a_block_never_spans_chromosomes():
    table = pd.DataFrame({"chrom": ["chr1", "chr1", "chr2"], "x": [0, 7, 0]})
    assert Rows(None, table).blocks(5).tolist() == [0, 1, 2]
