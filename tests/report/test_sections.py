from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import DataError
from chromweave.genome import Interval
from chromweave.plot.tracks import SignalTrack
from chromweave.report import sections
from chromweave.report.page import Link, Report, render
from chromweave.report.sections import Peaks, View

WHERE = Interval("chr21", 0, 1_000_000)


@pytest.fixture
def calls():
    starts = np.array([100_000, 200_000, 300_000])
    return pd.DataFrame(
        {
            "chrom1": "chr21",
            "start1": starts,
            "end1": starts + 50_000,
            "chrom2": "chr21",
            "start2": starts + np.array([200_000, 300_000, 500_000]),
            "end2": starts + np.array([250_000, 350_000, 550_000]),
            "probability": [0.9, 0.8, 0.7],
        }
    )


@pytest.fixture
def compartments():
    start = np.arange(0, 1_000_000, 50_000)
    e1 = np.sin(start / 1e5)
    e1[3] = np.nan
    names = np.where(np.isnan(e1), "N", np.where(e1 >= 0, "A", "B"))
    return pd.DataFrame(
        {"chrom": "chr21", "start": start, "end": start + 50_000, "E1": e1, "compartment": names}
    )


@pytest.fixture
def view(calls, compartments):
    return View(
        name="K562",
        region=WHERE,
        resolution=50_000,
        matrix=np.ones((20, 20)),
        tracks=[SignalTrack("ATAC", np.arange(10_000.0), 0, 100)],
        calls=calls,
        compartments=compartments,
    )


@pytest.fixture
def scores():
    return pd.DataFrame(
        {
            "method": ["model", "distance", "model"],
            "metric": ["AUROC", "AUROC", "AP"],
            "value": [0.91, 0.55, 0.5],
            "low": [0.9, np.nan, np.nan],
            "high": [0.92, np.nan, np.nan],
        }
    )


@pytest.fixture
def metrics():
    return pd.DataFrame(
        {"step": [1, 2], "epoch": [0, 1], "split": "train", "metric": "loss", "value": [2.0, 1.0]}
    )


def test_map_section_names_what_is_marked(view):
    section = sections.map_section(view, notes=("A note.",))
    (figure,) = section.figures
    assert figure.caption.startswith("Contact map of K562, chr21:0-1,000,000, bins of 50 kb")
    assert "called loops" in figure.caption
    assert "known loops" not in figure.caption
    assert section.prose == ("A note.",)


def test_map_section_with_decay_and_truth(view, calls):
    decay = pd.DataFrame({"sample": "K562", "distance": [1e5, 1e6], "value": [1.0, 0.1]})
    section = sections.map_section(replace(view, truth=calls), decay=decay)
    assert len(section.figures) == 2
    assert "known loops" in section.figures[0].caption
    assert section.figures[1].mime == "image/svg+xml"


def test_tracks_section_has_a_figure_for_each_view(view):
    section = sections.tracks_section([view, replace(view, name="IMR90", tracks=())])
    assert [figure.caption.split(",")[0] for figure in section.figures] == ["K562", "IMR90"]
    assert section.figures[0].caption.endswith("over ATAC.")


def test_a_view_of_another_region_is_refused(view):
    with pytest.raises(DataError, match="20 bins of 50,000 bp, but the map to draw is 3 x 3"):
        sections.map_section(replace(view, matrix=np.ones((3, 3))))


def test_loops_section(calls, scores):
    peaks = Peaks(np.full((5, 5), 2.0), np.ones((5, 5)), 2.0, 1.0, 3, 10_000)
    calibration = pd.DataFrame({"method": ["m"], "predicted": [0.5], "observed": [0.5], "count": [3]})
    section = sections.loops_section(
        calls, peaks=peaks, scores=scores, trivial={"distance"}, calibration=calibration, most=2
    )
    assert section.prose == ("3 loops were called; the median distance between anchors is 300 kb.",)
    assert len(section.figures) == 3
    numbers, listed = section.tables
    assert listed.columns == ("chrom1", "start1", "end1", "start2", "end2", "probability")
    assert listed.caption == "Called loops (the first 2 of 3)."
    assert numbers.columns == ("method", "kind", "AUROC", "AP")
    assert numbers.rows == (
        ("model", "model", "0.910 [0.900, 0.920]", "0.500"),
        ("distance", "trivial rule", "0.550", None),
    )


