"""The commands that annotate a map as a user gives them; what does not fit is a sentence and exit code 2."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chromweave.cli import main as cli
from chromweave.data.build import build
from chromweave.workflows import compartments as compartments_workflow
from chromweave.workflows import insulation as insulation_workflow
from tests.fakes_graph import planted_store, write_planted

RESOLUTION = 10_000


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Stores: whole distances, a band, a map with next to no contacts; and a track that is on chr1 only."""
    folder = tmp_path_factory.mktemp("annotate")
    fake = planted_store(n_bins=100, chroms=("chr1", "chr2"), depth=200, resolution=RESOLUTION)
    few = np.diag([0, 1, 1, 1, *[0] * 96])
    masked = {
        name: replace(layer, counts=few, weights=np.full(100, np.nan)) for name, layer in fake.layers.items()
    }
    whole, nothing = (
        write_planted(folder / "w", fake),
        write_planted(folder / "n", replace(fake, layers=masked)),
    )
    for name, files, reach in (("whole", whole, None), ("band", whole, 300_000), ("nothing", nothing, None)):
        build(
            folder / f"{name}.store",
            contacts=files.contacts,
            tracks={"signal": files.track, "short": short_track(folder / "short.bw", fake)},
            resolutions=[RESOLUTION],
            assembly=fake.assembly,
            max_distance=reach or 1_000_000,
        )
    (folder / "arms.bed").write_text("chr1\t0\t500000\nchr1\t500000\t999999\nchr2\t0\t999999\n")
    (folder / "crossing.bed").write_text("chr1\t0\t500000\nchr1\t400000\t999999\n")
    return folder


def short_track(path, fake):
    """A bigWig that has values on chr1 only."""
    import pybigtools

    values = fake.tracks["signal"]["chr1"].tolist()
    runs = [("chr1", k * RESOLUTION, min((k + 1) * RESOLUTION, 999_999), v) for k, v in enumerate(values)]
    pybigtools.open(str(path), "w").write(dict(fake.assembly.chromosomes), iter(runs))
    return path


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return place


def words(place, command, *more, store="whole", resolution=RESOLUTION):
    given = [command, "out.tsv", "--store", place / f"{store}.store", "--resolution", resolution]
    return [str(word) for word in (*given, *more)]


def run(capsys, given):
    code = cli.run([*given, "--json", "--quiet"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def test_compartments(here, capsys):
    done = run(capsys, words(here, "compartments", "--phase-by", "signal", "--regions", here / "arms.bed"))
    assert list(done) == ["table", "A", "B", "N", "confidence_from_0.95", "saddle_strength"]
    assert (done["table"], done["N"]) == ("out.tsv", 4)
    assert done["A"] + done["B"] == 196
    assert done["confidence_from_0.95"] > 180
    assert list(done["saddle_strength"]) == ["all", "chr1", "chr2"]
    table = pd.read_csv("out.tsv", sep="\t")
    assert table["eigenvalue1"].nunique() == 3
    assert {path.name for path in Path().iterdir()} == {
        "out.tsv", "out.bw", "out.bedgraph", "out.json", "out.saddle.tsv", "out.saddle.png",
        "out.strength.tsv",
    }  # fmt: skip


def test_compartments_in_lines(here, capsys):
    given = words(here, "compartments", "--phase-by", "signal", "--chrom", "chr2", "--saddle-groups", 0)
    assert cli.run([*given, "--quiet"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["saddle strength"].strip() == "-"
    assert set(pd.read_csv("out.tsv", sep="\t")["chrom"]) == {"chr2"}


def test_insulation(here, capsys):
    done = run(capsys, words(here, "insulation", "--window", 50_000, "--window", 100_000))
    table = pd.read_csv("out.tsv", sep="\t")
    assert done == {
        "table": "out.tsv",
        "boundaries": {
            f"{side:,} bp": int(table.loc[table["window"] == side, "is_boundary"].sum())
            for side in (50_000, 100_000)
        },
    }
    assert len(list(Path().iterdir())) == 2 + 2 * 3
    run(capsys, words(here, "insulation", "--strength", 99, store="band"))
    assert not pd.read_csv("out.tsv", sep="\t")["is_boundary"].any()


def test_options_reach_the_library(here, monkeypatch, capsys):
    asked = {}

    def called(out, **given):
        asked.update(given, out=str(out))
        raise KeyboardInterrupt

    monkeypatch.setattr(compartments_workflow, "call_compartments", called)
    options = ("--weight", "KR", "--n-eigs", 2, "--saddle-groups", 9, "--phase-by", "x")
    cli.run(words(here, "compartments", *options))
    assert (asked["weight"], asked["n_eigs"], asked["saddle_groups"]) == ("KR", 2, 9)
    assert (asked["phase_by"], asked["chroms"], asked["regions"]) == ("x", None, None)
    monkeypatch.setattr(insulation_workflow, "call_insulation", called)
    cli.run(words(here, "insulation", "--weight", "VC", "--strength", 0.5, "--chrom", "chr1"))
    assert (asked["weight"], asked["strength"], asked["chroms"]) == ("VC", 0.5, ["chr1"])
    assert asked["windows"] == ()


BY = ("--phase-by", "signal")


@pytest.mark.parametrize(
    ("command", "more", "store", "sentence"),
    [
        ("compartments", BY, "nothing", "no bin of chr1, chr2 has compartments at 10,000 bp"),
        ("compartments", ("--phase-by", "short"), "whole", "chr2: short cannot decide which sign"),
        (
            "compartments",
            ("--phase-by", "GC"),
            "whole",
            "has no track 'GC' to phase by; it has signal, short",
        ),
        (
            "compartments",
            BY,
            "band",
            "holds contacts up to 300,000 bp only; compartments need every distance",
        ),
        ("compartments", (*BY, "--chrom", "chr9"), "whole", "'chr9' is no chromosome of"),
        ("compartments", (*BY, "--regions", "{place}/crossing.bed"), "whole", "regions chr1:0-500,000 and"),
        ("compartments", (*BY, "--regions", "{place}/none.bed"), "whole", "none.bed: no such file"),
        ("compartments", (*BY, "--saddle-groups", "2"), "whole", "a saddle of 2 groups shows nothing"),
        ("compartments", (*BY, "--n-eigs", "0"), "whole", "give 1 or more"),
        ("compartments", (*BY, "--weight", "KR"), "whole", "no weights 'KR'"),
        ("insulation", (), "nothing", "no bin has an insulation score"),
        ("insulation", ("--window", "25000"), "whole", "must be a multiple of the resolution (10,000 bp)"),
        ("insulation", ("--window", "10000"), "whole", "and larger"),
        ("insulation", ("--window", "200000"), "band", "a window of 200,000 bp reaches twice its side"),
        ("insulation", ("--chrom", "chr9"), "whole", "'chr9' is no chromosome of"),
        ("insulation", ("--weight", "KR"), "whole", "no weights 'KR'"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_exit_code_2(here, capsys, command, more, store, sentence):
    given = [word.format(place=here) for word in more]
    assert cli.run(words(here, command, *given, store=store)) == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert shown.count("chromweave: error: ") == 1
    assert "Traceback" not in shown
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["compartments", "insulation"])
def test_a_layer_or_a_name_that_cannot_be(here, capsys, command):
    more = BY if command == "compartments" else ()
    assert cli.run(words(here, command, *more, resolution=30_000)) == 2
    assert "30,000 bp" in capsys.readouterr().err
    given = [word.replace("out.tsv", "out.bw") for word in words(here, command, *more)]
    assert cli.run(given) == 2
    assert "out.bw: the table gets this name" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
