"""Pre-train, fine-tune and score on a small store with planted loops; what does not fit is refused."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from chromweave.data.windows import loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError, DataError, ModelError, OutputError, TrainingError
from chromweave.evaluation.classification import auroc
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows import foundation
from chromweave.workflows.foundation import (
    FinetuneConfig,
    LoadingConfig,
    PretrainConfig,
    finetune,
    load,
    pretrain,
    score_windows,
)
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

NETWORK = MixHicConfig(channels=8, heads=1, depth=1)
FIT = FitConfig(epochs=4, batch_size=24, learning_rate=2e-3, warmup_steps=5, accelerator="cpu")
PRETRAIN = PretrainConfig(network=NETWORK, fit=FIT)
FINETUNE = FinetuneConfig(network=NETWORK, fit=replace(FIT, epochs=6, patience=6))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store, a window table, a pre-trained and a fine-tuned run."""
    folder = tmp_path_factory.mktemp("foundation")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    report = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION)
    write_windows(folder / "loops.parquet", report.table)
    return folder


@pytest.fixture(scope="module")
def pretrained(place):
    return pretrain(
        place / "pretrained",
        stores=place / "a.store",
        windows=place / "loops.parquet",
        config=PRETRAIN,
        seed=1,
    )


@pytest.fixture(scope="module")
def finetuned(place, pretrained):
    return finetune(
        place / "loops",
        stores=place / "a.store",
        windows=place / "loops.parquet",
        pretrained=pretrained.run,
        config=FINETUNE,
        seed=1,
    )


def test_a_pretraining_run_folder_says_what_it_is(place, pretrained):
    files = {path.name for path in pretrained.run.iterdir()}
    assert files == {
        "config.toml",
        "run.json",
        "metrics.csv",
        "checkpoints",
        "model.safetensors",
        "config.json",
        "README.md",
    }
    described = load(pretrained.run).description
    assert described.kind == "mixhic-pretrain"
    assert described.model["network"]["positions"] == 2 * WINDOW_BINS * 50
    assert described.data["transform"]["tracks"] == ["ATAC", "DNase"]
    assert (described.data["assembly"], described.data["resolution"]) == ("loopy", RESOLUTION)
    assert described.provenance["seed"] == 1
    assert described.provenance["inputs"][0]["path"] == str(place / "a.store")
    assert pretrained.train_windows > 100
    assert pretrained.valid_windows > 100
    assert {"retrieval_top1", "alignment", "uniformity"} <= set(pretrained.fit.best_metrics)


def curve(run, split="valid", metric="loss"):
    with (run / "metrics.csv").open() as file:
        return [
            float(r["value"]) for r in csv.DictReader(file) if (r["split"], r["metric"]) == (split, metric)
        ]


def short(**changes):
    return replace(PRETRAIN, fit=replace(FIT, epochs=1, log_every=1), **changes)


def test_test_chromosomes_stay_out_unless_asked_for(place, pretrained, tmp_path):
    given = {"stores": place / "a.store", "windows": place / "loops.parquet", "seed": 1}
    with_test = pretrain(tmp_path / "all", config=short(include_test_chromosomes=True), **given)
    n_test = len(read_windows(place / "loops.parquet", splits=["test"]))
    assert with_test.train_windows == pretrained.train_windows + n_test > pretrained.train_windows
    assert with_test.valid_windows == pretrained.valid_windows
    assert "**Windows of the test split were trained on**" in (with_test.run / "README.md").read_text()
    assert (
        "No window of the test split of these tables was trained on."
        in (pretrained.run / "README.md").read_text()
    )
    record = load(with_test.run).description.provenance["data"][0]["train"]
    assert record.pop("stretches").keys() == {"chr1", "chr3"}
    assert record == {"windows": with_test.train_windows, "chromosomes": ["chr1", "chr3"]}


