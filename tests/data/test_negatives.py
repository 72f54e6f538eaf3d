"""Negatives: matched by distance and far from loops, or as published."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chromweave.data.negatives import Pairs, long_distances, paper_negatives, strict_negatives
from chromweave.data.placement import Placement
from chromweave.data.quality import QualityFilter
from chromweave.errors import DataError
from chromweave.genome import BlockSplit, ChromSplit, Interval
from tests.fakes import build_fake, random_contacts

HALF = 5
SPLIT = BlockSplit(
    (("train", Interval("chr1", 0, 1_000_000)), ("test", Interval("chr1", 1_100_000, 2_003_210)))
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        out = tmp_path_factory.mktemp("negatives") / "a.store"
        return build_fake(patch, out, random_contacts(), max_distance=800_000)


@pytest.fixture(scope="module")
def placement(store):
    return Placement(store, 10_000, 2 * HALF, SPLIT)


def pairs(anchors):
    x, gap = np.array(sorted(set(anchors)), np.int64).reshape(-1, 2).T
    return Pairs(x, x + gap)


def within(placement, found):
    inside = placement.split_of("chr1", found.x, found.y) != ""
    inside &= placement.inside("chr1", found.x, found.y)
    return Pairs(found.x[inside], found.y[inside])


@given(
    anchors=st.lists(st.tuples(st.integers(5, 190), st.integers(4, 60)), min_size=1, max_size=60),
    zone=st.integers(0, 4),
    seed=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strict_negatives(placement, anchors, zone, seed):
    known = pairs(anchors)
    positives = within(placement, known)
    arguments = {"quality": QualityFilter(), "zone": zone, "seed": seed}
    matched = strict_negatives(placement, "chr1", positives, known, **arguments)
    negatives = matched.negatives
    away = np.maximum(
        np.abs(np.subtract.outer(negatives.x, known.x)), np.abs(np.subtract.outer(negatives.y, known.y))
    )
    assert (away > zone).all()
    kept = Pairs(positives.x[matched.kept], positives.y[matched.kept])
    for split in ("train", "test"):
        histograms = [
            np.bincount((one.y - one.x)[placement.split_of("chr1", one.x, one.y) == split], minlength=70)
            for one in (kept, negatives)
        ]
        assert histograms[0].tolist() == histograms[1].tolist()
    assert len(negatives) == len(kept)
    assert len(set(zip(negatives.x, negatives.y, strict=True))) == len(negatives)
    assert placement.passes(QualityFilter(), "chr1", negatives.x, negatives.y).all()
    again = strict_negatives(placement, "chr1", positives, known, **arguments)
    np.testing.assert_array_equal(again.negatives.x, negatives.x)
    np.testing.assert_array_equal(again.kept, matched.kept)


def test_negatives_at_anchors_join_anchors_of_different_loops(placement):
    """Loops (20, 30) and (50, 60): of distance 10 no other pair of their anchors is left; of 30 two are."""
    known = pairs([(20, 10), (50, 10), (20, 30)])
    positives = pairs([(20, 30)])
    arguments = {"quality": QualityFilter(), "zone": 3, "seed": 0}
    matched = strict_negatives(placement, "chr1", positives, known, at_anchors=True, **arguments)
    assert matched.kept.tolist() == [True]
    assert (matched.negatives.x.tolist(), matched.negatives.y.tolist()) == ([30], [60])
    none = strict_negatives(placement, "chr1", pairs([(20, 10)]), known, at_anchors=True, **arguments)
    assert none.kept.tolist() == [False]
    assert len(none.negatives) == 0


def test_every_positive_is_matched_where_there_is_room(placement):
    known = pairs([(20, 10), (40, 10), (60, 25), (130, 10)])
    matched = strict_negatives(placement, "chr1", known, known, quality=QualityFilter(), seed=1)
    assert matched.kept.all()
    other = strict_negatives(placement, "chr1", known, known, quality=QualityFilter(), seed=2)
    assert other.negatives.x.tolist() != matched.negatives.x.tolist()


def test_positives_without_room_for_a_negative_are_given_up(placement):
    known = pairs([(x, 85) for x in range(5, 11)])  # all there is at this distance in the training block
    matched = strict_negatives(placement, "chr1", known, known, quality=QualityFilter())
    assert not matched.kept.any()
    assert len(matched.negatives) == 0


def test_negatives_pass_the_filter_of_the_positives(placement):
    known = pairs([(20, 30), (40, 30), (60, 30)])
    strict = QualityFilter(min_nonzero=0.9, centre_contacts=True)
    matched = strict_negatives(placement, "chr1", known, known, quality=strict)
    assert placement.passes(strict, "chr1", matched.negatives.x, matched.negatives.y).all()
    impossible = QualityFilter(min_nonzero=1.0, centre_to_corner=1e9)
    assert not strict_negatives(placement, "chr1", known, known, quality=impossible).kept.any()


def test_long_distances_start_two_bins_behind_the_first_that_does_not_fall():
    # Bins 0 to 3 of width 1 hold 4, 2, 3, 1 values: the count first fails to fall from bin 1 to bin 2.
    distances = np.repeat([0, 1, 2, 3, 100], [4, 2, 3, 1, 1])
    assert long_distances(distances) == range(3, 101)
    assert long_distances(np.array([7, 7, 7])).stop == 8


def test_paper_negatives_are_filled_pixels_that_are_no_loops(store):
    placement = Placement(store, 10_000, 2 * HALF, ChromSplit(("chr1", "chr2"), (), ()))
    rng = np.random.default_rng(0)
    loops = {
        chrom: pairs(list(zip(rng.integers(5, 100, n), rng.integers(4, 15, n), strict=True)))
        for chrom, n in (("chr1", 40), ("chr2", 20))
    }
    found = paper_negatives(placement, loops, quality=QualityFilter(), seed=3)
    longest = max((one.y - one.x).max() for one in loops.values())
    for chrom, negatives in found.items():
        assert len(negatives) == len(loops[chrom]) - 1
        positive = set(zip(loops[chrom].x, loops[chrom].y, strict=True))
        drawn = set(zip(negatives.x, negatives.y, strict=True))
        assert len(drawn) == len(negatives)
        assert not positive & drawn
        square = store.layer(chrom, 10_000).dense(weight="default")
        assert (square[negatives.x, negatives.y] > 0).all()
        assert (negatives.y - negatives.x).max() <= longest
    again = paper_negatives(placement, loops, quality=QualityFilter(), seed=3)
    np.testing.assert_array_equal(again["chr1"].x, found["chr1"].x)
    with pytest.raises(DataError, match="no loop in the distance range"):
        paper_negatives(placement, {}, quality=QualityFilter())


def test_one_distance_only(store):
    placement = Placement(store, 10_000, 2 * HALF, ChromSplit(("chr1",), (), ()))
    found = paper_negatives(placement, {"chr1": pairs([(20, 6), (40, 6), (60, 6)])}, quality=QualityFilter())
    assert set(found["chr1"].y - found["chr1"].x) == {6}
