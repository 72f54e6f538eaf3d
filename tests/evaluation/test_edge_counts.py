from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chromweave.errors import DataError
from chromweave.evaluation.edge_counts import (
    CountModel,
    CountTask,
    fit_dispersion,
    hold_out_counts,
    negative_binomial_log_likelihood,
    poisson_log_likelihood,
    score_counts,
    trivial_means,
)
from chromweave.evaluation.edge_sampling import EdgeTask
from tests.fakes_edges import as_set, task_of


def asked_of(counts, *, max_bins=None, held_out_fraction=0.2, seed=0):
    """The count task of a symmetric matrix of counts."""
    task = task_of(counts > 0, max_bins=max_bins, held_out_fraction=held_out_fraction, seed=seed)
    return hold_out_counts(task, counts[tuple(task.message)], counts[tuple(task.held_out)], seed=seed)


def drawn(rate, seed=0, dispersion=None):
    rng = np.random.default_rng(seed)
    if dispersion:
        rate = rate * rng.gamma(1 / dispersion, dispersion, rate.shape)
    counts = np.triu(rng.poisson(rate), 1)
    return counts + counts.T


def decay(n, top=20.0):
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return top / np.maximum(distance, 1) ** 0.8


def value_of(table, method, metric):
    return table.set_index(["method", "metric"])["value"][method, metric]


@pytest.mark.parametrize("mean", [0.01, 1.0, 37.5])
def test_likelihoods_are_scipys(mean):
    counts = np.arange(60)
    np.testing.assert_allclose(
        poisson_log_likelihood(counts, np.full(60, mean)), stats.poisson.logpmf(counts, mean)
    )
    for dispersion in (0.05, 1.0, 30.0):
        size = 1 / dispersion
        np.testing.assert_allclose(
            negative_binomial_log_likelihood(counts, np.full(60, mean), dispersion),
            stats.nbinom.logpmf(counts, size, size / (size + mean)),
            rtol=1e-9,
        )


def test_without_dispersion_a_negative_binomial_is_poisson():
    counts = np.arange(30)
    np.testing.assert_allclose(
        negative_binomial_log_likelihood(counts, np.full(30, 7.0), 1e-6),
        poisson_log_likelihood(counts, np.full(30, 7.0)),
        atol=1e-3,
    )


@given(seed=st.integers(0, 1000), dispersion=st.sampled_from([0.1, 0.5, 2.0]))
@settings(max_examples=10, deadline=None)
def test_dispersion_is_found_again(seed, dispersion):
    rng = np.random.default_rng(seed)
    mean = rng.uniform(1, 30, 20_000)
    counts = rng.poisson(mean * rng.gamma(1 / dispersion, dispersion, len(mean)))
    assert fit_dispersion(counts, mean) == pytest.approx(dispersion, rel=0.06)


def test_poisson_counts_have_next_to_no_dispersion():
    rng = np.random.default_rng(0)
    mean = rng.uniform(1, 30, 20_000)
    assert fit_dispersion(rng.poisson(mean), mean) < 0.005


def six_bins():
    """Six bins, range two; 0-1, 1-2 and 2-4 visible, 3-4 asked about, 4-5 held out beside it."""
    task = EdgeTask(
        chrom=np.zeros(6, int),
        bins=np.arange(6),
        message=np.array([[0, 1, 2], [1, 2, 4]]),
        held_out=np.array([[3], [4]]),
        known=np.array([[0, 1, 2, 3, 4, 0], [1, 2, 4, 4, 5, 5]]),
        max_bins=2,
    )
    return hold_out_counts(task, np.array([5, 3, 2]), np.array([4]), seed=0)