def test_a_resident_store_trains_alike(place, tmp_path):
    """Windows cut on the device are those cut from the files, so that the curves are the same."""
    given = {"stores": place / "a.store", "windows": place / "loops.parquet", "seed": 1}
    transform = replace(
        PRETRAIN.transform, contacts="observed_expected", augmentations=("swap", "flip", "jitter")
    )
    runs = [
        pretrain(
            tmp_path / name,
            config=short(transform=transform, loading=LoadingConfig(resident=name == "resident")),
            **given,
        ).run
        for name in ("files", "resident")
    ]
    files, resident = (curve(run, "train") for run in runs)
    assert len(files) > 3
    np.testing.assert_allclose(files, resident, rtol=1e-4)


def test_stores_are_sampled_by_weight(place, tmp_path):
    """A store of weight 0 is never read: the run equals one without it, but for the epoch's length."""
    given = {"stores": [place / "a.store"] * 2, "windows": [place / "loops.parquet"] * 2, "seed": 1}
    weighted = pretrain(
        tmp_path / "weighted", config=short(loading=LoadingConfig(store_weights=(3.0, 1.0))), **given
    )
    assert np.isfinite(curve(weighted.run)).all()
    with pytest.raises(ConfigError, match="one weight for each store"):
        pretrain(tmp_path / "bad", config=short(loading=LoadingConfig(store_weights=(1.0,))), **given)


def test_augmentations_belong_to_a_training_and_not_to_a_model(place, tmp_path):
    given = {"stores": place / "a.store", "windows": place / "loops.parquet", "seed": 1}
    jittered = short(transform=replace(PRETRAIN.transform, augmentations=("jitter",)))
    before = pretrain(tmp_path / "jittered", config=jittered, **given)
    config = replace(FINETUNE, fit=replace(FIT, epochs=1))
    after = finetune(tmp_path / "loops", pretrained=before.run, config=config, **given)
    assert load(before.run).description.data["transform"]["augmentations"] == ["jitter"]
    assert load(after.run).description.data["transform"]["augmentations"] == ["swap", "flip"]
    moved = replace(config, transform=replace(config.transform, augmentations=("jitter",)))
    with pytest.raises(ConfigError, match="'jitter' moves the anchors"):
        finetune(tmp_path / "moved", pretrained=before.run, config=moved, **given)


def test_only_the_same_run_is_resumed(place, tmp_path):
    given = {"stores": place / "a.store", "config": short()}
    write_windows(tmp_path / "w.parquet", read_windows(place / "loops.parquet"))
    with pytest.raises(ModelError, match="no run to resume"):
        pretrain(tmp_path / "run", windows=tmp_path / "w.parquet", resume=True, **given)
    assert not (tmp_path / "run").exists()
    pretrain(tmp_path / "run", windows=tmp_path / "w.parquet", seed=1, **given)
    with pytest.raises(ConfigError, match="started with seed 1"):
        pretrain(tmp_path / "run", windows=tmp_path / "w.parquet", resume=True, seed=2, **given)
    table = read_windows(place / "loops.parquet")
    changed = table.iloc[:-3]
    changed.attrs = table.attrs
    write_windows(tmp_path / "w.parquet", changed)
    with pytest.raises(DataError, match=r"w\.parquet: is not what the run .* was started with"):
        pretrain(tmp_path / "run", windows=tmp_path / "w.parquet", resume=True, seed=1, **given)


def test_a_new_run_in_an_old_folder_leaves_no_old_model(place, tmp_path):
    given = {"stores": place / "a.store", "windows": place / "loops.parquet", "seed": 1}
    run = pretrain(tmp_path / "run", config=short(), **given).run
    broken = replace(PRETRAIN, fit=replace(FIT, learning_rate=1e30, gradient_clip=math.inf, warmup_steps=0))
    with pytest.raises(TrainingError):
        pretrain(run, config=broken, **given)
    assert not {"model.safetensors", "config.json", "README.md"} & {path.name for path in run.iterdir()}


