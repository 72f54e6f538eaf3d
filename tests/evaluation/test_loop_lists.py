import numpy as np
import pandas as pd
import pytest

from chromweave.evaluation.loop_lists import anchor_distance, bin_size, distance_strata, ranking
from chromweave.genome import Assembly

ASSEMBLY = Assembly("two", {"chr1": 1_002_000, "chr2": 500_000})


def loops(*rows, **columns):
    """Rows of chromosome, start and end of the first anchor, start and end of the second."""
    chrom, *numbers = zip(*rows, strict=True) if rows else [()] * 5
    table = pd.DataFrame(dict(zip(("start1", "end1", "start2", "end2"), numbers, strict=True)), dtype="int64")
    return table.assign(chrom1=list(chrom), chrom2=list(chrom), **columns)


TWO = (("chr1", 0, 5000, 50_000, 55_000), ("chr2", 10_000, 15_000, 90_000, 95_000))
THREE = (*TWO, ("chr2", 20_000, 25_000, 90_000, 95_000))


@pytest.mark.parametrize(
    ("row", "size"),
    [
        (("chr1", 5000, 10_000, 20_000, 25_000), 5000),
        (("chr1", 5000, 10_000, 1_000_000, 1_002_000), 5000),  # the chromosome ends there
        (("chr1", 5000, 10_000, 20_000, 22_000), None),  # here it does not
        (("chr1", 5001, 10_001, 20_000, 25_000), None),  # as wide, but off the grid
        (("chr1", 0, 10_000, 20_000, 25_000), None),
    ],
)
def test_bins_of_one_size(row, size):
    assert bin_size(loops(*TWO, row), ASSEMBLY) == size


def test_points_and_nothing_have_no_bin_size():
    assert bin_size(loops(("chr1", 5, 6, 70, 71)), ASSEMBLY) is None
    assert bin_size(loops(), ASSEMBLY) is None


def test_a_score_ranks():
    found = ranking(loops(*THREE, score=[3.0, np.nan, 7.0], qvalue=[0.1, 0.2, 0.3]))
    assert found.column == "score"
    np.testing.assert_equal(found.score, [3.0, np.nan, 7.0])
    np.testing.assert_equal(found.values, found.score)


@pytest.mark.parametrize("column", ["qvalue", "FDR", "fdrDonut", "padj"])
@pytest.mark.parametrize("score", [{}, {"score": 0}, {"score": np.nan}, {"score": [np.nan, 5.0, 5.0]}])
def test_a_qvalue_ranks_where_no_score_tells_loops_apart(column, score):
    found = ranking(loops(*THREE, **score, **{column: [0.1, 0.001, np.nan]}))
    assert found.column == column
    np.testing.assert_equal(found.values, [0.1, 0.001, np.nan])
    np.testing.assert_equal(found.score, [-0.1, -0.001, np.nan])


@pytest.mark.parametrize("columns", [{}, {"score": 1.0}, {"qvalue": ["a", "b", "c"]}, {"color": [1, 2, 3]}])
def test_no_ranking(columns):
    assert ranking(loops(*THREE, **columns)) is None


def test_distance_is_between_midpoints():
    table = loops(("chr1", 0, 10_000, 50_000, 54_000), ("chr1", 50_000, 54_000, 0, 10_000))
    assert anchor_distance(table).tolist() == [47_000, 47_000]


def test_strata_of_distance():
    distance = np.array([0, 99_999, 100_000, 250_000, 499_999, 500_000, 999_999, 1_000_000, 5_000_000])
    found = distance_strata(distance)
    assert {name: distance[rows].tolist() for name, rows in found.items()} == {
        "below 100 kb": [0, 99_999],
        "100-250 kb": [100_000],
        "250-500 kb": [250_000, 499_999],
        "500 kb-1 Mb": [500_000, 999_999],
        "from 1 Mb": [1_000_000, 5_000_000],
    }
    assert list(distance_strata(distance, (2_000_000,))) == ["below 2 Mb", "from 2 Mb"]
