import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve as sklearn_calibration

from chromweave.errors import DataError
from chromweave.evaluation.classification import (
    at_fdr,
    at_threshold,
    auroc,
    average_precision,
    brier,
    calibration_curve,
)

LABEL = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
SCORE = np.array([0.9, 0.8, 0.7, 0.4, 0.2])


def test_by_hand():
    # Of the 6 pairs of a loop and a non-loop, only (0.4, 0.7) is the wrong way round.
    assert auroc(LABEL, SCORE) == pytest.approx(5 / 6)
    # Precision at each loop found: 1, 1, 3/4.
    assert average_precision(LABEL, SCORE) == pytest.approx((1 + 1 + 0.75) / 3)
    point = at_threshold(LABEL, SCORE)
    assert (point.precision, point.recall, point.n_called) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert point.f1 == pytest.approx(2 / 3)
    assert brier(LABEL, SCORE) == pytest.approx((0.01 + 0.04 + 0.49 + 0.36 + 0.04) / 5)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    label = (generator.random(50) < 0.4).astype(float)
    score = np.clip(0.3 * label + generator.random(50), 0, 1).round(1)  # ties
    mask = generator.random(50) < 0.9
    y, s = label[mask], score[mask]
    assume(0 < y.sum() < len(y))
    assert np.isclose(auroc(label, score, mask), sklearn_metrics.roc_auc_score(y, s))
    assert np.isclose(average_precision(label, score, mask), sklearn_metrics.average_precision_score(y, s))
    assert np.isclose(brier(label, score, mask), sklearn_metrics.brier_score_loss(y, s))
    point = at_threshold(label, score, mask)
    assert np.isclose(point.f1, sklearn_metrics.f1_score(y, s >= 0.5, zero_division=0.0))


def test_one_class_has_no_auroc():
    assert np.isnan(auroc(np.ones(3), np.arange(3.0)))
    assert np.isnan(auroc(np.zeros(0), np.zeros(0)))
    assert np.isnan(average_precision(np.zeros(3), np.arange(3.0)))
    assert np.isnan(brier(np.zeros(0), np.zeros(0)))


def test_nothing_called():
    point = at_threshold(LABEL, SCORE, threshold=2.0)
    assert np.isnan(point.precision)
    assert (point.recall, point.f1, point.n_called) == (0.0, 0.0, 0)


def test_recall_at_a_false_discovery_rate():
    # Calls down to 0.4: 3 loops, 1 other (25 %); down to 0.8: none wrong; down to 0.2: 2 of 5 wrong.
    assert at_fdr(LABEL, SCORE, fdr=0.05).threshold == 0.8
    point = at_fdr(LABEL, SCORE, fdr=0.25)
    assert (point.threshold, point.recall, point.precision) == (0.4, 1.0, 0.75)
    assert at_fdr(LABEL, SCORE, fdr=0.5).threshold == 0.2


def test_no_threshold_reaches_the_rate():
    point = at_fdr(np.array([0.0, 1.0]), np.array([0.9, 0.1]), fdr=0.05)
    assert (point.threshold, point.n_called, point.recall) == (np.inf, 0, 0.0)
    assert np.isnan(at_fdr(np.zeros(0), np.zeros(0)).recall)


def test_calibration():
    label = np.array([0.0, 1.0, 1.0, 1.0])
    probability = np.array([0.1, 0.1, 0.9, 1.0])
    curve = calibration_curve(label, probability, bins=5)
    np.testing.assert_allclose(curve.predicted, [0.1, 0.95])
    np.testing.assert_allclose(curve.observed, [0.5, 1.0])
    assert curve.n.tolist() == [2, 2]
    assert curve.error == pytest.approx((0.4 * 2 + 0.05 * 2) / 4)
    generator = np.random.default_rng(1)
    label, probability = (generator.random(300) < 0.5).astype(float), generator.random(300)
    curve = calibration_curve(label, probability)
    observed, predicted = sklearn_calibration(label, probability, n_bins=10)
    np.testing.assert_allclose(curve.observed, observed)
    np.testing.assert_allclose(curve.predicted, predicted)


def test_calibration_of_nothing_is_unknown():
    assert np.isnan(calibration_curve(np.zeros(0), np.zeros(0)).error)


def test_bad_labels_and_probabilities_are_refused():
    with pytest.raises(DataError, match="labels must be 0 or 1, not 2"):
        auroc(np.array([0.0, 2.0]), np.zeros(2))
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        brier(LABEL, SCORE * 5)
