import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.analysis.probes import blocked_folds, linear_probe
from chromweave.errors import ConfigError, DataError


def test_folds_by_hand():
    # Blocks of three bins: 0-2, 3-5, 6-8; two folds; a gap of one bin.
    first, second = blocked_folds(np.zeros(9), np.arange(9), block=3, gap=1, folds=2)
    assert first.test.tolist() == [0, 1, 2, 6, 7, 8]
    assert first.train.tolist() == [4]
    assert second.test.tolist() == [3, 4, 5]
    assert second.train.tolist() == [0, 1, 7, 8]


def test_a_gap_ends_with_its_chromosome():
    chrom = np.repeat(["chr1", "chr2"], 3)
    first, second = blocked_folds(chrom, np.tile(np.arange(3), 2), block=3, gap=50, folds=2)
    assert first.test.tolist() == [0, 1, 2]
    assert first.train.tolist() == [3, 4, 5]
    assert second.train.tolist() == [0, 1, 2]


def test_masked_bins_count_as_distance():
    # Bins 0, 1 and 8, 9: the blocks are 0-4 and 5-9, the gap of three is empty already.
    first, _ = blocked_folds(np.zeros(4), np.array([0, 1, 8, 9]), block=5, gap=3, folds=2)
    assert first.train.tolist() == [2, 3]


@given(seed=st.integers(0, 1000), block=st.integers(1, 12), gap=st.integers(0, 6), folds=st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_no_bin_is_learned_from_beside_one_that_is_asked(seed, block, gap, folds):
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(80, 60, replace=False))
    chrom, bins = kept // 40, kept % 40
    found = blocked_folds(chrom, bins, block=block, gap=gap, folds=folds)
    assert sorted(np.concatenate([fold.test for fold in found])) == list(range(60)), "each is asked once"
    for train, test in found:
        apart = np.abs(bins[train][:, None] - bins[test][None, :])
        same = chrom[train][:, None] == chrom[test][None, :]
        assert not (same & (apart <= gap)).any()
        # Nothing more than that is left out.
        left = np.setdiff1d(np.arange(60), np.concatenate([train, test]))
        for row in left:
            assert (np.abs(bins[row] - bins[test[chrom[test] == chrom[row]]]) <= gap).any()


@pytest.mark.parametrize("wrong", [{"block": 0}, {"gap": -1}, {"folds": 1}])
def test_folds_that_are_none(wrong):
    with pytest.raises(ConfigError, match="folds need block"):
        blocked_folds(np.zeros(9), np.arange(9), **{"block": 3, "gap": 1, **wrong})


def test_one_block_is_no_division():
    with pytest.raises(DataError, match="9 bins in blocks of 100 are 1 block"):
        blocked_folds(np.zeros(9), np.arange(9), block=100, gap=1)


def planted(n=300, noise=1.0, seed=0, width=4):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.where(rng.random(n // 12) < 0.5, "A", "B"), 12).astype(object)
    latent = rng.normal(0, noise, (n, width))
    latent[:, 1] += np.where(labels == "A", 1, -1)
    return latent, labels


def probe(latent, labels, **changes):
    n = len(labels)
    given = {"block": 25, "gap": 5, "permutations": 19, **changes}
    return linear_probe(latent, labels, np.zeros(n), np.arange(n), **given)


def test_a_planted_axis_is_found():
    latent, labels = planted(noise=0.3)
    found = probe(latent, labels)
    assert found.auroc.value > 0.98
    assert found.balanced_accuracy.value > 0.95
    assert found.auroc.pvalue == 1 / 20
    assert found.auroc.expected == pytest.approx(0.5, abs=0.15)
    assert found.auroc.bins == 300
    right = (found.probability > 0.5) == (labels == "A")
    assert right.mean() > 0.95


def test_noise_tells_nothing():
    _, labels = planted()
    latent = np.random.default_rng(5).normal(size=(300, 4))
    found = probe(latent, labels)
    assert found.auroc.value == pytest.approx(0.5, abs=0.12)
    assert found.auroc.pvalue > 0.05


def test_position_along_the_chromosome_tells_nothing_of_unseen_blocks():
    # A smooth function of position fits neighbours perfectly, and other blocks not at all.
    n = 300
    _, labels = planted(n)
    latent = np.stack([np.cos(np.arange(n) * k / 50) for k in range(1, 12)], axis=1)
    assert probe(latent, labels, gap=5).auroc.pvalue > 0.05


def test_it_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    latent, labels = planted()
    found = probe(latent, labels, permutations=1)
    wanted = np.full(300, np.nan)
    for train, test in blocked_folds(np.zeros(300), np.arange(300), block=25, gap=5):
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        wanted[test] = model.fit(latent[train], labels[train] == "A").predict_proba(latent[test])[:, 1]
    np.testing.assert_allclose(found.probability, wanted, atol=1e-6)


def test_bins_without_a_call_are_neither_learned_from_nor_asked():
    latent, labels = planted(noise=0.3)
    labels = labels.copy()
    labels[100:120] = "N"
    latent[100:120] = 1e6
    found = probe(latent, labels)
    assert np.isnan(found.probability[100:120]).all()
    assert np.isfinite(np.delete(found.probability, np.s_[100:120])).all()
    assert found.auroc.value > 0.98
    assert found.auroc.bins == 280


def test_a_constant_dimension_is_no_trouble():
    latent, labels = planted(noise=0.3)
    latent[:, 0] = 7.0
    assert probe(latent, labels, permutations=1).auroc.value > 0.98


def test_a_fold_with_one_class_to_learn_asks_nothing():
    labels = np.array(["A"] * 10 + ["B"] * 10, dtype=object)
    latent = np.random.default_rng(0).normal(size=(20, 2))
    found = linear_probe(
        latent, labels, np.zeros(20), np.arange(20), block=10, gap=0, folds=2, permutations=2
    )
    assert np.isnan(found.probability).all()
    assert np.isnan([found.auroc.value, found.balanced_accuracy.value]).all()


@pytest.mark.parametrize("label", ["A", "N"])
def test_one_class_is_no_probe(label):
    with pytest.raises(DataError, match="only one of them, or none"):
        probe(np.zeros((50, 2)), np.full(50, label, dtype=object))
