import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import DataError
from chromweave.evaluation import edges as module
from chromweave.evaluation.edges import (
    SAMPLINGS,
    EdgeSample,
    EdgeTask,
    NonContacts,
    VisibilityModel,
    edge_samples,
    score_edges,
    summarise_scores,
    trivial_scorers,
)


def task_of(contact, *, bins=None, chrom=None, held_out_fraction=0.3, max_bins=None, seed=0):
    """An edge task from a symmetric boolean matrix of contacts among nodes."""
    n = len(contact)
    bins = np.arange(n) if bins is None else np.asarray(bins)
    chrom = np.zeros(n, dtype=int) if chrom is None else np.asarray(chrom)
    known = np.stack(np.nonzero(np.triu(contact, 1)))
    max_bins = int(bins.max()) if max_bins is None else max_bins
    near = known[:, (bins[known[1]] - bins[known[0]]) <= max_bins]
    order = np.random.default_rng(seed).permutation(near.shape[1])
    k = int(near.shape[1] * held_out_fraction)
    return EdgeTask(chrom, bins, near[:, np.sort(order[k:])], near[:, np.sort(order[:k])], known, max_bins)


def decaying(n, seed=0, scale=6.0, visibility=None):
    rng = np.random.default_rng(seed)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    visibility = np.ones(n) if visibility is None else visibility
    contact = np.triu(rng.random((n, n)) < np.exp(-distance / scale) * np.outer(visibility, visibility), 1)
    return contact | contact.T


def auc_of(table):
    return table[table["metric"] == "auc"].set_index(["method", "sampling"])["value"]


def as_set(pairs):
    return {(int(i), int(j)) for i, j in pairs.T}


def test_every_non_contact_in_range_is_listed():
    # Nodes at bins 0, 1, 3, 4 (bin 2 masked); contacts 0-1 and 1-4; range two bins.
    contact = np.zeros((4, 4), dtype=bool)
    for i, j in ((0, 1), (1, 3)):
        contact[i, j] = contact[j, i] = True
    task = task_of(contact, bins=[0, 1, 3, 4], max_bins=2, held_out_fraction=0.0)
    # In range by bins: 0-1 (1), 1-3 (2), 3-4 (1); as nodes (0,1), (1,2), (2,3); (0,1) is a contact.
    assert as_set(NonContacts(task).near) == {(1, 2), (2, 3)}


