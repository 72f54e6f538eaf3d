"""Other callers' programs: how they are called, how their lists are read, and what is said when they fail."""

import os
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest

from chromweave.baselines.external import EXTERNAL, ExternalRequest, call_external
from chromweave.baselines.programs import ProgramFailed, ProgramMissing
from chromweave.errors import ConfigError, FileFormatError
from chromweave.schemas import BEDPE
from tests.fakes_maps import power_law_map
from tests.fakes_programs import calls_of, fake_program, writes

CHROMOSIGHT = """chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tbin1\tbin2\tscore\tpvalue\tqvalue
chr2\t50\t60\tchr2\t90\t100\t5\t9\t0.61\t0.001\t0.002
chr1\t10\t20\tchr1\t70\t80\t1\t7\t0.44\t0.003\t0.004
"""
_KERNELS = [f"la_exp.{kernel}.qval" for kernel in ("donut", "vertical", "horizontal", "lowleft")]
DOTS = "\t".join(["chrom1", "start1", "end1", "chrom2", "start2", "end2", "count", *_KERNELS]) + (
    "\nchr1\t10\t20\tchr1\t70\t80\t31\t0.01\t0.04\t0.02\t0.03\n"
)
MUSTACHE = """BIN1_CHR\tBIN1_START\tBIN1_END\tBIN2_CHROMOSOME\tBIN2_START\tBIN2_END\tFDR\tDETECTION_SCALE
chr1\t10\t20\tchr1\t70\t80\t0.05\t1.6
"""
DETECT_LOOPS = "chr1\t10\t20\tchr1\t70\t80\t0.002\nchr3\t10\t20\tchr3\t70\t80\t0.001\n"

# What a program writes, and what is read of it: (start1, start2, score) on chr1, and the value beside it.
FAKES = {
    "chromosight": (writes("arguments[-1] + '.tsv'", CHROMOSIGHT), (10, 70, 0.44), ("qvalue", 0.004)),
    "cooltools dots": (
        "text = 'expected' if arguments[0] == 'expected-cis' else " + repr(DOTS) + "\n"
        "Path(after('-o')).write_text(text)",
        (10, 70, -0.04),
        ("qvalue", 0.04),
    ),
    "mustache": (writes("after('-o')", MUSTACHE), (10, 70, -0.05), ("qvalue", 0.05)),
    "hicDetectLoops": (writes("after('--outFileName')", DETECT_LOOPS), (10, 70, -0.002), ("pvalue", 0.002)),
}


def request(tmp_path, **changes):
    given = {"cool": "map.cool", "folder": tmp_path / "calls", "resolution": 10, "chroms": ("chr1", "chr2")}
    return ExternalRequest(**(given | {"programs": tmp_path / "bin"} | changes))


def installed(tmp_path, name, body):
    return fake_program(tmp_path / "bin", EXTERNAL[name].command, body)


@pytest.mark.parametrize("name", FAKES)
def test_a_programs_list_is_read(name, tmp_path):
    body, (start1, start2, score), (column, value) = FAKES[name]
    program = installed(tmp_path, name, body)
    found = call_external(name, request(tmp_path))
    BEDPE.check(found.table, name)
    first = found.table.iloc[0]
    assert (first["chrom1"], first["start1"], first["end1"], first["start2"], first["end2"]) == (
        "chr1", start1, 20, start2, 80,
    )  # fmt: skip
    assert first["score"] == pytest.approx(score)
    assert first[column] == pytest.approx(value)
    assert set(found.table["chrom1"]) <= {"chr1", "chr2"}
    assert found.cost.megabytes > 1
    assert found.version == ("unknown" if name == "mustache" else "9.8.7")  # mustache's package says it
    steps = len(calls_of(program))
    again = call_external(name, request(tmp_path))
    assert len(calls_of(program)) == steps
    pd.testing.assert_frame_equal(again.table, found.table)
    assert again.cost == found.cost


def test_programs_are_told_of_distances_and_settings(tmp_path):
    where = {"min_distance": 30, "max_distance": 500}
    program = installed(tmp_path, "chromosight", FAKES["chromosight"][0])
    call_external("chromosight", request(tmp_path, **where), {"pearson": 0.5})
    (said,) = calls_of(program)
    assert "--pearson=0.5 --min-dist=30 --max-dist=500 map.cool" in said
    program = installed(tmp_path, "cooltools dots", FAKES["cooltools dots"][0])
    call_external("cooltools dots", request(tmp_path, **where), {"fdr": 0.1})
    expected, dots = calls_of(program)
    assert expected.startswith("expected-cis map.cool -o")
    assert "--fdr 0.1 --max-loci-separation 500" in dots
    program = installed(tmp_path, "mustache", FAKES["mustache"][0])
    call_external("mustache", request(tmp_path, **where), {"sparsity": 0.7})
    (said,) = calls_of(program)
    assert "-r 10 -d 500 -pt 0.2 -st 0.7 -p 1 -ch chr1 chr2" in said


