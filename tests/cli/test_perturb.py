"""perturb and screen as a user types them."""

import json

import pytest

from chromweave.cli import main as cli
from tests.fakes_tasks import save_untrained, track_store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("perturb")
    with pytest.MonkeyPatch.context() as patch:
        track_store(patch, folder / "a.store")
    save_untrained(folder / "contacts", "contacts")
    save_untrained(folder / "loops", "loops", mode="tracks")
    save_untrained(folder / "map", "loops", mode="map")
    (folder / "a.bed").write_text("chr1\t14000\t15000\tfirst\nchr1\t22000\t24500\tsecond\n")
    (folder / "none.bed").write_text("")
    (folder / "a.bedpe").write_text("chr1\t14000\t15000\tchr1\t25000\t26000\n")
    return folder


def run(capsys, *words):
    code = cli.run([*map(str, words), "--quiet", "--json"])
    return code, json.loads(capsys.readouterr().out)


def common(place, model):
    return "--model", place / model, "--store", place / "a.store"


def test_perturb(place, tmp_path, capsys):
    code, said = run(
        capsys, "perturb", tmp_path / "out", *common(place, "contacts"), "--scale", "chr1:14,000-15,000=0",
        "--delete", "chr1:16,000-16,500", "--track", "ATAC", "--region", "chr1:8,000-30,000",
    )  # fmt: skip
    assert (code, said["region"]) == (0, "chr1:8,000-30,000")
    assert said["mean_abs_log2_ratio"] > 0
    files = ["after.cool", "before.cool", "difference.cool"]
    files += [f"perturbation.{end}" for end in ("json", "png", "tsv")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == files
    edits = json.loads((tmp_path / "out" / "perturbation.json").read_text())["edits"]
    assert [edit["factor"] for edit in edits] == [None, 0.0]
    assert [edit["tracks"] for edit in edits] == [["ATAC"], ["ATAC"]]


def test_perturb_loops(place, tmp_path, capsys):
    code, said = run(
        capsys, "perturb", tmp_path / "out", *common(place, "loops"), "--delete", "chr1:14,000-15,000",
        "--loops", place / "a.bedpe",
    )  # fmt: skip
    assert (code, said["loops"]) == (0, 1)


def test_screen(place, tmp_path, capsys):
    out = tmp_path / "s.tsv"
    code, said = run(
        capsys, "screen", out, *common(place, "contacts"), "--intervals", place / "a.bed", "--delete"
    )
    assert (code, said["edits"], said["scored"]) == (0, 2, 2)
    first = out.read_text().splitlines()[1].split("\t")
    assert said["largest"].startswith(first[1])


def test_screen_says_how_many_loops_are_still_predicted(place, tmp_path, capsys):
    code, said = run(
        capsys, "screen", tmp_path / "s.tsv", *common(place, "loops"), "--loops", place / "a.bedpe",
        "--scale", "1", "--scale", "0.1", "--threshold", "0",
    )  # fmt: skip
    assert code == 0
    assert said["predicted_times 0.1"] == "1 of 1 loops (1 before)"
    assert said["predicted_times 1"] == "1 of 1 loops (1 before)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["perturb", "contacts"], "nothing to edit"),
        (["perturb", "contacts", "--scale", "chr1:0-1000=-2"], "not by -2"),
        (["perturb", "contacts", "--scale", "chr1:0-1000=x"], "is no number"),
        (["perturb", "contacts", "--delete", "chr1:0-50,000"], "ends beyond chr1"),
        (["perturb", "contacts", "--delete", "chr1:0-1000", "--region", "chr1:x"], "is no region"),
        (["perturb", "contacts", "--delete", "chr1:0-1000", "--track", "CAGE"], "does not read the track"),
        (["perturb", "map", "--delete", "chr1:0-1000"], "reads no tracks"),
        (["screen", "contacts", "--intervals", "a.bed"], "either --delete, or --scale"),
        (["screen", "contacts", "--intervals", "a.bed", "--delete", "--scale", "0"], "either --delete"),
        (["screen", "contacts", "--intervals", "a.bed", "--scale", "nan"], "not by nan"),
        (["screen", "contacts", "--intervals", "none.bed", "--delete"], "none.bed"),
        (["screen", "contacts", "--delete"], "name what is edited"),
        (["screen", "loops", "--intervals", "a.bed", "--delete"], "name them with --loops"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(place, tmp_path, capsys, words, message):
    command, model, *rest = words
    rest = [place / word if word.endswith(".bed") else word for word in rest]
    code, said = run(capsys, command, tmp_path / "out", *common(place, model), *rest)
    assert code == 2
    assert message in said["error"]
    assert not (tmp_path / "out").exists()
