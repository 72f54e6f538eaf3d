"""Coordinates as values."""

import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.errors import AssemblyError, ChromosomeError, ConfigError, FileFormatError
from chromweave.genome import BUILT_IN, Assembly, Binning, BlockSplit, ChromSplit, Interval, RandomSplit

TOY = Assembly("toy", {"chr1": 1000, "chr2": 550})


@pytest.mark.parametrize(
    ("name", "chrom", "length"),
    [("hg19", "chr21", 48_129_895), ("hg38", "chr22", 50_818_468), ("mm10", "chr1", 195_471_971)],
)
def test_built_in_lengths(name, chrom, length):
    assert Assembly.named(name).length(chrom) == length


def test_every_built_in_starts_with_its_autosomes():
    for name in BUILT_IN:
        assembly = Assembly.named(name)
        assert assembly.autosomes == tuple(assembly.chromosomes)[: len(assembly.autosomes)]
        assert len(assembly.autosomes) == (22 if name.startswith("hg") else 19)


def test_portal_names_are_known():
    assert Assembly.named("GRCh38") == Assembly.named("hg38")


def test_unknown_assembly_lists_the_known():
    with pytest.raises(AssemblyError, match="hg19, hg38, mm10, mm39"):
        Assembly.named("hg17")


@pytest.mark.parametrize(
    ("given_name", "expected"), [("1", "chr1"), ("chr1", "chr1"), ("MT", "chrM"), ("chrUn_1", None)]
)
def test_names_with_and_without_prefix_meet(given_name, expected):
    assert Assembly.named("hg38").canonical(given_name) == expected


def test_prefix_is_dropped_where_the_assembly_has_none():
    assert Assembly("ensembl", {"1": 10, "MT": 5}).canonical("chr1") == "1"
    assert Assembly("ensembl", {"1": 10, "MT": 5}).canonical("chrM") == "MT"


def test_recognise_by_lengths():
    hg19 = Assembly.named("hg19")
    assert Assembly.recognise({"21": hg19.length("chr21"), "chrUn_gl1": 7}) == hg19
    assert Assembly.recognise({"21": 1}) is None
    assert Assembly.recognise({"contig": 1}) is None


def test_check_lengths_names_the_likely_assembly():
    hg19, hg38 = Assembly.named("hg19"), Assembly.named("hg38")
    with pytest.raises(AssemblyError, match="looks like hg19"):
        hg38.check_lengths({"chr21": hg19.length("chr21")}, "map.mcool")
    assert hg38.check_lengths({"21": hg38.length("chr21")}, "map.mcool") == {"chr21": "21"}
    with pytest.raises(AssemblyError, match="no chromosome of hg38"):
        hg38.check_lengths({"scaffold_1": 5}, "map.mcool")


def test_chrom_sizes_file(tmp_path):
    path = tmp_path / "toy.chrom.sizes"
    path.write_text("chr1\t1000\nchr2\t550\n")
    assert Assembly.resolve(path) == TOY
    path.write_text("chr1\tlong\n")
    with pytest.raises(FileFormatError, match="line 1"):
        Assembly.resolve(path)
    path.write_text("chr1\t10\nchr1\t10\n")
    with pytest.raises(FileFormatError, match="second time"):
        Assembly.resolve(path)


def test_assembly_is_a_value():
    assert pickle.loads(pickle.dumps(TOY)) == TOY
    assert hash(TOY) == hash(Assembly("toy", {"chr1": 1000, "chr2": 550}))
    with pytest.raises(TypeError):
        TOY.chromosomes["chr3"] = 5


def test_last_bin_counts():
    binning = Binning(TOY, 100)
    assert [binning.n_bins(chrom) for chrom in TOY.chromosomes] == [10, 6]
    assert binning.bin_of(99) == 0
    assert binning.bin_of(100) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1", Interval("chr1", 0, 1000)),
        ("1:100-200", Interval("chr1", 100, 200)),
        ("chr2:0-5,50", Interval("chr2", 0, 550)),
    ],
)
def test_region_strings(text, expected):
    assert Interval.parse(text, TOY) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("chr1:5", ConfigError),
        ("chr9", ChromosomeError),
        ("chr1:0-2000", AssemblyError),
        ("chr1:9-9", AssemblyError),
    ],
)
def test_wrong_regions(text, error):
    with pytest.raises(error):
        Interval.parse(text, TOY)


def test_paper_split_covers_the_autosomes_once():
    hg38 = Assembly.named("hg38")
    split = ChromSplit.paper(hg38)
    assert sorted([*split.train, *split.valid, *split.test]) == sorted(hg38.autosomes)
    assert split.of(Interval("chr13", 0, 5)) == "test"
    assert split.of(Interval("chrX", 0, 5)) is None


def test_a_chromosome_in_two_splits_is_refused():
    with pytest.raises(ConfigError, match="chr1"):
        ChromSplit(("chr1",), ("chr1",), ())


def test_blocks_by_hand():
    split = BlockSplit.fractions([Interval("chr1", 0, 1000)], valid=0.25, test=0.25, gap=100)
    assert [(name, b.start, b.end) for name, b in split.blocks] == [
        ("train", 0, 400),
        ("valid", 500, 700),
        ("test", 800, 1000),
    ]
    assert split.of(Interval("chr1", 390, 400)) == "train"
    assert split.of(Interval("chr1", 390, 401)) is None


@given(st.integers(10, 10_000), st.integers(1, 300), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_blocks_never_come_closer_than_the_gap(length, gap, valid, test):
    interval = Interval("chr1", 0, length)
    try:
        split = BlockSplit.fractions([interval], valid=valid, test=test, gap=gap)
    except (ConfigError, AssemblyError):
        assert length - 2 * gap < 30  # too short for three blocks that hold anything
        return
    ordered = [block for _, block in split.blocks]
    assert all(b.start - a.end >= gap for a, b in pairwise(ordered))
    assert ordered[-1].end == length


@pytest.mark.parametrize(("valid", "test"), [(0, 0.1), (0.1, 0), (0.5, 0.5)])
def test_shares_leave_something_for_each_split(valid, test):
    with pytest.raises(ConfigError, match="sum to less than 1"):
        RandomSplit(("chr1",), valid, test)
    with pytest.raises(ConfigError, match="sum to less than 1"):
        BlockSplit.fractions([Interval("chr1", 0, 10**8)], valid=valid, test=test)


def test_too_short_for_blocks():
    with pytest.raises(ConfigError, match="smaller gap"):
        BlockSplit.fractions([Interval("chr1", 0, 100)], gap=50)
