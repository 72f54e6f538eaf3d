"""Tables of scores: what is written comes back in any order of windows, and nothing is guessed."""

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import DataError, FileFormatError, SchemaError
from chromweave.workflows.window_scores import read_scores, scores_of, write_scores

WINDOWS = pd.DataFrame({"chrom": ["chr1", "chr1", "chr2"], "x": [0, 5000, 0], "y": [50_000, 60_000, 50_000]})


def test_scores_come_back_in_the_order_of_the_windows(tmp_path):
    write_scores(tmp_path / "s.tsv", WINDOWS, np.array([0.25, np.nan, 0.75]))
    assert (tmp_path / "s.tsv").read_text().splitlines()[1:3] == [
        "chr1\t0\t50000\t0.25",
        "chr1\t5000\t60000\tNA",
    ]
    turned = WINDOWS.iloc[::-1]
    np.testing.assert_array_equal(scores_of(tmp_path / "s.tsv", turned), [0.75, np.nan, 0.25])
    np.testing.assert_array_equal(scores_of(tmp_path / "s.tsv", WINDOWS.iloc[2:]), [0.75])


def test_a_window_without_a_line_is_an_error(tmp_path):
    write_scores(tmp_path / "s.tsv", WINDOWS.iloc[:1], np.array([0.25]))
    with pytest.raises(
        DataError, match=r"s.tsv: has no score for 2 of 3 windows, the first at chr1:5,000/60,000"
    ):
        scores_of(tmp_path / "s.tsv", WINDOWS)


def test_a_window_with_two_lines_is_an_error(tmp_path):
    write_scores(tmp_path / "s.tsv", WINDOWS.iloc[[0, 0, 1]], np.arange(3.0))
    with pytest.raises(DataError, match=r"s.tsv: 1 windows are there twice"):
        scores_of(tmp_path / "s.tsv", WINDOWS)


def test_other_files_are_no_scores(tmp_path):
    with pytest.raises(FileFormatError, match=r"none.tsv: cannot be read as a table of scores"):
        read_scores(tmp_path / "none.tsv")
    (tmp_path / "bed.tsv").write_text("chrom\tstart\tend\nchr1\t0\t5\n")
    with pytest.raises(SchemaError, match="needs the column x, y, score"):
        read_scores(tmp_path / "bed.tsv")
    (tmp_path / "words.tsv").write_text("chrom\tx\ty\tscore\nchr1\t0\t5\thigh\n")
    with pytest.raises(SchemaError, match="column score of a window score table must be number"):
        read_scores(tmp_path / "words.tsv")