def test_zeros_are_held_out_by_the_chance_of_contacts():
    task = six_bins()
    # In range: 5 contacts and 4 zeros (0-2, 1-3, 2-3, 3-5). Of the contacts 2 of 5 are hidden and 1 of 5 is
    # asked about; of the zeros round(1.6) = 2 and round(0.8) = 1.
    zeros = {(0, 2), (1, 3), (2, 3), (3, 5)}
    hidden, asked = as_set(task.hidden), as_set(task.held_out)
    assert {(3, 4), (4, 5)} <= hidden
    assert len(hidden) == 4
    assert len(hidden & zeros) == 2
    assert asked <= hidden
    assert len(asked & zeros) == 1
    assert task.counts.tolist() == [4, 0]
    assert as_set(task.visible) == ({(0, 1), (1, 2), (2, 4)} | zeros) - hidden
    seen = dict(zip(map(tuple, task.visible.T.tolist()), task.visible_counts.tolist(), strict=True))
    assert seen[0, 1] == 5
    assert seen[2, 4] == 2
    assert sum(seen.values()) == 10


def test_mean_over_asked_pairs_is_the_maps():
    counts = drawn(decay(150, 4.0))
    near = np.triu(np.ones((150, 150), bool), 1) & (decay(150, 4.0) >= decay(150, 4.0)[0, 30])
    means = [asked_of(counts, max_bins=30, seed=seed).counts.mean() for seed in range(20)]
    error = np.std(means, ddof=1) / len(means) ** 0.5
    assert np.mean(means) == pytest.approx(counts[near].mean(), abs=3 * error)


def test_expected_by_hand():
    task = six_bins()
    edges = task.edges
    model = CountModel.fit(task, visibility=False)
    distance = edges.distance(task.visible)
    for d in (1, 2):
        here = task.visible_counts[distance == d]
        # Jeffreys' prior: half a contact is added.
        assert model.expected[d] == pytest.approx((here.sum() + 0.5) / len(here))
    assert model(np.array([[0, 3], [1, 5]])).tolist() == pytest.approx(model.expected[1:].tolist())


def test_a_distance_without_visible_pairs_takes_its_neighbours():
    edges = EdgeTask(
        np.zeros(4, int), np.array([0, 1, 2, 3]), np.array([[0], [1]]), np.empty((2, 0), int),
        np.array([[0], [1]]), 3,
    )  # fmt: skip
    hidden = np.array([[0], [3]])
    task = CountTask(edges, np.array([2]), hidden, hidden, np.array([0]))
    model = CountModel.fit(task, visibility=False)
    assert model.expected[2] == pytest.approx(0.25)  # (0 + 1/2) / 2 pairs
    assert model(hidden).tolist() == [model.expected[2]]


def test_visibility_is_found_again():
    visibility = np.where(np.arange(120) % 3, 1.3, 0.4)
    counts = drawn(decay(120, 200.0) * np.outer(visibility, visibility))
    task = asked_of(counts)
    model = CountModel.fit(task)
    ratio = model.visibility / model.visibility.mean() / (visibility / visibility.mean())
    assert np.abs(np.log(ratio)).max() < 0.12
    truth = (decay(120) * np.outer(visibility, visibility))[tuple(task.held_out)]
    assert np.corrcoef(np.log(model(task.held_out)), np.log(truth))[0, 1] > 0.98


