"""The evaluate command as a user meets it: a line for each row, files that say what they are, sentences."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from chromweave.cli import main as cli
from chromweave.evaluation import bootstrap
from chromweave.evaluation.table import Result, read_results, results_table
from chromweave.files import sha256
from chromweave.schemas import RESULTS
from chromweave.workflows import evaluate as workflow
from chromweave.workflows.evaluate_contacts import TRIVIAL_CONTACT_ROWS
from chromweave.workflows.evaluate_expression import TRIVIAL_EXPRESSION_ROWS
from chromweave.workflows.evaluate_loops import TRIVIAL_LOOP_ROWS
from tests.fakes_evaluation import place_of, untrained

GIVEN = {
    "loops": ("loop_model", "loops", TRIVIAL_LOOP_ROWS, {"", "_distances", "_calibration"}),
    "contacts": ("map_model", "maps_a", TRIVIAL_CONTACT_ROWS, {"", "_distances"}),
    "expression": ("expression_model", "diagonal_a", TRIVIAL_EXPRESSION_ROWS, {"", "_genes"}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return place_of(tmp_path_factory)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, and intervals of few draws."""
    few = bootstrap.BootstrapConfig(draws=20)
    monkeypatch.setattr(bootstrap, "BootstrapConfig", lambda: few)
    monkeypatch.setattr("chromweave.workflows.evaluate_loops._FEW_DRAWS", few)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(place, model, windows, store="a.store", **options):
    more = [str(word) for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    given = ("--model", place / model, "--store", place / store, "--windows", place / f"{windows}.parquet")
    return ["evaluate", "out", *map(str, given), *more]


def lines(capsys):
    """What was printed, by the names of its lines."""
    found = {}
    for line in capsys.readouterr().out.splitlines():
        name, _, text = line.partition("  ")
        found[name] = text.strip()
    return found


@pytest.mark.parametrize("task", GIVEN)
def test_each_task_has_its_rows_and_files(place, here, capsys, task):
    model, windows, rows, figures = GIVEN[task]
    assert cli.run(words(place, model, windows, block=500_000, seed=4)) == 0
    shown = lines(capsys)
    assert list(shown) == ["table", "model", *rows, *(f"model - {row}" for row in rows)]
    assert shown["table"] == f"out/{task}.tsv"
    assert {path.name for path in (here / "out").iterdir()} == {
        f"{task}.tsv", f"{task}.json", *(f"{task}{name}.png" for name in figures),
    }  # fmt: skip
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in (here / "out").glob("*.png"))

    table = read_results(f"out/{task}.json")
    written = pd.read_csv(f"out/{task}.tsv", sep="\t")
    RESULTS.check(table, "out")
    pd.testing.assert_frame_equal(
        written.astype({"seed": "Int64"}), table, check_exact=False, rtol=1e-12, check_dtype=False
    )
    for row in table[table["stratum"] == "all"].itertuples():
        part = parts(shown[row.method])[row.metric]
        value = "undefined" if np.isnan(row.value) else f"{row.value:.3f}"
        assert part.startswith(f"{row.metric} {value}")
        unseen = row.method.startswith("model - ") and row.low <= 0 <= row.high
        assert part.endswith("no difference seen") is unseen

    said = json.loads((here / "out" / f"{task}.json").read_text())
    assert {"command", "chromweave", "packages", "time", "machine"} <= set(said)
    assert (said["config"]["split"], said["config"]["block"]) == ("test", 500_000)
    assert {one["seed"] for one in said["results"]} == {4}
    files = (place / "a.store" / "manifest.json", place / f"{windows}.parquet", place / model / "config.json")
    assert [one["sha256"] for one in said["inputs"]] == [sha256(file) for file in files]


def parts(text):
    """What is said of each metric; bounds of an interval stand behind a comma, too."""
    return {part.split(" ")[0]: part for part in re.split(", (?=[a-z])", text)}


