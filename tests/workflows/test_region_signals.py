"""Tracks of a region: the steps it touches, as they are stored, or pooled."""

import numpy as np
import pytest

from chromweave.errors import ChromosomeError, ConfigError, DataError
from chromweave.genome import Interval
from chromweave.workflows.region_signals import named_signals, region_signals
from tests.fakes_tasks import signal, track_store

REGION = Interval("chr1", 4_950, 6_120)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("signals") / "a.store")


def test_every_step_that_the_region_touches(store):
    found = region_signals(store, ("DNase", "ATAC"), REGION)
    assert [(one.name, one.start, one.width) for one in found] == [("DNase", 4900, 100), ("ATAC", 4900, 100)]
    for one in found:
        np.testing.assert_allclose(one.mean, signal(one.name, "chr1")[49:62], rtol=1e-3)
    assert np.isnan(found[0].mean[1:4]).all()  # steps 50 to 52 have no data


def test_wider_bins_are_means_of_what_is_known(store):
    (found,) = region_signals(store, ["ATAC"], REGION, 1000)
    steps = signal("ATAC", "chr1")
    assert (found.start, found.width) == (4000, 1000)
    np.testing.assert_allclose(
        found.mean, [steps[40:50].mean(), steps[53:60].mean(), steps[60:70].mean()], rtol=1e-3
    )


def test_what_is_not_there(store):
    with pytest.raises(DataError, match="CTCF"):
        region_signals(store, ["CTCF"], REGION)
    with pytest.raises(ChromosomeError, match="chr9"):
        region_signals(store, ["ATAC"], Interval("chr9", 0, 1000))
    with pytest.raises(ConfigError, match="multiple"):
        region_signals(store, ["ATAC"], REGION, 150)


def test_values_at_hand():
    values = np.arange(26.0).reshape(13, 2)
    found = named_signals(("A", "B"), values, REGION)
    assert [(one.name, one.start, one.width) for one in found] == [("A", 4900, 100), ("B", 4900, 100)]
    np.testing.assert_array_equal(found[1].mean, values[:, 1])
