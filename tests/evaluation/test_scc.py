import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.data.build import build
from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.scc import scc, stratum_correlations
from tests.fakes_maps import MapPixels, pixels_of, power_law_map, symmetric

#: Published by GenomeDISCO's authors for HiCRep: chr21, 40 kb, h = 5, up to 5 Mb (peers/genomedisco).
PUBLISHED = {("HIC001", "HIC002"): 0.963004, ("HIC001", "HIC050"): 0.692655, ("HIC002", "HIC050"): 0.647289}


def test_by_hand_without_smoothing():
    first = symmetric(np.array([[9, 1, 4, 0], [0, 9, 2, 6], [0, 0, 9, 3], [0, 0, 0, 9]]))
    second = symmetric(np.array([[1, 2, 5, 0], [0, 1, 4, 1], [0, 0, 1, 9], [0, 0, 0, 1]]))
    found = stratum_correlations(pixels_of(first, 10), pixels_of(second, 10), max_distance=30, smoothing=0)
    # Distance 1: (1 2 3) with (2 4 9); distance 2: (4 6) with (5 1); distance 3: no contact in either.
    near = np.corrcoef([1, 2, 3], [2, 4, 9])[0, 1]
    np.testing.assert_allclose(found.correlation, [near, -1.0, np.nan])
    np.testing.assert_allclose(found.weight, [3 * (1 + 1 / 3) / 12, 2 * (1 + 1 / 2) / 12, 0.0])
    assert found.n.tolist() == [3, 2, 0]
    assert found.scc == pytest.approx((near * 4 - 3) / 7)


def test_smoothing_is_a_mean_over_the_map_inside():
    maps = [symmetric(np.random.default_rng(seed).poisson(5.0, (6, 6))) for seed in (0, 1)]
    found = stratum_correlations(*(pixels_of(m, 1) for m in maps), max_distance=5, smoothing=1)
    smooth = np.zeros((2, 6, 6))
    for k, matrix in enumerate(maps):
        kept = np.triu(matrix, 1)
        for i in range(6):
            for j in range(6):
                smooth[k, i, j] = kept[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].mean()
    for distance in range(1, 5):
        expected = np.corrcoef(*(np.diagonal(s, distance) for s in smooth))[0, 1]
        assert found.correlation[distance - 1] == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_a_map_agrees_with_itself_and_order_does_not_matter(seed, smoothing):
    generator = np.random.default_rng(seed)
    first, second = (pixels_of(power_law_map(30, 20.0, generator), 10) for _ in range(2))
    settings = {"max_distance": 200, "smoothing": smoothing}
    assert scc(first, first, **settings) == pytest.approx(1.0)
    assert scc(first, second, **settings) == pytest.approx(scc(second, first, **settings))
    deeper = MapPixels(second.bin1, second.bin2, second.count * 7, 30, 10)
    assert scc(first, deeper, **settings) == pytest.approx(scc(first, second, **settings))


def test_masked_bins_enter_nothing():
    generator = np.random.default_rng(5)
    first, second = (power_law_map(40, 20.0, generator) for _ in range(2))
    valid = np.ones(40, bool)
    valid[[7, 8, 30]] = False
    settings = {"max_distance": 300, "smoothing": 2, "valid": valid}
    before = scc(pixels_of(first, 10), pixels_of(second, 10), **settings)
    first[~valid] = first[:, ~valid] = 1000
    assert scc(pixels_of(first, 10), pixels_of(second, 10), **settings) == before
    assert scc(pixels_of(first, 10), pixels_of(second, 10), max_distance=300, smoothing=2) != before


def test_maps_without_contacts_have_no_score():
    empty = pixels_of(np.zeros((5, 5), int), 10)
    assert np.isnan(scc(empty, empty, max_distance=40, smoothing=1))


def test_maps_must_be_of_one_kind():
    first = pixels_of(np.eye(4, dtype=int), 10)
    with pytest.raises(DataError, match="one map has 4 bins of 10 bp, the other 5"):
        scc(first, pixels_of(np.eye(5, dtype=int), 10), max_distance=20, smoothing=0)
    with pytest.raises(ConfigError, match="max_distance of a bin"):
        scc(first, first, max_distance=5, smoothing=0)
    with pytest.raises(DataError, match="valid has 3 values"):
        scc(first, first, max_distance=20, smoothing=0, valid=np.ones(3, bool))


FILES = {"HIC001": "GM12878_HIC001", "HIC002": "GM12878_HIC002", "HIC050": "IMR90_HIC050"}


@pytest.fixture(scope="module")
def maps(real_data, tmp_path_factory):
    """chr21 of the three maps, each read through a store of its own."""
    stores = {
        key: build(
            tmp_path_factory.mktemp("scc") / f"{key}.store",
            contacts=real_data / "gm12878_imr90_chr21_22_hg19" / f"{name}.mcool",
            resolutions=[40_000],
            chroms=["chr21"],
        )
        for key, name in FILES.items()
    }
    return {key: store.layer("chr21", 40_000).pixels() for key, store in stores.items()}


@pytest.mark.real_data
@pytest.mark.parametrize("pair", PUBLISHED, ids="-".join)
def test_published_scores_are_met(maps, pair):
    found = scc(maps[pair[0]], maps[pair[1]], max_distance=5_000_000, smoothing=5)
    assert found == pytest.approx(PUBLISHED[pair], abs=0.01)


@pytest.mark.real_data
@pytest.mark.parametrize("smoothing", [0, 5])
def test_equals_the_hicrep_package(maps, real_data, smoothing):
    import cooler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hicrep's own, on its way in and while it runs
        from hicrep import hicrepSCC

        folder = real_data / "gm12878_imr90_chr21_22_hg19"
        sources = [
            cooler.Cooler(f"{folder}/{FILES[key]}.mcool::/resolutions/40000") for key in ("HIC001", "HIC050")
        ]
        theirs = hicrepSCC(*sources, smoothing, 5_000_000, False, ["chr21"])[0]
    ours = scc(maps["HIC001"], maps["HIC050"], max_distance=5_000_000, smoothing=smoothing)
    assert ours == pytest.approx(theirs, abs=1e-9)
