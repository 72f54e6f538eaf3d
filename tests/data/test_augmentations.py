"""Augmentations against windows cut or thinned by hand; draws that only seed, epoch and window decide."""

import numpy as np
import pytest
import torch

from chromweave.data.augmentations import Changes, draw, jittered, thinned
from chromweave.data.cutter import WindowCutter
from chromweave.data.dataset import WindowDataset, loader
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import grid_windows
from chromweave.errors import ConfigError, DataError
from chromweave.genome import ChromSplit
from tests.fakes import FakeContacts, build_fake, random_contacts, random_track

BAND, SIDE, HALF = 60, 20, 10
EVERY = ("swap", "flip", "jitter", "thin")


@pytest.fixture(scope="module")
def contacts():
    return random_contacts()


@pytest.fixture(scope="module")
def track():
    return random_track("ATAC")


@pytest.fixture(scope="module")
def store(tmp_path_factory, contacts, track):
    with pytest.MonkeyPatch.context() as patch:
        out = tmp_path_factory.mktemp("augmentations") / "a.store"
        return build_fake(patch, out, contacts, [track], max_distance=BAND * 10_000)


@pytest.fixture(scope="module")
def table(store):
    """Windows on and off the diagonal."""
    split = ChromSplit(("chr1", "chr2"), (), ())
    made = grid_windows(store, split, step=30_000, resolution=10_000, window_bins=SIDE).table
    off = np.arange(len(made)) % 2 == 1
    made.loc[off, "y"] = np.minimum(
        made["y"][off] + 150_000, made.groupby("chrom")["y"].transform("max")[off]
    )
    return made


def dataset(store, table, *augmentations, seed=0, **options):
    return WindowDataset(
        [store], [table], WindowTransform(("ATAC",), augmentations=augmentations, **options), seed=seed
    )


def same(first, second, *names):
    names = names or ("contact_map", "contact_mask", "tracks", "track_mask", "chrom", "x", "y")
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in names)


def flipping(n):
    return Changes(np.ones(n, np.bool_), np.ones(n), np.zeros(n, np.uint64))


def thinning(kept, keys):
    n = len(keys)
    return Changes(np.zeros(n, np.bool_), np.full(n, kept), np.asarray(keys, np.uint64))


# --- flip


@pytest.mark.parametrize(("x", "y"), [(60, 60), (60, 68), (80, 60), (191, 191), (100, 155)])
def test_a_flipped_window_is_the_dense_one_backwards(store, contacts, track, x, y):
    cutter = WindowCutter(store, 10_000, ("ATAC",), window_bins=SIDE, weight="raw")
    cut = cutter.cut(("chr1",), [0], [x], [y], flipping(1))
    matrix = contacts.maps["chr1", 10_000].astype(float)
    masked = ~np.isfinite(contacts.weights["weight", "chr1", 10_000])
    matrix[masked] = matrix[:, masked] = np.nan
    bins = np.arange(len(matrix))
    matrix[np.abs(np.subtract.outer(bins, bins)) >= BAND] = np.nan
    expected = np.flip(matrix[x - HALF : x + HALF, y - HALF : y + HALF])
    np.testing.assert_array_equal(cut.mask[0], np.isfinite(expected))
    np.testing.assert_array_equal(cut.maps[0], np.nan_to_num(expected))
    signal = np.append(track.values["chr1"].astype(np.float16), np.full(100, np.nan)).astype(np.float32)
    segments = [signal[(anchor - HALF) * 100 : (anchor + HALF) * 100][::-1] for anchor in (x, y)]
    np.testing.assert_array_equal(cut.tracks[0, :, 0], np.nan_to_num(np.concatenate(segments)))
    np.testing.assert_array_equal(cut.track_mask[0, :, 0], np.isfinite(np.concatenate(segments)))


def test_flipped_twice_is_not_flipped(store, table):
    plain, flipped = dataset(store, table).batch(range(40)), dataset(store, table, "flip").batch(range(40))
    turned = [not torch.equal(a, b) for a, b in zip(plain.tracks, flipped.tracks, strict=True)]
    assert 10 < sum(turned) < 30
    for row, was in enumerate(turned):
        again, half = flipped[row : row + 1], SIDE * 100
        if was:
            assert torch.equal(again.contact_map.flip(2, 3), plain.contact_map[row : row + 1])
            assert torch.equal(again.contact_mask.flip(2, 3), plain.contact_mask[row : row + 1])
            signal = torch.cat([again.tracks[:, :half].flip(1), again.tracks[:, half:].flip(1)], 1)
            assert torch.equal(signal, plain.tracks[row : row + 1])
        else:
            assert same(again, plain[row : row + 1])


