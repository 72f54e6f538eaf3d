import numpy as np
import pandas as pd
import pytest

from chromweave.plot.curves import (
    calibration_figure,
    decay_figure,
    evaluation_figure,
    strata_figure,
    training_figure,
)
from chromweave.plot.style import BLUE, GREY, image_bytes


def decay(exponent=-1.0, sample="K562"):
    distance = np.array([10_000, 100_000, 1_000_000, 10_000_000])
    return pd.DataFrame({"sample": sample, "distance": distance, "value": (distance / 1e4) ** exponent})


def metrics(epochs=3, names=("loss", "auroc"), splits=("train", "valid")):
    rows = [
        (100 * epoch, epoch, split, name, 1 / (1 + epoch))
        for epoch in range(epochs)
        for name in names
        for split in splits
    ]
    return pd.DataFrame(rows, columns=["step", "epoch", "split", "metric", "value"])


def scores(methods=("model", "distance"), names=("AUROC",)):
    rows = [
        (m, n, 0.9 - 0.1 * i, 0.85 - 0.1 * i, 0.95 - 0.1 * i) for i, m in enumerate(methods) for n in names
    ]
    return pd.DataFrame(rows, columns=["method", "metric", "value", "low", "high"])


def test_decay_is_drawn_on_two_logarithmic_axes(texts, by_gid, assert_legible):
    figure = decay_figure(pd.concat([decay(), decay(-0.8, "IMR90")]), unit="P(s)")
    (ax,) = figure.axes
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("genomic distance", "P(s)")
    assert {"K562", "IMR90", "slope -1", "10 kb", "1 Mb", "0.001"} <= set(texts(figure))
    x, y = by_gid(ax, "guide")[0].get_data()
    assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx([-1])
    assert_legible(figure)


def test_decay_leaves_out_what_a_logarithm_cannot_show(by_gid):
    table = decay()
    table.loc[0, "distance"] = 0
    table.loc[1, "value"] = 0
    table.loc[2, "value"] = np.nan
    figure = decay_figure(table, slope=None)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [10_000_000]
    assert not by_gid(figure.axes[0], "guide")
    image_bytes(figure)


def test_decay_of_nothing(by_gid):
    figure = decay_figure(decay().iloc[:0])
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)


def test_training_has_a_panel_for_each_metric(texts, by_gid, assert_legible):
    figure = training_figure(metrics(), title="pre-training")
    assert [ax.get_title("left") for ax in figure.axes] == ["loss", "auroc"]
    (train,), (valid,) = (by_gid(figure.axes[0], split) for split in ("train", "valid"))
    assert train.get_xdata().tolist() == [0, 1, 2]
    assert train.get_ydata().tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert train.get_linestyle() == "-"
    assert valid.get_linestyle() == "--"
    assert {"epoch", "train", "valid", "pre-training"} <= set(texts(figure))
    assert_legible(figure)


def test_training_logged_within_epochs_is_drawn_by_step():
    table = metrics(splits=("train",))
    table["epoch"] = 0
    figure = training_figure(table)
    assert figure.axes[0].get_xlabel() == "step"
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 100, 200]


def test_training_without_epochs_is_drawn_by_step():
    figure = training_figure(metrics().assign(epoch=np.nan))
    assert figure.axes[0].get_xlabel() == "step"


def test_training_of_one_epoch_shows_points(by_gid):
    figure = training_figure(metrics(epochs=1))
    assert by_gid(figure.axes[0], "train")[0].get_marker() == "o"
    image_bytes(figure)


def test_chance_is_a_line_on_an_axis_of_ratios(by_gid, texts, assert_legible):
    table = metrics(names=("top1", "loss"), splits=("valid",))
    table.loc[table["metric"] == "top1", "value"] = [0.0, 0.02, 0.4]
    figure = training_figure(table, chance={"top1": 0.01})
    retrieval, loss = figure.axes
    (line,) = by_gid(retrieval, "chance")
    assert set(line.get_ydata()) == {0.01}
    assert (line.get_color(), line.get_linestyle()) == (GREY, ":")
    assert (retrieval.get_yscale(), loss.get_yscale()) == ("log", "linear")
    assert retrieval.get_ylim() == pytest.approx((0.005, 0.8))  # half the least above 0, twice the most
    assert not by_gid(loss, "chance")
    assert by_gid(retrieval, "valid")[0].get_ydata().tolist() == [0.0, 0.02, 0.4]
    assert "chance" in texts(figure)
    assert_legible(figure)


def test_a_run_at_chance_has_a_line_and_ticks(by_gid, assert_legible):
    table = metrics(names=("top1",), splits=("valid",)).assign(value=0.0)
    figure = training_figure(table, chance={"top1": 0.02})
    (ax,) = figure.axes
    assert ax.get_ylim() == pytest.approx((0.01, 0.2))
    assert_legible(figure)


def test_named_metrics_are_shown_in_their_order(texts):
    figure = training_figure(metrics(names=("a", "b", "c")), names={"c": "third", "d": "none", "a": "first"})
    assert [ax.get_title("left") for ax in figure.axes] == ["third", "first"]
    assert "chance" not in texts(figure)


