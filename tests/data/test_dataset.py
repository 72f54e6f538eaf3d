"""Batches hold the windows of one split, in an order that seed and epoch decide."""

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave.batch import MapTrackBatch
from chromweave.data.cutter import WindowCutter
from chromweave.data.dataset import WindowDataset, loader
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import grid_windows
from chromweave.errors import ConfigError, DataError
from chromweave.genome import ChromSplit
from tests.fakes import build_fake, random_contacts, random_track

SPLIT = ChromSplit(("chr1",), ("chr2",), ("chr3",))
TRANSFORM = WindowTransform(("ATAC", "CTCF"))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    with pytest.MonkeyPatch.context() as patch:
        return [
            build_fake(
                patch,
                folder / f"{seed}.store",
                random_contacts(seed, chroms=("chr1", "chr2", "chr3")),
                [random_track(name, seed, ("chr1", "chr2", "chr3")) for name in ("CTCF", "ATAC")],
            )
            for seed in (0, 1)
        ]


@pytest.fixture(scope="module")
def tables(stores):
    made = [
        grid_windows(store, SPLIT, step=step, resolution=10_000, window_bins=10).table
        for store, step in zip(stores, (40_000, 70_000), strict=True)
    ]
    for table in made:
        table["label"] = np.arange(len(table), dtype=float)
    return made


