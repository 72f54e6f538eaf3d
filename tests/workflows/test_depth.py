"""Thinned maps with the same windows; models as given and trained again."""

import shutil

import pandas as pd
import pytest

from chromweave.data.store import RegionStore, seal
from chromweave.data.windows import grid_windows, loop_windows, read_windows, write_windows
from chromweave.errors import BalancingError, ConfigError, ModelError
from chromweave.files import read_json, write_json
from chromweave.workflows import depth as workflow
from chromweave.workflows.depth import depth
from chromweave.workflows.foundation_settings import FinetuneConfig
from tests.fakes import build_fake, random_contacts, random_track
from tests.fakes_experiments import Laboratory, fake_run
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("depth")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(folder / "loops.parquet", table)
    for name, seed in (("first", 3), ("second", 5)):
        config = FinetuneConfig.preset("tiny", epochs=seed)
        fake_run(folder / name, "mixhic-loops", seed=seed, config=config, trained={"pretrained": None})
    return folder


@pytest.fixture
def thinned(monkeypatch):
    """Thinning in no time: a copy of the store under another name."""
    made = []

    def thin(out, store, fraction, *, seed):
        made.append((out, fraction, seed))
        shutil.copytree(store.path, out)
        record = read_json(out / "manifest.json")
        record["name"] = f"thin {fraction} {seed}"
        write_json(out / "manifest.json", {**record, "seal": seal(record)})

    monkeypatch.setattr(workflow, "thin_store", thin)
    return made


def run(place, out, lab, names=("first",), **changes):
    return depth(
        out,
        models=[place / name for name in names],
        store=place / "a.store",
        windows=place / "loops.parquet",
        verbs=lab.verbs,
        **{"fractions": (0.2, 1.0), **changes},
    )


def fraction_of(asked):
    return float(asked["store"].name.split("-")[1].split(".seed")[0].removesuffix(".store"))


def deeper_is_better(trained, asked):
    return 0.5 + 0.4 * fraction_of(asked)


def test_models_are_tested_on_every_depth(place, tmp_path, thinned):
    lab = Laboratory(score=deeper_is_better)
    table = run(place, tmp_path / "out", lab, names=("first", "second"), seeds=2)
    assert [(fraction, seed) for _, fraction, seed in thinned] == [(1.0, 0), (0.2, 0), (0.2, 1)]
    assert not lab.trained
    assert [call["model"].name for call in lab.evaluated] == ["first", "second"] * 3
    mean = table[(table["row"] == "mean") & (table["metric"] == "auroc") & (table["stratum"] == "all")]
    assert mean[["model", "fraction", "runs"]].values.tolist() == [
        ["first", 1.0, 1],
        ["second", 1.0, 1],
        ["first", 0.2, 2],
        ["second", 0.2, 2],
    ]
    assert mean["value"].tolist() == pytest.approx([0.9, 0.9, 0.58, 0.58])
    assert not table["retrained"].any()
    trivial = table[(table["method"] == "distance alone")]
    assert trivial[["model", "fraction"]].values.tolist() == [["none", 1.0], ["none", 0.2]]
    assert {path.name for path in (tmp_path / "out").glob("depth.*")} == {
        "depth.tsv",
        "depth.json",
        "depth.png",
    }


def test_windows_and_labels_are_the_same_and_belong_to_the_thinned_store(place, tmp_path, thinned):
    lab = Laboratory()
    run(place, tmp_path / "out", lab, fractions=(0.5,))
    (asked,) = lab.evaluated
    splits = ("train", "valid", "test")
    before = read_windows(place / "loops.parquet", splits=splits)
    after = read_windows(asked["windows"], store=RegionStore.open(asked["store"]), splits=splits)
    pd.testing.assert_frame_equal(before, after)
    assert after.attrs["store"] == "thin 0.5 0"
    assert after.attrs["protocol"] == before.attrs["protocol"]


def test_training_again_takes_the_models_own_settings_and_seed(place, tmp_path, thinned):
    lab = Laboratory(score=lambda trained, asked: 0.6 + 0.1 * (asked["model"].parent.name == "runs"))
    table = run(place, tmp_path / "out", lab, names=("first", "second"), retrain=True, seeds=2)
    assert [(call["config"].fit.epochs, call["seed"]) for call in lab.trained] == [
        (3, 3),
        (5, 5),
        (3, 4),
        (5, 6),
    ] * 2
    assert {call["stores"].parent.name for call in lab.trained} == {"stores"}
    mean = table[(table["row"] == "mean") & (table["metric"] == "auroc") & (table["stratum"] == "all")]
    values = mean.set_index(["model", "fraction", "retrained"])["value"]
    assert values["first", 0.2, True] == pytest.approx(0.7)
    assert values["first", 0.2, False] == pytest.approx(0.6)
    assert len(values) == 8


