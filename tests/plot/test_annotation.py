"""Bars of callers: their lengths are the numbers, and one without a list says so."""

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import SchemaError
from chromweave.plot.annotation import annotation_figure

TABLE = pd.DataFrame(
    {"method": ["ours", "theirs", "absent"], "called": [100.0, 40.0, np.nan], "matched": [80.0, 10.0, np.nan]}
)


def lengths(figure, gid):
    (ax,) = figure.axes
    return [bar.get_width() for bar in ax.patches if bar.get_gid() == gid]


def test_bars_are_the_numbers_and_texts_the_proportions():
    figure = annotation_figure(TABLE)
    assert lengths(figure, "called") == [100, 40, 0]
    assert lengths(figure, "matched") == [80, 10, 0]
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["80%", "25%", "no list"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ours", "theirs", "absent"]


def test_nothing_called_and_nobody_asked():
    figure = annotation_figure(TABLE.assign(called=0.0, matched=0.0))
    assert figure.axes[0].texts[0].get_text() == "0 calls"
    assert "no callers" in [text.get_text() for text in annotation_figure(TABLE.iloc[:0]).axes[0].texts]


def test_a_table_that_lacks_a_column():
    with pytest.raises(SchemaError, match="annotation_figure: the table to draw has no column 'matched'"):
        annotation_figure(TABLE.drop(columns="matched"))
