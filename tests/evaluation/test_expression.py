import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import ConfigError, DataError
from chromweave.evaluation import metrics
from chromweave.evaluation.bootstrap import BootstrapConfig, block_bootstrap, genome_blocks, paired_difference
from chromweave.evaluation.expression import (
    ExpressionWindows,
    expression_differences,
    expression_estimates,
)

seeds = st.integers(0, 2**32 - 1)
DRAWS = BootstrapConfig(draws=100)


def sample(seed, n=30, bins=6):
    """Overlapping windows on two chromosomes, some of them twice, and a prediction that differs by window."""
    generator = np.random.default_rng(seed)
    chrom = np.array(["chr1", "chr2"])[generator.integers(0, 2, n)]
    centre = generator.integers(3, 40, n)
    centre[1], chrom[1] = centre[0], chrom[0]
    place = centre[:, None] + np.arange(bins) - bins // 2
    expression = generator.normal(size=(2, 50)).round(1)
    truth = expression[(chrom == "chr2").astype(int)[:, None], place]
    truth[generator.random(truth.shape) < 0.1] = np.nan
    prediction = np.nan_to_num(truth) + generator.normal(size=truth.shape)
    windows = ExpressionWindows(truth, generator.random(truth.shape) < 0.9, chrom, place, block_bins=5)
    return windows, prediction


def by_bin(windows, prediction, columns=slice(None)):
    """The plain way: a dictionary of bins."""
    seen = {}
    for i, j in np.ndindex(windows.truth.shape):
        if windows.mask[i, j] and np.isfinite(windows.truth[i, j]) and j in range(6)[columns]:
            seen.setdefault((windows.chrom[i], windows.bin[i, j]), []).append(
                (windows.truth[i, j], prediction[i, j])
            )
    keys = sorted(seen)
    pairs = np.array([np.mean(seen[key], axis=0) for key in keys])
    return pairs[:, 0], pairs[:, 1], genome_blocks([c for c, _ in keys], np.array([b for _, b in keys]), 5)


def test_by_hand():
    # Bin 1 lies in both windows: truth 1, predicted 0 and 4, on average 2.
    windows = ExpressionWindows(
        np.array([[0.0, 1.0], [1.0, 5.0]]), None, np.array(["a", "a"]), np.array([[0, 1], [1, 2]])
    )
    found = expression_estimates(windows, np.array([[0.0, 0.0], [4.0, 4.0]]), seed=0)
    assert found["r2"].value == pytest.approx(1 - (0 + 1 + 1) / 14)  # of 0, 1, 5 round 2: 4 + 1 + 9
    assert found["r2"].n == 3
    # Centres: bin 1 (predicted 0) and bin 2 (predicted 4), truth 1 and 5.
    assert found["r2_genes"].value == pytest.approx(1 - (1 + 1) / 8)
    assert found["pearson_genes"].value == pytest.approx(1.0)
    # All four: residuals 0, 1, 3, 1 of 0, 1, 1, 5; the predictions 0, 0, 4, 4 vary by 16.
    assert found["r2_flat"].value == pytest.approx(1 - 11 / (27 - 49 / 4))
    assert found["r2_swapped_flat"].value == pytest.approx(1 - 11 / 16)
    assert found["r2_flat"].n == 4
    assert "r2_swapped" not in found


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_values_are_those_of_the_plain_metrics(seed):
    windows, prediction = sample(seed)
    found = expression_estimates(windows, prediction, seed=0, config=BootstrapConfig(draws=1))
    once, genes = by_bin(windows, prediction), by_bin(windows, prediction, slice(3, 4))
    for name in ("pearson", "spearman", "r2"):
        metric = getattr(metrics, name)
        assert found[name].value == pytest.approx(metric(*once[:2])), name
        assert found[f"{name}_genes"].value == pytest.approx(metric(*genes[:2])), name
        flat = metric(windows.truth, prediction, windows.mask)
        assert found[f"{name}_flat"].value == pytest.approx(flat), name
    swapped = metrics.r2_swapped(windows.truth, prediction, windows.mask)
    assert found["r2_swapped_flat"].value == pytest.approx(swapped)
    assert (found["pearson"].n, found["pearson_genes"].n) == (len(once[0]), len(genes[0]))


def interval(estimate):
    return [estimate.value, estimate.low, estimate.high, estimate.n, estimate.n_blocks]


def test_intervals_are_those_of_resampled_bins():
    windows, prediction = sample(1)
    truth, mean, blocks = by_bin(windows, prediction)
    found = expression_estimates(windows, prediction, seed=3, config=DRAWS)
    plain = block_bootstrap(metrics.r2, [truth, mean], blocks, seed=3, config=DRAWS)
    assert interval(found["r2"]) == pytest.approx(interval(plain))
    assert found["spearman"].low < found["spearman"].value < found["spearman"].high


def test_differences_are_paired():
    windows, prediction = sample(2)
    better = 0.5 * prediction + 0.5 * np.nan_to_num(windows.truth)
    truth, first, blocks = by_bin(windows, better)
    second = by_bin(windows, prediction)[1]
    found = expression_differences(windows, better, prediction, seed=3, config=DRAWS)
    plain = paired_difference(metrics.pearson, truth, first, second, blocks, seed=3, config=DRAWS)
    assert interval(found["pearson"]) == pytest.approx(interval(plain))
    assert found["pearson"].differs_from_zero
    both = [expression_estimates(windows, p, seed=3, config=DRAWS) for p in (better, prediction)]
    assert list(found) == list(both[0])
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(both[0][name].value - both[1][name].value), name


def test_predictions_where_nothing_counts_are_not_seen():
    windows, prediction = sample(4)
    hidden = ~(windows.mask & np.isfinite(windows.truth))
    before = expression_estimates(windows, prediction, seed=0, config=DRAWS)
    after = expression_estimates(windows, np.where(hidden, np.nan, prediction), seed=0, config=DRAWS)
    assert before == after


def test_no_gene_counts():
    windows, prediction = sample(5)
    mask = windows.mask.copy()
    mask[:, 3] = False
    found = expression_estimates(
        ExpressionWindows(windows.truth, mask, windows.chrom, windows.bin), prediction, seed=0
    )
    assert np.isnan(found["pearson_genes"].value)
    assert found["pearson_genes"].n == 0
    assert np.isfinite(found["pearson"].value)


def test_wrong_use():
    windows, prediction = sample(6)
    place = windows.bin
    with pytest.raises(DataError, match=r"one shape \(windows, bins\)"):
        ExpressionWindows(windows.truth, None, windows.chrom[:3], place)
    with pytest.raises(DataError, match="no bin counts"):
        ExpressionWindows(windows.truth, np.zeros_like(windows.mask), windows.chrom, place)
    with pytest.raises(ConfigError, match="1 bin or more"):
        ExpressionWindows(windows.truth, None, windows.chrom, place, block_bins=0)
    with pytest.raises(DataError, match="missing or infinite"):
        expression_estimates(windows, np.full_like(prediction, np.nan), seed=0)
    shifted = ExpressionWindows(windows.truth, windows.mask, windows.chrom, np.tile(np.arange(6), (30, 1)))
    with pytest.raises(DataError, match="bin 0 of chr1 has different truths"):
        expression_estimates(shifted, prediction, seed=0)
