"""Every rule counts what it takes away; where there is no map, none is judged."""

import pandas as pd
import pytest

from chromweave.data.funnel import Funnel, anchors, placed_windows
from chromweave.data.placement import Placement
from chromweave.data.quality import QualityFilter
from chromweave.genome import ChromSplit, Interval
from tests.fakes import build_fake, random_contacts, random_track


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("funnel")
    with pytest.MonkeyPatch.context() as patch:
        return (
            build_fake(patch, folder / "maps.store", random_contacts()),
            build_fake(patch, folder / "tracks.store", tracks=[random_track()]),
        )


def test_a_funnel_adds_up():
    funnel = Funnel()
    table = pd.DataFrame({"x": [1, 2, 3, 4], "y": [2, 3, 4, 5]})
    table = funnel.keep("odd", table, table["x"] % 2 == 0)
    table = funnel.keep("small", table, table["x"] > 2)
    table = funnel.keep("odd", table, table["x"] > 9)
    assert funnel.dropped == {"odd": 3, "small": 1}
    assert list(funnel.dropped) == ["odd", "small"]
    assert [len(one) for one in anchors(table)] == [0, 0]


def test_windows_are_judged_only_by_maps(stores):
    candidates = pd.DataFrame(
        {"chrom": ["chr1"] * 4 + ["chr2"], "x": [2, 98, 100, 90, 30], "y": [9, 110, 120, 90, 30]}
    )
    full = QualityFilter(min_nonzero=1.0)
    # Bin 100 of the map has no weight, so that two windows are not full.
    split = ChromSplit(("chr1",), (), ())
    for store, kept in zip(stores, (0, 2), strict=True):
        funnel = Funnel()
        placement = Placement(store, 10_000, 10, split, (Interval("chr1", 880_000, 880_100),))
        found = placed_windows(candidates, placement, full, funnel)
        assert len(found) == kept
        assert funnel.dropped.pop("too few non-zero entries", 0) == 2 - kept
        assert funnel.dropped == {
            "sticks out of the chromosome": 1,
            "touches an excluded region": 1,
            "in no split": 1,
        }
        assert found["x"].tolist() == [98, 100][:kept]
