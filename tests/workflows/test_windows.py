"""Which split and protocol windows are made by, and that nothing is left out in silence."""

import json

import numpy as np
import pandas as pd
import pytest

from chromweave.cli.main import run
from chromweave.data.windows import read_windows
from chromweave.errors import ConfigError
from chromweave.genome import Assembly, BlockSplit, ChromSplit
from chromweave.progress import Silent, reporting
from chromweave.workflows.windows import SplitConfig, make_split, make_windows
from tests.fakes import build_fake, random_contacts, random_track

MINI = Assembly("mini", {f"chr{n}": 1_500_000 for n in (*range(1, 19), "X")})
ALL = ("train", "valid", "test")


class Heard(Silent):
    def __init__(self):
        self.messages = []

    def notify(self, message):
        self.messages.append(message)

    def about(self, text):
        return [one for one in self.messages if text in one]


@pytest.fixture
def heard():
    recorder = Heard()
    with reporting(recorder):
        yield recorder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("windows")


@pytest.fixture(scope="module")
def small(folder):
    with pytest.MonkeyPatch.context() as patch:
        return build_fake(patch, folder / "small.store", random_contacts(), max_distance=800_000)


@pytest.fixture(scope="module")
def mini(folder):
    """Tracks on some chromosomes of the paper's split, and on one of no split."""
    chroms = ("chr1", "chr2", "chr10", "chr13", "chrX")
    with pytest.MonkeyPatch.context() as patch:
        return build_fake(
            patch, folder / "mini.store", tracks=[random_track("ATAC", 0, chroms, MINI)], assembly=MINI
        )


def loops_file(folder, *rows):
    path = folder / "loops.bedpe"
    path.write_text("".join(f"{c}\t{i}0000\t{i + 1}0000\t{c}\t{j}0000\t{j + 1}0000\n" for c, i, j in rows))
    return path


def test_the_papers_chromosomes_that_a_store_lacks_are_named(mini, heard):
    split = make_split(mini, SplitConfig())
    assert split == ChromSplit(("chr1", "chr2"), ("chr10",), ("chr13",))
    assert heard.messages == [
        f"{mini.path}: lacks chr4, chr5, chr6, chr7, chr8, chr9, chr12, ..., chr18 (11 in all) "
        "of the training chromosomes",
        f"{mini.path}: lacks chr11 of the validation chromosomes",
        f"{mini.path}: lacks chr3, chr17 of the test chromosomes",
        "left out: chrX, in no split of the paper's",
    ]
    heard.messages.clear()
    make_split(mini, SplitConfig(chroms=("chr1", "chr10", "chr13")))
    assert heard.messages == []


def test_chromosomes_named_that_a_store_lacks(mini, heard):
    split = make_split(mini, SplitConfig(valid_chroms=("2",), test_chroms=("chr13", "chr14")))
    assert split.train == ("chr1", "chr10", "chrX")
    assert heard.messages == [f"{mini.path}: lacks chr14 of the test chromosomes"]


def test_a_random_split_deals_windows_of_all_chromosomes(folder, mini, heard):
    out = folder / "random.parquet"
    config = SplitConfig(by="random", seed=3)
    shared = {"store": mini, "step": 20_000, "resolution": 10_000}
    report = make_windows(out, split=config, **shared)
    table = read_windows(out, mini, splits=ALL, contacts=False)
    assert len(table) == len(report.table)
    n = len(table)
    assert table["split"].value_counts().to_dict() == {
        "train": n - 2 * (n // 10), "valid": n // 10, "test": n // 10,
    }  # fmt: skip
    assert set(table["chrom"]) == set(mini.chromosomes) == set(table["chrom"][table["split"] == "train"])
    assert table.attrs["split"] == "random, seed 3"
    (warning,) = heard.about("random split")
    # Centres lie 20 kb apart and windows are 500 kb wide: every test window overlaps one for training.
    assert "100% of the test windows overlap a training window by half or more" in warning
    again = make_windows(out, split=config, **shared).table
    other = make_windows(out, split=SplitConfig(by="random", seed=4), **shared).table
    assert again.equals(report.table)
    assert (other["split"] != again["split"]).any()
    pd.testing.assert_frame_equal(other.drop(columns="split"), again.drop(columns="split"))


def test_fractions_have_a_default_for_each_kind(folder, mini, small):
    half = SplitConfig(by="random", valid_fraction=0.25, test_fraction=0.5)
    table = make_windows(folder / "w.parquet", store=mini, step=20_000, resolution=10_000, split=half).table
    assert table["split"].value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.25, "valid": 0.25, "test": 0.5}, abs=0.02
    )
    blocks = make_split(small, SplitConfig(by="blocks", gap=10_000, chroms=("chr1",)))
    assert isinstance(blocks, BlockSplit)
    usable = 2_003_210 - 20_000
    sizes = [len(block) for _, block in blocks.blocks]
    assert sizes == pytest.approx([0.6 * usable, 0.15 * usable, 0.25 * usable], abs=2)


