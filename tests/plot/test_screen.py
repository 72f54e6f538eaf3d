import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from chromweave.errors import ConfigError, SchemaError
from chromweave.plot.screen import screen_figure
from chromweave.plot.style import BLUE, VERMILLION, image_bytes

NAN = float("nan")


def screen(*effects, **columns):
    names = [f"edit {i}" for i in range(len(effects))]
    return pd.DataFrame({"name": names, "effect": np.array(effects, dtype=np.float64), **columns})


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_effects_are_ranked_and_the_largest_named(by_gid, texts, assert_legible):
    figure = screen_figure(screen(0.1, -0.9, 0.5, NAN, -0.2, 0.05), top=3, effect="insulation (log2)")
    ranked, named = figure.axes
    every = by_gid(ranked, "all")[0].get_offsets()
    assert every[:, 1].tolist() == [0.5, 0.1, 0.05, -0.2, -0.9]
    assert every[:, 0].tolist() == [1, 2, 3, 4, 5]
    marked = by_gid(ranked, "named")[0]
    assert marked.get_offsets().tolist() == [[1, 0.5], [4, -0.2], [5, -0.9]]
    assert [to_hex(c).upper() for c in marked.get_facecolors()] == [VERMILLION, BLUE, BLUE]
    assert names(named) == ["edit 2", "edit 4", "edit 1"]
    assert by_gid(named, "effects")[0].get_offsets()[:, 0].tolist() == [0.5, -0.2, -0.9]
    assert {"5 edits", "the largest", "rank"} <= set(texts(figure))
    assert_legible(figure)


def test_intervals_are_drawn_where_there_are_any(by_gid):
    without = screen_figure(screen(0.1, 0.2))
    assert not by_gid(without.axes[1], "interval")
    figure = screen_figure(screen(0.1, 0.2, low=[0.0, 0.1], high=[0.2, 0.3]))
    (lines,) = by_gid(figure.axes[1], "interval")
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[0.1, 0.3], [0.0, 0.2]]
    partly = screen_figure(screen(0.1, 0.2, low=[0.0, NAN], high=[0.2, NAN]))
    image_bytes(partly)
    assert figure.axes[1].get_title("left") == "all"


def test_many_long_names_are_legible(assert_legible):
    rng = np.random.default_rng(0)
    table = screen(*rng.standard_t(2, 500))
    table["name"] = [f"chr8:{20_000_000 + 5_000 * i:,}-{20_005_000 + 5_000 * i:,} CTCF" for i in range(500)]
    assert_legible(screen_figure(table, top=25))


def test_a_screen_without_effects(by_gid):
    figure = screen_figure(screen(NAN))
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)


def test_equal_effects_of_one_sign(by_gid):
    image_bytes(screen_figure(screen(0.0, 0.0)))


def test_naming_none_is_refused():
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        screen_figure(screen(1.0), top=0)


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match="no column 'effect'; it has name"):
        screen_figure(screen(1.0).drop(columns="effect"))
