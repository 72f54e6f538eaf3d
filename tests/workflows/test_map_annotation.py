import json

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import ConfigError, DataError
from chromweave.genome import Assembly
from chromweave.workflows.map_annotation import table_path, write_origin, write_score

TOY = Assembly("toy", {"chr1": 25, "chr2": 10})


def bins(*values):
    return pd.DataFrame({"chrom": ["chr1", "chr1", "chr1", "chr2"], "E1": values})


def test_a_score_as_tracks(tmp_path):
    """Bins without a value have no run; the last one ends with its chromosome."""
    write_score(tmp_path / "a.50", bins(0.5, np.nan, -1.25, 2.0), "E1", 10, TOY)
    runs = "chr1\t0\t10\t0.5\nchr1\t20\t25\t-1.25\nchr2\t0\t10\t2\n"
    assert (tmp_path / "a.50.bedgraph").read_text() == runs
    import pybigtools

    found = pybigtools.open(str(tmp_path / "a.50.bw")).values("chr1", fillna=None)
    np.testing.assert_array_equal(found, [0.5] * 10 + [np.nan] * 10 + [-1.25] * 5)


def test_a_score_without_values(tmp_path):
    with pytest.raises(DataError, match="no bin has a value"):
        write_score(tmp_path / "a", bins(*[np.nan] * 4), "E1", 10, TOY)
    assert list(tmp_path.iterdir()) == []


def test_a_table_says_what_it_was_made_of(tmp_path):
    (tmp_path / "arms.bed").write_text("chr1\t0\t10\n")
    write_origin(tmp_path / "a.tsv", "compartments", {"resolution": 10}, [tmp_path / "arms.bed"])
    said = json.loads((tmp_path / "a.json").read_text())
    assert (said["kind"], said["resolution"]) == ("compartments", 10)
    assert {"chromweave", "command", "time"} <= set(said)
    assert [one["path"].rsplit("/", 1)[-1] for one in said["inputs"]] == ["arms.bed"]


def test_a_table_needs_a_name_of_its_own():
    assert table_path("folder/a.tsv").name == "a.tsv"
    with pytest.raises(ConfigError, match=r"a\.bw: the table gets this name, .* give a\.tsv"):
        table_path("a.bw")
