import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import ConfigError
from chromweave.evaluation.classification import auroc
from chromweave.evaluation.strata import by_distance, stratified_auroc


def test_each_sample_is_in_its_stratum_and_in_all():
    distance = np.array([10_000, 20_000, 49_999, 50_000, 100_000, 200_000])
    label = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    score = np.array([0.9, 0.1, 0.8, 0.7, 0.2, 0.3])
    strata = by_distance(auroc, label, score, distance, edges=(20_000, 50_000, 100_000))
    assert [(s.name, s.n) for s in strata] == [("all", 6), ("20kb-50kb", 2), ("50kb-100kb", 2)]
    assert [s.value for s in strata] == [pytest.approx(7 / 9), 1.0, 0.0]


def test_masked_samples_are_in_none():
    label, score = np.array([1.0, 0.0, np.nan]), np.array([1.0, 0.0, 0.5])
    mask = np.array([True, False, True])
    strata = by_distance(auroc, label, score, np.full(3, 30), edges=(0, 100), mask=mask)
    assert [s.n for s in strata] == [1, 1]


@pytest.mark.parametrize("edges", [(5,), (5, 5), (7, 5)])
def test_edges_ascend(edges):
    with pytest.raises(ConfigError, match="ascending"):
        by_distance(auroc, np.zeros(1), np.zeros(1), np.zeros(1), edges=edges)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distance_alone_is_worth_nothing_within_distance(seed):
    generator = np.random.default_rng(seed)
    distance = np.repeat(generator.integers(4, 100, 8), 2)
    label = np.tile([0.0, 1.0], 8)
    assert stratified_auroc(label, -distance.astype(float), distance) == 0.5


def test_stratified_auroc_weighs_by_pairs():
    label = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    score = np.array([2.0, 1.0, 5.0, 6.0, 7.0, 9.0])
    stratum = np.array(["a", "a", "b", "b", "b", "c"])
    # a: 1 pair right; b: 2 pairs wrong; c: no pair.
    assert stratified_auroc(label, score, stratum) == pytest.approx(1 / 3)
    assert np.isnan(stratified_auroc(np.ones(2), np.ones(2), np.zeros(2)))
