import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chromweave.analysis.compartments import compartments
from chromweave.analysis.saddle import (
    EVERYWHERE,
    Saddle,
    saddle_table,
    saddles,
    strength_table,
)
from chromweave.errors import ConfigError
from chromweave.genome import Assembly, Interval
from tests.fakes_graph import FakeLayer, FakeStore, planted_store, store_of_cool

RESOLUTION = 10_000


def called(store, **given):
    table = compartments(store, resolution=RESOLUTION, phase_by="signal", **given)
    return saddles(store, table, resolution=RESOLUTION, groups=10, **given)


def two_kinds(n=60, like=3.0, unlike=1.0):
    """No decay with distance: like bins touch `like` times, unlike ones `unlike` times; kinds by turns."""
    kind = np.arange(n) % 2
    counts = np.where(np.equal.outer(kind, kind), like, unlike)
    layer = FakeLayer(counts, np.ones(n), RESOLUTION)
    store = FakeStore("kinds", Assembly("toy", {"chr1": n * RESOLUTION}), RESOLUTION, {"chr1": layer})
    first = np.where(kind == 1, 1.0, -1.0) + np.linspace(0, 0.1, n)
    return store, pd.DataFrame({"chrom": "chr1", "E1": first})


def test_every_distance_is_its_own_expectation():
    """Kinds by turns: pairs at one distance are all like or all unlike, so nothing is left over."""
    store, table = two_kinds()
    whole, own = saddles(store, table, resolution=RESOLUTION, groups=6)
    assert (whole.name, own.name, whole.bins) == (EVERYWHERE, "chr1", 60)
    np.testing.assert_allclose(whole.mean, 1)
    np.testing.assert_array_equal(whole.total, own.total)
    assert whole.strength() == pytest.approx(1)
    # 60 bins in six groups; the three nearest diagonals are left out.
    assert whole.pairs.sum() == 60 * 60 - 60 - 2 * (59 + 58)


def test_strength_by_hand():
    total = np.array([[6.0, 1, 1], [1, 9, 1], [1, 1, 8]])
    saddle = Saddle("chr1", np.arange(4.0), total, np.full((3, 3), 2), 30)
    assert saddle.corner("BB") == 3
    assert saddle.corner("AA") == 4
    assert saddle.corner("AB") == 0.5
    assert saddle.strength() == pytest.approx((14 / 4) / 0.5)
    # With two of three groups to a side: (17 + 19) / 16 over (1 + 1 + 9 + 1) / 8.
    assert saddle.strength(2 / 3) == pytest.approx((17 + 19) / 16 / (12 / 8))
    table = strength_table([saddle])
    assert table.iloc[0].to_dict() == {
        "saddle": "chr1", "bins": 30, "groups": 3, "AA": 4, "BB": 3, "AB": 0.5, "strength": 7,
    }  # fmt: skip
    cells = saddle_table([saddle]).set_index(["group1", "group2"])
    assert cells.loc[(1, 3), ["E1_1", "E1_2", "pairs", "oe"]].tolist() == [0.5, 2.5, 2, 0.5]


def test_a_corner_without_pairs_has_no_strength():
    saddle = Saddle("chr1", np.arange(6.0), np.zeros((5, 5)), np.zeros((5, 5), int), 0)
    assert np.isnan(saddle.strength())
    assert np.isnan(saddle.mean).all()


def test_planted_compartments_keep_to_themselves():
    """Like pairs have 1.6 and unlike ones 0.4 times the contacts of their distance."""
    whole, own = called(planted_store(depth=200))
    assert own.bins == 118
    assert 3 < whole.strength() <= 4.5
    assert np.diag(whole.mean)[[0, -1]].min() > 1.3
    assert whole.mean[0, -1] < 0.7
    np.testing.assert_allclose(whole.mean, whole.mean.T)