@pytest.mark.parametrize("name", FAKES)
def test_a_missing_program_says_how_to_get_it(name, tmp_path):
    with pytest.raises(ProgramMissing, match=r"install .*(==|=3\.7)"):
        call_external(name, request(tmp_path))


@pytest.mark.parametrize("name", FAKES)
def test_a_program_that_fails_is_told_of(name, tmp_path):
    installed(tmp_path, name, "print('cannot read the map')\nraise SystemExit(2)")
    with pytest.raises(ProgramFailed, match=r"(?s)status 2.*cannot read the map"):
        call_external(name, request(tmp_path))


def test_time_is_shared_by_all_steps(tmp_path):
    body = "time.sleep(0 if arguments[0] == 'expected-cis' else 60)\nPath(after('-o')).write_text('x')"
    installed(tmp_path, "cooltools dots", body)
    with pytest.raises(ProgramFailed, match=r"dots .*not done after"):
        call_external("cooltools dots", request(tmp_path, timeout=3))


@pytest.mark.parametrize(
    ("name", "words"),
    [("chromosight", "No pattern could be detected"), ("hicDetectLoops", "ERROR:No loops could be detected")],
)
def test_no_loops_are_no_error(name, words, tmp_path):
    installed(tmp_path, name, f"print({words!r})\nraise SystemExit(1)")
    found = call_external(name, request(tmp_path))
    assert len(found.table) == 0
    assert found.cost.megabytes > 1


def test_an_empty_list_is_a_list(tmp_path):
    installed(tmp_path, "hicDetectLoops", writes("after('--outFileName')", ""))
    assert len(call_external("hicDetectLoops", request(tmp_path)).table) == 0
    installed(tmp_path, "mustache", writes("after('-o')", MUSTACHE.splitlines(keepends=True)[0]))
    assert len(call_external("mustache", request(tmp_path)).table) == 0


def test_a_list_of_another_version_is_refused(tmp_path):
    installed(tmp_path, "mustache", writes("after('-o')", "a\tb\n1\t2\n"))
    with pytest.raises(FileFormatError, match="BIN1_CHR"):
        call_external("mustache", request(tmp_path))


def test_unknown_callers_and_settings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there are chromosight"):
        call_external("hiccups", request(tmp_path))
    with pytest.raises(ConfigError, match="has no setting 'fdr' here; it has pearson"):
        call_external("chromosight", request(tmp_path), {"fdr": 0.1})


LOOPS = [(40, 70), (100, 140), (150, 165), (200, 250)]


@pytest.fixture(scope="module")
def cool(tmp_path_factory):
    """A map of 10 kb bins with four bright loops."""
    n_bins, rng = 400, np.random.default_rng(0)
    counts = np.triu(power_law_map(n_bins, 3000.0, rng, LOOPS, strength=6.0))
    bin1, bin2 = np.nonzero(counts)
    bins = cooler.binnify(pd.Series({"chr1": n_bins * 10_000}, dtype="int64"), 10_000).assign(weight=0.01)
    pixels = pd.DataFrame({"bin1_id": bin1, "bin2_id": bin2, "count": counts[bin1, bin2].astype(np.int32)})
    path = tmp_path_factory.mktemp("map") / "map.cool"
    cooler.create_cooler(str(path), bins, pixels, ordered=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chromosight", "cooltools dots", "mustache", "hicDetectLoops"])
def test_the_real_program_finds_planted_loops(name, cool, tmp_path):
    """Where it is installed: CHROMWEAVE_PROGRAMS names folders of programs, as PATH does."""
    folders = os.environ.get("CHROMWEAVE_PROGRAMS", "").split(os.pathsep)
    holding = [folder for folder in folders if (Path(folder) / EXTERNAL[name].command).is_file()]
    if not holding:
        pytest.skip(f"{name} is in no folder of CHROMWEAVE_PROGRAMS")
    asked = request(tmp_path, cool=str(cool), resolution=10_000, chroms=("chr1",), programs=holding[0])
    found = call_external(name, asked)
    bins = found.table[["start1", "start2"]].to_numpy() // 10_000
    hits = [(np.abs(bins - loop).max(axis=1) <= 2).any() for loop in LOOPS]
    assert sum(hits) >= 3
    assert found.version[0].isdigit()