@given(seed=st.integers(0, 10_000), n=st.integers(12, 30))
@settings(max_examples=25, deadline=None)
def test_negatives_are_never_contacts_and_stay_on_their_chromosome(seed, n):
    contact = decaying(n, seed)
    chrom = (np.arange(n) >= n // 2).astype(int)
    contact &= chrom[:, None] == chrom[None, :]
    bins = np.concatenate([np.arange(n // 2), np.arange(n - n // 2)])
    task = task_of(contact, bins=bins, chrom=chrom, max_bins=8)
    source = NonContacts(task)
    rng = np.random.default_rng(seed)
    matched = source.matched(task.held_out, rng)
    for name, pairs in (
        ("uniform", source.uniform(20, rng)),
        ("in-range", source.in_range(20, rng)),
        ("matched", matched.negatives),
    ):
        assert (pairs[0] < pairs[1]).all()
        assert (chrom[pairs[0]] == chrom[pairs[1]]).all()
        assert not contact[pairs[0], pairs[1]].any()
        assert len(as_set(pairs)) == pairs.shape[1], "a pair is drawn once"
        if name != "uniform":
            assert task.distance(pairs).max(initial=0) <= 8
    assert sorted(task.distance(matched.positives)) == sorted(task.distance(matched.negatives))
    assert as_set(matched.positives) <= as_set(task.held_out)


def test_uniform_draws_of_a_genome_too_large_to_list(monkeypatch):
    task = task_of(decaying(40))
    listed = as_set(NonContacts(task).uniform(10**6, np.random.default_rng(0)))
    monkeypatch.setattr(module, "_ENUMERATE", 0)
    drawn = NonContacts(task).uniform(60, np.random.default_rng(0))
    assert drawn.shape == (2, 60)
    assert as_set(drawn) <= listed
    assert drawn[1].max() == 39, "the last node can be drawn"


def test_distance_scores_one_half_when_matched():
    task = task_of(decaying(80, visibility=np.full(80, 0.8)))
    table = score_edges(edge_samples(task, 0), trivial_scorers(task, rank=2), seed=0)
    assert auc_of(table)["distance", "matched"] == pytest.approx(0.5, abs=1e-12)
    assert auc_of(table)["distance", "uniform"] > 0.85


def test_visibility_comes_near_the_truth_it_was_drawn_from():
    visibility = np.where(np.arange(200) % 2, 1.0, 0.2)
    task = task_of(decaying(200, scale=30, visibility=visibility))
    truth = {
        "truth": lambda pairs: (
            np.exp(-task.distance(pairs) / 30) * visibility[pairs[0]] * visibility[pairs[1]]
        )
    }
    auc = auc_of(score_edges(edge_samples(task, 1), trivial_scorers(task) | truth, seed=1))
    for sampling in SAMPLINGS:
        assert auc["expected x visibility", sampling] == pytest.approx(auc["truth", sampling], abs=0.03)
        assert auc["expected x visibility", sampling] > auc["distance", sampling] + 0.05


def test_visibility_model_recovers_its_own_parameters():
    # Every pair a "contact" but those of node 0, which touches only half of the others at each parity.
    n = 60
    contact = ~np.eye(n, dtype=bool)
    contact[0, 1::2] = contact[1::2, 0] = False
    model = VisibilityModel.fit(task_of(contact, held_out_fraction=0.0), iterations=50)
    # 29 of node 0's 59 pairs are contacts; every other node has 58 or 59 of 59.
    assert model.visibility[0] / model.visibility[2] == pytest.approx(0.5, abs=0.03)
    assert model(np.array([[4], [6]]))[0] == pytest.approx(1.0, abs=0.03)


def test_beyond_the_range_nothing_is_expected():
    task = task_of(decaying(50), max_bins=5)
    assert VisibilityModel.fit(task)(np.array([[0, 0], [3, 30]])).tolist()[1] == 0.0


def test_low_rank_residual_finds_two_blocks():
    rng = np.random.default_rng(0)
    state = np.where((np.arange(200) // 10) % 2, 1, -1)
    contact = np.triu(rng.random((200, 200)) < 0.5 + 0.35 * np.outer(state, state), 1)
    task = task_of(contact | contact.T)
    truth = {"truth": lambda pairs: state[pairs[0]] * state[pairs[1]]}
    auc = auc_of(score_edges(edge_samples(task, 0), trivial_scorers(task) | truth, seed=0))
    assert auc["expected x visibility", "matched"] < 0.55
    assert auc["expected x visibility + SVD(8)", "matched"] == pytest.approx(
        auc["truth", "matched"], abs=0.02
    )
    assert auc["truth", "matched"] > 0.7


def test_samples_are_balanced_even_where_non_contacts_run_out():
    contact = ~np.eye(30, dtype=bool)
    contact[3, 9] = contact[9, 3] = contact[4, 20] = contact[20, 4] = False
    samples = edge_samples(task_of(contact), 0)
    assert tuple(samples) == SAMPLINGS
    assert samples["uniform"].positives.shape == samples["uniform"].negatives.shape == (2, 2)
    assert samples["uniform"].labels.tolist() == [True, True, False, False]


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


def test_a_complete_graph_has_no_negatives():
    with pytest.raises(DataError, match="no non-contact for the 'matched' sampling"):
        edge_samples(task_of(~np.eye(20, dtype=bool)), 0)


def test_nothing_held_out_is_an_error():
    with pytest.raises(DataError, match="no contact is held out"):
        edge_samples(task_of(decaying(20), held_out_fraction=0.0), 0)


def test_summary_over_seeds():
    scores = pd.DataFrame(
        {
            "method": ["b", "b", "a"],
            "sampling": "uniform",
            "metric": "auc",
            "value": [0.5, 0.7, 0.9],
            "seed": [0, 1, 0],
            "pairs": 4,
        }
    )
    table = summarise_scores(scores)
    assert table["method"].tolist() == ["b", "a"]
    assert table["mean"].tolist() == [pytest.approx(0.6), 0.9]
    assert table["sd"][0] == pytest.approx(0.02**0.5)
    assert np.isnan(table["sd"][1])
    assert table["seeds"].tolist() == [2, 1]