def test_pretraining_learns(pretrained):
    with (pretrained.run / "metrics.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["split"], r["metric"]) == ("valid", "loss")]
    losses = [float(row["value"]) for row in rows]
    assert losses[-1] < losses[0]


def test_fine_tuning_learns_the_planted_loops(finetuned):
    assert finetuned.fit.best_metrics["auroc"] > 0.9
    assert finetuned.fit.best_metrics["average_precision"] > 0.9


def test_fine_tuning_says_what_it_took_over(finetuned):
    moved, new, left = (
        {name.split(".")[0] for name in names}
        for names in (finetuned.transfer.moved, finetuned.transfer.new, finetuned.transfer.left)
    )
    assert moved == {"track_encoder", "map_encoder", "track_halves", "map_halves"}
    assert new == {"fusion", "head"}
    assert left == {"to_map", "to_tracks", "log_temperature"}
    assert finetuned.run.joinpath("config.json").read_text().count("transferred_tensors") == 1


def test_scores_separate_loops_in_the_test_split_and_do_not_depend_on_the_batch(place, finetuned):
    table = read_windows(place / "loops.parquet", splits=["test"])
    scores = score_windows(finetuned.run, place / "a.store", table)
    assert scores.shape == (len(table),)
    assert auroc(table["label"].to_numpy(), scores) > 0.9
    again = score_windows(finetuned.run, place / "a.store", table, batch_size=7)
    np.testing.assert_allclose(scores, again, atol=1e-5)
    backwards = score_windows(finetuned.run, place / "a.store", table[::-1])
    np.testing.assert_allclose(scores[::-1], backwards, atol=1e-5)
    assert score_windows(finetuned.run, place / "a.store", table[:0]).shape == (0,)


def test_a_run_repeats_itself(place, finetuned, pretrained, tmp_path):
    again = finetune(
        tmp_path / "again",
        stores=place / "a.store",
        windows=place / "loops.parquet",
        pretrained=pretrained.run,
        config=FINETUNE,
        seed=1,
    )
    assert again.fit == finetuned.fit
    first, second = (json.loads((r.run / "config.json").read_text()) for r in (finetuned, again))
    assert first["weights_sha256"] == second["weights_sha256"]


def test_an_interrupted_run_resumes_to_the_same_weights(place, pretrained, tmp_path, monkeypatch):
    arguments = {
        "stores": place / "a.store",
        "windows": place / "loops.parquet",
        "config": PRETRAIN,
        "seed": 1,
    }
    step, calls = foundation.PairedPretraining.step, []

    def interrupted(self, model, batch):
        calls.append(1)
        if len(calls) > 25:
            raise KeyError("power cut")
        return step(self, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(foundation.PairedPretraining, "step", interrupted)
        with pytest.raises(KeyError, match="power cut"):
            pretrain(tmp_path / "run", **arguments)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    resumed = pretrain(tmp_path / "run", **arguments, resume=True)
    assert resumed.fit == pretrained.fit
    first, second = (json.loads((r.run / "config.json").read_text()) for r in (pretrained, resumed))
    assert first["weights_sha256"] == second["weights_sha256"]
    other = replace(PRETRAIN, fit=replace(FIT, learning_rate=1e-4))
    with pytest.raises(ConfigError, match="started with other settings"):
        pretrain(tmp_path / "run", **{**arguments, "config": other}, resume=True)


@pytest.mark.parametrize("mode", ["map", "tracks", "infer_map", "infer_tracks"])
def test_every_mode_trains(place, pretrained, tmp_path, mode):
    config = replace(FINETUNE, mode=mode, fit=replace(FIT, epochs=1))
    result = finetune(
        tmp_path / mode,
        stores=place / "a.store",
        windows=place / "loops.parquet",
        pretrained=pretrained.run,
        config=config,
    )
    assert load(result.run).network.mode == mode
    assert ("map_encoder.embed.weight" in result.transfer.moved) == (mode in ("map", "infer_tracks"))


def test_from_scratch_there_is_nothing_to_take_over(place, tmp_path):
    config = replace(FINETUNE, fit=replace(FIT, epochs=1))
    result = finetune(
        tmp_path / "r", stores=place / "a.store", windows=place / "loops.parquet", config=config
    )
    assert result.transfer is None


def test_two_stores_train_together(place, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        second = loop_store(patch, tmp_path / "b.store", tracks=("DNase", "CTCF", "ATAC"), seed=3)
    report = loop_windows(second, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION)
    write_windows(tmp_path / "b.parquet", report.table)
    result = pretrain(
        tmp_path / "run",
        stores=[place / "a.store", second],
        windows=[place / "loops.parquet", tmp_path / "b.parquet"],
        config=replace(PRETRAIN, fit=replace(FIT, epochs=1)),
    )
    assert load(result.run).description.data["transform"]["tracks"] == ["ATAC", "DNase"]  # what both have
    with pytest.raises(ConfigError, match=r"2 store\(s\) and 1 window table"):
        pretrain(
            tmp_path / "x",
            stores=[place / "a.store", second],
            windows=place / "loops.parquet",
            config=PRETRAIN,
        )


def test_labels_are_needed_of_both_classes(place, tmp_path):
    table = read_windows(place / "loops.parquet")
    table.loc[table["split"] == "valid", "label"] = 1.0
    write_windows(tmp_path / "ones.parquet", table)
    with pytest.raises(DataError, match=r"the split 'valid' has \d+ windows: \d+ loops, 0 without"):
        finetune(tmp_path / "r", stores=place / "a.store", windows=tmp_path / "ones.parquet", config=FINETUNE)


def test_pretraining_without_validation(place, tmp_path):
    table = read_windows(place / "loops.parquet")
    write_windows(tmp_path / "train.parquet", table[table["split"] == "train"])
    result = pretrain(
        tmp_path / "r",
        stores=place / "a.store",
        windows=tmp_path / "train.parquet",
        config=replace(PRETRAIN, fit=replace(FIT, epochs=1)),
    )
    assert (result.valid_windows, result.fit.best_metrics) == (0, {})


def test_a_bad_window_is_named(place, tmp_path):
    config = replace(PRETRAIN, fit=replace(FIT, learning_rate=1e30, gradient_clip=math.inf, warmup_steps=0))
    with pytest.raises(TrainingError, match=r"among windows a chr1:[\d,]+/[\d,]+, a chr1:"):
        pretrain(tmp_path / "r", stores=place / "a.store", windows=place / "loops.parquet", config=config)


def test_wrong_models_and_folders_are_refused(place, pretrained, finetuned, tmp_path):
    table = read_windows(place / "loops.parquet")
    both = {"stores": place / "a.store", "windows": place / "loops.parquet", "config": FINETUNE}
    with pytest.raises(
        ModelError, match="is a model of pretrain; give a run folder of finetune --task loops"
    ):
        score_windows(pretrained.run, place / "a.store", table)
    with pytest.raises(ModelError, match="give a run folder of pretrain"):
        finetune(tmp_path / "r", pretrained=finetuned.run, **both)
    with pytest.raises(ModelError, match="is no model folder"):
        finetune(tmp_path / "r", pretrained=tmp_path, **both)
    with pytest.raises(OutputError, match="holds a 'pretrain' run"):
        finetune(pretrained.run, **both)
    with pytest.raises(ConfigError, match="no task 'genes'"):
        finetune(tmp_path / "r", task="genes", **both)


def test_stores_and_windows_must_fit_the_model(place, finetuned, tmp_path):
    table = read_windows(place / "loops.parquet")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, tmp_path / "b.store", tracks=("ATAC",))
    with pytest.raises(ModelError, match=r"lacks the track DNase; .* reads ATAC, DNase, the store has ATAC"):
        score_windows(finetuned.run, store, table)
    wider = loop_windows(store, planted(), SPLIT, window_bins=20, resolution=RESOLUTION).table
    with pytest.raises(ModelError, match=r"20 bins of 5,000 bp, and the model .* reads 16 bins"):
        score_windows(finetuned.run, place / "a.store", wider)
