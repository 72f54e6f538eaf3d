import numpy as np
import pandas as pd
import pytest

from chromweave.errors import DataError, SchemaError
from chromweave.plot.scores import ablation_figure, contacts_figure, expression_figure
from chromweave.plot.style import GREY, image_bytes

NAN = float("nan")


def curve(method, values, step=100_000, **ends):
    distance = step * np.arange(1, len(values) + 1)
    return pd.DataFrame({"method": method, "distance_bp": distance, "pearson": values, **ends})


def scores(*rows):
    return pd.DataFrame(rows, columns=["method", "metric", "value", "low", "high"])


GENES = scores(
    ("fine-tuned", "pearson", 0.83, 0.80, 0.86),
    ("mean of the training lines", "pearson", 0.71, 0.66, 0.75),
    ("fine-tuned", "r2", 0.60, 0.55, 0.65),
)
PARTS = scores(
    ("full model", "AUROC", 0.93, 0.91, 0.95),
    ("without CTCF", "AUROC", 0.88, 0.86, 0.90),
    ("full model", "Pearson (contacts)", 0.7, NAN, NAN),
    ("without CTCF", "Pearson (contacts)", 0.6, NAN, NAN),
)


def test_contacts_have_a_line_for_each_method(by_gid, texts, assert_legible):
    table = pd.concat([curve("model", [0.8, 0.7, 0.6]), curve("distance alone", [0.5, NAN, 0.4])])
    figure = contacts_figure(table, trivial=["distance alone"])
    (ax,) = figure.axes
    (model,), (simple,) = by_gid(ax, "model"), by_gid(ax, "trivial")
    assert list(model.get_xdata()) == [100_000, 200_000, 300_000]
    assert list(model.get_ydata()) == [0.8, 0.7, 0.6]
    assert (simple.get_color(), simple.get_linestyle()) == (GREY, "--")
    assert np.isnan(simple.get_ydata()[1]), "an undefined distance is a gap"
    assert {"model", "distance alone", "genomic distance", "Pearson r within a distance"} <= set(
        texts(figure)
    )
    assert "200 kb" in texts(figure)
    assert_legible(figure)


def test_contacts_are_drawn_in_order_of_distance_with_their_band(by_gid):
    table = curve("model", [0.8, 0.7, 0.6], low=[0.7, 0.6, 0.5], high=[0.9, 0.8, 0.7]).iloc[::-1]
    (ax,) = contacts_figure(table).axes
    assert list(by_gid(ax, "model")[0].get_ydata()) == [0.8, 0.7, 0.6]
    (band,) = by_gid(ax, "interval")
    (path,) = band.get_paths()
    assert (path.vertices[:, 1].min(), path.vertices[:, 1].max()) == (0.5, 0.9)


def test_two_trivial_rules_are_told_apart_and_a_constant_is_said_to_be_undefined(by_gid, texts):
    table = pd.concat([curve("model", [0.8]), curve("a", [0.5]), curve("b", [NAN])])
    figure = contacts_figure(table, trivial=["a", "b"])
    assert [line.get_linestyle() for line in by_gid(figure.axes[0], "trivial")] == ["--", ":"]
    assert {"a", "b (undefined)"} <= set(texts(figure))


def test_another_value_by_distance():
    figure = contacts_figure(curve("model", [0.8]).rename(columns={"pearson": "spearman"}), value="spearman")
    assert figure.axes[0].get_ylabel() == "spearman"


def test_contacts_without_scores(by_gid):
    figure = contacts_figure(curve("model", []))
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)


def test_few_genes_are_points_with_r_in_the_corner(by_gid, texts, assert_legible):
    truth, prediction = np.array([0, 1, 2, 3, NAN]), np.array([0, 2, 1, 3, 9])
    figure = expression_figure(truth, prediction, unit="log2(TPM + 1)")
    (ax,) = figure.axes
    (points,) = by_gid(ax, "pairs")
    assert points.get_offsets().tolist() == [[0, 0], [1, 2], [2, 1], [3, 3]]
    # Deviations (-1.5, -.5, .5, 1.5) and (-1.5, .5, -.5, 1.5): 4 over 5.
    assert by_gid(ax, "r")[0].get_text() == "r = 0.80\nn = 4"
    assert ax.get_xlim() == ax.get_ylim()
    assert "measured, log2(TPM + 1)" in texts(figure)
    assert_legible(figure)