def test_no_loops_is_said(calls):
    section = sections.loops_section(calls.iloc[:0])
    assert section.prose == ("No loop was called.",)
    assert not section.figures
    assert section.tables[0].rows == ()


def test_one_loop_is_one_loop(calls):
    assert sections.loops_section(calls.iloc[:1]).prose[0].startswith("1 loop was called")


def test_training_section(metrics):
    section = sections.training_section({"pre-training": metrics, "fine-tuning": metrics})
    assert [figure.caption for figure in section.figures] == [
        "Training of pre-training.",
        "Training of fine-tuning.",
    ]
    assert sections.training_section({}).empty


def test_compartments_section_counts_bins(compartments):
    section = sections.compartments_section(
        {"K562": compartments}, WHERE, saddles={"K562": np.array([[2.0, 0.5], [0.5, 2.0]])}
    )
    assert len(section.figures) == 2
    ((name, a, b, masked, share),) = section.tables[0].rows
    assert name == "K562"
    assert (a + b, masked) == (19, 1)
    assert share == pytest.approx(a / 19)


def test_compartments_of_masked_bins_only(compartments):
    nothing = compartments.assign(E1=np.nan, compartment="N")
    ((_, *counts, share),) = sections.compartments_section({"K562": nothing}, WHERE).tables[0].rows
    assert counts == [0, 0, 20]
    assert share is None


def test_embedding_section(compartments):
    points = np.random.default_rng(0).normal(size=(20, 2))
    section = sections.embedding_section(points, compartments)
    assert (
        section.figures[0].caption == "UMAP of the embedding of 20 bins, coloured by compartment, position."
    )


def test_comparison_section(compartments):
    other = compartments.assign(E1=-compartments.E1)
    delta = compartments.assign(delta=other.E1 - compartments.E1)
    switches = pd.DataFrame(
        {"first": ["A"], "second": ["B"], "bins": [19], "expected": [9.5], "pvalue": [0.1]}
    )
    pair = {"K562": compartments, "IMR90": other}
    section = sections.comparison_section(
        pair, WHERE, delta=delta, switches=switches, shifted=delta[["chrom", "start", "delta"]], most=3
    )
    assert section.figures[0].caption.startswith("K562 and IMR90 along chr21:0-1,000,000")
    assert section.figures[1].caption.endswith("number of bins (and expected by chance).")
    assert len(section.tables[0].rows) == 3
    bare = sections.comparison_section(pair, WHERE, delta=delta, switches=switches.iloc[:0])
    assert len(bare.figures) == 1
    assert not bare.tables


def test_evaluation_section_warns_of_trivial_rows_only_where_there_are_some(scores):
    with_rule = sections.evaluation_section(scores, trivial={"distance"}, anchor="edges", title="Edges")
    assert (with_rule.anchor, with_rule.title) == ("edges", "Edges")
    assert "trivial rules" in with_rule.figures[0].caption
    assert "trivial rules" not in sections.evaluation_section(scores).figures[0].caption


def test_strata_have_their_own_figure_and_stay_out_of_the_numbers(scores):
    within = scores.iloc[:2].assign(stratum="0-100 kb", value=0.111)
    section = sections.evaluation_section(pd.concat([scores.assign(stratum="all"), within]))
    assert [figure.caption for figure in section.figures[1:]] == ["AUROC within each stratum."]
    assert "0.111" not in str(section.tables[0].rows)


def test_seeds_stand_side_by_side(scores):
    again = scores.iloc[:1].assign(value=0.93, low=np.nan)
    section = sections.evaluation_section(pd.concat([scores, again]))
    assert section.tables[0].rows[0][2] == "0.910 [0.900, 0.920]; 0.930"


def test_files_are_linked_relative_to_the_page(tmp_path):
    made = tmp_path / "run" / "loops.bedpe"
    made.parent.mkdir()
    made.touch()
    files = {made: "called loops", tmp_path / "gone.tsv": "never made"}
    section = sections.files_section(files, tmp_path / "run" / "report.html")
    assert section.tables[0].rows == (
        (Link("loops.bedpe", "./loops.bedpe"), "called loops"),
        ("../gone.tsv", "never made"),
    )
    assert sections.files_section({}, tmp_path / "report.html").empty