def test_a_batch_is_the_cut_windows_transformed(stores, tables):
    dataset = WindowDataset(stores[:1], tables[:1], TRANSFORM)
    batch = dataset.batch([3, 7, 5])
    assert isinstance(batch, MapTrackBatch)
    rows = tables[0][tables[0]["split"] == "train"].iloc[[3, 7, 5]]
    x = rows["x"].to_numpy() // 10_000
    cut = WindowCutter(stores[0], 10_000, ("ATAC", "CTCF"), window_bins=10).cut(("chr1",), [0] * 3, x, x)
    np.testing.assert_allclose(batch.contact_map[:, 0], np.minimum(cut.maps, 255) / 255, rtol=1e-6)
    np.testing.assert_array_equal(batch.contact_mask[:, 0], cut.mask)
    np.testing.assert_allclose(batch.tracks, np.log2(cut.tracks + 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(batch.track_mask, cut.track_mask)
    assert not batch.track_mask.all()
    assert (batch.tracks[~batch.track_mask] == 0).all()
    assert batch.label.tolist() == rows["label"].tolist()
    assert batch.x.tolist() == batch.y.tolist() == x.tolist()
    assert [dataset.chromosomes[index] for index in batch.chrom] == ["chr1"] * 3
    assert batch.contact_map.dtype == batch.tracks.dtype == batch.label.dtype == torch.float32
    assert len(dataset[2]) == 1
    assert dataset[-1].x == dataset[len(dataset) - 1].x
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_observed_over_expected_against_the_whole_map(stores, tables):
    """The mean of each diagonal of the dense balanced map, over its valid pixels, is what is expected."""
    dataset = WindowDataset(
        stores, tables, WindowTransform(("ATAC",), contacts="observed_expected", augmentations=("flip",))
    )
    chosen = np.arange(len(dataset))
    batch, plain = dataset.batch(chosen, epoch=1), dataset.placed(chosen, epoch=1)
    assert 0 < plain.changes.flipped.sum() < len(chosen)
    maps = []
    for store in stores:
        layer = store.layer("chr1", 10_000)
        dense = layer.dense(weight="default", scaled=True)
        n = len(dense)
        diagonals = [np.diagonal(dense, d) for d in range(n)]
        mean = [
            np.nanmean(one) if np.isfinite(one).any() else np.nan for one in diagonals
        ]  # NaN off the band
        distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        maps.append(np.log((dense + 1) / (np.array(mean)[distance] + 1)))
    for k in chosen:
        x = int(batch.x[k])
        wanted = np.nan_to_num(maps[plain.store[k]][x - 5 : x + 5, x - 5 : x + 5])
        wanted = wanted[::-1, ::-1] if plain.changes.flipped[k] else wanted
        np.testing.assert_allclose(batch.contact_map[k, 0], wanted, atol=2e-6)


def everything(batches):
    return [
        torch.cat([getattr(batch, name) for batch in batches])
        for name in ("contact_map", "tracks", "x", "label")
    ]


@pytest.mark.slow
def test_workers_do_not_change_a_batch(stores, tables):
    dataset = WindowDataset(stores, tables, TRANSFORM)
    alone, two = (
        everything(loader(dataset, 16, shuffle=True, seed=3, num_workers=workers)) for workers in (0, 2)
    )
    for first, second in zip(alone, two, strict=True):
        assert torch.equal(torch.nan_to_num(first, nan=-1), torch.nan_to_num(second, nan=-1))
    assert len(alone[0]) == len(dataset) == sum((table["split"] == "train").sum() for table in tables)


def test_the_order_is_that_of_seed_and_epoch(stores, tables):
    dataset = WindowDataset(stores, tables, TRANSFORM)

    def order(seed, epoch, shuffle=True):
        batches = loader(dataset, 10, shuffle=shuffle, seed=seed)
        batches.sampler.set_epoch(epoch)
        return torch.cat([batch.label for batch in batches]).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert sorted(order(1, 0)) == sorted(order(1, 0, shuffle=False)) == sorted(order(5, 4))
    assert order(1, 0, shuffle=False) == order(2, 3, shuffle=False)


def anchors(batches):
    return [(batch.store.tolist(), batch.x.tolist()) for batch in batches]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_pass_may_start_in_the_middle_and_the_next_is_whole(stores, tables, workers):
    dataset = WindowDataset(stores, tables, TRANSFORM)
    made = loader(dataset, 10, shuffle=True, seed=4, num_workers=workers)
    whole = anchors(loader(dataset, 10, shuffle=True, seed=4))
    assert len(made) == len(whole) == 8
    made.start_at(3)
    assert len(made) == 8
    assert anchors(made) == whole[3:]
    assert anchors(made) == whole
    made.sampler.set_epoch(1)
    following = anchors(made)
    assert following != whole
    made.start_at(8)
    assert anchors(made) == []
    assert anchors(made) == following
    with pytest.raises(ConfigError, match="8 batches cannot start at batch 9"):
        made.start_at(9)


def test_two_processes_take_the_halves_of_each_batch(stores, tables):
    dataset = WindowDataset(stores, tables, TRANSFORM)
    one = list(loader(dataset, 10, shuffle=True, seed=4, drop_last=True))
    halves = []
    for rank in range(2):
        made = loader(dataset, 10, shuffle=True, seed=4)
        made.deal(rank, 2, torch.device("cpu"))
        halves.append(list(made))
    for whole, first, second in zip(one, *halves, strict=True):
        for name in ("contact_map", "contact_mask", "tracks", "track_mask", "chrom", "x", "y", "store"):
            joined = torch.cat([getattr(first, name), getattr(second, name)])
            assert torch.equal(joined, getattr(whole, name))


def test_stores_by_weight(stores, tables):
    dataset = WindowDataset(stores, tables, TRANSFORM)
    made = loader(dataset, 10, shuffle=True, store_weights=[1, 3])
    drawn = torch.cat([batch.store for batch in made])
    assert len(drawn) == len(dataset)
    assert abs(int((drawn == 1).sum()) - 0.75 * len(dataset)) < 1


def test_two_stores_in_one_batch_keep_their_rows(stores, tables):
    dataset = WindowDataset(stores, tables, TRANSFORM)
    first = (tables[0]["split"] == "train").sum()
    mixed = dataset.batch([first + 2, 0, first, 1])
    alone = [WindowDataset([s], [t], TRANSFORM) for s, t in zip(stores, tables, strict=True)]
    for row, (index, which) in enumerate([(2, 1), (0, 0), (0, 1), (1, 0)]):
        expected = alone[which][index]
        assert torch.equal(mixed.contact_map[row], expected.contact_map[0])
        assert torch.equal(mixed.tracks[row], expected.tracks[0])
        assert mixed.label[row] == expected.label[0]
    assert mixed.store.tolist() == [1, 0, 1, 0]


def test_only_the_split_asked_for(stores, tables):
    sizes = {}
    for split in ("train", "valid", "test"):
        dataset = WindowDataset(stores, tables, TRANSFORM, split=split)
        assert dataset.chromosomes == {"train": ("chr1",), "valid": ("chr2",), "test": ("chr3",)}[split]
        sizes[split] = len(dataset)
    assert len(WindowDataset(stores, tables, TRANSFORM)) == sizes["train"]
    every = WindowDataset(stores, tables, TRANSFORM, split="predict")
    assert len(every) == sum(sizes.values())
    assert torch.isnan(every.batch(list(range(5))).label).all()


def test_candidates_made_by_hand(stores):
    table = pd.DataFrame(
        {"chrom": "chr1", "x": [500_000], "y": [700_000], "label": np.nan, "split": "", "kind": "c"}
    )
    dataset = WindowDataset(
        stores[:1], [table], TRANSFORM, split="predict", resolution=10_000, window_bins=10
    )
    assert (dataset[0].x.item(), dataset[0].y.item()) == (50, 70)
    with pytest.raises(DataError, match="does not say which store"):
        WindowDataset(stores[:1], [table], TRANSFORM, split="predict")


def test_swapped_windows_are_mirrored_anew_each_epoch(stores, tables):
    plain = WindowDataset(stores, tables, TRANSFORM)
    swapping = WindowDataset(
        stores, tables, WindowTransform(("ATAC", "CTCF"), augmentations=("swap",)), seed=1
    )
    rows = list(range(len(plain)))
    before = plain.batch(rows)
    seen = []
    for epoch in (0, 1):
        after = swapping.batch(rows, epoch)
        half = before.tracks.shape[1] // 2
        swapped = [not torch.equal(a, b) for a, b in zip(before.tracks, after.tracks, strict=True)]
        for row in np.flatnonzero(swapped):
            assert torch.equal(after.contact_map[row, 0], before.contact_map[row, 0].T)
            assert torch.equal(after.tracks[row], before.tracks[row].roll(half, 0))
            assert torch.equal(after.track_mask[row], before.track_mask[row].roll(half, 0))
        seen.append(swapped)
    for split in ("valid", "test", "predict"):
        with pytest.raises(ConfigError, match="augmentations are for training"):
            WindowDataset(stores, tables, swapping.transform, split=split)


def test_what_is_refused(stores, tables):
    with pytest.raises(ConfigError, match="one table for each store"):
        WindowDataset(stores, tables[:1], TRANSFORM)
    with pytest.raises(ConfigError, match="a split is one of"):
        WindowDataset(stores, tables, TRANSFORM, split="tests")
    with pytest.raises(DataError, match="no track 'H3K27ac'"):
        WindowDataset(stores, tables, WindowTransform(("H3K27ac",)))
    empty = [table[table["split"] == "valid"] for table in tables]
    with pytest.raises(DataError, match="no window of the tables is in the train split"):
        WindowDataset(stores, empty, TRANSFORM)
    wide = grid_windows(stores[1], SPLIT, resolution=10_000, window_bins=20).table
    with pytest.raises(DataError, match="differ in resolution or window size"):
        WindowDataset(stores, [tables[0], wide], TRANSFORM)
    with pytest.raises(ConfigError, match="batch_size"):
        loader(WindowDataset(stores, tables, TRANSFORM), 0)


@pytest.fixture(scope="module")
def tracks_only(tmp_path_factory):
    out = tmp_path_factory.mktemp("tracks") / "tracks.store"
    with pytest.MonkeyPatch.context() as patch:
        return build_fake(patch, out, tracks=[random_track(name, 3) for name in ("ATAC", "CAGE")])


def by_hand(*rows):
    """Windows without attrs at (chrom, x, y), bins."""
    chrom, x, y = zip(*rows, strict=True)
    table = pd.DataFrame({"chrom": chrom, "x": np.array(x) * 10_000, "y": np.array(y) * 10_000})
    return table.assign(label=1.0, split="train", kind="c")


BY_HAND = {"resolution": 10_000, "window_bins": 10, "split": "predict"}


def targets_by_hand(store, name, batch, dataset):
    """Target of each bin: mean of the finite steps; NaN where fewer than half of a hundred are."""
    rows = []
    for chrom, x, y in zip(batch.chrom, batch.x, batch.y, strict=True):
        mean = store.track(name, dataset.chromosomes[chrom]).mean.astype(float)
        mean = np.concatenate([mean, np.full(-len(mean) % 100, np.nan)]).reshape(-1, 100)
        steps = np.concatenate([mean[a - 5 : a + 5] for a in (x, y)])
        known = np.isfinite(steps)
        value = np.nansum(steps, axis=1) / np.maximum(known.sum(1), 1)
        rows.append(np.where(known.sum(1) >= 50, value, np.nan))
    return np.array(rows)


def test_windows_without_contacts_and_their_target(tracks_only):
    # Bin 200 of chr1 ends 3,210 bp into it, of which a fifth has no data: no target.
    table = by_hand(("chr1", 20, 30), ("chr2", 40, 40), ("chr1", 196, 50))
    transform = WindowTransform(("ATAC",), contacts="observed_expected")
    dataset = WindowDataset([tracks_only], [table], transform, contacts=False, target="CAGE", **BY_HAND)
    batch = dataset.batch([0, 1, 2])
    assert batch.contact_map.shape == batch.contact_mask.shape == (3, 1, 10, 10)
    assert not batch.contact_map.any()
    assert not batch.contact_mask.any()
    assert batch.tracks.shape == batch.track_mask.shape == (3, 2000, 1)
    alone = WindowDataset([tracks_only], [table], transform, contacts=False, **BY_HAND).batch([0, 1, 2])
    assert torch.equal(batch.tracks, alone.tracks)
    assert torch.equal(batch.track_mask, alone.track_mask)
    assert alone.target is alone.target_mask is None
    wanted = targets_by_hand(tracks_only, "CAGE", batch, dataset)
    np.testing.assert_array_equal(batch.target_mask, np.isfinite(wanted))
    assert (~batch.target_mask).nonzero().tolist() == [[2, 9]]
    np.testing.assert_allclose(batch.target, np.nan_to_num(np.log2(wanted + 1)), rtol=1e-5)
    raw = WindowDataset(
        [tracks_only], [table], WindowTransform(signal="raw"), contacts=False, target="CAGE", **BY_HAND
    ).batch([0, 1, 2])
    np.testing.assert_allclose(raw.target, np.nan_to_num(wanted), rtol=1e-5)
    assert raw.tracks.shape == (3, 2000, 0)


def test_a_target_that_is_an_input_too(stores, tables):
    both = WindowDataset(stores[:1], tables[:1], TRANSFORM, target="CTCF")
    batch, plain = both.batch([1, 2]), WindowDataset(stores[:1], tables[:1], TRANSFORM).batch([1, 2])
    for name in ("contact_map", "contact_mask", "tracks", "track_mask"):
        assert torch.equal(getattr(batch, name), getattr(plain, name))
    wanted = targets_by_hand(stores[0], "CTCF", batch, both)
    np.testing.assert_allclose(batch.target, np.log2(wanted + 1), rtol=1e-5)


def test_targets_follow_swap_flip_and_jitter(stores, tables):
    transform = WindowTransform(augmentations=("swap", "flip", "jitter"), signal="raw")
    dataset = WindowDataset(stores[:1], tables[:1], transform, target="CTCF", seed=2)
    rows = np.arange(len(dataset))
    batch, placed = dataset.batch(rows), dataset.placed(rows)
    wanted = targets_by_hand(stores[0], "CTCF", batch, dataset).reshape(-1, 2, 10)
    wanted[placed.swapped] = wanted[placed.swapped, ::-1]
    wanted[placed.changes.flipped] = wanted[placed.changes.flipped, :, ::-1]
    np.testing.assert_allclose(batch.target, np.nan_to_num(wanted.reshape(-1, 20)), rtol=1e-5)
    assert 0 < placed.swapped.sum() < len(rows)
    assert 0 < placed.changes.flipped.sum() < len(rows)


def test_jitter_without_contacts_stays_inside(tracks_only):
    table = by_hand(*[("chr2", 5, 116)] * 20)
    transform = WindowTransform(augmentations=("jitter", "thin"), jitter_bins=40)
    arguments = BY_HAND | {"split": "train"}
    batch = WindowDataset([tracks_only], [table], transform, contacts=False, **arguments).batch(range(20))
    assert batch.x.min() == 5
    assert batch.y.max() == 116
    assert len(batch.x.unique()) > 3


def test_a_proper_table_needs_no_contacts_either(tracks_only, tables):
    here = tables[0][tables[0]["chrom"] != "chr3"]
    dataset = WindowDataset([tracks_only], [here], WindowTransform(("ATAC",)), contacts=False)
    assert dataset.resolution == 10_000
    assert len(dataset) == (here["split"] == "train").sum()
    with pytest.raises(DataError, match=r"no layer|no contacts"):
        WindowDataset([tracks_only], [here], WindowTransform(("ATAC",)))
    with pytest.raises(DataError, match="no track 'CTCF'; it has ATAC, CAGE"):
        WindowDataset([tracks_only], [here], WindowTransform(), contacts=False, target="CTCF")
    with pytest.raises(ConfigError, match="resolution must be a positive"):
        WindowCutter(tracks_only, 0, contacts=False)
    with pytest.raises(DataError, match="sticks out of the chromosome"):
        WindowCutter(tracks_only, 10_000, contacts=False).cut(("chr2",), [0], [200], [200])