def test_nothing_is_thinned_or_tested_twice(place, tmp_path, thinned):
    lab = Laboratory()
    run(place, tmp_path / "out", lab)
    run(place, tmp_path / "out", lab, fractions=(1.0, 0.2, 0.1))
    assert [fraction for _, fraction, _ in thinned] == [1.0, 0.2, 0.1]
    assert len(lab.evaluated) == 3


def test_a_map_too_thin_to_balance_is_said_in_the_table(place, tmp_path, thinned, monkeypatch):
    copy = workflow.thin_store

    def thin(out, store, fraction, *, seed):
        if fraction < 0.1:
            raise BalancingError("chr1: did not converge.")
        copy(out, store, fraction, seed=seed)

    monkeypatch.setattr(workflow, "thin_store", thin)
    table = run(place, tmp_path / "out", Laboratory(), fractions=(1.0, 0.01))
    absent = table[(table["fraction"] == 0.01) & (table["row"] == "arm")]
    assert absent["value"].isna().all()
    assert set(absent["note"]) == {"chr1: did not converge."}
    assert len(absent) == 2


def test_a_real_thinned_store(tmp_path, monkeypatch):
    """Counts of a map without weights, at half its depth, under windows without labels."""
    deep = random_contacts(resolutions=(RESOLUTION,), chroms=("chr1", "chr2", "chr3"), names=(), freak=500)
    store = build_fake(monkeypatch, tmp_path / "deep.store", deep, [random_track()], max_distance=400_000)
    sizes = {"window_bins": WINDOW_BINS, "resolution": RESOLUTION}
    write_windows(tmp_path / "grid.parquet", grid_windows(store, SPLIT, step=50_000, **sizes).table)
    lab = Laboratory()
    depth(
        tmp_path / "out",
        models=[fake_run(tmp_path / "maps", "mixhic-contacts")],
        store=store.path,
        windows=tmp_path / "grid.parquet",
        fractions=(0.5,),
        verbs=lab.verbs,
    )
    thin = RegionStore.open(lab.evaluated[0]["store"])
    counts = [one.layer("chr1", RESOLUTION).pixels().count.sum() for one in (thin, store)]
    assert counts[0] / counts[1] == pytest.approx(0.5, abs=0.02)
    assert len(read_windows(lab.evaluated[0]["windows"], store=thin, splits=["test"])) > 5


@pytest.mark.parametrize("fractions", [(), (0.0,), (1.2,), (0.5, 0.5)])
def test_fractions_out_of_range(place, tmp_path, fractions):
    with pytest.raises(ConfigError, match="fractions lie above 0"):
        run(place, tmp_path / "out", Laboratory(), fractions=fractions)


def test_models_that_do_not_go_together(place, tmp_path):
    fake_run(tmp_path / "maps", "mixhic-contacts")
    fake_run(tmp_path / "pre", "mixhic-pretrain")
    fake_run(tmp_path / "first", "mixhic-loops")
    given = {"store": place / "a.store", "windows": place / "loops.parquet"}
    for models, error, message in (
        ([place / "first", tmp_path / "maps"], ConfigError, "models of one task"),
        ([tmp_path / "pre"], ModelError, "give a run folder of finetune"),
        ([place / "first", tmp_path / "first"], ConfigError, "two models have folders called 'first'"),
        ([], ConfigError, "none is given"),
    ):
        with pytest.raises(error, match=message):
            depth(tmp_path / "out", models=models, **given)


def test_what_a_model_was_trained_from_must_be_there_to_train_again(place, tmp_path):
    run_folder = fake_run(tmp_path / "lost", "mixhic-loops")
    record = read_json(run_folder / "config.json")
    write_json(run_folder / "config.json", {**record, "provenance": {"pretrained": str(tmp_path / "gone")}})
    with pytest.raises(ModelError, match=r"was fine-tuned from .*gone, which is not there"):
        depth(
            tmp_path / "out",
            models=[run_folder],
            store=place / "a.store",
            windows=place / "loops.parquet",
            retrain=True,
        )
