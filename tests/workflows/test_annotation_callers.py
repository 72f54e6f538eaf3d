"""Each caller, asked for one chromosome, finds planted loops; what it was made with is known."""

import pandas as pd
import pytest

from chromweave.baselines.hicexplorer import HicExplorerConfig
from chromweave.baselines.peakachu import PeakachuConfig
from chromweave.baselines.programs import ProgramMissing
from chromweave.data.windows import loop_windows, write_windows
from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.matching import match_loops
from chromweave.progress import reporting
from chromweave.schemas import BEDPE
from chromweave.workflows.annotation_callers import (
    External,
    HicExplorer,
    Ours,
    PeakachuForest,
    Region,
    comparable_loops,
    standard_callers,
)
from tests.fakes_experiments import News
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted
from tests.fakes_programs import calls_of, fake_program, writes

FOREST = PeakachuConfig(trees=15, depths=(8,), balanced=(False,), criteria=("gini",))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("callers")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store", tracks=())
    report = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION)
    write_windows(folder / "loops.parquet", report.table)
    return folder


def region(place, **changes):
    given = {"chroms": ("chr3",), "min_distance": 18 * RESOLUTION, "max_distance": 62 * RESOLUTION} | changes
    return Region(str(place / "a.store"), RESOLUTION, **given)


def judged(found, chrom="chr3"):
    BEDPE.check(found.table, "the calls")
    truth = planted().query("chrom1 == @chrom").reset_index(drop=True)
    return match_loops(found.table, truth, 2, RESOLUTION)


def test_ours_finds_planted_loops(place, tmp_path):
    found = judged(Ours(fdr=0.1).call(region(place), tmp_path, 60))
    assert found.precision > 0.8
    assert found.recall > 0.3


def test_peakachu_learns_from_windows_and_finds_loops_elsewhere(place, tmp_path):
    caller = PeakachuForest(str(place / "loops.parquet"), threshold=0.7, config=FOREST)
    found = judged(caller.call(region(place), tmp_path, 60))
    assert found.precision > 0.6
    assert found.recall > 0.5


def test_peakachu_says_where_it_is_asked_about_what_it_has_seen(place, tmp_path):
    listener = News()
    caller = PeakachuForest(str(place / "loops.parquet"), config=FOREST)
    with reporting(listener):
        caller.call(region(place, chroms=("chr1",)), tmp_path, 60)
    assert any("learned from windows of chr1" in line for line in listener.lines)


def test_peakachus_windows_are_of_the_regions_resolution(place, tmp_path):
    caller = PeakachuForest(str(place / "loops.parquet"), config=FOREST)
    with pytest.raises(ConfigError, match="bins of 5,000 bp"):
        caller.call(Region(str(place / "a.store"), 10_000, ("chr3",)), tmp_path, 60)


def test_the_restated_hicexplorer_finds_planted_loops(place, tmp_path):
    # Planted loops are so many that one bin in six holds an anchor: neighbourhoods are small here.
    caller = HicExplorer(HicExplorerConfig(window=4, peak=1, least_contacts=5, pvalue=0.05))
    found = judged(caller.call(region(place), tmp_path, 60))
    assert found.precision > 0.6
    assert found.n_calls > 5


def test_programs_read_a_cooler_of_the_region(place, tmp_path):
    names = ("chrom1", "start1", "end1", "chrom2", "start2", "end2", "score", "qvalue")
    table = "\t".join(names) + "\nchr3\t0\t5000\tchr3\t90000\t95000\t.5\t.1\n"
    program = fake_program(tmp_path / "bin", "chromosight", writes("arguments[-1] + '.tsv'", table))
    folder = tmp_path / "callers" / "chromosight"
    folder.mkdir(parents=True)
    caller = External("chromosight", str(tmp_path / "bin"), {"pearson": 0.4})
    found = caller.call(region(place), folder, 60)
    assert (len(found.table), found.version) == (1, "9.8.7")
    assert found.cost.megabytes > 1
    (said,) = calls_of(program)
    assert "--pearson=0.4 --min-dist=90000 --max-dist=310000" in said
    assert str(tmp_path / "callers" / "map.cool") in said
    assert (tmp_path / "callers" / "map.cool").is_file()


def test_a_program_that_takes_balanced_values_gets_them(place, tmp_path):
    body = writes("after('--outFileName')", "chr3\t0\t5000\tchr3\t90000\t95000\t0.01\n")
    program = fake_program(tmp_path / "bin", "hicDetectLoops", body)
    External("hicDetectLoops", str(tmp_path / "bin")).call(region(place), tmp_path / "callers" / "h", 60)
    assert "map.balanced.cool" in calls_of(program)[0]


def test_a_missing_program_says_so(place, tmp_path):
    with pytest.raises(ProgramMissing, match="pip install mustache-hic"):
        External("mustache", str(tmp_path)).call(region(place), tmp_path / "m", 60)


def test_settings_are_plain_and_change_with_what_decides(place, tmp_path):
    windows = str(place / "loops.parquet")
    assert Ours().settings() != Ours(fdr=0.2).settings()
    assert PeakachuForest(windows).settings() != PeakachuForest(windows, threshold=0.5).settings()
    assert HicExplorer().settings() != HicExplorer(HicExplorerConfig(pvalue=0.05)).settings()
    assert External("mustache", "here").settings() == External("mustache", "there").settings()
    with pytest.raises(DataError, match="no such file"):
        Ours(model=str(tmp_path / "no-model")).settings()


def test_all_callers_that_can_be_asked_have_a_row():
    assert list(standard_callers()) == [
        "chromweave, map alone", "HiCExplorer, restated", "chromosight", "cooltools dots", "mustache",
        "hicDetectLoops",
    ]  # fmt: skip
    more = standard_callers(windows="w.parquet", windows_store="b.store", model="run", programs="bin")
    assert more["Peakachu"] == PeakachuForest("w.parquet", "b.store")
    assert more["chromweave, with a model"] == Ours("run")
    assert more["mustache"] == External("mustache", "bin")


def test_published_loops_count_once_for_each_pixel():
    rows = [
        ("chr1", 100, 200, "chr1", 1000, 1100),
        ("chr1", 110, 190, "chr1", 1010, 1090),
        ("chr2", 0, 100, "chr2", 900, 1000),
    ]
    table = pd.DataFrame(rows, columns=["chrom1", "start1", "end1", "chrom2", "start2", "end2"])
    where = Region("a.store", 100, ("chr1",), 500, 1000)
    assert len(comparable_loops(table, where)) == 2
    assert len(comparable_loops(table, where, unique=True)) == 1
    assert len(comparable_loops(table, Region("a.store", 100, ("chr1",), 901, 1000))) == 0
