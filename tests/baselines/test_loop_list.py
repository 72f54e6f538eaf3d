"""Loops of any caller as one kind of table."""

import numpy as np
import pytest

from chromweave.baselines.loop_list import loop_list
from chromweave.errors import SchemaError


def test_anchors_and_rows_are_put_in_order():
    found = loop_list(
        np.array(["chr2", "chr1"]),
        np.array([50, 90]),
        np.array([20, 100]),
        10,
        [1, 2],
        pvalue=np.array([0.1, 0.2]),
    )
    assert found.values.tolist() == [
        ["chr1", 90, 100, "chr1", 100, 110, "chr1_loop1", 2.0, 0.2],
        ["chr2", 20, 30, "chr2", 50, 60, "chr2_loop2", 1.0, 0.1],
    ]


def test_a_chromosomes_last_bin_may_be_short():
    found = loop_list("chr1", [50], [20], 10, [1.0], ends=(np.array([55]), np.array([30])))
    assert found[["start1", "end1", "start2", "end2"]].values.tolist() == [[20, 30, 50, 55]]


def test_a_list_may_be_empty():
    found = loop_list("chr1", [], [], 10, [])
    assert len(found) == 0
    assert list(found.columns) == [
        "chrom1", "start1", "end1", "chrom2", "start2", "end2", "name", "score",
    ]  # fmt: skip


def test_anchors_that_end_before_they_start_are_refused():
    with pytest.raises(SchemaError, match="end1"):
        loop_list("chr1", [50], [70], 10, [1.0], ends=(np.array([40]), np.array([80])))
