import pickle

import h5py
import hictkpy
import numpy as np
import pytest

from chromweave.errors import (
    AssemblyError,
    ChromosomeError,
    ChromweaveError,
    DataError,
    FileFormatError,
    ResolutionError,
    WeightError,
)
from chromweave.genome import Assembly
from chromweave.io.balancing import ice_cis
from chromweave.io.contacts import open_contacts

from .conftest import RESOLUTION, genome_table, write_cool

HIC = "gm12878_chr21_hichip_hg38/GM12878.cohesin_HiChIP.hic"
MCOOL = "k562_chr22_hg38/K562.chr22.mcool"


def assert_same(ours, expected):
    assert np.array_equal(ours.bin1, expected.bin1)
    assert np.array_equal(ours.bin2, expected.bin2)
    assert np.array_equal(ours.count, expected.count)
    assert (ours.n_bins, ours.resolution) == (expected.n_bins, expected.resolution)


@pytest.fixture(scope="module")
def hic_file(tmp_path_factory, toy, maps, trans):
    """The toy maps as .hic version 9, chromosomes called 1, 2 and MT."""
    file = str(tmp_path_factory.mktemp("hic") / "toy.hic")
    lengths = {"1": 2_003_000, "2": 1_500_000, "MT": 16_569}
    writer = hictkpy.hic.FileWriter(file, lengths, [RESOLUTION, 5 * RESOLUTION], assembly="toy")
    writer.add_pixels(genome_table(maps, trans).astype({"count": float}))
    writer.finalize()
    return file


@pytest.fixture(scope="module")
def columns(maps):
    """Bin columns of every kind, made from the right (multiplicative) weights."""
    weight = np.concatenate([w.values for w in ice_cis(maps).values()])
    partial = weight.copy()
    partial[201:] = np.nan
    return {
        "weight": weight,
        "KR": 1 / weight,
        "SCALE": 1 / weight,
        "partial": partial,
        "GC": np.full(len(weight), 0.4),
        "wrong": weight,
    }


@pytest.fixture(scope="module")
def balanced_file(tmp_path_factory, toy, maps, columns):
    file = write_cool(
        tmp_path_factory.mktemp("cool") / "balanced.cool", dict(toy.chromosomes), maps, columns=columns
    )
    with h5py.File(file, "r+") as handle:
        handle["bins/SCALE"].attrs["divisive_weights"] = True
        handle["bins/wrong"].attrs["divisive_weights"] = True
        handle["bins/partial"].attrs["divisive_weights"] = False
    return file


# -- counts ---------------------------------------------------------------------------------------------


def test_counts_of_a_cool(cool_file, toy, maps):
    source = open_contacts(cool_file, toy)
    assert source.resolutions == (RESOLUTION,)
    assert source.chromosomes == ("chr1", "chr2", "chrM")
    for chrom in source.chromosomes:
        pixels = source.counts(chrom, RESOLUTION)
        assert_same(pixels, maps[chrom])  # contacts between chromosomes are not there
        assert pixels.count.dtype == np.int32


def test_counts_of_a_hic_of_version_9_with_other_names(hic_file, toy, maps):
    assert hictkpy.File(hic_file, RESOLUTION).attributes()["format-version"] == 9
    source = open_contacts(hic_file, toy)
    assert source.resolutions == (RESOLUTION, 5 * RESOLUTION)
    assert source.chromosomes == ("chr1", "chr2", "chrM")
    for chrom in source.chromosomes:
        assert_same(source.counts(chrom, RESOLUTION), maps[chrom])
    assert_same(source.counts("MT", RESOLUTION), maps["chrM"])
    assert source.counts("chr1", 5 * RESOLUTION).count.sum() == maps["chr1"].count.sum()
    assert source.weight_names(RESOLUTION) == ()


@pytest.mark.parametrize("kind", ["cool", "hic"])
@pytest.mark.parametrize("distance", [1, 10_000, 99_999, 100_000, 5_000_000])
def test_a_band(cool_file, hic_file, toy, maps, kind, distance):
    source = open_contacts(cool_file if kind == "cool" else hic_file, toy)
    assert_same(source.counts("chr1", RESOLUTION, distance), maps["chr1"].within(distance))


def test_float_counts_stay_floats(tmp_path, toy, maps):
    halves = {
        chrom: type(p)(p.bin1, p.bin2, p.count / 2, p.n_bins, p.resolution) for chrom, p in maps.items()
    }
    file = write_cool(tmp_path / "half.cool", dict(toy.chromosomes), halves, dtype=np.float64)
    pixels = open_contacts(file, toy).counts("chr2", RESOLUTION)
    assert pixels.count.dtype == np.float64
    assert np.array_equal(pixels.count, maps["chr2"].count / 2)


