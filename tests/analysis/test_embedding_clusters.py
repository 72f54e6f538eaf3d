import numpy as np
import pytest

from chromweave.analysis.embedding_clusters import cluster_agreement, cluster_bins
from chromweave.errors import DataError


def test_directions_are_clustered_not_lengths():
    latent = np.array([[1, 0], [9, 0.1], [5, 0.2], [0, 1], [0.1, 8], [0, 0.3], [0, 0.2]])
    # The largest cluster is 0.
    assert cluster_bins(latent, 2).tolist() == [1, 1, 1, 0, 0, 0, 0]


def test_a_null_vector_has_a_cluster_too():
    found = cluster_bins(np.array([[0.0, 0.0], [1, 0], [1, 0.01], [0, 1]]), 3)
    assert set(found) == {0, 1, 2}


def test_agreement_is_scikit_learns_and_knows_its_null():
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    rng = np.random.default_rng(0)
    labels = np.repeat(rng.choice(["A1", "A2", "B1"], 40), 10).astype(object)
    clusters = np.unique(labels, return_inverse=True)[1]
    clusters[rng.random(400) < 0.2] = 0
    found = cluster_agreement(clusters, labels, np.zeros(400), permutations=19)
    assert found["ari"].value == pytest.approx(adjusted_rand_score(labels.astype(str), clusters))
    assert found["nmi"].value == pytest.approx(normalized_mutual_info_score(labels.astype(str), clusters))
    assert found["ari"].pvalue == found["nmi"].pvalue == 1 / 20
    # Runs of ten bins agree by chance more than single bins would; the null has the same runs.
    assert abs(found["ari"].expected) < 0.1
    assert found["nmi"].expected > 0


def test_unrelated_clusters_are_not_significant():
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.choice(["A", "B"], 40), 10).astype(object)
    clusters = np.repeat(rng.choice([0, 1], 40), 10)
    assert cluster_agreement(clusters, labels, np.zeros(400), permutations=49)["ari"].pvalue > 0.05


def test_bins_without_a_call_are_left_out():
    labels = np.array(["A", "A", "N", "B", "B"], dtype=object)
    found = cluster_agreement(np.array([0, 0, 1, 1, 1]), labels, np.zeros(5), permutations=3)
    assert found["ari"].value == 1.0
    assert found["ari"].bins == 4


@pytest.mark.parametrize("only", ["A", "N"])
def test_one_group_is_no_comparison(only):
    with pytest.raises(DataError, match=f"all bins are {only}"):
        cluster_agreement(np.zeros(4, int), np.full(4, only, dtype=object), np.zeros(4))


@pytest.mark.parametrize("clusters", [0, 4])
def test_numbers_of_clusters_that_cannot_be(clusters):
    with pytest.raises(DataError, match=f"3 bins cannot be divided into {clusters} clusters"):
        cluster_bins(np.eye(3), clusters)
