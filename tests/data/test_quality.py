"""The quality rules on windows made by hand."""

import numpy as np
import pytest

from chromweave.data.quality import QualityFilter, window_statistics
from chromweave.errors import ConfigError


def window(nonzero=2500, centre=None, corner=None):
    values = np.zeros(2500, np.float32)
    values[:nonzero] = 1
    values = values.reshape(50, 50)
    if corner is not None:
        values[37:50, 0:13] = corner
    if centre is not None:
        values[25, 25] = centre
    return values


def passes(quality, *windows):
    failures = quality.failures(window_statistics(np.stack(windows)))
    return (~np.any(list(failures.values()), axis=0)).tolist()


def test_a_tenth_of_the_entries_must_be_filled():
    assert passes(QualityFilter(), window(249), window(250), window(0)) == [False, True, False]


def test_the_anchor_against_the_corner_towards_the_diagonal():
    rule = QualityFilter(centre_to_corner=0.1)
    assert passes(rule, window(centre=0.0999, corner=1), window(centre=0.1, corner=1)) == [False, True]
    assert passes(rule, window(centre=0, corner=0), window(centre=5, corner=0)) == [True, True]  # nan, inf
    assert passes(QualityFilter(), window(centre=0.0999, corner=1)) == [True]


def test_the_corner_is_rows_37_to_49_and_columns_0_to_12():
    values = window()
    values[36, :] = values[:, 13] = 1000
    assert window_statistics(values[None]).corner.tolist() == [1]
    values[37, 12] = 170  # one of 169 entries
    assert window_statistics(values[None]).corner.tolist() == [2]


def test_the_anchor_must_have_contacts_where_asked():
    rule = QualityFilter(centre_contacts=True)
    assert passes(rule, window(centre=0), window(centre=0.5)) == [False, True]
    assert passes(QualityFilter(), window(centre=0)) == [True]


def test_a_fraction_is_a_fraction():
    with pytest.raises(ConfigError, match="fraction"):
        QualityFilter(min_nonzero=10)