def test_counts_beyond_32_bits(tmp_path, toy, maps):
    large = {
        chrom: type(p)(p.bin1, p.bin2, p.count + np.int64(2**33), p.n_bins, p.resolution)
        for chrom, p in maps.items()
    }
    file = write_cool(tmp_path / "large.cool", dict(toy.chromosomes), large, dtype=np.int64)
    assert_same(open_contacts(file, toy).counts("chr2", RESOLUTION), large["chr2"])


def test_a_cooler_uri_and_an_mcool(tmp_path, toy, maps):
    file = tmp_path / "a.mcool"
    write_cool(f"{file}::/resolutions/10000", dict(toy.chromosomes), maps)
    with h5py.File(file, "r+") as handle:
        handle.attrs.update({"format": "HDF5::MCOOL", "format-version": 2})
    for path in (file, f"{file}::/resolutions/10000"):
        assert_same(open_contacts(path, toy).counts("chr1", RESOLUTION), maps["chr1"])


def test_names_without_chr_meet_the_assembly(tmp_path, maps, toy):
    lengths = {"1": 2_003_000, "2": 1_500_000, "MT": 16_569}
    source = open_contacts(write_cool(tmp_path / "a.cool", lengths, maps), toy)
    assert source.chromosomes == ("chr1", "chr2", "chrM")
    for name in ("chr2", "2"):
        assert_same(source.counts(name, RESOLUTION), maps["chr2"])


def test_one_chromosome_and_an_unknown_contig(tmp_path, toy, maps):
    contig = type(maps["chrM"])(*(np.zeros(1, np.int32),) * 2, np.ones(1, np.int32), 1, RESOLUTION)
    file = write_cool(
        tmp_path / "a.cool", {"chrUn": 7000, "chr2": 1_500_000}, {"chrUn": contig, "chr2": maps["chr2"]}
    )
    source = open_contacts(file, toy)
    assert source.chromosomes == source.with_contacts == ("chr2",)
    assert_same(source.counts("chr2", RESOLUTION), maps["chr2"])


def test_it_pickles(balanced_file, toy, maps):
    source = open_contacts(balanced_file, toy)
    source.counts("chr1", RESOLUTION)
    again = pickle.loads(pickle.dumps(source))
    assert_same(again.counts("chr1", RESOLUTION), maps["chr1"])
    assert again.assembly == toy


# -- weights --------------------------------------------------------------------------------------------


def test_weights_that_are_known_or_declared_are_listed(balanced_file, toy):
    names = open_contacts(balanced_file, toy).weight_names(RESOLUTION)
    assert set(names) == {"weight", "KR", "SCALE", "partial", "wrong"}


@pytest.mark.parametrize("chrom", ["chr1", "chr2"])
@pytest.mark.parametrize(
    ("name", "origin"), [("weight", "multiplicative"), ("KR", "divisive"), ("SCALE", "divisive")]
)
def test_every_vector_comes_out_multiplicative(balanced_file, toy, columns, chrom, name, origin):
    found = open_contacts(balanced_file, toy).weight(chrom, RESOLUTION, name)
    expected = columns["weight"][:201] if chrom == "chr1" else columns["weight"][201:351]
    assert np.allclose(found.values, expected, equal_nan=True)
    assert (found.name, found.origin) == (name, origin)


def test_a_declaration_the_data_contradicts(balanced_file, toy):
    source = open_contacts(balanced_file, toy)
    with pytest.raises(WeightError, match=r"'wrong' are divisive \(the file says\), but row sums"):
        source.weight("chr1", RESOLUTION, "wrong")
    assert source.weight("chr1", RESOLUTION, "wrong", "multiplicative").origin == "multiplicative"


def test_weights_that_are_not_there(balanced_file, cool_file, toy):
    with pytest.raises(WeightError, match=r"has no weights 'VC' at 10,000 bp; it has .*KR"):
        open_contacts(balanced_file, toy).weight("chr1", RESOLUTION, "VC")
    with pytest.raises(WeightError, match="it has nothing"):
        open_contacts(cool_file, toy).weight("chr1", RESOLUTION, "weight")


def test_a_vector_without_a_value_on_one_chromosome(balanced_file, toy):
    source = open_contacts(balanced_file, toy)
    assert source.weight("chr1", RESOLUTION, "partial").origin == "multiplicative"
    with pytest.raises(WeightError, match=r"'partial' have no value on chr2 .* KR, SCALE, weight"):
        source.weight("chr2", RESOLUTION, "partial")