# --- jitter


def test_a_jittered_window_is_cut_at_the_moved_anchor(store, table):
    plain, moved = dataset(store, table), dataset(store, table, "jitter", jitter_bins=4)
    cutter = WindowCutter(store, 10_000, ("ATAC",), window_bins=SIDE)
    rows = np.arange(len(plain))
    before, after = plain.batch(rows), moved.batch(rows, epoch=2)
    cut = cutter.cut(plain.chromosomes, after.chrom.numpy(), after.x.numpy(), after.y.numpy())
    expected = WindowTransform().of_contacts(torch.from_numpy(cut.maps))
    assert torch.equal(after.contact_map[:, 0], expected)
    assert torch.equal(after.track_mask, torch.from_numpy(cut.track_mask))
    assert (before.x != after.x).any()
    shifts = torch.stack([after.x - before.x, after.y - before.y])
    assert shifts.abs().max() == 4
    on = before.x == before.y
    assert torch.equal(shifts[0, on], shifts[1, on])
    assert (shifts[0, ~on] != shifts[1, ~on]).any()
    assert (after.x <= after.y).all()


def test_moved_anchors_stay_inside_and_in_order_hand_computed():
    x, y = np.array([10, 12, 30, 89, 50, 50]), np.array([10, 40, 33, 90, 50, 40])
    shift = np.array([[-3, -6, 5, 6, 2, 6], [4, 1, -2, 6, -2, -6]])
    moved = jittered(x, y, shift, 10, np.full(6, 100))
    # chromosome's start twice, moved past each other, its end, on the diagonal, a window below it
    np.testing.assert_array_equal(moved, [[10, 10, 31, 90, 52, 56], [10, 41, 35, 90, 52, 34]])


