"""Windows lie whole in one block, and off what is excluded."""

import numpy as np
import pytest

from chromweave.data.placement import Placement
from chromweave.genome import BlockSplit, ChromSplit, Interval
from tests.fakes import build_fake, random_contacts

RES, HALF = 10_000, 5


@pytest.fixture
def store(tmp_path, monkeypatch):
    return build_fake(monkeypatch, tmp_path / "a.store", random_contacts(), max_distance=800_000)


def placement(store, split=None, exclude=()):
    return Placement(store, RES, 2 * HALF, split or ChromSplit(("chr1",), ("chr2",), ()), tuple(exclude))


BLOCKS = BlockSplit(
    (
        ("train", Interval("chr1", 0, 605_000)),
        ("valid", Interval("chr1", 800_000, 1_200_000)),
        ("train", Interval("chr1", 1_300_500, 2_003_210)),
        ("test", Interval("chr2", 0, 1_000_000)),
    )
)


@pytest.mark.parametrize("chrom", ["chr1", "chr2", "chr3"])
def test_a_split_holds_the_interval_from_first_start_to_last_end(store, chrom):
    length = store.assembly.length(chrom)
    n_bins = -(-length // RES)
    x, y = (part.ravel() for part in np.meshgrid(np.arange(HALF, n_bins - HALF + 1), [0, 1, 7, 30]))
    y = x + y
    x, y = x[y <= n_bins - HALF], y[y <= n_bins - HALF]
    for split in (BLOCKS, ChromSplit(("chr1",), (), ("chr2",))):
        expected = [
            split.of(Interval(chrom, (a - HALF) * RES, min((b + HALF) * RES, length))) or ""
            for a, b in zip(x.tolist(), y.tolist(), strict=True)
        ]
        assert placement(store, split).split_of(chrom, x, y).tolist() == expected


def test_anchors_are_all_the_places_where_a_window_may_lie(store):
    region = Interval("chr1", 254_000, 262_000)
    here = placement(store, BLOCKS, [region])
    for distance in (0, 3, 40):
        x = np.arange(HALF, 201 - HALF - distance + 1)
        y = x + distance
        clear = [
            not Interval("chr1", (a - HALF) * RES, (a + HALF) * RES).overlaps(region)
            and not Interval("chr1", (b - HALF) * RES, (b + HALF) * RES).overlaps(region)
            for a, b in zip(x.tolist(), y.tolist(), strict=True)
        ]
        wanted = x[np.array(clear) & (here.split_of("chr1", x, y) == "train")]
        assert here.anchors("chr1", "train", distance).tolist() == wanted.tolist()
        assert len(wanted) > 20
    assert not len(here.anchors("chr1", "test", 3))


def test_chromosome_ends(store):
    here = placement(store)
    x = np.array([4, 5, 100, 100])
    y = np.array([50, 50, 196, 197])
    assert here.inside("chr1", x, y).tolist() == [False, True, True, False]


def test_statistics_are_taken_after_the_clip(store):
    statistics = placement(store).statistics("chr1", np.array([30]), np.array([31]))
    window = placement(store).cutter.cut(("chr1",), [0], [30], [31]).maps[0]
    assert statistics.nonzero.tolist() == [np.count_nonzero(window) / 100]
    assert statistics.centre.tolist() == [min(window[5, 5], 255)]
    empty = placement(store).statistics("chr1", np.empty(0, int), np.empty(0, int))
    assert len(empty.centre) == len(empty.nonzero) == 0