def test_many_genes_are_hexagons_beside_the_scores(by_gid, assert_legible):
    rng = np.random.default_rng(0)
    truth = rng.gamma(1, 2, 2000)
    figure = expression_figure(
        truth, truth + rng.normal(size=2000), GENES, trivial=["mean of the training lines"]
    )
    pairs, beside, bar = figure.axes
    (cells,) = by_gid(pairs, "pairs")
    assert cells.get_array().sum() == 2000
    assert bar.get_ylabel() == "genes"
    assert beside.get_title("left") == "pearson", "the first metric of the table"
    assert by_gid(beside, "model")[0].get_xdata()[0] == 0.83
    assert by_gid(beside, "trivial")[0].get_xdata()[0] == 0.71
    assert len(by_gid(beside, "interval")) == 2
    assert_legible(figure)


def test_another_metric_beside_the_genes():
    figure = expression_figure(np.arange(5.0), np.arange(5.0), GENES, metric="r2")
    assert figure.axes[1].get_title("left") == "r2"
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["fine-tuned"]


def test_genes_that_all_lie_apart_have_a_colour_bar_too():
    grid = np.arange(441.0)
    image_bytes(expression_figure(grid % 21, grid // 21))


@pytest.mark.parametrize(
    ("truth", "prediction", "said"),
    [([1, 2, 3], [5, 5, 5], "r = undefined\nn = 3"), ([1, NAN], [1, 2], "r = undefined\nn = 1")],
)
def test_no_correlation_is_said_so(truth, prediction, said, by_gid):
    figure = expression_figure(np.array(truth), np.array(prediction))
    assert by_gid(figure.axes[0], "r")[0].get_text() == said
    image_bytes(figure)


def test_no_gene_at_all(by_gid):
    figure = expression_figure(np.array([NAN]), np.array([1.0]))
    assert by_gid(figure.axes[0], "nothing")


def test_values_that_are_no_pairs_are_refused():
    with pytest.raises(DataError, match=r"shape \(3,\) and predicted ones of shape \(2,\)"):
        expression_figure(np.zeros(3), np.zeros(2))


def test_an_ablation_is_measured_by_the_full_model(by_gid, texts, assert_legible):
    figure = ablation_figure(PARTS)
    first, second = figure.axes
    assert [ax.get_title("left") for ax in figure.axes] == ["AUROC", "Pearson (contacts)"]
    for ax, whole in ((first, 0.93), (second, 0.7)):
        assert set(by_gid(ax, "full")[0].get_xdata()) == {whole}
        assert len(by_gid(ax, "model")) == 2
    assert len(by_gid(first, "interval")) == 2
    assert not by_gid(second, "interval"), "a missing interval is not drawn"
    assert texts(figure).count("without CTCF") == 1
    assert_legible(figure)


def test_several_runs_share_a_line_and_the_full_model_is_their_mean(by_gid):
    table = scores(
        ("b", "AUROC", 0.5, NAN, NAN), ("a", "AUROC", 0.8, NAN, NAN), ("a", "AUROC", 0.9, NAN, NAN)
    )
    (ax,) = ablation_figure(table, full="a").axes
    assert by_gid(ax, "full")[0].get_xdata()[0] == pytest.approx(0.85)
    assert [point.get_ydata()[0] for point in by_gid(ax, "model")] == [0, 1, 1]


def test_an_ablation_of_nothing(by_gid):
    figure = ablation_figure(PARTS.iloc[:0])
    assert by_gid(figure.axes[0], "nothing")


def test_many_ablations_are_legible(assert_legible):
    rows = [
        (f"without the {i}th part that the model has", f"metric number {k}", 0.9 - i / 100, 0.8, 0.95)
        for i in range(9)
        for k in range(5)
    ]
    assert_legible(ablation_figure(scores(*rows)))


def test_a_full_model_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="no row is called 'all'; there are full model, without CTCF"):
        ablation_figure(PARTS, full="all")


@pytest.mark.parametrize(
    ("draw", "missing"),
    [
        (lambda: contacts_figure(curve("m", [1.0]).drop(columns="distance_bp")), "distance_bp"),
        (lambda: expression_figure(np.zeros(3), np.zeros(3), GENES.drop(columns="metric")), "metric"),
        (lambda: ablation_figure(PARTS.drop(columns="value")), "value"),
    ],
)
def test_a_missing_column_is_named(draw, missing):
    with pytest.raises(SchemaError, match=f"no column '{missing}'; it has method"):
        draw()