def test_a_file_name_is_no_address(tmp_path):
    (tmp_path / "javascript:1").touch()
    section = sections.files_section({tmp_path / "javascript:1": "odd"}, tmp_path / "report.html")
    assert section.tables[0].rows[0][0].href == "./javascript:1"
    assert 'href="./javascript%3A1"' in render(Report("r", (), {}, (section,)))


def test_a_whole_report_has_distinct_anchors(view, calls, metrics, compartments, scores, tmp_path):
    pair = {"K562": compartments, "IMR90": compartments}
    parts = (
        sections.map_section(view),
        sections.tracks_section([view]),
        sections.training_section({"run": metrics}),
        sections.loops_section(calls),
        sections.compartments_section(pair, WHERE),
        sections.embedding_section(np.zeros((20, 2)), compartments),
        sections.comparison_section(pair, WHERE, delta=compartments.assign(delta=0.0)),
        sections.evaluation_section(scores),
        sections.files_section({tmp_path: "everything"}, tmp_path / "report.html"),
    )
    report = Report("demo", (), {}, parts)
    assert [section.anchor for section in report.shown] == [
        "map", "tracks", "training", "loops", "compartments", "embedding", "comparison", "evaluation",
        "files",
    ]  # fmt: skip
    assert len(render(report)) < 3_000_000


def pretraining(epochs=(1, 2, 3), splits=("train", "valid")):
    """Loss 4, 1, 2; top 1 0.01, 0.2, 0.1; chance 0.01."""
    values = {
        "loss": (4.0, 1.0, 2.0),
        "orthogonal": (0.5, 0.25, 0.125),
        "retrieval_top1": (0.01, 0.2, 0.1),
        "retrieval_top5": (0.05, 0.4, 0.3),
        "retrieval_chance": (0.01, 0.01, 0.01),
        "mapping_cosine": (0.1, 0.8, 0.9),
    }
    rows = [
        (10 * epoch, epoch, split, name, of[epoch - 1])
        for epoch in epochs
        for split in splits
        for name, of in values.items()
        if split == "valid" or name in ("loss", "orthogonal")
    ]
    return pd.DataFrame(rows, columns=["step", "epoch", "split", "metric", "value"])


def test_pretraining_stands_beside_chance():
    section = sections.pretraining_section(pretraining(), notes=("A note.",))
    learned, optimised = section.figures
    assert b'id="chance"' in learned.image
    assert b'id="chance"' not in optimised.image
    assert "the dotted line is chance" in learned.caption
    assert section.prose[-1] == "A note."
    (table,) = section.tables
    assert table.columns == (
        "score", "after the first epoch", "of the kept epoch 2", "after the last epoch", "chance",
        "times chance",
    )  # fmt: skip
    assert table.rows == (
        ("loss", "4", "1", "2", None, None),
        ("retrieval, top 1", "0.01", "0.2", "0.1", "0.01", "20.0"),
        ("retrieval, top 5", "0.05", "0.4", "0.3", "0.05", "8.0"),
        ("mapping cosine", "0.1", "0.8", "0.9", None, None),
        ("orthogonality (0 is best)", "0.5", "0.25", "0.125", None, None),
    )


def test_pretraining_without_validation_says_so():
    section = sections.pretraining_section(pretraining(splits=("train",)))
    assert len(section.figures) == 1
    assert section.tables == ()
    assert section.prose[-1] == "There was no validation: nothing is known of held-out windows."


def test_validation_without_numbers_is_none():
    table = pretraining(epochs=(1,))
    table.loc[table["split"] == "valid", "value"] = np.nan
    assert sections.pretraining_section(table).tables == ()


def test_pretraining_that_has_not_begun_is_empty():
    assert sections.pretraining_section(pretraining(epochs=())).empty


def test_a_value_that_is_no_number_is_a_dash():
    table = pretraining()
    table.loc[(table["metric"] == "mapping_cosine") & (table["epoch"] == 1), "value"] = np.nan
    page = render(Report("t", (), {}, [sections.pretraining_section(table)]))
    assert "<td>mapping cosine</td><td>–</td><td>0.8</td>" in page
