"""Few windows: the same for both starts, paired differences, ratios that leave nothing; and once for real."""

from dataclasses import replace

import numpy as np
import pytest

from chromweave.data.windows import loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError, DataError
from chromweave.files import read_json
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows.evaluate import EvaluateConfig
from chromweave.workflows.few_shot import FewShotConfig, few_shot
from chromweave.workflows.foundation import pretrain
from chromweave.workflows.foundation_settings import FinetuneConfig, PretrainConfig
from chromweave.workflows.model_input import ModelInput
from tests.fakes_experiments import Laboratory, fake_run
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

NETWORK = MixHicConfig(channels=8, heads=1, depth=1)
CONFIG = FinetuneConfig.preset("tiny", epochs=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store, its 213 or so training windows, and what looks like a pre-trained run."""
    folder = tmp_path_factory.mktemp("few_shot")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(folder / "loops.parquet", table)
    transform = replace(CONFIG.transform, tracks=("ATAC", "DNase"))
    given = ModelInput("loopy", RESOLUTION, WINDOW_BINS, transform)
    fake_run(folder / "pre", "mixhic-pretrain", data=given, network=NETWORK)
    return folder


def run(place, out, lab, **changes):
    shared = {"store": place / "a.store", "windows": place / "loops.parquet", "finetuning": CONFIG}
    return few_shot(out, **{**shared, "verbs": lab.verbs, **changes})


def better_if_pretrained(trained, asked):
    """0.1 better, and in each draw (its seeds are 1000 apart) better by the same."""
    return 0.6 + 0.1 * (trained["pretrained"] is not None) + trained["seed"] / 1e5


def rows(table, kind, **conditions):
    chosen = table[(table["row"] == kind) & (table["metric"] == "auroc") & (table["stratum"] == "all")]
    for name, value in conditions.items():
        chosen = chosen[chosen[name] == value]
    return chosen


def test_both_starts_get_the_same_windows_seed_network_and_budget(place, tmp_path):
    lab = Laboratory(score=better_if_pretrained)
    settings = FewShotConfig(ratios=(0.1, 0.5), draws=2, seeds=2, least_windows=0)
    table = run(place, tmp_path / "out", lab, pretrained=place / "pre", config=settings)
    assert len(lab.trained) == len(lab.evaluated) == 2 * 2 * 2 * 2
    for first, second in zip(lab.trained[::2], lab.trained[1::2], strict=True):
        assert (first["pretrained"], second["pretrained"]) == (place / "pre", None)
        for name in ("windows", "seed", "config", "stores"):
            assert first[name] == second[name]
        assert first["config"].transform.tracks == ("ATAC", "DNase")
        assert first["config"].network.channels == 8
        assert first["config"].fit.epochs == 2
    assert [call["seed"] for call in lab.trained[:8:2]] == [0, 1, 1000, 1001]
    drawn = [rows_of(call["windows"]) for call in lab.trained]
    assert drawn[0] == drawn[2] != drawn[4]
    assert drawn[0] < drawn[8], "of one draw, what a smaller ratio takes is a part of what a larger one takes"
    n = len(read_windows(place / "loops.parquet", splits=["train"]))
    assert rows(table, "arm", start="scratch")["train_windows"].iloc[-1] == 2 * (n // 4)  # half of each label


def rows_of(path):
    table = read_windows(path, splits=["train"])
    return set(zip(table["x"], table["y"], strict=True))


def test_means_differences_and_trivial_rows_are_in_the_table(place, tmp_path):
    settings = FewShotConfig(ratios=(0.1, 0.5), draws=3, least_windows=0)
    lab = Laboratory(score=better_if_pretrained)
    table = run(place, tmp_path / "out", lab, pretrained=place / "pre", config=settings)
    mean = rows(table, "mean", start="scratch", ratio=0.5)
    assert mean["value"].tolist() == [pytest.approx(0.6 + 0.01)]  # seeds 0, 1000, 2000
    (difference,) = rows(table, "difference", ratio=0.1).to_dict("records")
    assert difference["start"] == "pre-trained - scratch"
    assert difference["value"] == pytest.approx(0.1)
    assert difference["note"] == "differs from 0 over draws, on these test windows"
    trivial = table[table["method"] == "distance alone"]
    assert trivial["start"].unique().tolist() == ["none"]
    assert len(trivial) == 2 * 3
    assert trivial["value"].tolist() == [n / 1000 for n in trivial["train_windows"]]
    folder = {path.name for path in (tmp_path / "out").glob("few-shot.*")}
    assert folder == {"few-shot.tsv", "few-shot.json", "few-shot.png"}
    record = read_json(tmp_path / "out" / "few-shot.json")
    assert len(record["results"]) == len(table)
    assert "whole split" in record["validation"]


def test_windows_are_repeated_for_the_training_alone(place, tmp_path):
    lab = Laboratory()
    run(place, tmp_path / "out", lab, config=FewShotConfig(ratios=(0.05,), draws=1, least_windows=100))
    ((call,), (asked,)) = lab.trained, lab.evaluated
    trained, judged = (read_windows(one["windows"], splits=["train"]) for one in (call, asked))
    assert len(trained) >= 100 > len(judged) == len(judged.drop_duplicates())
    assert rows_of(call["windows"]) == rows_of(asked["windows"])
    for split in ("valid", "test"):
        whole = read_windows(place / "loops.parquet", splits=[split])
        assert len(read_windows(asked["windows"], splits=[split])) == len(whole)
    assert len(read_windows(call["windows"], splits=["valid"])) == len(
        read_windows(place / "loops.parquet", splits=["valid"])
    )


def test_a_ratio_that_leaves_nothing_is_said_in_the_table(place, tmp_path):
    lab = Laboratory()
    settings = FewShotConfig(ratios=(1e-4, 0.5), draws=2, stratified=False)
    run(place, tmp_path / "alone", Laboratory(), config=settings)  # one ratio is left for the figure
    table = run(place, tmp_path / "out", lab, pretrained=place / "pre", config=settings)
    assert len(lab.trained) == 4
    absent = rows(table, "arm", ratio=1e-4)
    assert absent["start"].tolist() == ["pre-trained", "scratch"] * 2
    assert absent["value"].isna().all()
    assert absent["train_windows"].tolist() == [0] * 4
    assert absent["note"].str.contains("is less than one").all()
    assert rows(table, "mean", ratio=1e-4)["note"].str.startswith("2 of 2 without a value").all()
    assert rows(table, "difference", ratio=1e-4)["note"].tolist() == ["no pair has both values"]


def test_a_draw_of_one_label_cannot_train_on_loops(place, tmp_path):
    n = len(read_windows(place / "loops.parquet", splits=["train"]))
    settings = FewShotConfig(ratios=(1.5 / n, 0.5), draws=1, stratified=False)
    table = run(place, tmp_path / "out", Laboratory(), config=settings)
    (absent,) = rows(table, "arm", ratio=1.5 / n).to_dict("records")
    assert "every window drawn (1) has the label" in absent["note"]
    stratified = run(place, tmp_path / "other", Laboratory(), config=replace(settings, stratified=None))
    assert set(rows(stratified, "arm", ratio=1.5 / n)["train_windows"]) == {2}


def test_more_ratios_and_draws_are_added_to_what_is_there(place, tmp_path):
    lab = Laboratory()
    run(place, tmp_path / "out", lab, config=FewShotConfig(ratios=(0.5,), draws=1))
    run(place, tmp_path / "out", lab, config=FewShotConfig(ratios=(0.1, 0.5), draws=2))
    assert len(lab.trained) == 4
    with pytest.raises(ConfigError, match="stratified was True, and is False"):
        run(place, tmp_path / "out", lab, config=FewShotConfig(ratios=(0.5,), draws=1, stratified=False))
    run(
        place,
        tmp_path / "out",
        lab,
        config=FewShotConfig(ratios=(0.5,), draws=1, stratified=False),
        overwrite=True,
    )
    assert len(lab.trained) == 5


def test_other_ratios_do_not_replace_a_table(place, tmp_path):
    lab, out = Laboratory(), tmp_path / "out"
    settings = FewShotConfig(ratios=(0.1, 0.5), draws=2)
    run(place, out, lab, config=settings)
    before = (out / "few-shot.tsv").read_bytes()
    for ratios, draws, lost in (((0.1, 0.2), 2, "ratio 0.5;"), ((0.1, 0.5), 1, "draw 1; seed 1000")):
        with pytest.raises(ConfigError, match=rf"few-shot\.json: its table would lose arms .*\({lost}"):
            run(place, out, lab, config=FewShotConfig(ratios=ratios, draws=draws))
    run(place, out, lab, config=settings)
    assert len(lab.trained) == 4
    assert (out / "few-shot.tsv").read_bytes() == before


def test_only_what_is_pretrained_can_be_frozen(place, tmp_path):
    lab = Laboratory()
    settings = FewShotConfig(ratios=(0.5,), draws=1)
    frozen = replace(CONFIG, tune="frozen")
    run(place, tmp_path / "out", lab, pretrained=place / "pre", finetuning=frozen, config=settings)
    assert [call["config"].tune for call in lab.trained] == ["frozen", "full"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratios": (0.0,)}, "above 0 and is at most 1"),
        ({"ratios": (1.5,)}, "above 0 and is at most 1"),
        ({"ratios": ()}, "above 0 and is at most 1"),
        ({"ratios": (0.1, 0.1)}, "given twice"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"seeds": 1000}, "seeds from 1 to 999"),
        ({"least_windows": -1}, "must not be negative"),
    ],
)
def test_settings_out_of_range(values, message):
    with pytest.raises(ConfigError, match=message):
        FewShotConfig(**values)


def test_no_arm_at_all_and_no_labels(place, tmp_path):
    with pytest.raises(ConfigError, match=r"no arm can be run: .*is less than one"):
        run(place, tmp_path / "a", Laboratory(), config=FewShotConfig(ratios=(1e-4,), stratified=False))
    table = read_windows(place / "loops.parquet", splits=["train", "valid", "test"])
    unlabelled = table.assign(label=np.nan)
    unlabelled.attrs = table.attrs
    write_windows(place / "grid.parquet", unlabelled)
    with pytest.raises(DataError, match="windows have no label"):
        run(place, tmp_path / "b", Laboratory(), windows=place / "grid.parquet")
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_two_real_arms(place, tmp_path):
    """Trained and evaluated in earnest; given again, nothing is done again."""
    fit = FitConfig(epochs=1, batch_size=24, accelerator="cpu")
    given = {"store": place / "a.store", "windows": place / "loops.parquet"}
    pretraining = PretrainConfig(network=NETWORK, fit=fit)
    source = pretrain(
        tmp_path / "pre", stores=given["store"], windows=given["windows"], config=pretraining
    ).run
    call = {
        **given,
        "pretrained": source,
        "finetuning": replace(CONFIG, network=NETWORK, fit=fit),
        "config": FewShotConfig(ratios=(0.5,), draws=1, least_windows=0),
        "evaluation": EvaluateConfig(block=5_000_000),  # one block: no time is spent on intervals
    }
    table = few_shot(tmp_path / "out", **call)
    arms = rows(table, "arm", method="model")
    assert arms["start"].tolist() == ["pre-trained", "scratch"]
    assert arms["value"].between(0, 1).all()
    assert arms["value"].nunique() == 2
    assert "boosting on distance + O/E" in set(table["method"])
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("model.safetensors")}
    assert len(runs) == 2
    again = few_shot(tmp_path / "out", **call)
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    assert again["value"].equals(table["value"])


def test_another_papers_network_is_a_start_on_the_same_windows(place, tmp_path):
    lab = Laboratory(score=better_if_pretrained)
    settings = FewShotConfig(ratios=(0.5,), draws=1, least_windows=0)
    table = run(
        place,
        tmp_path / "out",
        lab,
        pretrained=place / "pre",
        config=settings,
        architectures=("dloopcaller",),
    )
    ours, scratch, theirs = lab.trained
    assert [call["config"].architecture for call in lab.trained] == ["mix-hic", "mix-hic", "dloopcaller"]
    assert theirs["pretrained"] is None
    for name in ("windows", "seed"):
        assert ours[name] == scratch[name] == theirs[name]
    assert theirs["config"].transform == scratch["config"].transform
    assert len(rows(table, "mean", start="dloopcaller")) == 1