# -- bad input ------------------------------------------------------------------------------------------


def test_resolutions_are_listed(hic_file, toy):
    source = open_contacts(hic_file, toy)
    for call in (source.counts, lambda c, r: source.weight(c, r, "KR"), lambda c, r: source.weight_names(r)):
        with pytest.raises(ResolutionError, match="no resolution of 5,000 bp; it has 10,000, 50,000"):
            call("chr1", 5000)


def test_chromosomes_are_listed(tmp_path, toy, maps):
    source = open_contacts(write_cool(tmp_path / "a.cool", {"chr2": 1_500_000}, {"chr2": maps["chr2"]}), toy)
    with pytest.raises(ChromosomeError, match="has no chr1; it has chr2"):
        source.counts("chr1", RESOLUTION)
    with pytest.raises(ChromosomeError, match="'chr9' is no chromosome of toy"):
        source.counts("chr9", RESOLUTION)


def test_a_chromosome_without_contacts(tmp_path, toy, maps):
    nothing = type(maps["chr1"])(*(np.empty(0, np.int32),) * 3, 201, RESOLUTION)
    file = write_cool(tmp_path / "a.cool", dict(toy.chromosomes), maps | {"chr1": nothing})
    source = open_contacts(file, toy)
    assert source.with_contacts == ("chr2", "chrM")
    with pytest.raises(DataError, match=r"no contact within chr1 at 10,000 bp; .* chr2, chrM"):
        source.counts("chr1", RESOLUTION)


def test_an_empty_map(tmp_path, toy, maps, trans):
    nothing = {
        chrom: type(p)(*(np.empty(0, np.int32),) * 3, p.n_bins, RESOLUTION) for chrom, p in maps.items()
    }
    file = write_cool(tmp_path / "a.cool", dict(toy.chromosomes), nothing, trans=trans)
    for call in (lambda s: s.with_contacts, lambda s: s.counts("chr1", RESOLUTION)):
        with pytest.raises(DataError, match="the map is empty"):
            call(open_contacts(file, toy))


def test_another_assembly(cool_file):
    other = Assembly("other", {"chr1": 2_003_001})
    with pytest.raises(AssemblyError, match="chr1 is 2,003,000 bp long, but 2,003,001 bp in other"):
        open_contacts(cool_file, other)
    with pytest.raises(AssemblyError, match=r"no chromosome of x in it; it has chr1, chr2, chrM"):
        open_contacts(cool_file, Assembly("x", {"chrX": 5}))
    with pytest.raises(AssemblyError, match=r"not recognised .*chr1 2,003,000.* give its name"):
        open_contacts(cool_file)


def test_what_is_no_contact_map(tmp_path):
    (tmp_path / "a.hic").write_text("chr1\t0\t100\n")
    (tmp_path / "old.hic").write_bytes(b"HIC\0\5\0\0\0" + bytes(100))
    (tmp_path / "empty.cool").touch()
    with h5py.File(tmp_path / "other.h5", "w") as handle:
        handle["x"] = [1]
    for name, said in (
        ("a.hic", "is no contact map; .hic, .cool or .mcool is needed"),
        ("old.hic", "is a .hic file of version 5; versions 6 to 9 are read"),
        ("empty.cool", "is empty"),
        ("other.h5", "begins as an HDF5 file"),
        ("none.cool", "no such file"),
        ("", "is a directory"),
    ):
        with pytest.raises(FileFormatError, match=said):
            open_contacts(tmp_path / name, "hg38")


def test_variable_bins(tmp_path):
    import cooler
    import pandas as pd

    bins = pd.DataFrame({"chrom": "chr1", "start": [0, 10, 30], "end": [10, 30, 100]})
    pixels = pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [3]})
    cooler.create_cooler(str(tmp_path / "a.cool"), bins, pixels, ordered=True)
    with pytest.raises(FileFormatError, match="bins of one fixed size"):
        open_contacts(tmp_path / "a.cool", Assembly("x", {"chr1": 100}))


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_counts_that_are_none(tmp_path, toy, maps, value):
    bad = maps["chr1"].count.astype(float)
    bad[7] = value
    p = maps["chr1"]
    file = write_cool(
        tmp_path / "a.cool",
        dict(toy.chromosomes),
        maps | {"chr1": type(p)(p.bin1, p.bin2, bad, p.n_bins, p.resolution)},
        dtype=np.float64,
    )
    with pytest.raises(DataError, match=r"no numbers|negative contacts"):
        open_contacts(file, toy).counts("chr1", RESOLUTION)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "chrom"), [(HIC, "chr21"), (MCOOL, "chr22")])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.68])
