"""Shifted bins beside published calls, by `benchmarks.cell_line_shifts`: its statistics, by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, ortho_group

from benchmarks.cell_line_shifts import (
    MODELS,
    Row,
    Truth,
    called_bins,
    cells,
    coverage_difference,
    enrichment,
    inner_row_difference,
    log_odds_ratio,
    measured,
    null_rates,
    row_difference,
    steps,
    summary,
    woolf,
)
from chromweave.io.export import Embedding

NAN = float("nan")


def test_odds_by_hand():
    label = np.repeat([1, 1, 0, 0], [6, 2, 3, 9])
    called = np.repeat([1, 0, 1, 0], [6, 2, 3, 9])
    assert cells(label, called).tolist() == [6, 3, 2, 9]
    assert np.exp(log_odds_ratio(label, called)) == pytest.approx(6.5 * 9.5 / (3.5 * 2.5))
    error = np.sqrt(1 / 6.5 + 1 / 3.5 + 1 / 2.5 + 1 / 9.5)
    low, high = woolf(label, called)
    assert high / low == pytest.approx(np.exp(2 * 1.96 * error))
    assert low * high == pytest.approx((6.5 * 9.5 / (3.5 * 2.5)) ** 2)


def test_woolf_agrees_with_fisher():
    """Where Fisher's p is far below 0.05 the interval leaves 1 out, where it is far above it does not."""
    for counts in ([30, 10, 20, 90], [10, 10, 20, 22]):
        label, called = np.repeat([1, 0, 1, 0], counts), np.repeat([1, 1, 0, 0], counts)
        low, high = woolf(label, called)
        p = fisher_exact([[counts[0], counts[1]], [counts[2], counts[3]]]).pvalue
        assert (low > 1 or high < 1) == (p < 0.05)


def test_coverage_is_compared_as_a_share():
    first = np.array([[0.0, 2, 1], [2, 0, 1], [1, 1, 0]])
    second = np.array([[0.0, 4, 2], [4, 0, 2], [2, 2, 0]])
    np.testing.assert_allclose(coverage_difference(first, second), 0, atol=1e-12)
    second[2] = second[:, 2] = 0  # shares 3/8, 3/8, 2/8 against 1/2, 1/2 and none
    np.testing.assert_allclose(coverage_difference(first, second), [np.log(4 / 3), np.log(4 / 3), NAN])


def contacts(seed, n=40):
    square = np.random.default_rng(seed).random((n, n))
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return (square + square.T) / (1 + distance)


def test_rows_are_correlated_over_what_both_maps_hold():
    first, second = contacts(0), contacts(1)
    second[:, 7] = second[7] = NAN
    found = row_difference(first, second)
    assert np.isnan(found[7])
    np.testing.assert_allclose(row_difference(first, 5 * first), 0, atol=1e-12)
    i, distance = 3, np.arange(40) - 3
    kept = (np.abs(distance) >= 2) & (np.arange(40) != 7)
    rows = []
    for one in (first, second):
        expected = [np.nanmean(np.diagonal(one, abs(d))) for d in distance]
        rows.append(np.log1p(one[i] / expected)[kept])
    assert found[i] == pytest.approx(1 - np.corrcoef(*rows)[0, 1])


def embedding(latent, masked=()):
    n = len(latent)
    start = 40_000 * np.arange(n)
    bins = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 40_000})
    bins["masked"] = np.isin(np.arange(n), masked)
    return Embedding(bins, np.delete(latent, list(masked), axis=0).astype(np.float32))


def test_rows_of_inner_products_know_no_frame():
    latent = np.random.default_rng(0).normal(size=(30, 4))
    turned = latent @ ortho_group.rvs(4, random_state=0)
    found = inner_row_difference(embedding(latent, [3]), embedding(turned))
    assert np.isnan(found[3])
    np.testing.assert_allclose(np.delete(found, 3), 0, atol=1e-5)
    # Bins 0, 2 and 5 in one dimension, twice as long in the second map: products 3 times as much more.
    line = np.zeros((6, 1))
    line[[0, 2, 5]] = 1
    found = inner_row_difference(embedding(line), embedding(2 * line))
    # bin 0 has partners 2, 3, 4, 5, of which 2 and 5 differ by 3.
    assert found[0] == pytest.approx(np.sqrt(2 * 9 / 4))


def table(distance, chrom):
    n = len(distance)
    return pd.DataFrame(
        {"chrom": chrom, "start": 40_000 * np.arange(n), "distance": distance, "compartment_first": "A"}
    )


def pair(rng, far=0):
    """300 bins on each of the two chromosomes; the first `far` of each are far apart."""
    parts = []
    for chrom in ("chr21", "chr22"):
        distance = rng.random(300)
        distance[:far] += 5
        parts.append(table(distance, chrom))
    return pd.concat(parts, ignore_index=True)


def test_a_distance_that_finds_what_differs():
    rng = np.random.default_rng(0)
    row = Row(pair(rng, far=60), pair(rng), pair(rng).iloc[:300], pair(rng).iloc[:300])
    differs = np.tile(np.arange(300) < 60, 2).astype(float)
    differs[:5] = NAN
    found = called_bins(row, pooled=False)
    assert 120 <= found["shifted"].sum() < 135
    one = enrichment(found, Truth("t", differs))
    assert (one["known"], one["differing"], one["differing shifted"]) == (595, 115, 1)
    assert one["low"] > 20
    rates = null_rates(row, found)
    assert rates["replicates called"] == rates["HIC003 called"] == 0
    assert rates["replicates at the cut"] < 0.05
    rows = list(measured("x", row, [Truth("t", differs)]))
    assert [line["null"] for line in rows] == ["by compartment", "all bins"]
    assert rows[0]["AUC"] == 1
    assert rows[0]["turned p"] == 0.001
    assert rows[0]["top"] > 20
    apart = pd.DataFrame([{"truth": "t", "embedding": "x", "row": "E1", "value": 0.1, "low": 0, "high": 0.2}])
    text = summary(pd.DataFrame(rows), apart)
    assert "| x | 12" in text
    assert "+0.100 (+0.000 to +0.200)" in text


def test_a_distance_that_finds_nothing_has_no_odds():
    rng = np.random.default_rng(1)
    row = Row(pair(rng), pair(rng))
    line = next(measured("x", row, [Truth("t", np.tile([0.0, 1.0], 300))]))
    assert line["shifted"] == 0
    assert "odds ratio" not in line
    assert np.isnan(line["turned p"])
    assert 0.4 < line["AUC"] < 0.6


def test_each_step_makes_what_the_next_reads(tmp_path):
    made = {}
    for step in steps(tmp_path / "data", tmp_path / "out"):
        read = [word for word in step.arguments[2:] if word.startswith(f"{tmp_path}/out")]
        known = {str(path) for path in made} | {str(path.parent) for path in made}
        own = {str(step.made), str(step.made.parent)}
        assert set(read) - own <= known, step.arguments
        made[step.made] = step
    assert len([path for path in made if path.suffix == ".h5ad"]) == sum(len(one.samples) for one in MODELS)