def test_a_map_without_compartments_has_none():
    store = planted_store(depth=200)
    counts = np.triu(np.random.default_rng(1).poisson(np.full((120, 120), 2000.0)))
    flat = FakeLayer(counts + np.triu(counts, 1).T, np.ones(120), RESOLUTION)
    table = compartments(store, resolution=RESOLUTION, phase_by="signal")
    whole, _ = saddles(replace(store, layers={"chr1": flat}), table, resolution=RESOLUTION, groups=10)
    assert whole.strength() == pytest.approx(1, abs=0.02)


def test_arms_are_not_paired_with_one_another():
    arms = [Interval("chr1", 0, 600_000), Interval("chr1", 600_000, 1_199_999)]
    _, whole = called(planted_store(depth=2000))
    _, apart = called(planted_store(depth=2000), regions=arms)
    assert apart.bins == whole.bins
    # 118 valid bins in all, 59 to an arm; bin 60 is masked.
    assert whole.pairs.sum() == 118**2 - near(118, [0, 60], 120)
    assert apart.pairs.sum() == 2 * 59**2 - near(59, [0], 60) - near(59, [0], 60)


def near(n, masked, bins):
    """Pairs closer than three bins among bins that are not masked, each from both sides."""
    valid = np.setdiff1d(np.arange(bins), masked)
    assert len(valid) == n
    return int((np.abs(np.subtract.outer(valid, valid)) < 3).sum())


def test_small_chromosomes_have_fewer_groups_or_none():
    large, small = planted_store(n_bins=120), planted_store(n_bins=20, chroms=("chr2",))
    both = replace(
        large,
        assembly=Assembly("fake", {**large.assembly.chromosomes, **small.assembly.chromosomes}),
        layers={**large.layers, **small.layers},
        tracks={"signal": {**large.tracks["signal"], **small.tracks["signal"]}},
    )
    found = {one.name: one for one in called(both)}
    assert list(found) == [EVERYWHERE, "chr1"], "18 valid bins are not five groups of five"
    assert found[EVERYWHERE].bins == 118 + 18
    table = compartments(both, resolution=RESOLUTION, phase_by="signal")
    finer = saddles(both, table, resolution=RESOLUTION, groups=50)
    assert [len(one.total) for one in finer] == [(118 + 18) // 5, 118 // 5]


@pytest.mark.real_data
def test_equals_cooltools_on_a_real_map(real_data):
    """Sums and pairs by our groups, and strength at every extent, on chr21 and chr22."""
    import cooler

    from chromweave.analysis.reference import cooltools_module

    uri = f"{real_data / 'gm12878_imr90_chr21_22_hg19' / 'GM12878_HIC001.mcool'}::/resolutions/40000"
    track = real_data / "gm12878_imr90_chr21_22_hg19" / "GM12878.H3K27ac.bw"
    store = store_of_cool(uri, {"H3K27ac": track})
    table = compartments(store, resolution=40_000, phase_by="H3K27ac", n_eigs=1)
    whole, *own = saddles(store, table, resolution=40_000, groups=20)
    source = cooler.Cooler(uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cooltools_module("api.expected").expected_cis(source, ignore_diags=2)
        api = cooltools_module("api.saddle")
        group = np.searchsorted(whole.edges, table["E1"], side="right").clip(1, 20)
        kinds = pd.CategoricalDtype(np.arange(-1, 22), ordered=True)
        digitised = table[["chrom", "start", "end"]].assign(
            group=pd.Series(np.where(table["E1"].isna(), -1, group)).astype(kinds)
        )
        total, pairs = api.saddle(source, expected, digitised, "cis", n_bins=None, trim_outliers=True)
    # cooltools adds the transpose of what is symmetric already.
    np.testing.assert_allclose(2 * whole.total, total, rtol=1e-9)
    np.testing.assert_array_equal(2 * whole.pairs, pairs)
    for extent in (1, 4, 10):
        theirs = api.saddle_strength(total, pairs)[extent]
        assert whole.strength(extent / 20) == pytest.approx(theirs)
    assert [one.name for one in own] == ["chr21", "chr22"]
    assert whole.strength() > 1.5


def test_too_few_groups():
    store, table = two_kinds()
    with pytest.raises(ConfigError, match="a saddle of 4 groups shows nothing"):
        saddles(store, table, resolution=RESOLUTION, groups=4)
