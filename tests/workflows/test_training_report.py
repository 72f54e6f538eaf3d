"""A page for one pre-training run, whether it is finished or not."""

import json

import pytest

from chromweave.errors import FileFormatError, ModelError
from chromweave.workflows.training_report import pretraining_sections, report_pretraining

METRICS = (
    "step,epoch,split,metric,value\n"
    "5,1,train,loss,4\n"
    "9,1,valid,loss,3.5\n"
    "9,1,valid,retrieval_top1,0.02\n"
    "9,1,valid,retrieval_chance,0.01\n"
    "9,1,valid,uniformity,\n"
)
DATA = [
    {
        "name": "K562",
        "manifest_sha256": "cd" * 32,
        "train": {"windows": 1234, "chromosomes": ["chr1", "chr2"]},
        "valid": {"windows": 100, "chromosomes": ["chr3"]},
    }
]


@pytest.fixture
def run(tmp_path):
    """A run that is still going on."""
    folder = tmp_path / "first try"
    folder.mkdir()
    (folder / "metrics.csv").write_text(METRICS)
    record = {"kind": "pretrain", "chromweave": "0.1.0", "command": "chromweave pretrain RUN", "seed": 7}
    record["inputs"] = [{"path": "/home/someone/K562.store", "bytes": 1, "sha256": "ab" * 32}]
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_a_run_that_goes_on_is_reported(run):
    page = report_pretraining(run)
    assert page == run / "report.html"
    text = page.read_text()
    assert "Pre-training: first try" in text
    assert "The run is not finished" in text
    assert "from K562.store." in text
    assert "chromweave 0.1.0: chromweave pretrain RUN" in text
    assert "<td>retrieval, top 1</td><td>0.02</td><td>0.02</td><td>0.02</td><td>0.01</td><td>2.0</td>" in text
    assert 'href="./metrics.csv"' in text
    assert "uniformity (lower is better)</td>" not in text  # it never was a number
    assert [section.anchor for section in pretraining_sections(run)] == ["pretraining"]


def test_a_finished_run_says_which_windows_it_saw(run, tmp_path):
    provenance = {"epochs": 3, "best_epoch": 2, "data": DATA}
    (run / "config.json").write_text(json.dumps({"provenance": provenance}))
    text = report_pretraining(run, tmp_path / "page.html").read_text()
    assert "3 epochs were trained; the weights are those of epoch 2." in text
    assert 'href="./first%20try/config.json"' in text
    learned, windows = pretraining_sections(run)
    assert (learned.anchor, windows.anchor) == ("pretraining", "windows")
    assert windows.tables[0].rows == (("K562", 1234, "chr1, chr2", 100, "chr3"),)


def test_what_is_no_pretraining_run_is_refused(run, tmp_path):
    with pytest.raises(ModelError, match="is no run folder"):
        report_pretraining(tmp_path)
    (run / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="its columns must be step, epoch, split, metric, value"):
        report_pretraining(run)
    (run / "metrics.csv").write_text("")
    with pytest.raises(FileFormatError, match="is no table of metrics"):
        report_pretraining(run)
    (run / "metrics.csv").unlink()
    with pytest.raises(ModelError, match=r"metrics\.csv: no such file"):
        report_pretraining(run)
    (run / "run.json").write_text(json.dumps({"kind": "graph"}))
    with pytest.raises(ModelError, match="holds a 'graph' run"):
        report_pretraining(run)
    assert not (run / "report.html").exists()
