import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from chromweave.analysis.latent_gradient import gradient_against_insulation, latent_gradient
from chromweave.errors import DataError

NAN = float("nan")


def test_gradient_by_hand():
    rows = np.array([[1, 0], [0, 2], [0, 1], [NAN, NAN], [3, 0], [3, 0], [0, 1], [1, 0]])
    chrom = np.array([1, 1, 1, 1, 1, 1, 1, 2])
    # Steps: 1, 0, -, -, 0, 1, - (another chromosome).
    np.testing.assert_allclose(latent_gradient(rows, chrom), [NAN, 0.5, NAN, NAN, NAN, 0.5, NAN, NAN])
    # sqrt 5 and 1; 0 and sqrt 10.
    np.testing.assert_allclose(
        latent_gradient(rows, chrom, metric="l2")[[1, 5]], [(5**0.5 + 1) / 2, 10**0.5 / 2]
    )


def test_a_null_vector_is_at_distance_one():
    rows = np.array([[1.0, 0], [0, 0], [1, 0]])
    assert latent_gradient(rows, np.zeros(3))[1] == 1.0


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_short_for_a_gradient(n):
    assert np.isnan(latent_gradient(np.ones((n, 2)), np.zeros(n))).all()


def domains(n=400, width=20, seed=0):
    """Vectors that change at domain borders, and an insulation score with minima there."""
    rng = np.random.default_rng(seed)
    state = np.repeat(rng.normal(size=(n // width, 4)), width, axis=0)
    rows = state + rng.normal(0, 0.1, (n, 4))
    border = np.arange(n) % width == 0
    score = -1.0 * border + rng.normal(0, 0.1, n)
    return rows, score, border


def test_borders_are_found():
    rows, score, border = domains()
    chrom = np.zeros(400)
    gradient = latent_gradient(rows, chrom)
    found = gradient_against_insulation(gradient, score, border, chrom, permutations=99)
    known = np.isfinite(gradient)
    assert found["spearman"].value == pytest.approx(spearmanr(score[known], gradient[known])[0])
    assert found["boundary auroc"].value == pytest.approx(roc_auc_score(border[known], gradient[known]))
    assert found["boundary auroc"].value > 0.85
    assert found["spearman"].value < 0
    assert found["spearman"].bins == 398
    # One shift in twenty moves borders onto borders, and every other misses them.
    assert found["boundary auroc"].expected == pytest.approx(0.5, abs=0.1)
    assert found["boundary auroc"].pvalue < 0.12
    assert found["spearman"].pvalue < 0.12


def test_unrelated_scores_are_not_significant():
    rng = np.random.default_rng(1)
    rows, _, border = domains()
    chrom = np.zeros(400)
    score = np.convolve(rng.normal(size=400), np.ones(9), "same")
    found = gradient_against_insulation(
        latent_gradient(rows, chrom), score, np.roll(border, 7), chrom, permutations=99
    )
    assert found["spearman"].pvalue > 0.05
    assert found["boundary auroc"].pvalue > 0.05


def test_without_boundaries_there_is_no_auroc():
    rows, score, border = domains()
    chrom = np.zeros(400)
    found = gradient_against_insulation(
        latent_gradient(rows, chrom), score, np.zeros_like(border), chrom, permutations=5
    )
    assert np.isnan(found["boundary auroc"].value)
    assert np.isfinite(found["spearman"].value)


def test_nothing_in_common():
    with pytest.raises(DataError, match="2 bins have both a gradient and an insulation score"):
        gradient_against_insulation(
            np.ones(12), np.array([1.0, 2] + [NAN] * 10), np.zeros(12, bool), np.zeros(12)
        )