def test_all_shifts_are_equally_likely():
    transform = WindowTransform(augmentations=("jitter",), jitter_bins=2)
    shift = draw(transform, 1, 0, np.arange(50_000)).shift
    for axis in shift:
        values, times = np.unique(axis, return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        np.testing.assert_allclose(times, 10_000, atol=450)  # 5 standard deviations
    assert abs(np.corrcoef(shift)[0, 1]) < 0.025


# --- thin


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("count", [1, 7, 19, 60, 3000])
def test_thinned_counts_have_the_binomials_mean_and_variance(count, kept):
    n = 40_000
    drawn = np.array([thinned(count, kept, np.uint64(key), 17) for key in range(n)])
    mean, variance = count * kept, count * kept * (1 - kept)
    assert drawn.min() >= 0
    assert drawn.max() <= count
    assert abs(drawn.mean() - mean) < 5 * np.sqrt(variance / n)
    assert abs(drawn.var() / variance - 1) < 0.05


def test_small_counts_are_binomial_term_by_term():
    drawn = np.array([thinned(3, 0.25, np.uint64(4), pixel) for pixel in range(64_000)])
    # 27, 27, 9, 1 of 64
    np.testing.assert_allclose(np.bincount(drawn), [27_000, 27_000, 9_000, 1_000], atol=650)


def test_what_is_certain():
    assert thinned(0, 0.3, np.uint64(1), 5) == 0
    assert all(thinned(count, 1.0, np.uint64(9), 5) == count for count in (1, 50, 10_000))


def test_thinned_windows_keep_their_expectation_their_symmetry_and_their_zeros(store, contacts):
    cutter = WindowCutter(store, 10_000, window_bins=SIDE)
    x, y = np.array([60, 60]), np.array([60, 66])
    plain = cutter.cut(("chr1",), [0], x[1:], y[1:]).maps[0]
    total = np.zeros((SIDE, SIDE))
    times = 400
    for key in range(times):
        cut = cutter.cut(("chr1",), [0, 0], x, y, thinning(0.5, [key, key]))
        np.testing.assert_array_equal(cut.maps[0], cut.maps[0].T)
        total += cut.maps[1]
    counts = contacts.maps["chr1", 10_000][50:70, 56:76]
    known = plain > 0
    assert (total[~known] == 0).all()
    deviation = (total / times - plain)[known] / plain[known] * np.sqrt(times * counts[known])
    assert np.abs(deviation).max() < 5  # of standard deviation 1: (1 - 0.5) / 0.5
    assert 0.85 < deviation.std() < 1.15
    # the window that overlaps it shows the same draw at the same pixel
    np.testing.assert_array_equal(cut.maps[0][:, 6:], cut.maps[1][:, :-6])


def test_each_window_keeps_a_part_of_its_own(store, table):
    transform = WindowTransform(augmentations=("thin",), thin_least=0.4)
    kept = draw(transform, 0, 3, np.arange(20_000)).changes.kept
    assert 0.4 <= kept.min() < 0.401
    assert 0.999 < kept.max() <= 1
    assert abs(kept.mean() - 0.7) < 0.007
    plain, thin = (dataset(store, table, *a).batch(range(len(table))) for a in ((), ("thin",)))
    assert same(plain, thin, "tracks", "track_mask", "contact_mask", "x", "y")
    assert not torch.equal(plain.contact_map, thin.contact_map)
    assert (thin.contact_map[plain.contact_map == 0] == 0).all()


def test_only_counts_can_be_thinned(tmp_path, monkeypatch):
    fake = FakeContacts({("chr1", 10_000): np.full((200, 200), 1.5)}, {("w", "chr1", 10_000): np.ones(200)})
    store = build_fake(monkeypatch, tmp_path / "a.store", fake)
    cutter = WindowCutter(store, 10_000, window_bins=SIDE)
    assert cutter.cut(("chr1",), [0], [60], [60]).maps[0, 3, 3] > 0
    with pytest.raises(DataError, match="only counts can be thinned"):
        cutter.cut(("chr1",), [0], [60], [60], thinning(0.5, [1]))


# --- what decides a draw


def test_draws_depend_on_seed_epoch_and_window_alone(store, table):
    made = dataset(store, table, *EVERY, seed=1)
    whole = made.batch(range(30), epoch=4)
    for row in (0, 7, 29):
        assert same(made.batch([row], epoch=4), whole[row : row + 1])
    backwards = made.batch(range(29, -1, -1), epoch=4)
    assert all(same(backwards[29 - row : 30 - row], whole[row : row + 1]) for row in range(30))
    assert same(dataset(store, table, *EVERY, seed=1).batch(range(30), 4), whole)
    for other in (made.batch(range(30), 5), dataset(store, table, *EVERY, seed=2).batch(range(30), 4)):
        assert not torch.equal(other.contact_map, whole.contact_map)
        assert not torch.equal(other.x, whole.x)


def test_one_augmentation_does_not_move_another():
    windows = np.arange(200)
    alone = draw(WindowTransform(augmentations=("flip",)), 3, 1, windows)
    every = draw(WindowTransform(augmentations=EVERY), 3, 1, windows)
    np.testing.assert_array_equal(alone.changes.flipped, every.changes.flipped)
    assert 60 < (every.changes.flipped == every.swapped).sum() < 140
    assert not alone.swapped.any()
    assert not alone.shift.any()
    assert (alone.changes.kept == 1).all()


@pytest.mark.slow
def test_workers_that_live_on_learn_of_the_epoch(store, table):
    made = dataset(store, table, *EVERY)
    alone, two = (loader(made, 16, shuffle=True, num_workers=workers) for workers in (0, 1))
    for epoch in (0, 1):
        alone.sampler.set_epoch(epoch)
        two.sampler.set_epoch(epoch)
        assert all(same(a, b) for a, b in zip(alone, two, strict=True))


@pytest.mark.parametrize("augmentation", EVERY)
def test_never_outside_training(store, table, augmentation):
    transform = WindowTransform(("ATAC",), augmentations=(augmentation,))
    for split in ("valid", "test", "predict"):
        with pytest.raises(ConfigError, match="augmentations are for training"):
            WindowDataset([store], [table], transform, split=split)
    assert len(WindowDataset([store], [table], transform, split="train"))
