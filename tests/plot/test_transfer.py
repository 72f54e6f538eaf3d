import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from chromweave.errors import DataError, SchemaError
from chromweave.plot.style import BLUE, VERMILLION, image_bytes
from chromweave.plot.transfer import fewshot_figure, matrix_figure

NAN = float("nan")


def draws(metrics=("auroc",), ratios=(0.01, 0.1, 1.0), starts=("pre-trained", "scratch")):
    rows = [
        (start, ratio, metric, 0.8 + 0.1 * np.log10(ratio) * (1 + i) / 2 + 0.01 * draw)
        for i, start in enumerate(starts)
        for ratio in ratios
        for metric in metrics
        for draw in (-1, 0, 1)
    ]
    table = pd.DataFrame(rows, columns=["start", "ratio", "metric", "value"])
    mean = table.groupby(["start", "ratio", "metric"])["value"].transform("mean")
    return table.assign(mean=mean, low=mean - 0.0248414, high=mean + 0.0248414)


def pairs(*rows):
    return pd.DataFrame(rows, columns=["train", "test", "value"])


def test_few_labels_have_a_line_for_each_start(by_gid, texts, assert_legible):
    figure = fewshot_figure(draws())
    (ax,) = figure.axes
    assert ax.get_xscale() == "log"
    trained, scratch = by_gid(ax, "mean")
    assert (trained.get_color(), scratch.get_color()) == (BLUE, VERMILLION)
    assert list(trained.get_ydata()) == pytest.approx([0.7, 0.75, 0.8])
    assert list(scratch.get_ydata()) == pytest.approx([0.6, 0.7, 0.8])
    assert (scratch.get_xdata() > trained.get_xdata()).all(), "so that equal means are both seen"
    assert [len(points.get_xdata()) for points in by_gid(ax, "draws")] == [9, 9]
    (spans, _) = by_gid(ax, "interval")
    ends = spans.get_segments()[0][:, 1]
    assert ends == pytest.approx([0.7 - 0.0248414, 0.7 + 0.0248414], abs=1e-6)
    assert {"1 %", "10 %", "100 %", "pre-trained", "scratch", "single draws", "auroc"} <= set(texts(figure))
    assert_legible(figure)


def test_two_draws_have_no_interval(by_gid):
    table = draws()
    figure = fewshot_figure(table[(table["ratio"] < 1) | (table["value"] < table["mean"] + 0.001)])
    spans = by_gid(figure.axes[0], "interval")
    assert [len(span.get_segments()) for span in spans] == [2, 2], "none at the ratio with two draws"


def test_each_metric_of_few_labels_has_a_panel(assert_legible):
    figure = fewshot_figure(draws(("auroc", "auprc", "brier", "f1"), (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)))
    assert [ax.get_ylabel() for ax in figure.axes] == ["auroc", "auprc", "brier", "f1"]
    assert_legible(figure)


def test_one_draw_of_one_share(texts):
    table = draws(ratios=(1.0,)).iloc[:1].drop(columns="metric")
    figure = fewshot_figure(table, metric="AUROC")
    assert figure.axes[0].get_ylabel() == "AUROC"
    assert "100 %" in texts(figure)
    image_bytes(figure)


def test_no_draws(by_gid):
    assert by_gid(fewshot_figure(draws().iloc[:0]).axes[0], "nothing")
    assert by_gid(fewshot_figure(draws().assign(value=NAN)).axes[0], "nothing")


def test_a_share_of_nothing_is_refused():
    with pytest.raises(DataError, match="ratio of 0 is no share"):
        fewshot_figure(draws().assign(ratio=0.0))


def test_a_matrix_has_its_values_written_in(by_gid, texts, assert_legible):
    table = pairs(
        ("K562", "GM12878", 0.7), ("K562", "K562", 0.9), ("IMR-90", "K562", 0.6), ("IMR-90", "IMR-90", NAN)
    )
    figure = matrix_figure(table, metric="AUROC", title="loops")
    ax, bar = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["K562", "IMR-90"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["K562", "IMR-90", "GM12878"]
    np.testing.assert_array_equal(ax.images[0].get_array().filled(NAN), [[0.9, NAN, 0.7], [0.6, NAN, NAN]])
    written = {text.get_position(): text.get_text() for text in by_gid(ax, "value")}
    assert written == {(0, 0): "0.900", (2, 0): "0.700", (0, 1): "0.600"}
    assert [frame.get_xy() for frame in by_gid(ax, "same")] == [(-0.5, -0.5), (0.5, 0.5)]
    assert bar.get_ylabel() == "AUROC"
    assert_legible(figure)


def luminance(colour):
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_written_values_can_be_read_on_every_colour(by_gid):
    lines = [f"line {i}" for i in range(5)]
    table = pairs(*((a, b, 0.5 + i / 50) for i, (a, b) in enumerate((a, b) for a in lines for b in lines)))
    ax = matrix_figure(table).axes[0]
    image = ax.images[0]
    for text in by_gid(ax, "value"):
        column, row = text.get_position()
        below = luminance(image.cmap(image.norm(image.get_array()[row, column])))
        ink = luminance(text.get_color())
        contrast = (max(below, ink) + 0.05) / (min(below, ink) + 0.05)
        assert contrast >= 4.5, f"{text.get_text()}: {contrast:.1f}, where WCAG asks for 4.5"


def test_a_matrix_of_one_value_and_of_none(by_gid):
    image_bytes(matrix_figure(pairs(("a", "a", 0.5))))
    assert by_gid(matrix_figure(pairs()).axes[0], "nothing")


def test_a_pair_with_two_rows_is_refused():
    with pytest.raises(DataError, match="a tested on b has more than one row"):
        matrix_figure(pairs(("a", "b", 0.5), ("a", "b", 0.6)))


@pytest.mark.parametrize(
    ("draw", "missing"),
    [
        (lambda: fewshot_figure(draws().drop(columns="ratio")), "ratio"),
        (lambda: matrix_figure(pairs().drop(columns="test")), "test"),
    ],
)
def test_a_missing_column_is_named(draw, missing):
    with pytest.raises(SchemaError, match=f"no column '{missing}'"):
        draw()
