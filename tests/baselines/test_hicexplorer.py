"""hicDetectLoops' detector: its law against scipy, its neighbourhoods by hand, planted loops found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from chromweave.baselines import hicexplorer
from chromweave.baselines.hicexplorer import HicExplorerConfig, NegativeBinomial, call_loops, surroundings
from chromweave.errors import ConfigError
from chromweave.schemas import BEDPE
from tests.fakes_maps import pixels_of, power_law_map

NEAR = HicExplorerConfig(max_distance=60 * 5000)
LOOPS = [(40, 70), (100, 140), (150, 165), (200, 250)]


@pytest.fixture(scope="module")
def counts():
    return power_law_map(300, 800.0, np.random.default_rng(0), LOOPS, strength=8.0)


def test_between_whole_numbers_the_law_is_the_usual_one():
    law = NegativeBinomial(3.5, 2.0)
    k = np.arange(0, 20)
    wanted = stats.nbinom.sf(k, 3.5, 3.5 / 5.5)
    np.testing.assert_allclose(law.above(k.astype(float)), wanted, rtol=1e-9)
    between = law.above(k + 0.5)
    assert (between < law.above(k.astype(float))).all()
    assert (between > law.above(k + 1.0)).all()


def test_its_size_is_found_again():
    rng = np.random.default_rng(0)
    values = rng.negative_binomial(4.0, 4.0 / (4.0 + 6.0), 20_000).astype(float)
    law = NegativeBinomial.fit(values)
    assert law.mean == pytest.approx(values.mean())
    assert law.size == pytest.approx(4.0, rel=0.1)


def test_what_varies_no_more_than_poissons_law_is_poissons_law():
    law = NegativeBinomial.fit(np.array([2.0, 3.0, 4.0]))
    np.testing.assert_allclose(law.above(np.array([3.0, 5.0])), stats.poisson.sf([3, 5], 3.0), rtol=1e-4)


def test_a_neighbourhood_is_cut_into_the_peak_and_its_surroundings():
    masks = surroundings(3, 1)
    drawn = {name: ["".join(".#"[int(v)] for v in row) for row in mask] for name, mask in masks.items()}
    assert drawn["peak"] == [".......", ".......", "..###..", "..###..", "..###..", ".......", "......."]
    assert drawn["lower left"] == [
        ".......",
        ".......",
        ".......",
        ".......",
        "##.....",
        "###....",
        "###....",
    ]
    assert drawn["horizontal"] == [
        ".......",
        ".......",
        "##...##",
        "##...##",
        "##...##",
        ".......",
        ".......",
    ]
    assert (masks["vertical"] == masks["horizontal"].T).all()
    assert drawn["donut"][0] == "###.###"
    assert drawn["donut"][2] == "##...##"
    assert drawn["donut"][3] == "......."


def test_planted_loops_are_found_and_little_else(counts):
    found = call_loops(pixels_of(counts), chrom="chr1", config=NEAR)
    BEDPE.check(found, "the calls")
    bins = found[["start1", "start2"]].to_numpy() // 5000
    for x, y in LOOPS:
        assert (np.abs(bins - (x, y)).max(axis=1) <= 1).any()
    assert len(found) <= len(LOOPS) + 2
    np.testing.assert_allclose(found["score"], -np.log10(found["pvalue"]))
    assert (found["pvalue"] < 0.025).all()
    np.testing.assert_allclose(found["oe"], found["observed"] / found["expected"])


def test_a_map_without_loops_has_next_to_none():
    flat = power_law_map(300, 800.0, np.random.default_rng(1))
    assert len(call_loops(pixels_of(flat), chrom="chr1", config=NEAR)) <= 1


def test_weights_of_any_scale_call_the_same(counts):
    """hicDetectLoops loses everything to its threshold where weights bring values to 1e-3."""
    weight = np.random.default_rng(2).uniform(0.02, 0.03, 300)
    balanced = [
        call_loops(pixels_of(counts), chrom="chr1", weight=factor * weight, scale=(1 / 0.025 / factor) ** 2)
        for factor in (1.0, 1000.0)
    ]
    assert len(balanced[0]) >= 3
    np.testing.assert_array_equal(balanced[0]["start1"], balanced[1]["start1"])
    np.testing.assert_allclose(balanced[0]["score"], balanced[1]["score"])


def test_masked_bins_are_part_of_nothing(counts):
    valid = np.ones(300, bool)
    valid[[70, 71]] = False
    found = call_loops(pixels_of(counts), chrom="chr1", valid=valid, config=NEAR)
    bins = found[["start1", "start2"]].to_numpy() // 5000
    assert not np.isin(bins, [70, 71]).any()
    assert (np.abs(bins - (100, 140)).max(axis=1) <= 1).any()


def test_thresholds_take_away(counts):
    pixels = pixels_of(counts)
    usual = len(call_loops(pixels, chrom="chr1", config=NEAR))
    assert usual >= 4
    assert len(call_loops(pixels, chrom="chr1", config=replace(NEAR, least_contacts=1e6))) == 0
    assert len(call_loops(pixels, chrom="chr1", config=replace(NEAR, least_enrichment=50.0))) == 0
    assert len(call_loops(pixels, chrom="chr1", config=replace(NEAR, pvalue=1e-12))) == 0
    near = call_loops(pixels, chrom="chr1", config=HicExplorerConfig(max_distance=32 * 5000))
    assert (near["start2"] - near["start1"]).max() <= 32 * 5000
    assert 0 < len(near) < usual


def test_a_neighbourhood_has_one_candidate():
    found = hicexplorer._Pixels(
        x=np.array([10, 12, 15, 16, 40]),
        y=np.array([50, 50, 50, 50, 50]),
        count=np.ones(5),
        value=np.ones(5),
        enrichment=np.array([3.0, 9.0, 2.0, 1.0, 1.0]),
    )
    kept = hicexplorer._one_per_neighbourhood(found, 3)
    # 12 beats 10 and 15, which lie within three bins of it; 16 does not lie near any that was kept.
    assert kept.x.tolist() == [12, 16, 40]


def test_the_last_bin_ends_with_the_chromosome():
    loops = [(150, 190)]
    counts = power_law_map(200, 800.0, np.random.default_rng(3), loops, strength=8.0)
    found = call_loops(pixels_of(counts), chrom="chr1", length=190 * 5000 + 100, config=NEAR)
    assert found["end2"].max() <= 190 * 5000 + 100


@pytest.mark.parametrize(
    "change", [{"peak": 5}, {"peak": 0}, {"pvalue": 0.0}, {"preselection": 2.0}, {"max_distance": 0}]
)
def test_thresholds_that_make_no_sense_are_refused(change):
    with pytest.raises(ConfigError):
        HicExplorerConfig(**change)
