"""Contacts of a store as a cooler: the same counts and weights, chromosomes as asked for."""

import cooler
import numpy as np
import pytest

from chromweave.errors import ChromosomeError
from chromweave.workflows.store_cool import store_cool
from tests.fakes import build_fake, random_contacts

RESOLUTION = 10_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cool")
        return build_fake(patch, folder / "a.store", random_contacts(freak=700), max_distance=600_000)


@pytest.mark.parametrize("chroms", [("chr1", "chr2"), ("2",)])
def test_counts_and_weights_are_the_stores(store, tmp_path, chroms):
    path = store_cool(tmp_path / "map.cool", store, RESOLUTION, chroms)
    written = cooler.Cooler(str(path))
    assert written.chromnames == [store.require(chrom) for chrom in chroms]
    for chrom in written.chromnames:
        layer = store.layer(chrom, RESOLUTION)
        dense = written.matrix(balance=False).fetch(chrom)
        np.testing.assert_array_equal(dense, np.nan_to_num(layer.dense()))  # beyond the band there is nothing
        assert dense.dtype == np.int32
        np.testing.assert_array_equal(written.bins().fetch(chrom)["weight"], layer.weight())


def test_balanced_values_on_the_scale_of_counts(store, tmp_path):
    """hicDetectLoops asks for ten contacts; balanced values as they are never reach that."""
    path = store_cool(tmp_path / "map.cool", store, RESOLUTION, ["chr1"], applied=True)
    dense = cooler.Cooler(str(path)).matrix(balance=True).fetch("chr1")
    layer = store.layer("chr1", RESOLUTION)
    wanted = layer.dense(weight="default", scaled=True)
    np.testing.assert_allclose(np.nan_to_num(dense), np.nan_to_num(wanted), rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(dense[0]), ~layer.valid())
    upper, raw = np.triu(np.nan_to_num(dense)), np.triu(np.nan_to_num(layer.dense()))
    raw[:, ~layer.valid()] = raw[~layer.valid()] = 0
    assert upper.sum() == pytest.approx(raw.sum(), rel=0.02)  # the scale is that of all distances


def test_what_is_there_is_not_written_again(store, tmp_path):
    path = store_cool(tmp_path / "map.cool", store, RESOLUTION, ["chr1"])
    before = path.stat().st_mtime_ns
    store_cool(path, store, RESOLUTION, ["chr1"])
    assert path.stat().st_mtime_ns == before


def test_a_chromosome_that_is_not_there_is_refused(store, tmp_path):
    with pytest.raises(ChromosomeError, match="chr3"):
        store_cool(tmp_path / "map.cool", store, RESOLUTION, ["chr3"])
