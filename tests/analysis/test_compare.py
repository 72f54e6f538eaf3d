from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chromweave.analysis.compare import (
    bin_distances,
    distances_by_compartment,
    summarise_distances,
    switch_table,
)
from chromweave.errors import DataError
from chromweave.io.export import Embedding

NAN = float("nan")


def embedding(latent, masked=(False, False, True, False), compartment=("A", "B", "N", "A")):
    n = len(masked)
    bins = pd.DataFrame(
        {
            "chrom": ["chr1"] * n,
            "start": np.arange(n) * 10,
            "end": np.arange(n) * 10 + 10,
            "masked": list(masked),
            "compartment": list(compartment),
            "E1": [0.0] * n,
        }
    )
    return Embedding(bins, np.array(latent, dtype=np.float32))


FIRST = embedding([[1, 0], [3, 4], [1, 1]])
SECOND = embedding(
    [[0, 2], [3, 4], [-1, -1]], masked=(False, False, False, True), compartment=("B", "B", "A", "N")
)


def test_distances_by_hand():
    table = bin_distances(FIRST, SECOND)
    # (1,0)-(0,2): orthogonal; (3,4) twice; bin 2 masked in the first, bin 3 in the second.
    np.testing.assert_allclose(table["cosine"], [1, 0, NAN, NAN], atol=1e-12)
    np.testing.assert_allclose(table["l2"], [5**0.5, 0, NAN, NAN])
    np.testing.assert_allclose(table["l1"], [3, 0, NAN, NAN])
    assert table["masked"].tolist() == [False, False, True, True]
    assert table["compartment_first"].tolist() == ["A", "B", "N", "A"]
    assert table["compartment_second"].tolist() == ["B", "B", "A", "N"]


def test_a_null_vector_is_at_distance_one():
    table = bin_distances(embedding([[0, 0], [1, 0], [1, 0]]), embedding([[1, 0], [1, 0], [1, 0]]))
    assert table["cosine"].tolist()[:2] == [1.0, 0.0]


def test_summaries():
    table = bin_distances(FIRST, SECOND)
    assert summarise_distances(table) == {
        "bins": 2.0,
        "mean": pytest.approx(0.5),
        "median": pytest.approx(0.5),
        "cosine_below_0.1": 0.5,
        "cosine_above_0.5": 0.5,
    }
    assert summarise_distances(table, "l1")["mean"] == 1.5
    by = distances_by_compartment(table, permutations=3).set_index(["compartment", "distance"])
    assert by.loc[("A", "l1"), "mean"] == 3
    assert by.loc[("B", "l1"), "bins"] == 1
    assert "N" not in by.index.get_level_values(0)


def test_a_compartment_that_moves_is_told_from_one_that_lies_there():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 40, 30)
    calls = np.repeat(np.where(np.arange(30) % 2, "B", "A"), lengths).astype(object)
    n = len(calls)
    table = pd.DataFrame({"chrom": "chr1", "compartment_first": calls})
    moved = np.where(calls == "B", 1.0, 0.2) + rng.normal(0, 0.05, n)
    for name in ("cosine", "l2"):
        table[name] = moved
    table["l1"] = np.repeat(rng.normal(size=n // 10 + 1), 10)[:n]  # in runs of its own
    table.loc[3, ["cosine", "l2", "l1"]] = np.nan
    by = distances_by_compartment(table, permutations=99).set_index(["compartment", "distance"])
    assert by.loc[("B", "cosine"), "pvalue"] == 0.01
    assert by.loc[("A", "cosine"), "pvalue"] == 1.0
    assert by.loc[("B", "l1"), "pvalue"] > 0.05
    assert by.loc[("A", "cosine"), "mean"] == pytest.approx(table["cosine"][calls == "A"].mean())
    assert 0.4 < by.loc[("A", "cosine"), "expected"] < 0.8
    assert by["bins"].loc[:, "cosine"].sum() == n - 1


def test_embeddings_of_other_bins():
    other = replace(SECOND, bins=SECOND.bins.assign(end=SECOND.bins["end"] + 1))
    with pytest.raises(DataError, match="4 of 10 bp on chr1; 4 of 11 bp on chr1"):
        bin_distances(FIRST, other)


def test_embeddings_of_other_dimensions():
    with pytest.raises(DataError, match="2 and 3 dimensions"):
        bin_distances(FIRST, replace(FIRST, latent=np.ones((3, 3), dtype=np.float32)))


def test_nothing_in_common():
    nothing = embedding(np.empty((0, 2)), masked=[True] * 4)
    with pytest.raises(DataError, match="no bin is valid in both"):
        summarise_distances(bin_distances(FIRST, nothing))


def test_switches_are_counted_in_order():
    first, second = np.array(list("AAABBBBN")), np.array(list("AABBBBAA"))
    table = switch_table(first, second, np.zeros(8), permutations=9)
    assert table[["first", "second"]].agg("".join, axis=1).tolist() == ["AA", "AB", "BA", "BB"]
    assert table["bins"].tolist() == [2, 1, 1, 3]
    assert table["expected"].sum() == pytest.approx(7)


def test_agreeing_cell_lines_keep_more_than_shifts_do():
    first = np.where((np.arange(400) // 17) % 2, "B", "A")
    second = first.copy()
    second[100:110] = "A"
    table = switch_table(first, second, np.zeros(400), permutations=199).set_index(["first", "second"])
    # Shifts by multiples of the 34-bin period agree just as well: the null knows that.
    assert table.loc[("B", "B"), "pvalue"] < 0.1
    assert table.loc[("A", "B"), "pvalue"] > 0.9
    assert 50 < table.loc[("A", "A"), "expected"] < 150


def test_unrelated_calls_are_not_significant():
    rng = np.random.default_rng(0)
    first = np.repeat(np.where(rng.random(60) < 0.5, "A", "B"), 8)
    second = np.repeat(np.where(rng.random(60) < 0.5, "A", "B"), 8)
    table = switch_table(first, second, np.zeros(480), permutations=199)
    assert table["pvalue"].min() > 0.05


def test_no_bin_called_in_both():
    with pytest.raises(DataError, match="no bin is called"):
        switch_table(np.array(["A", "N"]), np.array(["N", "B"]), np.zeros(2))