def test_differences_are_told_from_none(place, here, capsys, monkeypatch):
    def result(method, value, low, high):
        return Result("loops", method, "auroc", value, low=low, high=high, n=9, seed=0)

    results = [
        result("model", 0.7, -0.1, 0.8),
        result("model - distance alone", 0.1, -0.05, 0.2),
        result("model - centre value", 0.2, 0.1, 0.3),
        result("model - centre O/E", -0.2, -0.3, -0.1),
        result("model - 5x5 O/E", 0.2, math.nan, math.nan),
        result("model - 3x3 O/E", math.nan, math.nan, math.nan),
    ]
    monkeypatch.setattr(workflow, "evaluate", lambda *given, **options: results_table(results))
    assert cli.run(words(place, "loop_model", "loops")) == 0
    shown = lines(capsys)
    del shown["table"]
    assert shown == {
        "model": "auroc 0.700 [-0.100, 0.800]",
        "model - distance alone": "auroc 0.100 [-0.050, 0.200] no difference seen",
        "model - centre value": "auroc 0.200 [0.100, 0.300]",
        "model - centre O/E": "auroc -0.200 [-0.300, -0.100]",
        "model - 5x5 O/E": "auroc 0.200 too few blocks for an interval",
        "model - 3x3 O/E": "auroc undefined",
    }


def test_options_reach_the_library(place, here, monkeypatch, capsys):
    asked = {}

    def evaluate(out, **given):
        asked.update(given, out=out)
        return results_table([Result("loops", "model", "auroc", 0.5)])

    monkeypatch.setattr(workflow, "evaluate", evaluate)
    options = {"split": "valid", "block": 7, "seed": 3, "trivial_store": "b", "trivial_windows": "w"}
    assert cli.run([*words(place, "loop_model", "loops", **options), "--beside", "other=run"]) == 0
    assert asked["config"] == workflow.EvaluateConfig("valid", 7)
    assert (asked["seed"], str(asked["out"]), asked["beside"]) == (3, "out", {"other": "run"})
    assert (str(asked["trivial_store"]), str(asked["trivial_windows"])) == ("b", "w")
    assert cli.run(words(place, "loop_model", "loops")) == 0
    assert asked["config"] == workflow.EvaluateConfig()
    assert (asked["trivial_store"], asked["trivial_windows"], asked["seed"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("model", "windows", "options", "sentence"),
    [
        ("{here}/pre", "loops", {}, "is a model of pretrain; give a run folder of finetune."),
        ("none", "loops", {}, "none: is no model folder"),
        ("{here}/coarse", "loops", {}, "a.store: has no layer of 10,000 bp"),
        ("{here}/other", "loops", {}, "a.store: lacks the track H3K27ac"),
        ("{here}/hg38", "loops", {}, "a.store: is of loopy, and the model"),
        ("map_model", "maps_b", {}, "maps_b.parquet: the windows were made for other contacts"),
        ("loop_model", "maps_a", {}, "maps_a.parquet: of the split 'test' 0 windows are labelled"),
        ("expression_model", "maps_a", {}, "maps_a.parquet: has windows off the diagonal"),
        ("map_model", "maps_a", {"trivial_store": "{place}/b.store"}, "give both, or neither"),
        ("map_model", "maps_a", {"beside": "model={place}/map_model"}, "a row is called 'model' already"),
        ("map_model", "maps_a", {"beside": "x={place}/loop_model"}, "is a model of finetune --task loops"),
        ("map_model", "maps_a", {"block": 0}, "block must be at least 1"),
        ("map_model", "maps_a", {"split": "train"}, "--split"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_exit_code_2(
    place, here, capsys, model, windows, options, sentence
):
    untrained(here / "pre", "pretrain")
    untrained(here / "coarse", "loops", resolution=10_000)
    untrained(here / "other", "loops", tracks=("ATAC", "H3K27ac"))
    untrained(here / "hg38", "loops", assembly="hg38")
    before = set(here.iterdir())
    options = {name: str(value).format(place=place) for name, value in options.items()}
    assert cli.run(words(place, model.format(here=here), windows, **options)) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("chromweave: error: ")
    assert sentence in shown
    assert "Traceback" not in shown
    assert set(here.iterdir()) == before
