import pickle

import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import AssemblyError, ChromosomeError, ConfigError, FileFormatError
from chromweave.genome import Assembly
from chromweave.io.tracks import open_track

TOY = Assembly("toy", {"chr1": 1050, "chr2": 500, "chr3": 200})
VALUES = [
    ("chr1", 0, 50, 2.0),
    ("chr1", 80, 120, 4.0),
    ("chr1", 300, 400, 0.0),
    ("chr1", 1000, 1025, 8.0),
    ("chr2", 499, 500, 7.0),
]


def write(path, values, lengths):
    pybigtools.open(str(path), "w").write(lengths, iter(values))
    return path


@pytest.fixture
def track(tmp_path):
    return open_track(write(tmp_path / "a.bw", VALUES, {"chr1": 1050, "chr2": 500}), "ATAC", TOY)


def test_bins_by_hand(track):
    signal = track.bins("chr1", 100)
    expected = np.full(11, np.nan)
    # 50 bases of 2 and 20 of 4; 20 of 4; a measured zero is not "no data"; half of the short last bin
    expected[[0, 1, 3, 10]] = [(100 + 80) / 70, 4, 0, 8]
    assert np.allclose(signal.mean, expected, equal_nan=True)
    coverage = np.zeros(11)
    coverage[[0, 1, 3, 10]] = [0.7, 0.2, 1, 0.5]
    assert np.allclose(signal.coverage, coverage)
    assert signal.mean.dtype == signal.coverage.dtype == np.float32


@pytest.mark.parametrize(("width", "bins"), [(1, 500), (7, 72), (499, 2), (500, 1), (10_000, 1)])
def test_widths(track, width, bins):
    signal = track.bins("chr2", width)
    assert len(signal.mean) == bins
    assert signal.mean[-1] == 7
    last = 500 - (bins - 1) * width
    assert signal.coverage[-1] == pytest.approx(1 / last)
    assert np.isnan(signal.mean[:-1]).all()


def test_it_says_what_it_is(track):
    assert (track.name, track.assembly, track.chromosomes) == ("ATAC", TOY, ("chr1", "chr2"))
    again = pickle.loads(pickle.dumps(track))
    assert np.array_equal(again.bins("chr1").mean, track.bins("chr1").mean, equal_nan=True)


def test_nan_and_infinite_values_are_no_data(tmp_path):
    values = [
        ("chr1", 0, 50, 1.0),
        ("chr1", 50, 150, float("nan")),
        ("chr1", 150, 200, 3.0),
        ("chr1", 200, 210, float("inf")),
        ("chr1", 290, 300, 5.0),
        ("chr1", 1020, 1050, float("nan")),
    ]
    signal = open_track(write(tmp_path / "a.bw", values, {"chr1": 1050}), "x", TOY).bins("chr1")
    assert signal.mean[[0, 1, 2]].tolist() == [1, 3, 5]
    assert np.allclose(signal.coverage[[0, 1, 2, 10]], [0.5, 0.5, 0.1, 0])
    assert np.isnan(signal.mean[3:]).all()


def test_much_nan_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("chromweave.io.tracks._BASES_AT_ONCE", 300)
    values = [("chr1", s, s + 30, float("nan") if s % 60 else float(s)) for s in range(0, 1050, 30)]
    signal = open_track(write(tmp_path / "a.bw", values, {"chr1": 1050}), "x", TOY).bins("chr1")
    base = np.repeat([float("nan") if s % 60 else s for s in range(0, 1050, 30)], 30)
    expected = [np.nanmean(base[i : i + 100]) for i in range(0, 1000, 100)]
    assert np.allclose(signal.mean[:10], expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 400))
