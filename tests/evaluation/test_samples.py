import numpy as np
import pytest

from chromweave.errors import DataError
from chromweave.evaluation.samples import counting_entries, paired_values


def test_masked_and_missing_truth_is_left_out():
    truth = np.array([[1.0, np.nan], [3.0, 4.0]])
    prediction = np.array([[5.0, 6.0], [7.0, np.nan]])
    mask = np.array([[True, True], [True, False]])
    kept = paired_values(truth, prediction, mask)
    assert [values.tolist() for values in kept] == [[1.0, 3.0], [5.0, 7.0]]


def test_a_mask_is_broadcast():
    assert counting_entries(np.ones((2, 3)), np.array([True, False, True])).sum() == 4


def test_a_missing_prediction_is_an_error_not_a_choice():
    with pytest.raises(DataError, match="missing or infinite at 1 of 2 entries"):
        paired_values(np.array([1.0, 2.0]), np.array([1.0, np.nan]))


def test_shapes_must_agree():
    with pytest.raises(DataError, match=r"truth has shape \(2,\), the prediction \(3,\)"):
        paired_values(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError, match="mask of shape"):
        paired_values(np.zeros(2), np.zeros(2), np.ones(3, bool))
