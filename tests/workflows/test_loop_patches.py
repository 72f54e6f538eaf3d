"""Squares of a store's map are those of its dense map."""

import numpy as np
import pandas as pd
import pytest

from chromweave.workflows.loop_patches import MapSquares, window_squares
from tests.fakes import build_fake, random_contacts

RESOLUTION, HALF = 10_000, 2


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("squares")
        return build_fake(patch, folder / "a.store", random_contacts(freak=700), max_distance=600_000)


def windows(pairs):
    table = pd.DataFrame(pairs, columns=["chrom", "x", "y"])
    return table.assign(x=table["x"] * RESOLUTION, y=table["y"] * RESOLUTION)


def test_squares_are_cut_from_the_balanced_map_as_the_rows_stand(store):
    pairs = [("chr2", 30, 45), ("chr1", 50, 50), ("chr1", 10, 40), ("chr1", 1, 5)]
    found = window_squares(store, windows(pairs), RESOLUTION, HALF)
    assert found.shape == (4, 2, 5, 5)
    for (chrom, x, y), (contacts, enrichment) in zip(pairs, found, strict=True):
        dense = np.pad(
            store.layer(chrom, RESOLUTION).dense(weight="default", scaled=True), HALF, constant_values=np.nan
        )
        np.testing.assert_allclose(contacts, dense[x : x + 5, y : y + 5])
        np.testing.assert_array_equal(np.isnan(enrichment), np.isnan(contacts))


def test_enrichment_is_contacts_over_their_distances_expectation(store):
    here = MapSquares(store, "chr1", RESOLUTION, HALF, furthest=40)
    x, y = np.array([20, 60]), np.array([50, 61])
    contacts, enrichment = here.contacts(x, y), here.enrichment(x, y)
    offset = np.arange(-HALF, HALF + 1)
    distance = np.abs((y[:, None] + offset)[:, None, :] - (x[:, None] + offset)[:, :, None])
    np.testing.assert_allclose(enrichment, contacts / (here.expected[distance] * here.scale))
    assert (np.diff(here.expected) <= 1e-12).all()


def test_beyond_the_band_nothing_is_known(store):
    (far,) = window_squares(store, windows([("chr1", 20, 79)]), RESOLUTION, HALF)
    assert np.isnan(far[:, 0, -1]).all()
    assert np.isfinite(far[:, -1, 0]).all()
