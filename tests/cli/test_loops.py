"""The commands on lists of loops as a user gives them; what does not fit is one sentence and exit code 2."""

import json
from pathlib import Path

import pandas as pd
import pytest

from chromweave.cli import main as cli
from chromweave.workflows import loop_comparison, loop_quantities, loop_validation
from tests.fakes_loops import RESOLUTION, loop_store, planted


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two stores with the same planted loops, and two lists: all of them, and half of each chromosome's."""
    folder = tmp_path_factory.mktemp("loops")
    with pytest.MonkeyPatch.context() as patch:
        loop_store(patch, folder / "a.store")
        loop_store(patch, folder / "b.store", seed=1)
    loops = planted()
    write(folder / "known.bedpe", loops)
    write(folder / "calls.bedpe", loops.groupby("chrom1").head(60).assign(name="x", score=range(180)))
    return folder


def write(path, table):
    table.to_csv(path, sep="\t", header=[f"#{table.columns[0]}", *table.columns[1:]], index=False)


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return place


def run(capsys, *words):
    code = cli.run([*map(str, words), "--json", "--quiet"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def test_validate(here, capsys):
    words = ("loops", "validate", here / "calls.bedpe", here / "known.bedpe", "--store", here / "a.store")
    done = run(capsys, *words, "--out", "out", "--tolerance-bins", 0)
    assert (done["called"], done["known"], done["matched"]) == (180, 360, 180)
    assert (done["resolution"], done["precision"], done["recall"]) == (RESOLUTION, 1, 0.5)
    assert (done["ranked_by"], done["average_precision"]) == ("score", pytest.approx(0.5))
    assert done["100-250 kb"]["recall"] == pytest.approx(0.5, abs=0.2)
    assert done["folder"] == "out"
    assert {path.name for path in Path("out").iterdir()} == {
        "validation.tsv", "validation.json", "validation.png", "validation_curve.tsv",
    }  # fmt: skip
    one = run(capsys, *words, "--chrom", "chr2", "--exclude", "chr2:0-4000000")
    assert (one["called"], one["known"]) == (0, 0)
    assert "folder" not in one


def test_validate_in_lines(here, capsys):
    words = ("loops", "validate", here / "calls.bedpe", here / "known.bedpe", "--store", here / "a.store")
    assert cli.run([*map(str, words), "--quiet"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["ranked by"].strip() == "score"
    assert lines["100-250 kb"].strip().startswith("called ")


def test_compare(here, capsys):
    done = run(
        capsys, "loops", "compare", here / "calls.bedpe", here / "known.bedpe", "--store", here / "b.store",
        "--tolerance-bins", 0, "--out", "o.bedpe",
    )  # fmt: skip
    assert done == {
        "resolution": RESOLUTION, "loops": {"calls": 180, "known": 360}, "both": 180,
        "only_in": {"calls": 0, "known": 180}, "jaccard": 0.5, "ranked_by": {"calls": "score"},
        "spearman": None, "file": "o.bedpe",
    }  # fmt: skip
    assert pd.read_csv("o.bedpe", sep="\t")["found_in"].value_counts().to_dict() == {
        "both": 180,
        "known": 180,
    }
    named = run(
        capsys, "loops", "compare", here / "calls.bedpe", here / "known.bedpe", "--assembly", "hg38",
        "--resolution", 10_000,
    )  # fmt: skip
    assert (named["resolution"], named["both"]) == (10_000, 180)
    assert "file" not in named


def test_quantify(here, capsys):
    done = run(
        capsys, "loops", "quantify", here / "known.bedpe", "--store", here / "a.store", "--store",
        here / "b.store", "--out", "o.bedpe",
    )  # fmt: skip
    assert (done["loops"], done["resolution"], done["file"]) == (360, RESOLUTION, "o.bedpe")
    for name in "ab":
        assert (done[f"in_{name}"]["scored"], done[f"in_{name}"]["not_scored"]) == (360, None)
        assert done[f"in_{name}"]["oe"] > 2  # planted at five times what their distance explains
        assert done[f"in_{name}"]["median_enrichment"] > 3
    table = pd.read_csv("o.bedpe", sep="\t", na_values=".")
    assert {"observed_a", "oe_a", "enrichment_b", "reason_b"} < set(table)
    far = run(capsys, "loops", "quantify", here / "known.bedpe", "--store", here / "a.store")
    assert far["in_a"] == done["in_a"]


@pytest.mark.parametrize(
    ("command", "module", "function", "options", "given"),
    [
        (
            ("validate", "C", "T", "--store", "S"), loop_validation, "validate_loops",
            ("--resolution", 7, "--tolerance-bins", 3, "--chrom", "1", "--exclude", "1:2-3", "--out", "O"),
            {"resolution": 7, "tolerance_bins": 3, "chroms": ["1"], "exclude": ["1:2-3"], "out": "O"},
        ),
        (
            ("compare", "A", "B"), loop_comparison, "compare_loops",
            ("--assembly", "mm10", "--resolution", 7, "--tolerance-bins", 3, "--out", "O"),
            {"assembly": "mm10", "store": None, "resolution": 7, "tolerance_bins": 3, "out": "O"},
        ),
        (
            ("quantify", "L", "--store", "S"), loop_quantities, "quantify_loops",
            ("--store", "R", "--resolution", 7, "--out", "O"),
            {"stores": ["S", "R"], "resolution": 7, "out": "O"},
        ),
    ],
    ids=["validate", "compare", "quantify"],
)  # fmt: skip
def test_options_reach_the_library(monkeypatch, command, module, function, options, given):
    asked = {}

    def stop(*names, **values):
        asked.update(values)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, function, stop)
    assert cli.run(["loops", *map(str, (*command, *options))]) == 130

    def plain(value):
        return [str(one) for one in value] if isinstance(value, list) else value

    found = {key: str(value) if key == "out" else plain(value) for key, value in asked.items()}
    assert {key: found[key] for key in given} == given


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("validate", "calls.bedpe", "known.bedpe", "--store", "none.store"), "none.store: no such store"),
        (("validate", "calls.bedpe", "none.bedpe", "--store", "a.store"), "none.bedpe"),
        (("compare", "calls.bedpe", "known.bedpe"), "--assembly hg38"),
        (("compare", "calls.bedpe", "known.bedpe", "--assembly", "hg99"), "hg99"),
        (("quantify", "calls.bedpe", "--store", "a.store", "--resolution", 777), "has no layer of 777 bp"),
        (("quantify", "calls.bedpe"), "--store"),
        (("call", "c.bedpe", "--store", "a.store", "--scores", "model"), "--model"),
    ],
)
def test_what_does_not_fit_is_one_sentence(place, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(place)
    assert cli.run(["loops", *map(str, words)]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("chromweave: error: ")
    assert sentence in shown
    assert "Traceback" not in shown
