"""Arms are run once, go on where they were interrupted, and are refused where they were made otherwise."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from chromweave.data.windows import loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError, DataError, InterruptedTraining, OutputError
from chromweave.files import write_json
from chromweave.progress import reporting
from chromweave.schemas import Column
from chromweave.workflows.evaluate import EvaluateConfig
from chromweave.workflows.experiment_tables import arm_rows, experiment_schema, write_experiment
from chromweave.workflows.experiments import (
    Arm,
    Fitting,
    Pretraining,
    consecutive,
    open_bench,
)
from chromweave.workflows.foundation_settings import FinetuneConfig, PretrainConfig
from tests.fakes_experiments import Laboratory, News
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

TOY = experiment_schema("toy", Column("start", "text", "either"))
CONFIG = FinetuneConfig.preset("tiny", epochs=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store, its windows, and those without labels."""
    folder = tmp_path_factory.mktemp("experiments")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(folder / "loops.parquet", table)
    return folder


def fitting(place, name="one", config=CONFIG, **changes):
    return Fitting(
        **{
            "name": name,
            "task": "loops",
            "store": place / "a.store",
            "windows": place / "loops.parquet",
            "config": config,
            "seed": 3,
            **changes,
        }
    )


def arm(place, name="one", model=None, **changes):
    return Arm(
        **{
            "name": name,
            "conditions": {"start": name},
            "model": model or fitting(place, name),
            "store": place / "a.store",
            "windows": place / "loops.parquet",
            "seed": 3,
            "trivial": {"start": "none"},
            **changes,
        }
    )


def bench(out, lab, **changes):
    return open_bench(out, "toy", CONFIG, **{"seed": 7, "inputs": [], "verbs": lab.verbs, **changes})


def test_an_arm_is_trained_and_evaluated_once(place, tmp_path):
    lab = Laboratory(score=lambda trained, asked: 0.5 + trained["seed"] / 100)
    first = bench(tmp_path / "out", lab).run([arm(place)])
    (again,) = bench(tmp_path / "out", lab).run([arm(place)])
    (call,), (asked,) = lab.trained, lab.evaluated
    assert call["run"] == tmp_path / "out" / "runs" / "one"
    assert (call["seed"], call["task"], call["resume"], call["pretrained"]) == (3, "loops", False, None)
    assert call["config"] == CONFIG
    assert (asked["model"], asked["seed"]) == (call["run"], 7)
    assert asked["config"] == EvaluateConfig()
    assert "trivial_store" not in asked
    assert again.scores["value"][0] == 0.53
    pd.testing.assert_frame_equal(first[0].scores, again.scores)


def test_a_training_serves_several_arms(place, tmp_path):
    lab, shared = Laboratory(), fitting(place)
    bench(tmp_path / "out", lab).run([arm(place, "a", shared), arm(place, "b", shared)])
    assert len(lab.trained) == 1
    assert [call["out"].name for call in lab.evaluated] == ["a", "b"]


def test_a_pretraining_is_shared_and_its_settings_are_part_of_what_follows(place, tmp_path):
    def arms(epochs):
        config = PretrainConfig.preset("tiny", epochs=epochs)
        source = Pretraining("full", (place / "a.store",), (place / "loops.parquet",), config, 1)
        return [arm(place, name, fitting(place, name, pretrained=source)) for name in ("a", "b")]

    lab = Laboratory()
    bench(tmp_path / "out", lab).run(arms(3))
    (before,) = lab.pretrained
    assert (before["config"].fit.epochs, before["seed"]) == (3, 1)
    assert [call["pretrained"] for call in lab.trained] == [before["run"]] * 2
    with pytest.raises(ConfigError, match=r"config\.fit\.epochs was 3, and is 4"):
        bench(tmp_path / "out", lab).run(arms(4))


@pytest.mark.parametrize("kept", [True, False])
def test_an_interrupted_training_goes_on_if_it_left_a_checkpoint(place, tmp_path, kept):
    def interrupted(call):
        if kept:
            (call["run"] / "checkpoints").mkdir()
            (call["run"] / "checkpoints" / "last.ckpt").write_text("")
        raise InterruptedTraining("stopped; go on with --resume.", signal="Ctrl-C")

    lab = Laboratory(fail=interrupted)
    with pytest.raises(InterruptedTraining, match="stopped by Ctrl-C; the same command goes on") as caught:
        bench(tmp_path / "out", lab).run([arm(place)])
    assert caught.value.signal == "Ctrl-C"
    lab.fail = lambda call: None
    bench(tmp_path / "out", lab).run([arm(place)])
    assert [call["resume"] for call in lab.trained] == [False, kept]
    assert len(lab.evaluated) == 1


def test_an_evaluation_that_broke_off_does_not_train_again(place, tmp_path):
    def broken(trained, asked):
        raise DataError("no window can be judged")

    lab = Laboratory(score=broken)
    with pytest.raises(DataError, match="judged"):
        bench(tmp_path / "out", lab).run([arm(place)])
    lab.score = lambda trained, asked: 0.5
    bench(tmp_path / "out", lab).run([arm(place)])
    assert (len(lab.trained), len(lab.evaluated)) == (1, 2)


def changed_config(place):
    return arm(place, model=fitting(place, config=FinetuneConfig.preset("tiny", epochs=5)))


def changed_seed(place):
    return arm(place, model=fitting(place, seed=4))


