import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.analysis.replicates import (
    false_discovery_qvalues,
    replicate_calls,
    replicate_pvalues,
    with_replicates,
)
from chromweave.errors import ConfigError, DataError

NAN = float("nan")


def test_pvalues_by_hand():
    null = np.arange(1, 41) / 40  # 0.025, 0.05, ... 1
    kind = np.repeat("A", 40)
    found = replicate_pvalues(np.array([1.0, 2.0, 0.5, 0.0, NAN]), null, np.repeat("A", 5), kind)
    # As large: one (itself), none, 21 (0.5 to 1), all; each with one added, of 41.
    np.testing.assert_allclose(found, [2 / 41, 1 / 41, 22 / 41, 1.0, NAN])


def test_bins_are_compared_with_their_own_kind():
    null = np.concatenate([np.full(30, 0.1), np.full(30, 0.9), [5.0, NAN]])
    kinds = np.repeat(["A", "B", "N"], [30, 30, 2])
    found = replicate_pvalues(np.array([0.5, 0.5, 0.5]), null, np.array(["A", "B", "N"]), kinds)
    # A: none of 30; B: all 30; N has a single distance, so all 61 that are known: 31.
    np.testing.assert_allclose(found, [1 / 31, 31 / 31, 32 / 62])


def test_qvalues_by_hand():
    # Benjamini-Hochberg of four tests: 0.01 x 4, then min over larger ranks of p x 4 / rank.
    found = false_discovery_qvalues(np.array([0.04, NAN, 0.01, 0.03, 0.5]))
    np.testing.assert_allclose(found, [0.04 * 4 / 3, NAN, 0.04, 0.04 * 4 / 3, 0.5])


def test_nothing_to_adjust():
    assert np.isnan(false_discovery_qvalues(np.array([NAN, NAN]))).all()


def table(cosine, compartment="A"):
    n = len(cosine)
    return pd.DataFrame(
        {"chrom": "chr1", "start": np.arange(n), "cosine": cosine, "compartment_first": compartment}
    )


@given(seed=st.integers(0, 500))
@settings(max_examples=15, deadline=None)
def test_replicates_alone_have_no_shifted_bins(seed):
    rng = np.random.default_rng(seed)
    found = with_replicates(table(rng.random(300)), [table(rng.random(300)), table(rng.random(300))])
    # One false call has about the chance of the false discovery rate; ten would be a defect.
    assert found["shifted"].sum() < 10
    assert found["pvalue"].mean() == pytest.approx(0.5, abs=0.1)


def test_planted_shifts_are_found():
    rng = np.random.default_rng(0)
    distance = rng.random(400)
    distance[100:160] = 3
    distance[300] = NAN
    found = with_replicates(table(distance), [table(rng.random(400)), table(rng.random(400))], fdr=0.1)
    assert found["shifted"][100:160].all()
    assert found["shifted"].sum() <= 60 / 0.8
    assert np.isnan(found["qvalue"][300])
    assert not found["shifted"][300]


def test_noisier_compartments_have_their_own_null():
    rng = np.random.default_rng(0)
    calls = np.repeat(["A", "B"], 500)
    scale = np.where(calls == "A", 0.1, 1.0)
    distance = scale * rng.random(1000)
    distance[:50] = 0.3  # far for A, nothing for B
    null = [table(scale * rng.random(1000), calls) for _ in range(2)]
    found = with_replicates(table(distance, calls), null)
    assert found["shifted"][:50].all()
    assert found["shifted"].sum() < 60
    pooled = [one.drop(columns="compartment_first") for one in null]
    blind = with_replicates(table(distance, calls).drop(columns="compartment_first"), pooled)
    assert not blind["shifted"].any()


def two_chromosomes(first, second):
    return pd.concat([table(first), table(second).assign(chrom="chr2")], ignore_index=True)


def test_too_few_far_bins_are_never_called():
    """100 tests against 100 distances at 5 %: p is at least 1 / 101, so k >= 100 / (0.05 x 101) = 19.8."""
    null = table(np.linspace(0, 1, 100))
    for far, called in ((19, 0), (20, 20)):
        found = with_replicates(table(np.concatenate([np.full(far, 9.0), np.zeros(100 - far)])), [null])
        assert found["shifted"].sum() == called


def test_replicates_are_called_beside_other_chromosomes():
    # chr1 lies beyond all of chr2, so that its 100 bins are called; chr2 lies within chr1.
    noisy, quiet = np.linspace(2, 3, 100), np.linspace(0, 1, 100)
    assert replicate_calls([two_chromosomes(noisy, quiet)]) == 0.5
    # A pair whose chr2 is as noisy is a null for chr1's; its own chr2 is not beyond the other pair's chr1.
    assert replicate_calls([two_chromosomes(noisy, quiet), two_chromosomes(quiet, noisy)]) == 0


def test_masked_bins_of_replicates_are_no_tests():
    first = np.where(np.arange(100) < 50, NAN, np.linspace(2, 3, 100))
    assert replicate_calls([two_chromosomes(first, np.linspace(0, 1, 100))]) == pytest.approx(50 / 150)


@given(seed=st.integers(0, 500))
@settings(max_examples=15, deadline=None)
def test_replicates_of_one_noise_are_hardly_called(seed):
    rng = np.random.default_rng(seed)
    assert replicate_calls([two_chromosomes(rng.random(300), rng.random(300)) for _ in range(2)]) < 0.02


def test_one_chromosome_cannot_say():
    assert np.isnan(replicate_calls([table([0.1, 0.2])]))
    with pytest.raises(DataError, match="a null needs a replicate"):
        replicate_calls([])


def test_no_null():
    with pytest.raises(DataError, match="a null needs a replicate"):
        with_replicates(table([0.1]), [])
    with pytest.raises(DataError, match="no valid bin in common"):
        with_replicates(table([0.1]), [table([NAN])])


@pytest.mark.parametrize("fdr", [0, 1, -0.1])
def test_rates_out_of_range(fdr):
    with pytest.raises(ConfigError, match="fdr must lie between 0 and 1"):
        with_replicates(table([0.1]), [table([0.1])], fdr=fdr)
