"""Every line's model on every line; trivial rows know no more than the model."""

import pytest

from chromweave.data.windows import loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError, DataError
from chromweave.files import read_json
from chromweave.genome import ChromSplit
from chromweave.progress import reporting
from chromweave.workflows.cross_cell import cross_cell
from chromweave.workflows.foundation_settings import FinetuneConfig
from tests.fakes_experiments import Laboratory, News
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

OTHER_SPLIT = ChromSplit(("chr3",), ("chr2",), ("chr1",))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two lines with one track in common, their windows, and the second's split otherwise."""
    folder = tmp_path_factory.mktemp("cross_cell")
    with pytest.MonkeyPatch.context() as patch:
        a = loop_store(patch, folder / "a.store", tracks=("ATAC", "DNase"))
    with pytest.MonkeyPatch.context() as patch:
        b = loop_store(patch, folder / "b.store", tracks=("CTCF", "DNase"), seed=1)
    for store, split, name in ((a, SPLIT, "a"), (b, SPLIT, "b"), (b, OTHER_SPLIT, "c")):
        table = loop_windows(store, planted(), split, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
        write_windows(folder / f"{name}.parquet", table)
    return folder


def run(place, out, lab, names=("a", "b"), stores=None, **changes):
    return cross_cell(
        out,
        stores=[place / f"{name}.store" for name in stores or names],
        windows=[place / f"{name}.parquet" for name in names],
        verbs=lab.verbs,
        **changes,
    )


def home_is_best(trained, asked):
    return 0.9 if trained["store"] == str(asked["store"]) else 0.6 + trained["seed"] / 100


def test_a_matrix_of_lines(place, tmp_path):
    lab = Laboratory(score=home_is_best)
    table = run(place, tmp_path / "out", lab, seeds=3)
    assert len(lab.trained) == 2 * 3
    assert len(lab.evaluated) == 2 * 2 * 3
    assert {call["config"].transform.tracks for call in lab.trained} == {("DNase",)}
    assert [call["seed"] for call in lab.trained] == [0, 1, 2] * 2
    pooled = table[(table["metric"] == "auroc") & (table["stratum"] == "all")]
    mean = pooled[pooled["row"] == "mean"]
    assert mean[["train_line", "test_line"]].values.tolist() == [
        ["a", "a"],
        ["a", "b"],
        ["b", "a"],
        ["b", "b"],
    ]
    assert mean["value"].tolist() == pytest.approx([0.9, 0.61, 0.61, 0.9])
    assert mean["low"].tolist()[0] == pytest.approx(0.9)
    assert mean["low"].tolist()[1] < 0.6
    trivial = pooled[pooled["method"] == "distance alone"]
    assert len(trivial) == 4
    assert {path.name for path in (tmp_path / "out").glob("cross-cell.*")} == {
        "cross-cell.tsv",
        "cross-cell.json",
        "cross-cell.png",
    }


def test_trivial_rows_learn_from_the_line_the_model_learned_from(place, tmp_path):
    lab = Laboratory()
    run(place, tmp_path / "out", lab)
    learned = [(call["store"].name, call.get("trivial_store")) for call in lab.evaluated]
    assert learned == [
        ("a.store", None),
        ("b.store", place / "a.store"),
        ("a.store", place / "b.store"),
        ("b.store", None),
    ]
    assert lab.evaluated[1]["trivial_windows"] == place / "a.parquet"


def test_places_that_were_trained_on_are_told(place, tmp_path):
    news = News()
    with reporting(news):
        run(place, tmp_path / "same", Laboratory())
    assert not [line for line in news.lines if "touch windows trained on" in line]
    with reporting(news):
        run(place, tmp_path / "other", Laboratory(), names=("a", "c"), stores=("a", "b"))
    told = [line for line in news.lines if "touch windows trained on" in line]
    assert [line.split(":")[0] for line in told] == ["a on b", "b on a"]
    counts = read_json(tmp_path / "other" / "cross-cell.json")["test_windows_in_places_trained_on"]
    assert counts["a on a"] == counts["b on b"] == 0
    assert 0 < counts["a on b"] <= len(read_windows(place / "c.parquet", splits=["test"]))


@pytest.mark.parametrize(
    ("names", "stores", "error", "message"),
    [
        (("a",), None, ConfigError, "two cell lines or more, not 1"),
        (("a", "b"), ("a", "a"), ConfigError, "two stores are of the cell line 'a'"),
        (("a", "b"), ("b", "a"), DataError, "made for other contacts"),
        (("a",), ("a", "b"), ConfigError, "2 stores and 1 window table"),
    ],
)
def test_lines_that_do_not_pair(place, tmp_path, names, stores, error, message):
    lab = Laboratory()
    with pytest.raises(error, match=message):
        run(place, tmp_path / "out", lab, names=names, stores=stores)
    assert not lab.trained
    assert not (tmp_path / "out").exists()


def test_settings_that_cannot_be(place, tmp_path):
    with pytest.raises(ConfigError, match="at least one seed"):
        run(place, tmp_path / "out", Laboratory(), seeds=0)
    with pytest.raises(ConfigError, match="no metric 'f1' was measured"):
        run(place, tmp_path / "out", Laboratory(), metric="f1")
    contacts = FinetuneConfig.preset("tiny", "contacts")
    with pytest.raises(ConfigError, match="no task 'tads'"):
        run(place, tmp_path / "out", Laboratory(), task="tads", finetuning=contacts)
