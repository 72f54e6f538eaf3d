import json
import math

import numpy as np
import pandas as pd
import pytest

from chromweave import schemas
from chromweave.errors import FileFormatError, OutputError
from chromweave.evaluation.bootstrap import block_bootstrap
from chromweave.evaluation.table import Result, read_results, results_table, write_results

RESULTS = [
    Result("loops", "distance alone", "auroc", 0.765, low=0.7, high=0.8, n=463),
    Result("loops", "MIX-HIC", "auroc", math.nan, stratum="20kb-50kb", n=3, seed=2),
]


def test_table_is_tidy():
    table = results_table(RESULTS)
    assert list(table.columns) == list(schemas.RESULTS.required)
    assert table["seed"].isna().tolist() == [True, False]
    assert table["seed"][1] == 2
    assert schemas.RESULTS.check(results_table([]), "empty").empty


def test_both_files_hold_the_table_and_the_json_its_provenance(tmp_path):
    source = tmp_path / "input.bedpe"
    source.write_text("chr1\n")
    written = write_results(tmp_path / "loops.tsv", RESULTS, inputs=[source], extra={"seconds": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.bedpe", "loops.json", "loops.tsv"]
    pd.testing.assert_frame_equal(read_results(tmp_path / "loops.json"), written)
    tsv = pd.read_csv(tmp_path / "loops.tsv", sep="\t")
    assert tsv["value"][0] == 0.765
    assert np.isnan(tsv["value"][1])
    record = json.loads((tmp_path / "loops.json").read_text())
    assert record["results"][1]["value"] is None
    assert record["inputs"][0]["bytes"] == 5
    assert record["seconds"] == 3
    assert {"chromweave", "command", "machine", "time"} <= set(record)


def test_a_name_with_dots_keeps_them(tmp_path):
    write_results(tmp_path / "fold.1", RESULTS)
    assert (tmp_path / "fold.1.tsv").is_file()


def test_a_row_from_an_estimate():
    estimate = block_bootstrap(np.mean, [np.arange(10.0)], np.arange(10), seed=0)
    row = Result.of("contacts", "mean", "r2", estimate, seed=4)
    assert (row.value, row.low, row.high) == (4.5, estimate.low, estimate.high)
    assert (row.n, row.seed) == (10, 4)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(FileFormatError, match="no results file"):
        read_results(path)
    write_results(tmp_path / "new", RESULTS)
    record = json.loads((tmp_path / "new.json").read_text())
    path.write_text(json.dumps(record | {"version": 9}))
    with pytest.raises(FileFormatError, match="version 9"):
        read_results(path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_results(tmp_path / "file" / "loops", RESULTS)