def test_rows_are_ordered_as_the_map_was_made():
    state = np.where((np.arange(150) // 15) % 2, 1.0, -1.0)
    visibility = np.random.default_rng(1).uniform(0.5, 1.5, 150)
    rate = decay(150) * np.outer(visibility, visibility) * np.exp(0.5 * np.outer(state, state))
    task = asked_of(drawn(rate), max_bins=60)
    truth = {"truth": lambda pairs: rate[tuple(pairs)]}
    table = score_counts(task, {**trivial_means(task, rank=2), **truth}, seed=4)
    for metric in ("poisson", "negative binomial"):
        scores = [
            value_of(table, method, metric)
            for method in ("distance", "expected x visibility", "expected x visibility + SVD(2)", "truth")
        ]
        assert scores == sorted(scores)
    assert np.isnan(value_of(table, "distance", "log O/E pearson"))
    assert value_of(table, "truth", "log O/E pearson") > value_of(
        table, "expected x visibility", "log O/E pearson"
    )
    assert value_of(table, "truth", "dispersion") < 0.01 < value_of(table, "distance", "dispersion")
    assert set(table["sampling"]) == {"counts"}
    assert set(table["seed"]) == {4}
    assert set(table["pairs"]) == {task.held_out.shape[1]}


def test_a_score_by_hand():
    task = six_bins()
    flat = {"flat": lambda pairs: np.full(pairs.shape[1], 2.0)}
    table = score_counts(task, flat, seed=0)
    # Counts 4 and 0 under a mean of 2.
    assert value_of(table, "flat", "poisson") == pytest.approx(
        (stats.poisson.logpmf(4, 2) + stats.poisson.logpmf(0, 2)) / 2
    )
    size = 1 / value_of(table, "flat", "dispersion")
    assert value_of(table, "flat", "negative binomial") == pytest.approx(
        stats.nbinom.logpmf([4, 0], size, size / (size + 2)).mean()
    )
    assert np.isnan(value_of(table, "flat", "log O/E pearson")), "one pair has no correlation"


def test_correlation_is_of_pairs_with_contacts():
    task = asked_of(drawn(decay(60)), max_bins=20)
    by_distance = CountModel.fit(task, visibility=False)
    rng = np.random.default_rng(0)
    noise = dict(zip(map(tuple, task.held_out.T.tolist()), rng.normal(size=len(task.counts)), strict=True))

    def noisy(pairs):
        return by_distance(pairs) * np.exp([noise.get(tuple(pair), 0.0) for pair in pairs.T.tolist()])

    touched = task.counts > 0
    expected = by_distance(task.held_out)[touched]
    wanted = stats.pearsonr(
        np.log(task.counts[touched] / expected), np.log(noisy(task.held_out)[touched] / expected)
    )[0]
    assert value_of(score_counts(task, {"noisy": noisy}, seed=0), "noisy", "log O/E pearson") == (
        pytest.approx(wanted)
    )


def test_rows_do_not_look_at_hidden_counts():
    task = asked_of(drawn(decay(50)), max_bins=20)
    other = replace(task, counts=task.counts + 7)
    for mine, again in zip(trivial_means(task).values(), trivial_means(other).values(), strict=True):
        np.testing.assert_array_equal(mine(task.held_out), again(task.held_out))
        assert (mine(task.held_out) > 0).all()


@pytest.mark.parametrize(
    ("message", "held_out", "sentence"),
    [
        ([5, 3], [4], r"3 message edges have counts of shape \(2,\)"),
        ([5, 3, 2], [4, 1], r"1 held-out contacts have counts of shape \(2,\)"),
        ([5, 0, 2], [4], "message edges must have raw counts above 0"),
        ([5, 3, 2], [np.nan], "held-out contacts must have raw counts above 0"),
    ],
)
def test_counts_that_do_not_fit(message, held_out, sentence):
    with pytest.raises(DataError, match=sentence):
        hold_out_counts(six_bins().edges, np.array(message), np.array(held_out), seed=0)


def test_nothing_to_ask():
    edges = replace(six_bins().edges, held_out=np.empty((2, 0), int))
    with pytest.raises(DataError, match="there are no held-out contacts"):
        hold_out_counts(edges, np.array([5, 3, 2]), np.empty(0), seed=0)


@pytest.mark.parametrize("mean", [0.0, -1.0, np.nan, np.inf])
def test_means_that_no_count_can_have(mean):
    with pytest.raises(DataError, match="odd: a mean count must be finite and above 0"):
        score_counts(six_bins(), {"odd": lambda pairs: np.full(pairs.shape[1], mean)}, seed=0)


def test_means_of_another_number():
    with pytest.raises(DataError, match=r"odd: gave means of shape \(1,\) for 2 pairs"):
        score_counts(six_bins(), {"odd": lambda pairs: np.ones(1)}, seed=0)