def test_equal_to_base_by_base(tmp_path_factory, seed, width):
    rng = np.random.default_rng(seed)
    edges = np.unique(rng.integers(0, 1051, 40))
    values = [
        ("chr1", int(a), int(b), float(rng.normal())) for a, b in zip(edges[:-1:2], edges[1::2], strict=False)
    ]
    base = np.full(-(-1050 // width) * width, np.nan)
    for _, a, b, value in values:
        base[a:b] = np.float32(value)
    by_bin = base.reshape(-1, width)
    covered = np.isfinite(by_bin).sum(1)
    path = write(tmp_path_factory.mktemp("bw") / "a.bw", values, {"chr1": 1050})
    signal = open_track(path, "x", TOY).bins("chr1", width)
    size = np.minimum(width, 1050 - width * np.arange(len(covered)))
    assert np.allclose(signal.coverage, covered / size)
    inside = covered > 0
    assert np.allclose(signal.mean[inside], np.nansum(by_bin, 1)[inside] / covered[inside], atol=1e-6)
    assert np.isnan(signal.mean[~inside]).all()


def test_a_chromosome_of_full_length_is_exact(tmp_path):
    """2.5 million bins: the edges of bins stay where they are (against sums worked out with numpy)."""
    length = 248_956_422
    assembly = Assembly("large", {"chr1": length})
    starts = np.arange(0, length - 2003, 2003)
    values = np.random.default_rng(0).gamma(1, 5, len(starts)).astype(np.float32)
    path = write(
        tmp_path / "a.bw",
        (("chr1", s, s + 137, v) for s, v in zip(starts.tolist(), values.tolist(), strict=True)),
        {"chr1": length},
    )
    signal = open_track(path, "x", assembly).bins("chr1")
    covered, total = np.zeros(len(signal.mean)), np.zeros(len(signal.mean))
    for offset in range(137):
        np.add.at(covered, (starts + offset) // 100, 1)
        np.add.at(total, (starts + offset) // 100, values)
    inside = covered > 0
    assert np.allclose(signal.coverage[:-1], covered[:-1] / 100)
    assert np.allclose(signal.mean[inside], total[inside] / covered[inside], rtol=1e-5)
    assert np.isnan(signal.mean[~inside]).all()


def test_names_meet_the_assembly(tmp_path):
    path = write(tmp_path / "a.bw", [("1", 0, 1050, 3.0)], {"1": 1050})
    track = open_track(path, "x", TOY)
    assert track.chromosomes == ("chr1",)
    assert (track.bins("1").mean == 3).all()
    assert (track.bins("chr1").coverage == 1).all()


@pytest.mark.parametrize("name", ["a.bigwig", "a.BW", "a.bigWig", "signal"])
def test_any_file_name(tmp_path, name):
    write(tmp_path / "a.bw", VALUES, {"chr1": 1050, "chr2": 500}).rename(tmp_path / name)
    assert open_track(tmp_path / name, "x", TOY).bins("chr2").mean[-1] == 7


def test_a_chromosome_that_is_not_there(track):
    with pytest.raises(ChromosomeError, match="has no chr3; it has chr1, chr2"):
        track.bins("chr3")
    with pytest.raises(ChromosomeError, match="no chromosome of toy"):
        track.bins("chr9")
    with pytest.raises(ConfigError, match="bin width"):
        track.bins("chr1", 0)


def test_another_assembly(track):
    with pytest.raises(AssemblyError, match="chr1 is 1,050 bp long, but 1,051 bp in other"):
        open_track(track.path, "x", Assembly("other", {"chr1": 1051}))
    with pytest.raises(AssemblyError, match="chr1 is 1,050 bp long, but 248,956,422 bp in hg38"):
        open_track(track.path, "x", "hg38")


def test_what_is_no_bigwig(tmp_path):
    (tmp_path / "text.bw").write_text("chr1\t0\t100\t3\n")
    (tmp_path / "empty.bw").touch()
    (tmp_path / "short.bw").write_bytes(b"\x26\xfc\x8f\x88")
    for name, said in (
        ("text.bw", "is no bigWig file"),
        ("empty.bw", "is empty"),
        ("short.bw", "truncated"),
        ("none.bw", "no such file"),
        ("", "is a directory"),
    ):
        with pytest.raises(FileFormatError, match=said):
            open_track(tmp_path / name, "x", TOY)


def test_truncated_and_damaged_files(tmp_path, track):
    with open(track.path, "rb") as file:
        whole = file.read()
    path = tmp_path / "b.bw"
    for end in (30, 64, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(FileFormatError, match="truncated"):
            open_track(path, "x", TOY)
    tree = int.from_bytes(whole[8:16], "little")
    for damaged in (
        whole[:8] + b"\xff" * 24 + whole[32:],  # where the parts lie
        whole[:tree] + b"\0" * 32 + whole[tree + 32 :],  # the chromosome names
    ):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="damaged") as error:
            open_track(path, "x", TOY).bins("chr1")
        assert str(path) in str(error.value)


@pytest.mark.real_data
def test_damaged_data_blocks(tmp_path, real_data):
    whole = (real_data / "k562_chr22_hg38" / "K562.ATAC.bw").read_bytes()
    path = tmp_path / "a.bw"
    path.write_bytes(whole[:40_000] + b"\xa5" * 5000 + whole[45_000:])
    with pytest.raises(FileFormatError, match="damaged"):
        open_track(path, "x", "hg38").bins("chr22")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "chrom", "assembly"),
    [
        ("k562_chr22_hg38/K562.ATAC.bw", "chr22", "hg38"),
        ("k562_chr22_hg38/K562.expression_at_TSS.bw", "chr22", "hg38"),
        ("gm12878_chr20_hg19/GM12878.H3K36me3.counts10kb.bw", "chr20", "hg19"),
        ("gm12878_chr21_hichip_hg38/GM12878.CTCF.bw", "chr21", "hg38"),
    ],
)
def test_equal_to_pybigwig(real_data, name, chrom, assembly):
    signal = open_track(real_data / name, "x", assembly).bins(chrom)
    with pyBigWig.open(str(real_data / name)) as file:
        base = file.values(chrom, 0, file.chroms(chrom), numpy=True).astype(np.float64)
    size = np.full(-(-len(base) // 100), 100)
    size[-1] = len(base) - 100 * (len(size) - 1)
    base = np.append(base, np.full(100 * len(size) - len(base), np.nan)).reshape(-1, 100)
    covered = np.isfinite(base).sum(1)
    assert 0 < (covered == 0).sum() < len(covered)
    assert np.allclose(signal.coverage, covered / size)
    assert np.array_equal(np.isnan(signal.mean), covered == 0)
    inside = covered > 0
    assert np.allclose(signal.mean[inside], np.nansum(base[inside], 1) / covered[inside], rtol=1e-5)
