import warnings

import numpy as np
import pytest

from chromweave.errors import BalancingError, DataError
from chromweave.io.balancing import ice, ice_cis
from chromweave.io.contacts import open_contacts
from chromweave.io.pixels import Pixels


def by_cooler(uri, **options):
    """The weights of ``cooler balance --cis-only``, genome-wide."""
    import cooler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty chromosome makes cooler take the mean of nothing
        return cooler.balance_cooler(cooler.Cooler(uri), cis_only=True, **options)[0]


def assert_equal(ours, theirs):
    ours = np.concatenate([weight.values for weight in ours.values()])
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.isfinite(theirs).sum() > 10
    inside = np.isfinite(theirs)
    assert np.abs(ours[inside] / theirs[inside] - 1).max() < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ignore_diags": 0},
        {"ignore_diags": 1, "rescale_marginals": False},
        {"mad_max": 2},
        {"mad_max": 0, "min_nnz": 0},
        {"min_count": 150, "min_nnz": 30, "tol": 1e-8, "max_iters": 500},
    ],
    ids=str,
)
def test_equal_to_cooler_on_several_chromosomes(cool_file, maps, options):
    # the third chromosome has two bins, all filtered out; contacts between chromosomes count for nothing
    assert_equal(ice_cis(maps, **options), by_cooler(cool_file, **options))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "resolution"),
    [
        ("gm12878_imr90_chr21_22_hg19/IMR90_HIC050.mcool", 40_000),
        ("gm12878_chr21_22_hg38_50kb/GM12878.mcool", 50_000),
        ("k562_chr22_hg38/K562.chr22.mcool", 100_000),
    ],
)
def test_equal_to_cooler_on_real_maps(real_data, name, resolution):
    source = open_contacts(real_data / name)
    pixels = {chrom: source.counts(chrom, resolution) for chrom in source.chromosomes}
    assert_equal(ice_cis(pixels), by_cooler(f"{real_data / name}::/resolutions/{resolution}"))


def test_the_filter_looks_at_all_chromosomes_together(maps):
    together, alone = ice_cis(maps)["chr1"], ice(maps["chr1"])
    assert together.name == alone.name == "weight"
    assert together.origin == "computed"
    both = np.isfinite(together.values) & np.isfinite(alone.values)
    assert both.sum() > 150
    assert np.allclose(together.values[both], alone.values[both], rtol=0.05)


def test_rows_sum_to_one_and_planted_empty_bins_are_masked(maps):
    weight = ice(maps["chr1"])
    sums = maps["chr1"].row_sums(weight.values, ignore_diags=2)
    inside = np.isfinite(weight.values)
    assert np.allclose(sums[inside], 1, atol=0.02)
    assert not inside[10:13].any()
    assert not inside[40]


def test_a_matrix_balanced_by_hand():
    # [[2, 4], [4, 8]] = outer(b, b) * 2 with b = (1, 2): weights 1/2, 1/4 make every entry 1/2, rows 1
    pixels = Pixels(np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), np.array([2, 4, 8]), 2, 1)
    weight = ice(pixels, ignore_diags=0, min_nnz=0, mad_max=0, tol=1e-20)
    assert weight.values.tolist() == pytest.approx([0.5, 0.25])


def test_no_convergence_is_an_error_with_the_variance_reached(maps):
    with pytest.raises(
        BalancingError, match=r"chr1 did not converge: after 2 rounds .* variance of .*max_iters"
    ):
        ice_cis(maps, max_iters=2)


def test_a_chromosome_without_usable_bins_gets_nan(maps):
    weights = ice_cis({"chr1": maps["chr1"], "chrM": maps["chrM"]})
    assert np.isnan(weights["chrM"].values).all()
    assert np.isfinite(weights["chr1"].values).any()


def test_the_pixels_are_left_as_they_were(maps):
    before = maps["chr2"].count.copy(), maps["chr2"].bin2.copy()
    ice(maps["chr2"])
    assert np.array_equal(before[0], maps["chr2"].count)
    assert np.array_equal(before[1], maps["chr2"].bin2)


def test_nothing_to_balance():
    with pytest.raises(DataError, match="no chromosome"):
        ice_cis({})
