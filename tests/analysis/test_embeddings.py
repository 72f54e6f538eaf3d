import numpy as np
import pytest

from chromweave.analysis import embeddings as module
from chromweave.analysis.embeddings import compartment_silhouette, silhouette, umap_layout
from chromweave.errors import DataError


def blocks(n=200, width=10, noise=0.3, seed=0):
    labels = np.where((np.arange(n) // width) % 2, "B", "A")
    centre = np.where(labels == "A", 1.0, -1.0)[:, None] * np.array([1.0, 0.5, 0.0])
    return centre + np.random.default_rng(seed).normal(0, noise, (n, 3)), labels


def test_silhouette_by_hand():
    # Points 0, 1 | 4 on a line: s(0) = (4-1)/4, s(1) = (3-1)/3, a group of one scores 0.
    points = np.array([0.0, 1.0, 4.0])
    distance = np.abs(np.subtract.outer(points, points))
    assert silhouette(distance, np.array(["A", "A", "B"])) == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)


def test_silhouette_equals_scikit_learns():
    from sklearn.metrics import silhouette_score

    latent, labels = blocks(noise=1.0)
    found = compartment_silhouette(latent, labels, np.zeros(200), permutations=5)
    assert found.value == pytest.approx(silhouette_score(latent, labels, metric="cosine"), abs=1e-5)
    assert found.bins == 200


def test_planted_compartments_part_and_the_null_does_not():
    latent, labels = blocks(width=15)
    found = compartment_silhouette(latent, labels, np.zeros(200), permutations=99)
    assert found.value > 0.5
    assert found.expected < 0.2
    assert found.pvalue <= 0.02


def test_an_embedding_of_noise_is_not_significant():
    latent = np.random.default_rng(1).normal(size=(200, 3))
    _, labels = blocks()
    assert compartment_silhouette(latent, labels, np.zeros(200), permutations=99).pvalue > 0.05


def test_bins_without_a_call_are_left_out():
    latent, labels = blocks()
    labels = labels.copy()
    labels[:20] = "N"
    latent[:20] = 1e3
    assert compartment_silhouette(latent, labels, np.zeros(200), permutations=3).bins == 180


def test_more_bins_than_a_matrix_holds(monkeypatch):
    monkeypatch.setattr(module, "_MOST_BINS", 100)
    latent, labels = blocks()
    found = compartment_silhouette(latent, labels, np.zeros(200), permutations=3)
    assert found.bins == 100
    assert found.value > 0.5


def test_one_group_is_no_comparison():
    with pytest.raises(DataError, match="all bins are A"):
        silhouette(np.zeros((3, 3)), np.array(["A"] * 3))


def test_umap_is_joint_and_reproducible():
    first, labels = blocks(n=60)
    second, _ = blocks(n=40, seed=1)
    layouts = umap_layout([first, second], seed=3)
    assert [layout.shape for layout in layouts] == [(60, 2), (40, 2)]
    again = umap_layout([first, second], seed=3)
    np.testing.assert_array_equal(layouts[1], again[1])
    points = np.concatenate(layouts)
    every = np.concatenate([labels, labels[:40]])
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert silhouette(distance, every) > 0.5, "groups of both embeddings fall together"


def test_umap_of_unlike_or_tiny_embeddings():
    with pytest.raises(DataError, match=r"one dimension, not \[2, 3\]"):
        umap_layout([np.zeros((5, 2)), np.zeros((5, 3))])
    with pytest.raises(DataError, match="3 bins are too few"):
        umap_layout([np.zeros((3, 2))])


def test_other_groups_than_compartments():
    from sklearn.metrics import silhouette_score

    latent, labels = blocks(noise=1.0)
    finer = np.where(np.arange(200) < 100, np.char.add(labels, "1"), np.char.add(labels, "2"))
    finer[:7] = "N"
    groups = ("A1", "A2", "B1", "B2")
    found = compartment_silhouette(latent, finer, np.zeros(200), groups=groups, permutations=3)
    assert found.bins == 193
    assert found.value == pytest.approx(silhouette_score(latent[7:], finer[7:], metric="cosine"), abs=1e-5)
