"""The predict commands as a user gives them; what does not fit is one sentence and exit code 2."""

import json

import cooler
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
    assert cooler.Cooler("p.mcool::resolutions/1000").info["nnz"] == done["pixels"] > 300
    assert "left out, as shorter than a window" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["contacts", "p.mcool", "--model", "none"], "none: is no model folder"),
        (["contacts", "p.mcool", "--model", "{here}/maps", "--chrom", "chrQ"], "chrQ"),
        (["contacts", "p.mcool", "--model", "{here}/maps", "--step", "1500"], "multiple of the bins' 1,000"),
        (["contacts", "p.mcool", "--model", "{here}/maps", "--max-distance", "50000"], "15,000 bp at most"),
        (["contacts", "p.mcool"], "--model"),
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
