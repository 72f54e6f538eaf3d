from dataclasses import replace

import numpy as np
import pytest

from chromweave.evaluation.edge_baselines import LowRank, VisibilityModel, symmetric, trivial_scorers
from chromweave.evaluation.edge_sampling import SAMPLINGS, edge_samples
from chromweave.evaluation.edges import score_edges
from tests.fakes_edges import auc_of, decaying, task_of


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


def two_chromosomes(n=40, seed=0):
    chrom, bins = np.repeat([0, 1], n), np.tile(np.arange(n), 2)
    contact = decaying(2 * n, seed, scale=8) & (chrom[:, None] == chrom[None, :])
    return task_of(contact, bins=bins, chrom=chrom, max_bins=20)


def dense(task):
    matrix = np.zeros((task.n_nodes, task.n_nodes))
    matrix[tuple(task.message)] = matrix[tuple(task.message[::-1])] = 1
    return matrix


def every_pair(n):
    return np.stack(np.triu_indices(n, 1))


def test_a_low_rank_is_the_best_of_its_rank():
    rng = np.random.default_rng(0)
    task = task_of(decaying(20))
    pairs = every_pair(20)
    matrix = symmetric(task, pairs, rng.normal(size=pairs.shape[1]))
    values, vectors = np.linalg.eigh(matrix.toarray())
    kept = np.argsort(-np.abs(values))[:5]
    best = (vectors[:, kept] * values[kept]) @ vectors[:, kept].T
    np.testing.assert_allclose(LowRank.of(task, matrix, 5, 0)(pairs), best[tuple(pairs)], atol=1e-9)


def test_chromosomes_have_factors_of_their_own():
    task = two_chromosomes()
    alone = task_of(dense(task)[:40, :40].astype(bool), held_out_fraction=0, max_bins=20)
    pairs = every_pair(40)
    for name, scorer in trivial_scorers(alone, rank=3).items():
        if "visibility" not in name and "correlation" not in name:  # these expect by distance over both
            np.testing.assert_allclose(trivial_scorers(task, rank=3)[name](pairs), scorer(pairs), atol=1e-9)
    one = LowRank.of(alone, symmetric(alone, alone.message, np.ones(alone.message.shape[1])), 3, 0)
    both = LowRank.of(task, symmetric(task, task.message, np.ones(task.message.shape[1])), 3, 0)
    np.testing.assert_allclose(both(pairs), one(pairs), atol=1e-9)


def test_a_chromosome_of_two_bins_has_no_factors():
    contact = np.zeros((12, 12), dtype=bool)
    contact[:10, :10] = decaying(10)
    contact[10, 11] = contact[11, 10] = True
    chrom = np.repeat([0, 1], [10, 2])
    task = task_of(contact, bins=[*range(10), 0, 1], chrom=chrom, held_out_fraction=0)
    found = LowRank.of(task, symmetric(task, task.message, np.ones(task.message.shape[1])), 4, 0)
    assert found(np.array([[10], [11]])).tolist() == [0.0]
    assert np.abs(found.values[0]).min() > 0


def test_correlation_components_are_those_of_the_dense_matrix():
    task = task_of(decaying(60, scale=10), max_bins=15)
    distance = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    contact, ratio = dense(task), np.ones((60, 60))
    for d in range(1, 16):
        on = distance == d
        ratio[on] = contact[on] / contact[on].mean() if contact[on].any() else 1
    values, vectors = np.linalg.eigh(np.corrcoef(ratio))
    best = (vectors[:, -4:] * values[-4:]) @ vectors[:, -4:].T
    pairs = every_pair(60)
    np.testing.assert_allclose(
        trivial_scorers(task, rank=4)["O/E correlation PCA(4)"](pairs), best[tuple(pairs)], atol=1e-8
    )


def test_spectral_embedding_is_scikit_learns():
    from scipy.spatial.distance import pdist
    from sklearn.manifold import spectral_embedding

    task = task_of(decaying(60, scale=10), max_bins=20)
    expected = spectral_embedding(dense(task), n_components=3, random_state=0)
    score = trivial_scorers(task, rank=3)["spectral embedding(3)"](every_pair(60))
    # Its vectors are of length 1 before the division by the root of the degree, as ours.
    np.testing.assert_allclose(-score, pdist(expected, "sqeuclidean"), rtol=1e-5, atol=1e-10)


def test_communities_are_near_one_another():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 90)
    contact = np.triu(rng.random((90, 90)) < np.where(np.equal.outer(group, group), 0.7, 0.2), 1)
    task = task_of(contact | contact.T)
    auc = auc_of(score_edges(edge_samples(task, 0), trivial_scorers(task, rank=2), seed=0))
    for name in ("spectral embedding(2)", "O/E correlation PCA(2)"):
        assert auc[name, "matched"] > 0.65
    assert auc["degree product", "matched"] < 0.6


def test_rows_look_at_message_edges_only():
    task = task_of(decaying(60, scale=10), max_bins=20)
    blind = replace(task, held_out=task.held_out[:, :0], known=task.message)
    pairs = every_pair(60)
    rows, again = trivial_scorers(task), trivial_scorers(blind)
    assert list(rows) == [
        "distance", "degree product", "expected x visibility", "expected x visibility + SVD(8)",
        "O/E correlation PCA(8)", "spectral embedding(8)",
    ]  # fmt: skip
    for name in rows:
        np.testing.assert_array_equal(rows[name](pairs), again[name](pairs))
        assert np.isfinite(rows[name](pairs)).all()