def test_values_that_are_not_finite_are_left_out(by_gid, texts):
    table = metrics()
    table.loc[table["metric"] == "auroc", "value"] = np.nan
    table.loc[0, "value"] = np.inf
    figure = training_figure(table)
    assert len(figure.axes) == 1
    assert by_gid(figure.axes[0], "train")[0].get_xdata().tolist() == [1, 2]
    assert by_gid(figure.axes[0], "valid")[0].get_xdata().tolist() == [0, 1, 2]
    assert [text for text in texts(figure) if text in ("train", "valid")] == ["train", "valid"]


def test_training_without_metrics(by_gid):
    figure = training_figure(metrics().iloc[:0])
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)


def test_many_metrics_are_legible(assert_legible):
    names = [f"reconstruction_loss_of_modality_number_{i}" for i in range(7)]
    table = metrics(epochs=250, names=names)
    table["value"] *= 1e-5
    figure = training_figure(table, title="pre-training")
    assert len(figure.axes) == 7
    assert_legible(figure)


def test_trivial_rows_look_different(texts, by_gid, assert_legible):
    figure = evaluation_figure(scores(), trivial={"distance"}, chance={"AUROC": 0.5})
    (ax,) = figure.axes
    (model,), (rule,), (chance,) = (by_gid(ax, gid) for gid in ("model", "trivial", "chance"))
    assert (model.get_marker(), model.get_color()) == ("o", BLUE)
    assert (rule.get_marker(), rule.get_color(), rule.get_markerfacecolor()) == ("s", GREY, "white")
    assert model.get_ydata().tolist() == [0]
    assert rule.get_ydata().tolist() == [1]
    np.testing.assert_allclose(
        [line.get_xdata() for line in by_gid(ax, "interval")], [[0.85, 0.95], [0.75, 0.85]]
    )
    assert chance.get_xdata() == [0.5, 0.5]
    assert {"model", "distance", "AUROC", "trivial rule", "chance"} <= set(texts(figure))
    assert_legible(figure)


def test_the_first_method_stands_on_top():
    low, high = evaluation_figure(scores()).axes[0].get_ylim()
    assert low > high


def test_no_trivial_rows_no_legend_entry(texts):
    assert "trivial rule" not in texts(evaluation_figure(scores()))


def test_scores_without_intervals_have_no_whiskers(by_gid):
    table = scores()
    assert not by_gid(evaluation_figure(table.drop(columns=["low", "high"])).axes[0], "interval")
    table.loc[0, "low"] = np.nan
    assert len(by_gid(evaluation_figure(table).axes[0], "interval")) == 1


def test_a_missing_score_leaves_its_row_empty():
    figure = evaluation_figure(scores(names=("AUROC", "AP")).iloc[:-1])
    assert len(figure.axes) == 2
    assert len(figure.axes[1].get_yticks()) == 2
    image_bytes(figure)


def test_many_scores_are_legible(assert_legible):
    methods = [f"a rather long name of a method, number {i} of a dozen of them" for i in range(12)]
    names = ["AUROC", "average precision", "precision at a false discovery rate of 10 %", "Brier score"]
    assert_legible(evaluation_figure(scores(methods, names), trivial=methods[6:]))


def stratified():
    table = pd.concat([scores().assign(stratum=name) for name in ("all", "0-100 kb", "0.1-1 Mb")])
    table["value"] += np.repeat([0, 0.01, 0.02], 2)
    return table


def test_only_pooled_rows_of_a_stratified_table_are_compared(by_gid):
    (ax,) = evaluation_figure(stratified()).axes
    assert [line.get_xdata()[0] for line in by_gid(ax, "model")] == pytest.approx([0.9, 0.8])


def test_strata_have_a_line_for_each_method(texts, by_gid, assert_legible):
    figure = strata_figure(stratified(), "AUROC", trivial={"distance"})
    (ax,) = figure.axes
    (model,), (rule,) = by_gid(ax, "model"), by_gid(ax, "trivial")
    assert model.get_ydata().tolist() == pytest.approx([0.91, 0.92])
    assert (model.get_linestyle(), rule.get_linestyle()) == ("-", "--")
    assert rule.get_color() == GREY
    assert {"0-100 kb", "0.1-1 Mb", "AUROC", "model", "distance"} <= set(texts(figure))
    assert "all" not in texts(figure)
    assert len(by_gid(ax, "interval")) == 2
    assert_legible(figure)


def test_many_strata_are_legible(assert_legible):
    methods = [f"a rather long name of method {i}" for i in range(7)]
    names = [f"{2**i}kb-{2 ** (i + 1)}kb" for i in range(4, 11)]
    table = pd.concat([scores(methods).assign(stratum=name) for name in names])
    assert_legible(strata_figure(table, "AUROC", trivial=methods[2:]))


def test_strata_of_another_metric_are_none(by_gid):
    figure = strata_figure(stratified(), "AP")
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)


def test_no_scores(by_gid):
    figure = evaluation_figure(scores().iloc[:0])
    assert by_gid(figure.axes[0], "nothing")
    image_bytes(figure)


def test_calibration(by_gid, assert_legible):
    table = pd.DataFrame(
        {"method": "model", "predicted": [0.9, 0.1], "observed": [0.8, 0.2], "count": [50, 100]}
    )
    figure = calibration_figure(table)
    (ax,) = figure.axes
    assert ax.lines[1].get_xydata().tolist() == [[0.1, 0.2], [0.9, 0.8]]
    assert ax.collections[0].get_sizes().tolist() == [60, 30]
    assert by_gid(ax, "ideal")
    assert_legible(figure)
    image_bytes(calibration_figure(table.iloc[:0]))
