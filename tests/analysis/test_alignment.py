from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from chromweave.analysis.alignment import Alignment, align, one_encoder, stable_bins
from chromweave.errors import DataError
from chromweave.io.export import Embedding


def embedding(latent, masked=None, compartment=None, weights="a"):
    n = len(latent) if masked is None else len(masked)
    bins = pd.DataFrame({"chrom": "chr1", "start": np.arange(n) * 10, "end": np.arange(n) * 10 + 10})
    bins["masked"] = np.zeros(n, bool) if masked is None else masked
    if compartment is not None:
        bins["compartment"] = list(compartment)
    return Embedding(bins, np.asarray(latent, dtype=np.float32), provenance={"weights_sha256": weights})


def test_one_encoder_is_left_alone():
    first, second = embedding(np.eye(3)), embedding(2 * np.eye(3))
    found = align(first, second)
    assert found.second is second
    assert found.alignment == Alignment("one encoder")
    assert str(found.alignment) == "one encoder"
    assert one_encoder(first, second)
    assert not one_encoder(first, embedding(np.eye(3), weights="b"))


@given(seed=st.integers(0, 1000), width=st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_a_turn_is_undone(seed, width):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(40, width))
    turn = ortho_group.rvs(width, random_state=seed)  # reflections included
    found = align(embedding(latent), embedding(latent @ turn, weights="b"))
    np.testing.assert_allclose(found.second.latent, latent, atol=1e-5)
    assert found.alignment.method == "procrustes"
    assert found.alignment.bins == 40
    assert found.alignment.residual == pytest.approx(0, abs=1e-5)


def test_a_quarter_turn_by_hand():
    # (1,0), (0,1) became (0,1), (-1,0); the third bin moved and is not stable.
    first = embedding([[1, 0], [0, 1], [1, 1]], compartment="ABA")
    second = embedding([[0, 1], [-1, 0], [5, 5]], compartment="ABB", weights="b")
    found = align(first, second)
    np.testing.assert_allclose(found.second.latent, [[1, 0], [0, 1], [5, -5]], atol=1e-6)
    assert found.alignment.bins == 2
    assert str(found.alignment) == "procrustes on 2 stable bins, residual 0.000"


def test_residual_by_hand():
    # Equal directions, lengths 1 and 3: no turn helps. Left is (3-1)^2 a bin, length is (1+9)/2 a bin.
    found = align(embedding(np.eye(2)), embedding(3 * np.eye(2), weights="b"))
    np.testing.assert_allclose(found.second.latent, 3 * np.eye(2), atol=1e-6)
    assert found.alignment.residual == pytest.approx((4 / 5) ** 0.5)


def test_masked_bins_are_not_aligned_on():
    first = embedding(np.eye(2), masked=[False, False, True])
    second = embedding([[0, 1], [9, 9]], masked=[False, True, False], weights="b")
    assert stable_bins(first, second).tolist() == [True, False, False]
    with pytest.raises(DataError, match="1 stable bins are too few to align 2 dimensions"):
        align(first, second)
    with pytest.raises(DataError, match="1 stable bins"):
        align(first, second, np.ones(3, bool))


def test_stable_bins_are_called_alike():
    first, second = (embedding(np.zeros((5, 1)), compartment=calls) for calls in ("ABABN", "ABBAN"))
    assert stable_bins(first, second).tolist() == [True, True, False, False, False]
    uncalled = replace(second, bins=second.bins.drop(columns="compartment"))
    assert stable_bins(first, uncalled).all()


def test_bins_given_are_those_fitted_on():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(30, 3))
    moved = latent @ ortho_group.rvs(3, random_state=1)
    moved[20:] = rng.normal(size=(10, 3))
    found = align(embedding(latent), embedding(moved, weights="b"), np.arange(30) < 20)
    np.testing.assert_allclose(found.second.latent[:20], latent[:20], atol=1e-5)
    assert found.alignment.bins == 20


def test_other_bins_are_not_aligned():
    with pytest.raises(DataError, match="3 of 10 bp on chr1; 2 of 10 bp on chr1"):
        align(embedding(np.eye(3)), embedding(np.eye(3)[:2], weights="b"))
    with pytest.raises(DataError, match="3 and 2 dimensions"):
        align(embedding(np.eye(3)), embedding(np.eye(3)[:, :2], weights="b"))