def test_the_protocol_is_one_word(folder, small, heard):
    loops = loops_file(folder, *[("chr1", x, x + 20) for x in range(30, 150, 3)], ("chr3", 20, 60))
    split = SplitConfig(valid_chroms=("chr2",))
    shared = {"store": small, "around": "loops", "loops": loops, "resolution": 10_000, "split": split}

    def made(**options):
        table = make_windows(folder / "w.parquet", **shared, **options).table
        return table.attrs["protocol"], table

    plain, strict, paper = made(), made(protocol="strict"), made(protocol="paper")
    assert [one[0] for one in (plain, strict, paper)] == [
        "loops, negatives strict",
        "strict: loops, negatives strict",
        "paper: loops, negatives paper",
    ]
    assert strict[1].equals(plain[1])
    assert paper[1].equals(made(negatives="paper")[1])
    assert not paper[1].equals(strict[1])
    assert read_windows(folder / "w.parquet", small).attrs["protocol"] == "loops, negatives paper"
    assert heard.about("left out: 1 loops on chr3, not in the store")
    assert made(protocol="paper", negatives="paper")[0] == paper[0]
    for options in ({"negatives": "strict"}, {"negatives": "none"}):
        with pytest.raises(ConfigError, match="takes paper negatives, not"):
            made(protocol="paper", **options)
    shared["split"] = SplitConfig(by="random")
    with pytest.raises(ConfigError, match="'strict' keeps splits apart"):
        made(protocol="strict")
    dealt = made(protocol="paper")[1]
    assert set(dealt["split"]) == set(ALL)
    pd.testing.assert_frame_equal(dealt.drop(columns="split"), paper[1].drop(columns="split"))


def test_a_grid_off_the_diagonal(folder, small):
    shared = {"store": small, "resolution": 10_000, "split": SplitConfig(by="random")}
    far = make_windows(folder / "w.parquet", step=100_000, max_distance=250_000, **shared).table
    near = make_windows(folder / "w.parquet", step=100_000, **shared).table
    gap = (far["y"] - far["x"]).to_numpy()
    assert set(gap) == {0, 100_000, 200_000}
    assert set(near["x"]) == set(far["x"])
    assert len(near) == (gap == 0).sum()
    assert near.attrs["protocol"] == "grid, step 100000"
    assert far.attrs["protocol"] == "grid, step 100000, up to 25 bins off the diagonal"
    centres = np.sort(near.loc[near["chrom"] == "chr1", "x"].unique())
    here = far[far["chrom"] == "chr1"]
    wanted = [(x, y) for x in centres for y in centres if 0 <= y - x <= 250_000]
    assert list(zip(here["x"], here["y"], strict=True)) == wanted
    with pytest.raises(ConfigError, match="belongs to a grid"):
        make_windows(folder / "w.parquet", around="tss", tss="x", max_distance=1, **shared)


def test_what_is_refused(mini, small, folder):
    with pytest.raises(ConfigError, match="not a random one"):
        make_windows(folder / "w.parquet", store=mini, split=SplitConfig(by="random", test_chroms=("chr13",)))
    with pytest.raises(ConfigError, match="by chromosomes, not by blocks"):
        make_split(mini, SplitConfig(by="blocks", test_chroms=("chr13",)))
    with pytest.raises(ConfigError, match="says nothing of places"):
        make_split(mini, SplitConfig(by="random"))
    with pytest.raises(ConfigError, match="has no chr4; it has chr1"):
        make_split(mini, SplitConfig(chroms=("chr4",)))
    with pytest.raises(ConfigError, match="the paper's split does not fit small"):
        make_split(small, SplitConfig())
    with pytest.raises(ConfigError, match="no validation chromosome is left"):
        make_split(mini, SplitConfig(valid_chroms=("chr3",)))
    with pytest.raises(ConfigError, match="need --loops FILE"):
        make_windows(
            folder / "w.parquet", store=small, around="loops", split=SplitConfig(valid_chroms=("chr2",))
        )


def test_the_command_shows_what_was_dropped(folder, small, tmp_path, capsys):
    loops = loops_file(folder, *[("chr1", x, x + 20) for x in range(30, 150, 3)], ("chr3", 20, 60))
    arguments = [
        *("windows", str(tmp_path / "w.parquet"), "--store", str(small.path), "--resolution", "10000"),
        *("--around", "loops", "--loops", str(loops), "--split", "random", "--seed", "2"),
    ]
    assert run(["--json", *arguments, "--protocol", "paper", "--test-fraction", "0.2"]) == 0
    printed = capsys.readouterr()
    shown = json.loads(printed.out)
    assert shown["dropped: chromosome not in the store"] == 1
    assert "left out: 1 loops on chr3, not in the store" in printed.err
    assert "of the test windows overlap a training window" in printed.err
    table = read_windows(tmp_path / "w.parquet", small, splits=ALL)
    assert (table["split"] == "test").sum() == int(0.2 * len(table)) > 5
    assert table.attrs["split"] == "random, seed 2"
    assert run([*arguments, "--protocol", "strict"]) == 2
    assert "keeps splits apart" in capsys.readouterr().err
