import numpy as np
import pandas as pd
import pytest

from chromweave.errors import SchemaError
from chromweave.plot.style import image_bytes
from chromweave.plot.validation import validation_figure

NAN = float("nan")
NO_CURVE = pd.DataFrame(columns=["called", "precision", "recall"])
CURVE = pd.DataFrame({"called": [1, 3, 9], "precision": [1.0, 2 / 3, 1 / 3], "recall": [0.1, 0.2, 0.3]})
STRATA = {
    "below 100 kb": {"called": 6, "known": 7},
    "100-250 kb": {"called": 3, "known": 0},
    "from 1 Mb": {"called": 1_240, "known": 12_003},
}


def results(*rows):
    return pd.DataFrame(rows, columns=["metric", "stratum", "value", "low", "high"])


ALL = (
    ("precision", "all", 1 / 3, 0.2, 0.5),
    ("recall", "all", 0.3, 0.1, 0.4),
    ("f1", "all", 0.31, 0.1, 0.4),
    ("shifted_control", "all", 0.02, NAN, NAN),
)
TABLE = results(
    *ALL,
    ("precision", "below 100 kb", 0.5, 0.4, 0.6),
    ("recall", "below 100 kb", 0.4, 0.2, 0.5),
    ("precision", "100-250 kb", 0.0, NAN, NAN),
    ("recall", "100-250 kb", NAN, NAN, NAN),
    ("precision", "from 1 Mb", 0.2, NAN, NAN),
    ("recall", "from 1 Mb", 0.1, NAN, NAN),
)


def test_the_curve_with_all_calls_marked_and_chance(by_gid, texts, assert_legible):
    figure = validation_figure(TABLE, STRATA, CURVE)
    left = figure.axes[0]
    (curve,), (cut,), (control,) = (by_gid(left, name) for name in ("curve", "cut", "control"))
    assert list(curve.get_xdata()) == [0.1, 0.2, 0.3]
    assert list(curve.get_ydata()) == [1, 2 / 3, 1 / 3]
    assert (list(cut.get_xdata()), list(cut.get_ydata())) == ([0.3], [1 / 3])
    assert set(control.get_ydata()) == {0.02}
    assert left.get_xlim() == (0, pytest.approx(0.315))
    assert left.get_ylim() == (0, pytest.approx(1.02))
    assert {"best calls first", "all calls", "calls shifted (chance)"} <= set(texts(figure))
    assert_legible(figure)


def test_bars_by_distance_with_their_intervals_and_counts(by_gid, texts):
    figure = validation_figure(TABLE, STRATA, CURVE)
    right = figure.axes[1]
    heights = {name: [bar.get_height() for bar in by_gid(right, name)] for name in ("precision", "recall")}
    np.testing.assert_equal(heights, {"precision": [0.5, 0.0, 0.2], "recall": [0.4, NAN, 0.1]})
    ends = [lines.get_segments()[0][:, 1].tolist() for lines in by_gid(right, "interval")]
    assert ends == [[0.4, 0.6], [0.2, 0.5]]
    labels = [label.get_text() for label in right.get_xticklabels()]
    assert labels[0] == "below 100 kb\n6 called\n7 known"
    assert labels[2] == "from 1 Mb\n1,240 called\n12,003 known"
    assert right.get_ylim()[0] == 0


def test_five_strata_fit(assert_legible):
    names = ("below 100 kb", "100-250 kb", "250-500 kb", "500 kb-1 Mb", "from 1 Mb")
    strata = {name: {"called": 123_456, "known": 123_456} for name in names}
    rows = [(metric, name, 0.5, 0.4, 0.6) for metric in ("precision", "recall") for name in names]
    assert_legible(validation_figure(results(*ALL, *rows), strata, CURVE))


def test_without_a_ranking_one_point_is_left(by_gid):
    left = validation_figure(TABLE, STRATA, NO_CURVE).axes[0]
    assert by_gid(left, "curve") == []
    assert len(by_gid(left, "cut")) == 1
    assert left.get_ylim() == (0, pytest.approx(0.35))


@pytest.mark.parametrize("metric", ["precision", "recall"])
def test_nothing_to_find_or_nothing_called(by_gid, metric):
    undefined = results(*(row if row[0] != metric else (metric, "all", NAN, NAN, NAN) for row in ALL))
    figure = validation_figure(undefined, {}, NO_CURVE)
    assert [len(by_gid(ax, "nothing")) for ax in figure.axes] == [1, 1]
    image_bytes(figure)


def test_nothing_found_has_axes_all_the_same():
    none = results(*((metric, stratum, 0.0, NAN, NAN) for metric, stratum, *_ in ALL))
    left = validation_figure(none, {}, CURVE.assign(precision=0.0, recall=0.0)).axes[0]
    assert (left.get_xlim(), left.get_ylim()) == ((0, 1), (0, 1))


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match="validation_figure: the table to draw has no column 'low'"):
        validation_figure(TABLE.drop(columns="low"), STRATA, CURVE)
    with pytest.raises(SchemaError, match="no column 'recall'"):
        validation_figure(TABLE, STRATA, CURVE.drop(columns="recall"))
