import warnings

import numpy as np
import pytest

from chromweave.analysis.insulation import insulation
from chromweave.errors import ConfigError, DataError
from chromweave.genome import Assembly
from tests.fakes_graph import FakeLayer, FakeStore, store_of_cool


def domains(n=120, width=20, masked=(50,)):
    """Square domains of `width` bins: six times the contacts inside."""
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    same = np.subtract.outer(np.arange(n) // width, np.arange(n) // width) == 0
    counts = np.triu(np.random.default_rng(0).poisson(600.0 / (1 + distance) * np.where(same, 6, 1)))
    counts = counts + np.triu(counts, 1).T
    weights = np.ones(n)
    weights[list(masked)] = np.nan
    layer = FakeLayer(counts, weights, 10_000)
    return FakeStore("cells", Assembly("toy", {"chr1": n * 10_000}), 10_000, {"chr1": layer})


def test_boundaries_lie_between_planted_domains():
    table = insulation(domains(), resolution=10_000, window=50_000)
    called = np.flatnonzero(table["is_boundary"])
    assert len(called) == 5
    assert np.abs(called - np.array([20, 40, 60, 80, 100])).max() <= 1
    assert np.flatnonzero(table["is_bad_bin"]).tolist() == [50]
    assert table["log2_insulation_score"][19:22].min() < table["log2_insulation_score"][30] - 1


def test_scores_are_relative_to_the_chromosomes_median():
    table = insulation(domains(), resolution=10_000, window=50_000)
    assert np.nanmedian(2 ** table["log2_insulation_score"]) == pytest.approx(1)
    assert set(table["window"]) == {50_000}


def test_a_chromosome_too_small_for_the_window_has_no_scores():
    store = domains()
    small = FakeLayer(np.ones((2, 2), int), np.ones(2), 10_000)
    lengths = {"chr1": 1_200_000, "chrM": 20_000}
    both = FakeStore("cells", Assembly("toy", lengths), 10_000, {**store.layers, "chrM": small})
    table = insulation(both, resolution=10_000, window=50_000)
    assert table.loc[table["chrom"] == "chrM", "log2_insulation_score"].isna().all()
    assert table["is_boundary"].sum() == 5


def test_a_threshold_given():
    assert not insulation(domains(), resolution=10_000, window=50_000, strength=50.0)["is_boundary"].any()


@pytest.mark.real_data
def test_equals_cooltools_on_a_real_map(real_data):
    import cooler

    from chromweave.analysis.reference import cooltools_module

    uri = f"{real_data / 'gm12878_imr90_chr21_22_hg19' / 'GM12878_HIC001.mcool'}::/resolutions/40000"
    ours = insulation(store_of_cool(uri), resolution=40_000, window=200_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cooltools_module("api.insulation").insulation(cooler.Cooler(uri), [200_000], ignore_diags=2)
    for column in ("log2_insulation_score", "boundary_strength"):
        np.testing.assert_allclose(ours[column], theirs[f"{column}_200000"], rtol=1e-9, atol=1e-12)
    assert (ours["is_boundary"].to_numpy() == theirs["is_boundary_200000"].to_numpy()).all()
    assert ours["is_boundary"].sum() > 20


@pytest.mark.parametrize("window", [10_000, 25_000])
def test_windows_that_do_not_fit_the_bins(window):
    with pytest.raises(ConfigError, match="must be a multiple of the resolution"):
        insulation(domains(), resolution=10_000, window=window)


def test_a_window_wider_than_the_band(monkeypatch):
    monkeypatch.setattr(FakeLayer, "n_diagonals", 8)
    with pytest.raises(ConfigError, match="a window of 50,000 bp reaches twice its side"):
        insulation(domains(), resolution=10_000, window=50_000)


def test_a_map_without_scores():
    with pytest.raises(DataError, match="no bin has an insulation score"):
        insulation(domains(masked=range(120)), resolution=10_000, window=50_000)
