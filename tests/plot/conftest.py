"""What a reader sees of a figure: its texts, where they stand, and whether any two collide."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

from chromweave.genome import Interval


@pytest.fixture(autouse=True)
def untouched_settings():
    """No picture may leave matplotlib's global settings, or pyplot's figures, changed."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


def shown_tick_labels(axis):
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * max(abs(low), abs(high), 1)
    for tick in axis.get_major_ticks():
        if low - slack <= tick.get_loc() <= high + slack:
            yield tick.label1
            yield tick.label2


def shown_texts(figure):
    """Every text that is drawn: ticks inside the view, titles, labels, legends, annotations."""
    figure.draw_without_rendering()
    ticks = {
        id(label)
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
    }
    inside = [t for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for t in shown_tick_labels(axis)]
    others = [text for text in figure.findobj(Text) if id(text) not in ticks]
    return [text for text in [*inside, *others] if text.get_visible() and text.get_text().strip()]


@pytest.fixture
def texts():
    return lambda figure: [text.get_text() for text in shown_texts(figure)]


@pytest.fixture
def assert_legible():
    """No two texts overlap, none leaves the figure, none is smaller than 8 points."""

    def check(figure):
        renderer = figure.canvas.get_renderer()
        found = shown_texts(figure)
        assert found, "a figure without a word"
        boxes = [text.get_window_extent(renderer) for text in found]
        whole = figure.bbox.padded(1)
        for text, box in zip(found, boxes, strict=True):
            assert text.get_fontsize() >= 8, text
            corners = [(box.x0, box.y0), (box.x1, box.y1)]
            assert all(whole.contains(*corner) for corner in corners), f"{text} leaves the figure"
        for (one, box), (two, other) in combinations(zip(found, boxes, strict=True), 2):
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert width <= 1 or height <= 1, f"{one} and {two} overlap"

    return check


@pytest.fixture
def by_gid():
    """The artists of axes that carry a name."""
    return lambda ax, gid: [artist for artist in ax.get_children() if artist.get_gid() == gid]


@pytest.fixture
def region():
    return Interval("chr22", 20_000_000, 20_400_000)


@pytest.fixture
def contacts():
    """40 bins of 10 kb: contacts fall as 1 / distance, bin 7 is masked."""
    bins = np.arange(40)
    matrix = 100.0 / (1 + np.abs(bins[:, None] - bins[None, :]))
    matrix[7] = matrix[:, 7] = np.nan
    return matrix
