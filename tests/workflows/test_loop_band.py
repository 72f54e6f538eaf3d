"""A band holds what loops of a length and their surroundings need, and no more than the map has."""

import numpy as np
import pytest

from chromweave.analysis.enrichment import EnrichmentConfig
from chromweave.genome import Assembly
from chromweave.workflows.loop_band import NEAREST, read_band
from tests.fakes import FakeContacts, build_fake

N = 40
SHAPES = EnrichmentConfig(peak_radius=1, background_radius=3)


@pytest.fixture
def layer(tmp_path, monkeypatch):
    """100 / (1 + d) contacts at distance d, all weights 1/2."""
    bins = np.arange(N)
    matrix = 100 // (1 + np.abs(bins[:, None] - bins))
    assembly = Assembly("small", {"chr1": N * 1000})
    weights = {("weight", "chr1", 1000): np.full(N, 0.5)}
    maps = FakeContacts({("chr1", 1000): matrix}, weights, assembly)
    return build_fake(monkeypatch, tmp_path / "a.store", maps, [], assembly=assembly).layer("chr1", 1000)


def test_reach_and_expected_by_hand(layer):
    """10 bins, and twice 3 around them, 0 included: 17 distances; a quarter of the count is balanced."""
    band = read_band(layer, "weight", 10, SHAPES)
    assert band.n_diagonals == 17
    distance = band.pixels.bin2 - band.pixels.bin1
    assert distance.max() == 16
    d = np.arange(NEAREST, 17)
    np.testing.assert_allclose(band.expected[NEAREST:], (100 // (1 + d)) / 4)


def test_the_map_ends_first(layer):
    assert read_band(layer, "weight", 1000, SHAPES).n_diagonals == N
