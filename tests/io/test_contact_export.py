import warnings

import numpy as np
import pytest

from chromweave.analysis.reference import cooltools_module
from chromweave.errors import AssemblyError, ChromosomeError, ConfigError, DataError, OutputError
from chromweave.genome import Assembly
from chromweave.io.contact_export import (
    PREDICTED,
    ComputedMap,
    assembly_of_predicted,
    write_cool,
    write_predicted_mcool,
)
from chromweave.io.contacts import open_contacts

FINE = 5_000
# The last bins are short; chr2 is never predicted.
TOY = Assembly("toy", {"chr1": 302_000, "chr2": 52_000, "chr3": 201_000})
METADATA = {"model": "m", "max_distance": 150_000, "chromosomes": ["chr1", "chr3"]}


def predicted(chrom, seed=0, diagonals=30, masked=(7, 8, 9, 20)):
    """A band of values that fall with distance, some bins without a prediction."""
    n = -(-TOY.length(chrom) // FINE)
    rng = np.random.default_rng(seed)
    bin1, bin2 = np.triu_indices(n)
    valid = np.ones(n, bool)
    valid[list(masked)] = False
    keep = (bin2 - bin1 < diagonals) & valid[bin1] & valid[bin2]
    bin1, bin2 = bin1[keep], bin2[keep]
    return ComputedMap(bin1, bin2, rng.gamma(3, 10, keep.sum()) / (1 + bin2 - bin1), valid)


MAPS = {"chr3": predicted("chr3", 1), "chr1": predicted("chr1", 2)}


def dense(found):
    square = np.zeros((len(found.valid),) * 2)
    square[found.bin1, found.bin2] = square[found.bin2, found.bin1] = found.value
    square[~found.valid] = square[:, ~found.valid] = np.nan
    return square


@pytest.fixture(scope="module")
def mcool(tmp_path_factory):
    path = tmp_path_factory.mktemp("predicted") / "p.mcool"
    write_predicted_mcool(path, MAPS, TOY, [10_000, FINE, 20_000], metadata=METADATA)
    return path


def cooler_at(path, resolution=FINE):
    import cooler

    return cooler.Cooler(f"{path}::resolutions/{resolution}")


def test_cooler_reads_the_values_and_the_mask(mcool):
    import cooler

    assert cooler.fileops.list_coolers(str(mcool)) == [f"/resolutions/{r}" for r in (5_000, 10_000, 20_000)]
    found = cooler_at(mcool)
    assert dict(found.chromsizes) == dict(TOY.chromosomes)
    assert found.pixels().dtypes["count"] == np.float64
    assert found.info["genome-assembly"] == "toy"
    for chrom, given in MAPS.items():
        np.testing.assert_array_equal(found.matrix(balance=True).fetch(chrom), dense(given))
    weight = found.bins().fetch("chr2")["weight"]
    assert len(weight) == 11
    assert weight.isna().all(), "a chromosome that was not predicted is masked"


@pytest.mark.parametrize("resolution", [5_000, 10_000, 20_000])
def test_metadata_is_with_every_resolution(mcool, resolution):
    assert cooler_at(mcool, resolution).info["metadata"] == METADATA


@pytest.mark.parametrize("resolution", [10_000, 20_000])
def test_coarser_resolutions_are_sums_within_chromosomes(mcool, resolution):
    found, factor = cooler_at(mcool, resolution), resolution // FINE
    for chrom, given in MAPS.items():
        n = -(-len(given.valid) // factor)
        expected = np.zeros((n, n))
        np.add.at(expected, (given.bin1 // factor, given.bin2 // factor), given.value)
        expected = np.triu(expected) + np.triu(expected, 1).T
        np.testing.assert_allclose(found.matrix(balance=False).fetch(chrom), expected, rtol=1e-12)
        valid = [given.valid[i * factor : (i + 1) * factor].any() for i in range(n)]
        np.testing.assert_array_equal(np.isfinite(found.bins().fetch(chrom)["weight"]), valid)


def test_a_coarse_bin_is_masked_only_where_nothing_in_it_was_predicted(mcool):
    weight = cooler_at(mcool, 10_000).bins().fetch("chr1")["weight"].to_numpy()
    # Fine bins 7, 8, 9 and 20 are masked: 8 and 9 fill coarse bin 4; 3 and 10 have a valid half.
    assert np.flatnonzero(np.isnan(weight)).tolist() == [4]
    assert set(weight[np.isfinite(weight)]) == {1.0}


def test_cooltools_takes_it_as_a_balanced_map(mcool):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' and numpy's, inside cooltools
        table = cooltools_module("api.expected").expected_cis(
            cooler_at(mcool), smooth=False, aggregate_smoothed=False
        )
        insulation = cooltools_module("api.insulation").insulation(cooler_at(mcool), [25_000])
    square = dense(MAPS["chr1"])
    row = table[(table["region1"] == "chr1") & (table["dist"] == 4)].iloc[0]
    assert row["balanced.avg"] == pytest.approx(np.nanmean(np.diagonal(square, 4)))
    assert row["n_valid"] == np.isfinite(np.diagonal(square, 4)).sum()
    scores = insulation[insulation["chrom"] == "chr1"]
    assert scores["is_bad_bin"].to_numpy().nonzero()[0].tolist() == [7, 8, 9, 20]
    assert scores["log2_insulation_score_25000"].notna().sum() > 50
    assert insulation.loc[insulation["chrom"] == "chr2", "is_bad_bin"].all()


def test_our_reader_takes_it_for_a_map_of_float_counts(mcool):
    source = open_contacts(mcool, TOY)
    assert source.resolutions == (5_000, 10_000, 20_000)
    assert source.with_contacts == ("chr1", "chr3")
    assert source.weight_names(FINE) == ("weight",)
    pixels = source.counts("chr1", FINE)
    assert pixels.count.dtype == np.float64
    np.testing.assert_array_equal(pixels.count, MAPS["chr1"].value)
    weight = source.weight("chr1", FINE, "weight", pixels=pixels)
    assert weight.origin == "multiplicative"
    np.testing.assert_array_equal(np.isfinite(weight.values), MAPS["chr1"].valid)


def test_it_goes_through_a_store_and_comes_back(mcool, tmp_path):
    from chromweave.data.build import build

    store = build(
        tmp_path / "p.store", contacts=mcool, resolutions=[FINE], assembly=TOY, max_distance=150_000
    )
    assert store.chromosomes == ("chr1", "chr3")
    for chrom, given in MAPS.items():
        layer = store.layer(chrom, FINE)
        np.testing.assert_array_equal(layer.valid(), given.valid)
        back, expected = layer.dense(weight="default"), dense(given)
        inside = np.abs(np.subtract.outer(*[np.arange(len(expected))] * 2)) < 30
        np.testing.assert_allclose(back[inside], expected[inside], rtol=1e-6)


def small(path, assembly=TOY, **metadata):
    """Chromosome 3 alone; all of the assembly's are in the bin table."""
    write_predicted_mcool(path, {"chr3": MAPS["chr3"]}, assembly, [FINE, 10_000], metadata=metadata)
    return path


def test_the_assembly_is_in_the_file(tmp_path):
    path = small(tmp_path / "p.mcool", kind=PREDICTED)
    for source in (path, f"{path}::resolutions/10000"):
        found = assembly_of_predicted(source)
        assert found == TOY
        assert list(found.chromosomes) == list(TOY.chromosomes)


def test_only_of_a_predicted_map_the_assembly_is_taken_from_the_file(tmp_path):
    assert assembly_of_predicted(small(tmp_path / "other.mcool", kind="merged maps")) is None
    assert assembly_of_predicted(small(tmp_path / "bare.mcool")) is None
    known = Assembly("hg38", dict(TOY.chromosomes))  # whose lengths are others
    assert assembly_of_predicted(small(tmp_path / "known.mcool", known, kind=PREDICTED)) is None
    (tmp_path / "a.hic").write_bytes(b"HIC\0\5\0\0\0")
    assert assembly_of_predicted(tmp_path / "a.hic") is None


def test_a_store_of_a_predicted_map_has_the_assembly_of_the_map(tmp_path, heard):
    from chromweave.data.build import build

    path = small(tmp_path / "p.mcool", kind=PREDICTED)
    store = build(tmp_path / "p.store", contacts=path, resolutions=[FINE], max_distance=150_000)
    assert (store.assembly, store.chromosomes) == (TOY, ("chr3",))
    assert f"{path}: is a predicted map, and of the assembly toy of the store it was predicted for." in heard
    other = Assembly("other", {"chr3": 201_001})
    with pytest.raises(AssemblyError, match="chr3 is 201,000 bp long, but 201,001 bp in other"):
        build(tmp_path / "q.store", contacts=path, resolutions=[FINE], assembly=other)
    with pytest.raises(AssemblyError, match=r"bare\.mcool: the assembly is not recognised"):
        build(tmp_path / "q.store", contacts=small(tmp_path / "bare.mcool"), resolutions=[FINE])


def test_chromosomes_one_at_a_time_and_in_any_pixel_order(mcool, tmp_path):
    shuffle = np.random.default_rng(0).permutation(len(MAPS["chr1"].value))
    mixed = (*(each[shuffle] for each in MAPS["chr1"][:3]), MAPS["chr1"].valid)
    pairs = (pair for pair in [("1", mixed), ("chr3", MAPS["chr3"])])
    write_predicted_mcool(tmp_path / "p.mcool", pairs, TOY, [FINE])
    found, before = (cooler_at(path).pixels()[:] for path in (tmp_path / "p.mcool", mcool))
    assert found.equals(before)


def test_pixels_of_zero_are_not_kept(tmp_path):
    given = ComputedMap(np.array([0, 0]), np.array([0, 1]), np.array([0.0, 2.5]), np.ones(61, bool))
    write_predicted_mcool(tmp_path / "p.mcool", {"chr1": given}, TOY, [FINE])
    assert cooler_at(tmp_path / "p.mcool").pixels()[:]["count"].tolist() == [2.5]


def test_a_difference_may_be_negative_and_is_no_map_of_counts(tmp_path):
    import cooler

    given = MAPS["chr3"]._replace(value=MAPS["chr3"].value - 5)
    write_cool(tmp_path / "d.cool", {"chr3": given}, TOY, FINE, metadata={"what": "after - before"})
    found = cooler.Cooler(str(tmp_path / "d.cool"))
    assert found.info["metadata"] == {"what": "after - before"}
    assert found.binsize == FINE
    np.testing.assert_array_equal(found.matrix(balance=True).fetch("chr3"), dense(given))
    with pytest.raises(DataError, match="negative contacts on chr3"):
        open_contacts(tmp_path / "d.cool", TOY).counts("chr3", FINE)


def changed(**parts):
    return {"chr1": MAPS["chr1"]._replace(**parts)}


ONE = np.array([1])


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (changed(valid=np.ones(60, bool)), r"each of its 61 bins of 5,000 bp in toy, .* shape \(60,\)"),
        (changed(valid=np.ones(61)), "`valid` is float64"),
        (changed(bin1=ONE), r"different lengths \(bin1 \(1,\)"),
        (changed(bin1=ONE * 3, bin2=ONE, value=ONE), "bin1 <= bin2 must hold"),
        (changed(bin1=ONE, bin2=ONE * 61, value=ONE), "outside the upper triangle of 61 bins"),
        (changed(bin1=ONE, bin2=ONE * 7, value=ONE), "on bins that are not valid"),
        (changed(bin1=ONE, bin2=ONE, value=ONE * np.nan), "no numbers"),
        (changed(bin1=ONE, bin2=ONE, value=-ONE), "below 0; .* written by write_cool"),
        (changed(bin1=np.ones(2), bin2=np.ones(2), value=np.ones(2)), "a pixel twice"),
        ({}, "no chromosome has a valid bin"),
        (iter([("chr3", MAPS["chr3"]), ("chr1", MAPS["chr1"])]), "chr1 comes after that of chr3"),
    ],
)
def test_impossible_maps(maps, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write_predicted_mcool(tmp_path / "p.mcool", maps, TOY, [FINE])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("resolutions", "message"),
    [([], "needs resolutions"), ([0], "all above 0"), ([FINE, 12_000], "12,000 bp is no multiple")],
)
def test_impossible_resolutions(resolutions, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        write_predicted_mcool(tmp_path / "p.mcool", MAPS, TOY, resolutions)


def test_unknown_chromosome(tmp_path):
    with pytest.raises(ChromosomeError, match="chrX"):
        write_cool(tmp_path / "d.cool", {"chrX": MAPS["chr1"]}, TOY, FINE)


def test_a_directory_in_the_way(tmp_path):
    with pytest.raises(OutputError, match="is a directory"):
        write_predicted_mcool(tmp_path, MAPS, TOY, [FINE])
