import cooler
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.genome import Assembly
from chromweave.sim.contacts import Counts, HiCLibrary
from chromweave.sim.maps import coarsen, write_mcool
from chromweave.sim.polymer import Polymer, expected_contacts


def test_coarsening_by_hand():
    # bins 0..5, two to a coarse bin
    counts = Counts(np.array([0, 0, 1, 2, 4]), np.array([0, 1, 5, 3, 5]), np.array([1, 2, 3, 4, 5], np.int32))
    summed = coarsen(counts, 2, 3)
    assert list(zip(summed.bin1, summed.bin2, summed.count, strict=True)) == [
        (0, 0, 3), (0, 2, 3), (1, 1, 4), (2, 2, 5),
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_coarsening_equals_dense_sums(seed, factor):
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.poisson(0.3, (30, 30)))
    bin1, bin2 = np.nonzero(matrix)
    n_coarse = -(-30 // factor)
    summed = coarsen(Counts(bin1, bin2, matrix[bin1, bin2].astype(np.int32)), factor, n_coarse)
    truth = np.zeros((n_coarse, n_coarse), int)
    np.add.at(truth, (bin1 // factor, bin2 // factor), matrix[bin1, bin2])
    found = np.zeros_like(truth)
    found[summed.bin1, summed.bin2] = summed.count
    np.testing.assert_array_equal(found, truth)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two chromosomes of 1.003 and 0.6 Mb at 5, 10 and 25 kb, ICE included."""
    assembly = Assembly("made-up", {"chr1": 1_003_000, "chr2": 600_000})
    libraries = {}
    for chrom, length in assembly.chromosomes.items():
        n_bins = -(-length // 5_000)
        expected = expected_contacts(None, np.zeros(n_bins), 5_000, 300_000, Polymer())
        libraries[chrom] = HiCLibrary(expected, np.ones(n_bins), 500_000.0, length, 1, 0, chrom)
    path = tmp_path_factory.mktemp("maps") / "x.mcool"
    write_mcool(path, libraries, assembly, (5_000, 10_000, 25_000), balance=True, metadata={"seed": 0})
    return path, libraries


def test_the_file_is_an_mcool_that_says_what_it_is(written):
    path, _ = written
    assert cooler.fileops.is_multires_file(str(path))
    assert cooler.fileops.list_coolers(str(path)) == [
        "/resolutions/5000", "/resolutions/10000", "/resolutions/25000",
    ]  # fmt: skip
    for resolution in (5_000, 10_000, 25_000):
        contact_map = cooler.Cooler(f"{path}::resolutions/{resolution}")
        assert contact_map.info["genome-assembly"] == "made-up"
        assert contact_map.info["metadata"] == {"seed": 0}
        assert contact_map.binsize == resolution
        assert contact_map.bins()[:]["weight"].notna().mean() > 0.7
        assert dict(contact_map.chromsizes) == {"chr1": 1_003_000, "chr2": 600_000}


def test_every_resolution_sums_the_finest(written):
    path, libraries = written
    fine = cooler.Cooler(f"{path}::resolutions/5000").matrix(balance=False)
    for chrom in libraries:
        total = np.triu(fine.fetch(chrom)).sum()
        assert total > 0
        for resolution in (10_000, 25_000):
            coarse = cooler.Cooler(f"{path}::resolutions/{resolution}").matrix(balance=False).fetch(chrom)
            factor = resolution // 5_000
            index = np.arange(len(fine.fetch(chrom))) // factor
            truth = np.zeros_like(coarse)
            np.add.at(truth, (index[:, None], index[None, :]), np.triu(fine.fetch(chrom)))
            np.testing.assert_array_equal(np.triu(coarse), truth)


def test_contacts_stay_within_chromosomes(written):
    path, _ = written
    pixels = cooler.Cooler(f"{path}::resolutions/5000").pixels(join=True)[:]
    assert (pixels["chrom1"].astype(str) == pixels["chrom2"].astype(str)).all()
    assert set(pixels["chrom1"].astype(str)) == {"chr1", "chr2"}