def test_truncated_files(tmp_path, real_data, name, chrom, part):
    whole = (real_data / name).read_bytes()
    file = tmp_path / name.split("/")[-1]
    file.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FileFormatError, match="truncated") as error:
        open_contacts(file, "hg38").counts(chrom, 5000)
    assert str(file) in str(error.value)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "chrom"), [(HIC, "chr21"), (MCOOL, "chr22")])
def test_damaged_bytes_are_an_error_of_ours_or_harmless(tmp_path, real_data, name, chrom):
    whole = (real_data / name).read_bytes()
    file = tmp_path / name.split("/")[-1]
    refused = 0
    for start in range(10_000, len(whole) - 5000, len(whole) // 8):
        file.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        try:
            source = open_contacts(file, "hg38")
            for resolution in source.resolutions:
                source.counts(chrom, resolution)
                source.weight(chrom, resolution, source.weight_names(resolution)[0], "divisive")
        except ChromweaveError as error:
            refused += str(file) in str(error)
    assert refused >= 3


# -- real maps ------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_a_real_hic_has_juicers_kr(real_data):
    path = real_data / HIC
    source = open_contacts(path)
    assert source.assembly.name == "hg38"  # from the lengths
    assert source.with_contacts == ("chr21",)
    assert source.weight_names(5000) == ("KR", "VC", "VC_SQRT")
    pixels = source.counts("chr21", 5000)
    assert (pixels.n_bins, len(pixels), pixels.count.sum()) == (9342, 593_600, 1_031_294)
    weight = source.weight("chr21", 5000, "KR", pixels=pixels)
    # hictk's own balanced matrix is juicer's count / (v_i * v_j)
    juicer = hictkpy.File(str(path), 5000).fetch("chr21", normalization="KR", count_type="float64").to_coo()
    ours = pixels.count * weight.values[pixels.bin1] * weight.values[pixels.bin2]
    assert np.array_equal(np.isnan(ours), np.isnan(juicer.data))
    assert np.allclose(ours, juicer.data, rtol=1e-6, equal_nan=True)
    with pytest.raises(WeightError, match=r"'KR' have no value on chr1 at 5,000 bp; there are nothing"):
        source.weight("chr1", 5000, "KR")


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["KR", "VC", "VC_SQRT"])
def test_a_hic_and_a_cool_of_one_map_give_equal_balanced_values(tmp_path, real_data, name):
    """Written from the .hic by hictkpy, with juicer's divisive vector under its own name."""
    hic = open_contacts(real_data / HIC)
    file = str(tmp_path / "same.cool")
    handle = hictkpy.File(str(real_data / HIC), 25_000)
    writer = hictkpy.cooler.FileWriter(file, handle.chromosomes(), 25_000)
    offset = sum(-(-n // 25_000) for n in list(handle.chromosomes().values())[:21])
    pixels = hic.counts("chr21", 25_000)
    import pandas as pd

    writer.add_pixels(
        pd.DataFrame(
            {"bin1_id": pixels.bin1 + offset, "bin2_id": pixels.bin2 + offset, "count": pixels.count}
        )
    )
    writer.finalize()
    with h5py.File(file, "r+") as written:
        written["bins"][name] = handle.weights(name, divisive=True)
    cool = open_contacts(file)
    balanced = []
    for source in (hic, cool):
        counts, weight = source.counts("chr21", 25_000), source.weight("chr21", 25_000, name)
        assert weight.origin == "divisive"
        balanced.append(counts.count * weight.values[counts.bin1] * weight.values[counts.bin2])
    assert np.isfinite(balanced[0]).sum() > 100_000
    assert np.array_equal(*balanced, equal_nan=True)


@pytest.mark.real_data
@pytest.mark.parametrize("part", [0.7, 0.9, 0.999])
def test_a_hic_cut_in_its_vectors_gives_right_values_or_an_error(tmp_path, real_data, part):
    whole = (real_data / HIC).read_bytes()
    (tmp_path / "cut.hic").write_bytes(whole[: int(len(whole) * part)])
    intact, cut = open_contacts(real_data / HIC), open_contacts(tmp_path / "cut.hic")
    refused = 0
    for resolution in intact.resolutions:
        for name in intact.weight_names(resolution):
            try:
                found = cut.weight("chr21", resolution, name, "divisive").values
            except FileFormatError:
                refused += 1
                continue
            expected = intact.weight("chr21", resolution, name, "divisive").values
            assert np.array_equal(found, expected, equal_nan=True)
    assert refused >= 3
