"""The predict commands as a user gives them; what does not fit is one sentence and exit code 2."""

import json

import cooler
import pandas as pd
import pytest

from chromweave.cli import main as cli
from tests.fakes_tasks import save_untrained, track_store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store of tracks and an untrained model for each task."""
    folder = tmp_path_factory.mktemp("predict")
    with pytest.MonkeyPatch.context() as patch:
        track_store(patch, folder / "a.store")
    save_untrained(folder / "maps", "contacts")
    save_untrained(folder / "loops", "loops")
    save_untrained(folder / "cage", "expression", mode="tracks", signal="CAGE")
    return folder


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A folder of its own, beside which the models lie."""
    monkeypatch.chdir(tmp_path)
    return place


def run(capsys, *words):
    code = cli.run([*map(str, words), "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out), shown.err


def test_contacts(here, capsys):
    done, said = run(
        capsys, "predict", "contacts", "p.mcool", "--model", here / "maps", "--store", here / "a.store",
        "--chrom", "chr1", "--chrom", "chr3", "--max-distance", 10_000, "--step", 2000, "--batch-size", 4,
    )  # fmt: skip
    assert (done["file"], done["chromosomes"], done["max_distance"]) == ("p.mcool", ["chr1"], 10_000)
    assert done["resolutions"] == [1000, 5000, 10_000, 25_000]
    kept = cooler.Cooler("p.mcool::resolutions/1000").info["nnz"]
    assert kept == done["pixels"] - done["exactly_zero"] > 300
    assert "left out, as shorter than a window" in said


def test_expression(here, capsys, tmp_path):
    (tmp_path / "genes.tsv").write_text("chrom\ttss\tname\nchr1\t20500\tA\nchr1\t11500\tB\nchr3\t100\tC\n")
    words = ("predict", "expression", "p", "--model", here / "cage", "--store", here / "a.store")
    done, _ = run(capsys, *words, "--tss", "genes.tsv", "--step", 2000)
    assert done == {
        "signal": "CAGE", "bigwig": "p.bw", "table": "p.genes.tsv", "genes": 3, "without_prediction": 2,
        "reasons": {"bin without track data": 1, "chromosome shorter than a window": 1},
    }  # fmt: skip
    assert pd.read_csv("p.genes.tsv", sep="\t")["predicted"].isna().tolist() == [False, True, True]
    done, _ = run(capsys, *words, "--chrom", "chr2")
    assert done == {"signal": "CAGE", "bigwig": "p.bw"}


def test_loops(here, capsys, tmp_path):
    pairs = (
        "chr1\t20500\t21000\tchr1\t9000\t9100\nchr1\t1\t9\tchr2\t1\t9\nchr2\t8000\t9000\tchr2\t9000\t9001\n"
    )
    (tmp_path / "pairs.bedpe").write_text(pairs)
    words = ("predict", "loops", "p.bedpe", "--model", here / "loops", "--store", here / "a.store")
    done, said = run(capsys, *words, "--loops", "pairs.bedpe")
    assert done == {
        "file": "p.bedpe", "pairs": 3, "scored": 2, "not_scored": {"between two chromosomes": 1},
    }  # fmt: skip
    assert "2 of 3 pairs scored: p.bedpe" in said
    table = pd.read_csv("p.bedpe", sep="\t", na_values=".")
    assert table["start1"].tolist() == [20500, 1, 8000]
    assert table["probability"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["contacts", "p.mcool", "--model", "none"], "none: is no model folder"),
        (["contacts", "p.mcool", "--model", "{here}/maps", "--chrom", "chrQ"], "chrQ"),
        (["contacts", "p.mcool", "--model", "{here}/maps", "--step", "1500"], "multiple of the bins' 1,000"),
        (["contacts", "p.mcool", "--model", "{here}/maps", "--max-distance", "50000"], "15,000 bp at most"),
        (["contacts", "p.mcool", "--model", "{here}/loops"], "is a model of finetune --task loops"),
        (["contacts", "p.mcool"], "--model"),
        (
            ["loops", "p.bedpe", "--model", "{here}/loops", "--loops", "none.bedpe"],
            "none.bedpe: no such file",
        ),
        (
            ["loops", "p.bedpe", "--model", "{here}/maps", "--loops", "none.bedpe"],
            "is a model of finetune --task contacts",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(here, words, sentence, capsys, tmp_path):
    given = [word.format(here=here) for word in words]
    assert cli.run(["predict", *given, "--store", str(here / "a.store")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("chromweave: error: ")
    assert sentence in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []
