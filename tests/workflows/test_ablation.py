"""Arms differ in one thing each, and share what they can."""

from dataclasses import replace

import pytest

from chromweave.data.windows import grid_windows, loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError
from chromweave.files import read_json
from chromweave.models.mixhic import MixHicConfig
from chromweave.workflows.ablation import ablation, ablation_arms
from chromweave.workflows.foundation_settings import FinetuneConfig, PretrainConfig
from tests.fakes_experiments import Laboratory
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

PRETRAINING = PretrainConfig(network=MixHicConfig(channels=8, heads=1, depth=1))
ARMS = [
    "scratch", "contrastive", "orthogonal", "full", "map", "tracks", "infer_map", "infer_tracks", "frozen",
    "probe",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    with pytest.MonkeyPatch.context() as patch:
        a = loop_store(patch, folder / "a.store", tracks=("ATAC", "DNase"))
    with pytest.MonkeyPatch.context() as patch:
        b = loop_store(patch, folder / "b.store", tracks=("CTCF", "DNase"), seed=1)
    sizes = {"window_bins": WINDOW_BINS, "resolution": RESOLUTION}
    write_windows(folder / "loops.parquet", loop_windows(a, planted(), SPLIT, **sizes).table)
    for store, name in ((a, "a"), (b, "b")):
        table = grid_windows(store, SPLIT, step=100_000, **sizes).table
        write_windows(folder / f"{name}.grid.parquet", table)
    return folder


def run(place, out, lab, **changes):
    given = {
        "pretrain_stores": [place / "a.store", place / "b.store"],
        "pretrain_windows": [place / "a.grid.parquet", place / "b.grid.parquet"],
        "store": place / "a.store",
        "windows": place / "loops.parquet",
        "pretraining": PRETRAINING,
        "verbs": lab.verbs,
    }
    return ablation(out, **{**given, **changes})


def worth(trained, asked):
    """What each arm scores: pre-training is worth 0.2, all else nothing but the seed's luck."""
    return 0.6 + 0.2 * (trained["pretrained"] is not None) + trained["seed"] / 1000


def test_every_arm_with_as_few_pretrainings_as_there_are_losses(place, tmp_path):
    lab = Laboratory(score=worth)
    table = run(place, tmp_path / "out", lab)
    losses = {call["run"].name: call["config"].loss for call in lab.pretrained}
    assert {name: (loss.contrastive, loss.orthogonal, loss.mapping) for name, loss in losses.items()} == {
        "contrastive.seed-0": (1, 0, 0),
        "orthogonal.seed-0": (1, 1, 0),
        "full.seed-0": (1, 1, 1),
    }
    made = {
        call["run"].name.removesuffix(".seed-0"): (
            call["pretrained"] and call["pretrained"].name.removesuffix(".seed-0"),
            call["config"].mode,
            call["config"].tune,
        )
        for call in lab.trained
    }
    assert made == {
        "scratch": (None, "bimodal", "full"),
        "contrastive": ("contrastive", "bimodal", "full"),
        "orthogonal": ("orthogonal", "bimodal", "full"),
        "full": ("full", "bimodal", "full"),
        **{mode: ("full", mode, "full") for mode in ("map", "tracks", "infer_map", "infer_tracks")},
        "frozen": ("full", "bimodal", "frozen"),
        "probe": ("full", "bimodal", "probe"),
    }
    assert list(made) == ARMS
    for call in lab.trained:
        assert call["config"].network.channels == 8
        assert call["config"].transform.tracks == ("DNase",)
    assert {call["config"].transform.tracks for call in lab.pretrained} == {("DNase",)}
    mean = table[(table["row"] == "mean") & (table["metric"] == "auroc") & (table["stratum"] == "all")]
    assert mean["arm"].tolist() == ARMS
    assert mean["value"].tolist() == [0.6] + [0.8] * 9
    assert mean["pretraining"].iloc[3] == "contrastive + orthogonal + mapping"
    assert read_json(tmp_path / "out" / "ablation.json")["test_windows_in_places_pretrained_on"] == {
        "a": 0,
        "b": 0,
    }


def test_differences_are_from_the_full_model_of_the_same_seed(place, tmp_path):
    lab = Laboratory(score=worth)
    table = run(place, tmp_path / "out", lab, arms=["probe", "scratch", "full"], seeds=3)
    assert len(lab.pretrained) == 3
    assert len(lab.trained) == 9
    apart = table[(table["row"] == "difference") & (table["metric"] == "auroc") & (table["stratum"] == "all")]
    assert apart["arm"].tolist() == ["scratch - full", "probe - full"]
    assert apart["value"].tolist() == pytest.approx([-0.2, 0.0], abs=1e-12)
    assert apart["note"].tolist() == [
        "differs from 0 over seeds, on these test windows",
        "no difference seen",
    ]
    alone = run(place, tmp_path / "alone", Laboratory(), arms=["scratch"])
    assert "difference" not in set(alone["row"])


def test_arms_of_a_task():
    assert list(ablation_arms("loops", "bimodal")) == ARMS
    assert ablation_arms("contacts", "infer_map")[4:] == ("tracks", "frozen", "probe")
    assert "bimodal" in ablation_arms("expression", "tracks")


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (["ful"], "the arm 'ful' is none of this ablation; there are scratch, contrastive"),
        (["bimodal"], "the arm 'bimodal' is that of the full model"),
    ],
)
def test_unknown_arms(place, tmp_path, arms, message):
    with pytest.raises(ConfigError, match=message):
        run(place, tmp_path / "out", Laboratory(), arms=arms)
    assert not (tmp_path / "out").exists()


def test_test_chromosomes_are_not_pretrained_on(place, tmp_path):
    whole = replace(PRETRAINING, include_test_chromosomes=True)
    with pytest.raises(ConfigError, match="leaves nothing to test"):
        run(place, tmp_path / "out", Laboratory(), pretraining=whole)


def test_a_mode_without_tracks_still_pretrains_on_the_shared_ones(place, tmp_path):
    lab = Laboratory()
    settings = replace(FinetuneConfig.preset("tiny"), mode="map")
    run(place, tmp_path / "out", lab, finetuning=settings, arms=["full", "bimodal"])
    assert [call["config"].mode for call in lab.trained] == ["map", "bimodal"]
    assert {call["config"].transform.tracks for call in (*lab.pretrained, *lab.trained)} == {("DNase",)}


def test_test_windows_seen_in_pretraining_are_counted(place, tmp_path):
    table = read_windows(place / "a.grid.parquet", splits=["train", "valid", "test"])
    swapped = table.assign(split=table["split"].map({"train": "test", "valid": "valid", "test": "train"}))
    swapped.attrs = table.attrs
    write_windows(tmp_path / "swapped.parquet", swapped)
    run(
        place,
        tmp_path / "out",
        Laboratory(),
        arms=["full"],
        pretrain_stores=[place / "a.store"],
        pretrain_windows=[tmp_path / "swapped.parquet"],
    )
    assert read_json(tmp_path / "out" / "ablation.json")["test_windows_in_places_pretrained_on"]["a"] > 50
