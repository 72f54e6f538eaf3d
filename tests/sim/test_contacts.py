from dataclasses import replace

import numpy as np
import pytest

from chromweave.sim.contacts import HiCLibrary
from chromweave.sim.polymer import Polymer, expected_contacts

N_BINS = 205


@pytest.fixture(scope="module")
def library():
    """1.025 Mb, 60 near diagonals, uneven visibility with unseen bins."""
    compartment = np.repeat([1.0, -1.0], [100, 105])
    expected = expected_contacts(None, compartment, 5_000, 300_000, Polymer())
    visibility = np.linspace(0.5, 1.5, N_BINS)
    visibility[[7, 90, 204]] = 0.0
    return HiCLibrary(expected, visibility, 400_000.0, 1_025_000, 2, 0, "test")


def dense(library, replicate=None, rows=20):
    counts = np.zeros((N_BINS, N_BINS), np.int64)
    for piece in library.pieces(rows, replicate):
        assert (piece.count > 0).all()
        counts[piece.bin1, piece.bin2] += piece.count
    return counts


def test_pixels_are_sorted_unique_and_upper(library):
    keys = np.concatenate([piece.bin1 * N_BINS + piece.bin2 for piece in library.pieces(20)])
    assert (np.diff(keys) > 0).all()
    counts = dense(library)
    assert not np.tril(counts, -1).any()
    assert not counts[[7, 90, 204]].any()
    assert not counts[:, [7, 90, 204]].any()


def test_depth_is_met(library):
    total = dense(library).sum()
    assert abs(total - 410_000) < 5 * np.sqrt(410_000) + 0.002 * 410_000


def test_replicates_sum_to_the_pooled_map_and_are_independent(library):
    first, second = dense(library, 0), dense(library, 1)
    np.testing.assert_array_equal(first + second, dense(library))
    assert not np.array_equal(first, second)
    assert first.sum() / second.sum() == pytest.approx(1.0, abs=0.02)


def test_same_seed_same_counts(library):
    np.testing.assert_array_equal(dense(library), dense(library))
    assert not np.array_equal(dense(library), dense(replace(library, seed=1)))
    assert not np.array_equal(dense(library), dense(replace(library, purpose="other")))


def test_counts_are_poisson_around_expectation_times_visibility(library):
    """Near and far pixels alike: mean and variance over 60 draws."""
    draws = np.stack([dense(replace(library, seed=seed)) for seed in range(60)])
    scale = library.scale()
    v = library.visibility
    near = np.zeros((N_BINS, N_BINS))
    for k in range(60):
        i = np.arange(N_BINS - k)
        near[i, i + k] = library.expected.near[i, k] * v[i] * v[i + k] * scale
    distance = np.subtract.outer(np.arange(N_BINS), np.arange(N_BINS)).T
    inside = (distance >= 0) & (distance < 60)
    assert draws[:, inside].mean(axis=0).sum() == pytest.approx(near[inside].sum(), rel=0.005)
    z = (draws.mean(axis=0)[inside] - near[inside])[near[inside] > 0] / np.sqrt(near[near > 0] / 60)
    assert abs(z.mean()) < 0.05
    assert z.std() == pytest.approx(1.0, abs=0.05)
    # Squares wholly beyond the near part: rows 20-30 with columns 150-160, all in different compartments.
    square = draws[:, 20:30, 150:160].sum(axis=(1, 2))
    rate = library.expected.far_row(2)[13] * v[20:30].sum() * v[150:160].sum() * scale
    assert square.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate / 60))
    # ... where contacts follow the visibility of the single bins.
    by_row = draws[:, 0:100, 180:204].sum(axis=(0, 2))
    assert np.corrcoef(by_row[20:100].reshape(-1, 10).sum(0), np.arange(10))[0, 1] > 0
    assert by_row[7] == by_row[90] == 0


def test_nothing_is_lost_or_doubled_where_near_meets_far(library):
    draws = sum(dense(replace(library, seed=seed)) for seed in range(60))
    balanced = draws / np.where(library.visibility > 0, library.visibility, np.inf)
    mean = np.array([np.diagonal(balanced, k).mean() for k in range(45, 75)])
    smooth = np.poly1d(np.polyfit(np.arange(30), mean, 2))(np.arange(30))
    np.testing.assert_allclose(mean, smooth, rtol=0.15)
