import numpy as np
import pytest

from chromweave.errors import ConfigError, WeightError
from chromweave.io.balancing import ice
from chromweave.io.contacts import open_contacts
from chromweave.io.pixels import Pixels
from chromweave.io.weights import known_direction, resolve_weight


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((n, "divisive") for n in ("KR", "VC", "VC_SQRT", "SCALE", "GW_KR", "INTER_VC", "GW_SCALE", "kr")),
        *((n, "multiplicative") for n in ("weight", "ICE", "GW_ICE")),
        *((n, None) for n in ("GC", "my_weights", "KRAB", "")),
    ],
)
def test_direction_by_name(name, direction):
    assert known_direction(name) == direction


@pytest.fixture(scope="module")
def balanced(maps):
    pixels = maps["chr1"]
    return pixels, ice(pixels).values


def resolve(name, stored, pixels, **options):
    return resolve_weight(name, stored, pixels, source="a.cool, chr1", **options)


def test_a_divisive_vector_is_inverted(balanced):
    pixels, weight = balanced
    found = resolve("SCALE", 1 / weight, pixels)
    assert np.allclose(found.values, weight, equal_nan=True)
    assert (found.name, found.origin) == ("SCALE", "divisive")


def test_a_multiplicative_vector_stays(balanced):
    pixels, weight = balanced
    found = resolve("weight", weight, pixels)
    assert np.array_equal(found.values, weight, equal_nan=True)
    assert found.origin == "multiplicative"


@pytest.mark.parametrize("power", [1.0, 0.5], ids=["VC", "VC_SQRT"])
def test_coverage_vectors_divide_although_they_do_not_flatten(balanced, power):
    pixels, _ = balanced
    coverage = pixels.row_sums() ** power
    found = resolve("VC" if power == 1 else "VC_SQRT", coverage, pixels)
    assert found.origin == "divisive"
    inside = coverage > 0
    assert np.allclose(found.values[inside], 1 / coverage[inside])
    assert np.isnan(found.values[~inside]).all()


@pytest.mark.parametrize(
    ("name", "invert", "declared"),
    [
        ("KR", False, None),
        ("weight", True, None),
        ("SCALE", False, "divisive"),
        ("odd", True, "multiplicative"),
    ],
)
def test_a_contradiction_is_an_error_that_gives_both_figures(balanced, name, invert, declared):
    pixels, weight = balanced
    stored = 1 / weight if invert else weight
    right = "divisive" if invert else "multiplicative"
    with pytest.raises(
        WeightError, match=rf"weights '{name}'.*row sums vary by .* weight_type='{right}'"
    ) as error:
        resolve(name, stored, pixels, declared=declared)
    assert ("the file says" if declared else "by its name") in str(error.value)
    assert "a.cool, chr1" in str(error.value)


def test_weight_type_ends_the_matter(balanced):
    pixels, weight = balanced
    assert resolve("KR", weight, pixels, weight_type="multiplicative").values[0] == weight[0]
    assert resolve("weight", weight, pixels, weight_type="divisive").values[0] == 1 / weight[0]
    with pytest.raises(ConfigError, match="auto, multiplicative, divisive"):
        resolve("KR", weight, pixels, weight_type="both")


def test_the_files_word_counts_more_than_the_name(balanced):
    pixels, weight = balanced
    assert resolve("KR", weight, pixels, declared="multiplicative").origin == "multiplicative"


@pytest.mark.parametrize("invert", [False, True])
def test_an_unknown_name_is_decided_by_the_row_sums(balanced, invert):
    pixels, weight = balanced
    found = resolve("mine", 1 / weight if invert else weight, pixels)
    assert found.origin == ("divisive" if invert else "multiplicative")
    assert np.allclose(found.values, weight, equal_nan=True)


def test_undecided_row_sums_leave_it_to_the_name_or_ask():
    # five bins are too few to tell
    few = Pixels(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int32), np.full(5, 3), 5, 1000)
    stored = np.array([1.0, 2, 4, 8, 16])
    assert resolve("KR", stored, few).origin == "divisive"
    assert resolve("weight", stored, few).origin == "multiplicative"
    with pytest.raises(WeightError, match=r"nothing tells whether .* 'mine' multiply or divide.*weight_type"):
        resolve("mine", stored, few)


def test_an_even_vector_tells_nothing(maps):
    pixels = maps["chr2"]
    even = np.full(pixels.n_bins, 2.0)
    assert resolve("KR", even, pixels).values[0] == 0.5
    with pytest.raises(WeightError, match="nothing tells"):
        resolve("mine", even, pixels)


def test_what_is_no_positive_number_masks_its_bin(balanced):
    pixels, weight = balanced
    stored = 1 / weight
    stored[:4] = [0, -1, np.inf, np.nan]
    assert np.isnan(resolve("KR", stored, pixels).values[:4]).all()


@pytest.mark.real_data
def test_hicexplorers_kr_multiplies(real_data):
    source = open_contacts(real_data / "peers" / "hicexplorer" / "gm12878_KR.cool", "hg19")
    weight = source.weight("1", 2_500_000, "weight")
    assert weight.origin == "multiplicative"
    sums = source.counts("1", 2_500_000).row_sums(weight.values)
    assert sums[sums > 0].std() / sums[sums > 0].mean() < 0.2  # balanced genome-wide: nearly flat in cis
    with pytest.raises(WeightError, match="by its name"):
        resolve_weight("KR", weight.values, source.counts("1", 2_500_000), source="renamed")


@pytest.mark.real_data
def test_every_vector_of_a_real_hic_divides(real_data):
    source = open_contacts(real_data / "gm12878_chr21_hichip_hg38" / "GM12878.cohesin_HiChIP.hic")
    for resolution in source.resolutions:
        pixels = source.counts("chr21", resolution)
        for name in source.weight_names(resolution):
            assert source.weight("chr21", resolution, name, pixels=pixels).origin == "divisive"
            stored = source._stored("chr21", resolution, name)
            # the row sums alone would say the same, without the name
            assert resolve_weight("unnamed", stored, pixels, source="x").origin == "divisive"