def changed_windows(place):
    table = read_windows(place / "loops.parquet", splits=["train", "valid", "test"])
    write_windows(place / "fewer.parquet", table.iloc[2:])
    return arm(place, windows=place / "fewer.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_config, r"runs/one: .*config\.fit\.epochs was 2, and is 5"),
        (changed_seed, "runs/one: .*seed was 3, and is 4"),
        (changed_windows, "evaluations/one: .*windows has another content"),
    ],
)
def test_other_settings_need_another_folder_or_overwrite(place, tmp_path, change, said):
    lab = Laboratory()
    bench(tmp_path / "out", lab).run([arm(place)])
    with pytest.raises(ConfigError, match=said):
        bench(tmp_path / "out", lab).run([change(place)])
    bench(tmp_path / "out", lab, overwrite=True).run([change(place)])
    assert len(lab.trained) == 2


def toy(out, arms, lab=None, **changes):
    """The toy experiment from end to end."""
    outcomes = bench(out, lab or Laboratory(), **changes).run(arms)
    return write_experiment(out, "toy", arm_rows(outcomes, TOY), TOY, Figure(), inputs=[])


def test_a_table_keeps_its_arms(place, tmp_path):
    out, lab = tmp_path / "out", Laboratory()
    toy(out, [arm(place, "a"), arm(place, "b")], lab)
    written = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert {path.name for path in written} == {"run.json", "config.toml", "toy.json", "toy.tsv", "toy.png"}
    sentence = r"toy\.json: its table would lose arms .*\(start b\); .*another folder.*made by: .*--overwrite"
    for arms in ([arm(place, "a")], [arm(place, "c"), arm(place, "a")]):
        with pytest.raises(ConfigError, match=sentence):
            toy(out, arms, lab, seed=8, evaluation=EvaluateConfig(block=1000))
    assert {path: path.read_bytes() for path in written} == written
    assert len(lab.trained) == 2
    table = toy(out, [arm(place, "c"), arm(place, "a"), arm(place, "b")], lab)
    assert len(lab.trained) == 3
    assert sorted(set(table["start"])) == ["a", "b", "c", "none"]


def test_what_a_table_would_lose_is_said_by_what_sets_it_apart(place, tmp_path):
    """Seeds that are left out; or, where every value is asked for, the first arm."""
    arms = [
        arm(place, f"{name}{seed}", conditions={"start": name}, seed=seed) for name in "ab" for seed in (3, 4)
    ]
    toy(tmp_path, arms)
    with pytest.raises(ConfigError, match=r"\(seed 3\)"):
        toy(tmp_path, [arms[1], arms[3]])
    with pytest.raises(ConfigError, match=r"\(start b; seed 3\)"):
        toy(tmp_path, [arms[0], arms[1], arms[3]])


def test_overwriting_takes_the_table_away_first(place, tmp_path):
    out = tmp_path / "out"
    toy(out, [arm(place, "a")])
    bench(out, Laboratory(), overwrite=True)
    assert not list(out.glob("toy.*"))
    assert set(toy(out, [arm(place, "b")])["start"]) == {"b", "none"}


def test_without_a_table_there_is_nothing_to_lose(place, tmp_path):
    """An experiment that broke off may be begun with other arms."""
    bench(tmp_path / "out", Laboratory()).run([arm(place, "a")])
    assert set(toy(tmp_path / "out", [arm(place, "b")])["start"]) == {"b", "none"}


def test_other_blocks_are_other_settings(place, tmp_path):
    lab = Laboratory()
    bench(tmp_path / "out", lab).run([arm(place)])
    with pytest.raises(ConfigError, match=r"config\.block was 5000000, and is 1000"):
        bench(tmp_path / "out", lab, evaluation=EvaluateConfig(block=1000)).run([arm(place)])


def test_a_folder_of_something_else_is_left_alone(place, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_json(out / "run.json", {"kind": "demo"})
    (out / "runs").mkdir()
    with pytest.raises(OutputError, match="holds a 'demo' run"):
        bench(out, Laboratory(), overwrite=True)
    assert (out / "runs").is_dir()


def test_progress_says_which_arm_of_how_many(place, tmp_path):
    news = News()
    with reporting(news):
        outcomes = bench(tmp_path / "out", Laboratory()).run(
            [arm(place, "a"), arm(place, "b", missing="no window is left")]
        )
    assert news.lines[0] == "arm 1 of 2: a"
    assert "arm 2 of 2: b: no window is left" in news.lines
    assert outcomes[0].scores is not None
    assert outcomes[1].scores is None


def test_without_any_arm_there_is_no_table(place, tmp_path):
    with pytest.raises(ConfigError, match="no arm can be run: too few"):
        bench(tmp_path / "out", Laboratory()).run([arm(place, missing="too few")])


def test_data_that_hold_nothing_are_a_result_only_where_that_was_foreseen(place, tmp_path):
    def empty(trained, asked):
        if asked["out"].name == "empty":
            raise DataError("all bins are masked")
        return 0.5

    lab = Laboratory(score=empty)
    arms = [arm(place, "full"), arm(place, "empty", may_hold_nothing=True)]
    full, none = bench(tmp_path / "out", lab).run(arms)
    assert (full.arm.missing, none.arm.missing) == ("", "all bins are masked")
    assert full.scores is not None
    assert none.scores is None
    with pytest.raises(DataError, match="masked"):
        bench(tmp_path / "out", lab).run([arm(place, "empty")])
    with pytest.raises(ConfigError, match="no arm can be run: all bins are masked"):
        bench(tmp_path / "out", lab).run(arms[1:])


def test_trivial_rows_may_learn_elsewhere(place, tmp_path):
    lab = Laboratory()
    own = place / "a.store", place / "loops.parquet"
    bench(tmp_path / "out", lab).run([arm(place, trivial_from=own)])
    assert (lab.evaluated[0]["trivial_store"], lab.evaluated[0]["trivial_windows"]) == own


def test_seeds_of_repetitions():
    assert list(consecutive(5, 3)) == [5, 6, 7]
    with pytest.raises(ConfigError, match="at least one seed"):
        consecutive(5, 0)
