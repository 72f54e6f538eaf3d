import warnings

import numpy as np
import pandas as pd
import pytest

from chromweave.analysis.pileup import PileupConfig, combine_pileups, pileup
from chromweave.data.build import build
from chromweave.errors import ConfigError
from tests.fakes_maps import MapInMemory, power_law_map


def loops(pairs, resolution=5000):
    x, y = np.array(pairs, dtype=np.int64).reshape(-1, 2).T * resolution
    return pd.DataFrame({"start1": x, "end1": x + resolution, "start2": y, "end2": y + resolution})


PLANTED = [(x, x + 40 + (7 * x) % 30) for x in range(20, 420, 12)]


@pytest.fixture(scope="module")
def layer():
    return MapInMemory(power_law_map(500, 400.0, np.random.default_rng(0), PLANTED, strength=6.0))


def test_by_hand_one_square():
    """A map of ones with one pixel of 21: expected is 1 at every distance but the loop's."""
    matrix = np.ones((60, 60), int)
    matrix[20, 40] = matrix[40, 20] = 21
    config = PileupConfig(flank_bins=3, shifts=0)
    found = pileup(MapInMemory(matrix), loops([(20, 40)]), weight=None, config=config)
    expected = (39 + 21) / 40  # forty positions at distance 20
    assert found.mean.shape == (7, 7)
    assert found.mean[3, 3] == pytest.approx(21 / expected)
    diagonal = np.diagonal(found.mean)[[0, 1, 2, 4, 5, 6]]
    np.testing.assert_allclose(diagonal, 1 / expected)
    assert found.mean[0, 1] == 1.0
    assert found.enrichment == pytest.approx((21 / expected + 2 / expected + 6) / 9)
    corners = (6 / expected + 30) / 36  # two of the corners hold three pixels of the loop's distance
    assert found.peak_to_corners == pytest.approx(found.enrichment / corners)
    assert found.peak_to_lower_left == pytest.approx(
        21 / expected
    )  # the corner nearest the diagonal is all 1
    assert np.isnan(found.control_enrichment)


def test_planted_loops_stand_out_and_shifted_ones_do_not(layer):
    found = pileup(layer, loops(PLANTED), weight=None, seed=1)
    assert found.n == len(PLANTED)
    assert found.mean.shape == (21, 21)
    assert np.unravel_index(found.mean.argmax(), found.mean.shape) == (10, 10)
    assert 4.5 < found.mean[10, 10] < 6.5
    assert found.enrichment > 2
    assert found.peak_to_corners > 2
    assert found.peak_to_lower_left > 4
    assert found.control_enrichment == pytest.approx(1.0, abs=0.15)


def test_asymmetry_is_kept(layer):
    """A stripe to the left of each loop appears to the left: rows are first anchors, columns second ones."""
    matrix = layer.matrix.copy()
    for x, y in PLANTED:
        matrix[x, y - 5] = matrix[y - 5, x] = matrix[x, y - 5] * 8 + 8
    found = pileup(MapInMemory(matrix), loops(PLANTED), weight=None, config=PileupConfig(shifts=0))
    assert found.mean[10, 5] > 3
    assert found.mean[5, 10] < 1.5


def test_masked_bins_are_ignored(layer):
    weights = np.ones(500)
    weights[[20, 65]] = np.nan
    matrix = layer.matrix.copy()
    matrix[20] = matrix[:, 20] = 0
    masked = MapInMemory(matrix, weights=weights)
    pair = loops([(20, 60)])
    found = pileup(masked, pair, weight="weight", config=PileupConfig(shifts=0))
    assert np.isnan(found.mean[10]).all()
    assert np.isnan(found.mean[:, 15]).all()
    assert np.isfinite(found.mean).sum() == 20 * 20


def test_near_and_outside_loops_are_counted_out(layer):
    pairs = [(200, 221), (200, 222), (5, 60), (480, 495), (300, 495), (100, 160)]
    found = pileup(layer, loops(pairs), weight=None, config=PileupConfig(shifts=0))
    assert (found.n, found.n_near, found.n_outside) == (2, 2, 2)
    band = MapInMemory(layer.matrix, n_diagonals=70)
    assert pileup(band, loops([(100, 149), (100, 150)]), weight=None).n == 1


def test_no_loops(layer):
    found = pileup(layer, loops([]), weight=None)
    assert found.n == 0
    assert np.isnan(found.mean).all()
    assert np.isnan([found.enrichment, found.peak_to_corners, found.peak_to_lower_left]).all()


def test_seed_decides_the_control(layer):
    first, same, other = (pileup(layer, loops(PLANTED), weight=None, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.control_mean, same.control_mean)
    assert (first.control_mean != other.control_mean).any()
    np.testing.assert_array_equal(first.mean, other.mean)


def test_chromosomes_add_up(layer):
    whole = pileup(layer, loops(PLANTED), weight=None, config=PileupConfig(shifts=0))
    parts = [
        pileup(layer, loops(p), weight=None, config=PileupConfig(shifts=0))
        for p in (PLANTED[:9], PLANTED[9:])
    ]
    both = combine_pileups(parts)
    np.testing.assert_allclose(both.mean[10, 10], whole.mean[10, 10], rtol=0.05)
    assert both.n == whole.n
    small = pileup(layer, loops(PLANTED), weight=None, config=PileupConfig(flank_bins=5, shifts=0))
    with pytest.raises(ConfigError, match="one resolution and size"):
        combine_pileups([whole, small])
    with pytest.raises(ConfigError, match="none at all"):
        combine_pileups([])


def test_config_is_checked():
    with pytest.raises(ConfigError, match="flank_bins must be 3 or more"):
        PileupConfig(flank_bins=2)
    with pytest.raises(ConfigError, match="min_shift"):
        PileupConfig(min_shift=0)


@pytest.mark.slow
@pytest.mark.real_data
def test_equals_cooltools_on_a_real_map(real_data, tmp_path):
    """CTCF loops of K562 chr22 at 10 kb: the mean square is cooltools.pileup's with its expected_cis."""
    contacts = real_data / "k562_chr22_hg38" / "K562.chr22.mcool"
    layer = build(tmp_path / "K562.store", contacts=contacts, resolutions=[10_000]).layer("chr22", 10_000)
    columns = ["chrom1", "start1", "end1", "chrom2", "start2", "end2", "pets"]
    table = pd.read_csv(real_data / "k562_chr22_hg38" / "K562.CTCF_ChIA-PET.bedpe", sep="\t", names=columns)
    table = table[(table["chrom1"] == "chr22") & (table["chrom2"] == "chr22")].reset_index(drop=True)
    found = pileup(layer, table, weight="weight")
    middle = [(table[f"start{k}"] + table[f"end{k}"]) // 2 // 10_000 for k in (1, 2)]
    theirs = cooltools_pileup(f"{contacts}::/resolutions/10000", table[middle[1] - middle[0] >= 22])
    assert found.n == len(theirs)
    np.testing.assert_allclose(found.mean, np.nanmean(theirs, axis=0), rtol=1e-9)
    assert found.enrichment > 3
    assert found.control_enrichment == pytest.approx(1.0, abs=0.15)


def cooltools_pileup(uri, loops):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cooltools' own
        import cooler
        import cooltools

        source = cooler.Cooler(uri)
        view = pd.DataFrame({"chrom": ["chr22"], "start": [0], "end": [source.chromsizes["chr22"]]})
        view["name"] = "chr22"
        expected = cooltools.expected_cis(source, view_df=view, ignore_diags=0, smooth=False)
        return cooltools.pileup(
            source, loops, view_df=view, expected_df=expected, flank=100_000, min_diag=None
        )
