import pickle

import numpy as np
import pytest

from chromweave.data.replaced import ReplacedContacts, replaced_layer
from chromweave.errors import ResolutionError
from chromweave.io.pixels import Pixels
from tests.fakes_loops import RESOLUTION, loop_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return loop_store(patch, tmp_path_factory.mktemp("replaced") / "a.store")


def other(layer):
    """Three pixels: near, further out, and beyond the 20 diagonals that are kept."""
    bins = np.array([[3, 3], [3, 10], [3, 40]], np.int32)
    return Pixels(bins[:, 0], bins[:, 1], np.array([7, 300, 9]), layer.n_bins, layer.resolution)


def test_one_chromosome_has_other_contacts_and_all_else_is_as_it_was(store):
    layer = store.layer("chr2", RESOLUTION)
    given = ReplacedContacts(store, replaced_layer(layer, other(layer), 20))
    found = given.layer("2", RESOLUTION)
    square = found.dense(0, 12)
    assert (square[3, 3], square[3, 10], square[10, 3], square.sum()) == (7, 300, 300, 607)
    assert found.n_diagonals == 20
    assert found.pixels().count.tolist() == [7, 300]
    np.testing.assert_array_equal(found.weight(), layer.weight())
    assert found.scale() == layer.scale()
    np.testing.assert_array_equal(
        given.layer("chr1", RESOLUTION).pixels().count, store.layer("chr1", RESOLUTION).pixels().count
    )
    assert given.track_names == store.track_names
    with pytest.raises(ResolutionError, match="10,000"):
        given.layer("chr2", 10_000)


def test_it_travels_to_other_processes_with_its_contacts(store):
    layer = store.layer("chr2", RESOLUTION)
    given = pickle.loads(pickle.dumps(ReplacedContacts(store, replaced_layer(layer, other(layer), 20))))
    assert given.layer("chr2", RESOLUTION).pixels().count.tolist() == [7, 300]
    assert given.layer("chr3", RESOLUTION).n_bins == layer.n_bins
