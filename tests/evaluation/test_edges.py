import numpy as np
import pandas as pd
import pytest

from chromweave.evaluation.edges import EdgeSample, edge_samples, score_edges, trivial_scorers
from tests.fakes_edges import auc_of, decaying, task_of


def test_distance_scores_one_half_when_matched():
    task = task_of(decaying(80, visibility=np.full(80, 0.8)))
    table = score_edges(edge_samples(task, 0), trivial_scorers(task, rank=2), seed=0)
    assert auc_of(table)["distance", "matched"] == pytest.approx(0.5, abs=1e-12)
    assert auc_of(table)["distance", "uniform"] > 0.85


def test_table_says_what_was_measured():
    sample = EdgeSample(np.array([[0, 0], [1, 2]]), np.array([[1, 2], [3, 3]]))
    good = {"oracle": lambda pairs: (pairs[0] == 0).astype(float)}
    table = score_edges({"uniform": sample}, good, seed=7)
    pd.testing.assert_frame_equal(
        table,
        pd.DataFrame(
            {
                "method": ["oracle"] * 2,
                "sampling": ["uniform"] * 2,
                "metric": ["auc", "ap"],
                "value": [1.0, 1.0],
                "seed": [7, 7],
                "pairs": [2, 2],
            }
        ),
    )
