"""The table of metrics (the other callbacks are tested with the engine they serve)."""

import pytest

from chromweave.errors import FileFormatError
from chromweave.training.callbacks import MetricsTable

HEADER = "step,epoch,split,metric,value\n"


def test_rows_are_tidy(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    assert table.path.read_text() == HEADER
    table.add(4, 1, "valid", {"loss": 0.123456789, "auroc": float("nan")})
    assert table.path.read_text() == HEADER + "4,1,valid,loss,0.12345679\n4,1,valid,auroc,\n"


def test_a_new_table_starts_empty_and_a_resumed_one_is_cut(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(HEADER + "2,1,train,loss,3\n4,1,train,loss,2\n6,2,train,loss,1\n7,2,tr")
    MetricsTable(path, keep_until=4)
    assert path.read_text() == HEADER + "2,1,train,loss,3\n4,1,train,loss,2\n"
    MetricsTable(path)
    assert path.read_text() == HEADER


def test_a_resumed_run_may_have_lost_its_table(tmp_path):
    MetricsTable(tmp_path / "metrics.csv", keep_until=4)
    assert (tmp_path / "metrics.csv").read_text() == HEADER


def test_another_table_is_not_overwritten(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="is no table of metrics"):
        MetricsTable(path, keep_until=4)
