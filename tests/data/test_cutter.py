"""Windows from the store equal windows sliced from the dense matrix."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.data.cutter import WindowCutter
from chromweave.errors import ConfigError, DataError, ResolutionError, WeightError
from tests.fakes import FakeContacts, build_fake, random_contacts, random_track

BAND = 60


@pytest.fixture(scope="module")
def contacts():
    return random_contacts(resolutions=(10_000, 20_000), names=("weight", "KR"))


@pytest.fixture(scope="module")
def tracks():
    return [random_track("ATAC"), random_track("wide", largest=90_000.0)]  # float16 and float32


@pytest.fixture(scope="module")
def store(tmp_path_factory, contacts, tracks):
    with pytest.MonkeyPatch.context() as patch:
        out = tmp_path_factory.mktemp("cutter") / "a.store"
        return build_fake(patch, out, contacts, tracks, max_distance=BAND * 10_000)


def brute_force(contacts, store, chrom, x, y, half, name="weight", scaled=True):
    """Map and mask by slicing the dense balanced matrix."""
    matrix = contacts.maps[chrom, 10_000].astype(float)
    if name is not None:
        weight = contacts.weights[name, chrom, 10_000]
        matrix = matrix * np.outer(weight, weight)
        matrix *= store.layer(chrom, 10_000).scale(name) if scaled else 1
    else:
        valid = np.isfinite(contacts.weights["weight", chrom, 10_000])
        matrix[~valid] = matrix[:, ~valid] = np.nan
    bins = np.arange(len(matrix))
    matrix[np.abs(np.subtract.outer(bins, bins)) >= BAND] = np.nan
    window = matrix[x - half : x + half, y - half : y + half]
    assert window.shape == (2 * half, 2 * half)
    return np.nan_to_num(window), np.isfinite(window)


def brute_force_tracks(tracks, chrom, x, y, half):
    columns = []
    for track in tracks:
        values = track.values[chrom].astype(np.float16 if track.name == "ATAC" else np.float32)
        padded = np.concatenate([values.astype(np.float32), np.full(100, np.nan)])
        columns.append(np.concatenate([padded[(a - half) * 100 : (a + half) * 100] for a in (x, y)]))
    stacked = np.stack(columns, axis=1)
    return np.nan_to_num(stacked), np.isfinite(stacked)


def n_bins(store, chrom):
    return store.layer(chrom, 10_000).n_bins


@given(data=st.data(), half=st.sampled_from([1, 5, 25]), chrom=st.sampled_from(["chr1", "chr2"]))
@settings(max_examples=60, deadline=None)
def test_windows_equal_brute_force(data, half, chrom, store, contacts, tracks):
    last = n_bins(store, chrom) - half
    x = data.draw(st.integers(half, last))
    y = data.draw(st.one_of(st.just(x), st.integers(half, last)))
    cutter = WindowCutter(store, 10_000, ("ATAC", "wide"), window_bins=2 * half)
    cut = cutter.cut(("chr1", "chr2"), np.array([int(chrom == "chr2")]), np.array([x]), np.array([y]))
    values, mask = brute_force(contacts, store, chrom, x, y, half)
    np.testing.assert_array_equal(cut.mask[0], mask)
    np.testing.assert_allclose(cut.maps[0], values, rtol=1e-6)
    signal, known = brute_force_tracks(tracks, chrom, x, y, half)
    np.testing.assert_array_equal(cut.track_mask[0], known)
    np.testing.assert_array_equal(cut.tracks[0], signal)


def test_ends_masked_bins_the_freak_pixel_and_the_bands_edge(store, contacts):
    cutter = WindowCutter(store, 10_000, window_bins=50)
    last = n_bins(store, "chr1") - 25
    middle = n_bins(store, "chr1") // 2
    anchors = [(25, 25), (last, last), (25, 66), (middle, middle), (25, last), (40, 90), (90, 40)]
    x, y = np.array(anchors).T
    cut = cutter.cut(("chr1",), np.zeros(len(x), int), x, y)
    for index, (a, b) in enumerate(anchors):
        values, mask = brute_force(contacts, store, "chr1", a, b, 25)
        np.testing.assert_array_equal(cut.mask[index], mask)
        np.testing.assert_allclose(cut.maps[index], values, rtol=1e-6)
    assert cut.mask[4].sum() == 0  # wholly beyond the band
    assert 0 < cut.mask[5].sum() < 2500  # across its edge
    assert not cut.mask[3][25].any()  # a masked bin
    np.testing.assert_array_equal(cut.maps[6], cut.maps[5].T)  # the mirrored triangle


def test_freak_pixels_come_from_the_overflow(tmp_path, monkeypatch):
    matrix = np.ones((200, 200), int)
    matrix[10, 60] = matrix[60, 10] = 70_000
    matrix[11, 60] = matrix[60, 11] = 255
    contacts = FakeContacts({("chr1", 10_000): matrix}, {("w", "chr1", 10_000): np.ones(200)})
    store = build_fake(monkeypatch, tmp_path / "a.store", contacts, max_distance=1_000_000)
    band = store.layer("chr1", 10_000).layout
    assert (band.near.shape[1], len(band.overflow_keys)) == (0, 2)
    cut = WindowCutter(store, 10_000, window_bins=20).cut(("chr1",), [0, 0], [10, 60], [60, 10])
    assert (cut.maps[0, 10, 10], cut.maps[0, 11, 10], cut.maps[0, 12, 10]) == (70_000, 255, 1)
    np.testing.assert_array_equal(cut.maps[1], cut.maps[0].T)


def test_a_batch_over_chromosomes_keeps_its_order(store):
    cutter = WindowCutter(store, 10_000, ("ATAC",), window_bins=20)
    chrom, x = np.array([1, 0, 1, 0]), np.array([30, 40, 50, 60])
    together = cutter.cut(("chr1", "chr2"), chrom, x, x + 3)
    for row in range(4):
        alone = cutter.cut(("chr1", "chr2"), chrom[row : row + 1], x[row : row + 1], x[row : row + 1] + 3)
        np.testing.assert_array_equal(together.maps[row], alone.maps[0])
        np.testing.assert_array_equal(together.tracks[row], alone.tracks[0])


@pytest.mark.parametrize(("weight", "scaled"), [("KR", True), ("weight", False), ("raw", True)])
def test_other_values(store, contacts, weight, scaled):
    cutter = WindowCutter(store, 10_000, window_bins=20, weight=weight, scaled=scaled)
    cut = cutter.cut(("chr1",), [0], [40], [45])
    name = None if weight == "raw" else weight
    values, mask = brute_force(contacts, store, "chr1", 40, 45, 10, name, scaled)
    np.testing.assert_allclose(cut.maps[0], values, rtol=1e-6)
    np.testing.assert_array_equal(cut.mask[0], mask)


@pytest.mark.parametrize(("x", "y"), [(24, 100), (100, 24), (-5, 30), (177, 2000), (30, 177)])
def test_a_window_that_sticks_out_is_an_error_and_no_read(store, x, y):
    assert n_bins(store, "chr1") == 201
    cutter = WindowCutter(store, 10_000, ("ATAC",))
    inside = cutter.cut(("chr1",), [0], [25], [176])
    assert inside.maps.shape == (1, 50, 50)
    with pytest.raises(DataError, match=r"sticks out of the chromosome; anchors from 25 to 176 are possible"):
        cutter.cut(("chr1",), [0, 0], [30, x], [30, y])


def test_what_cannot_be_cut(store):
    with pytest.raises(ConfigError, match="even, positive"):
        WindowCutter(store, 10_000, window_bins=51)
    with pytest.raises(ResolutionError, match="cut from band layers"):
        WindowCutter(store, 20_000)
    with pytest.raises(ResolutionError, match="has no layer of 5,000 bp"):
        WindowCutter(store, 5000)
    with pytest.raises(DataError, match="no track 'CTCF'"):
        WindowCutter(store, 10_000, ("CTCF",))
    with pytest.raises(WeightError, match="no weights 'VC'"):
        WindowCutter(store, 10_000, weight="VC").cut(("chr1",), [0], [50], [50])


def test_it_pickles(store):
    cutter = WindowCutter(store, 10_000, ("ATAC",), window_bins=20, weight="KR")
    again = pickle.loads(pickle.dumps(cutter))
    first, second = (one.cut(("chr1",), [0], [50], [60]) for one in (cutter, again))
    np.testing.assert_array_equal(first.maps, second.maps)
    np.testing.assert_array_equal(first.tracks, second.tracks)
