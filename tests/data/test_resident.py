"""Windows gathered from a resident store are those cut from the files."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave.batch import MapTrackBatch
from chromweave.data.augmentations import thinned
from chromweave.data.dataset import WindowDataset, loader
from chromweave.data.resident import ResidentWindows, _thinned, resident_loader
from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError, DataError
from tests.fakes import FakeContacts, build_fake, random_contacts, random_track

SIDE, HALF = 20, 10
N_BINS = {"chr1": 201, "chr2": 121, "chr3": 100}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two cell lines: bands of different width, near columns of different types, one track as float32."""
    folder = tmp_path_factory.mktemp("resident")
    made = []
    with pytest.MonkeyPatch.context() as patch:
        for seed, (reach, freak, largest) in enumerate([(60, 70_000, 50.0), (45, 300, 90_000.0)]):
            contacts = random_contacts(seed, chroms=tuple(N_BINS), names=("weight", "KR"), freak=freak)
            if seed == 1:
                np.fill_diagonal(contacts.maps["chr1", 10_000], 300)
            if seed == 0:  # counts beyond a byte near the diagonal, a freak beyond two further off
                matrix = contacts.maps["chr1", 10_000]
                matrix[np.arange(200), np.arange(1, 201)] = matrix[np.arange(1, 201), np.arange(200)] = 1000
                matrix[30, 75] = matrix[75, 30] = 70_000
                matrix[31, 75] = matrix[75, 31] = 255
                matrix[31, 76] = matrix[76, 31] = 254
            tracks = [
                random_track("ATAC", seed, tuple(N_BINS)),
                random_track("CTCF", seed, tuple(N_BINS), largest=largest),
            ]
            made.append(
                build_fake(patch, folder / f"{seed}.store", contacts, tracks, max_distance=reach * 10_000)
            )
    return made


def windows(seed, chroms=tuple(N_BINS), n=30):
    """Random windows below and above the diagonal, those at both ends, and one at the freak pixels."""
    rng = np.random.default_rng(seed)
    rows = []
    for chrom in chroms:
        last = N_BINS[chrom] - HALF
        x = rng.integers(HALF, last + 1, n)
        y = np.clip(x + rng.integers(-5, 70, n), HALF, last)
        rows += [(chrom, a, b) for a, b in zip([*x, HALF, last, 31], [*y, HALF, last, 75], strict=True)]
    chrom, x, y = zip(*rows, strict=True)
    table = pd.DataFrame({"chrom": chrom, "x": np.array(x) * 10_000, "y": np.array(y) * 10_000})
    return table.assign(label=rng.random(len(rows)), split="train", kind="loop")


def dataset(stores, tables=None, seed=0, contacts=True, target=None, **transform):
    tables = tables or [windows(0), windows(1, ("chr2", "chr1"))]
    return WindowDataset(
        stores, tables, WindowTransform(**({"tracks": ("CTCF", "ATAC")} | transform)),
        seed=seed, resolution=10_000, window_bins=SIDE, contacts=contacts, target=target,
    )  # fmt: skip


def assert_equal(found, expected):
    for field in fields(MapTrackBatch):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if a is None or b is None:
            assert a is b, field.name
            continue
        assert a.dtype == b.dtype, field.name
        if field.name in ("contact_map", "tracks", "target"):
            torch.testing.assert_close(a, b, rtol=3e-6, atol=3e-6)
        else:
            assert torch.equal(a, b), field.name


@pytest.mark.parametrize(
    "transform",
    [
        {},
        {"clip": 1e6, "signal": "raw"},
        {"contacts": "log1p", "weight": "KR"},
        {"contacts": "standard", "scaled": False},
        {"contacts": "observed_expected", "augmentations": ("swap", "flip", "jitter")},
        {"weight": "raw", "clip": 1e6, "tracks": ("ATAC",)},
        {"tracks": ()},
        {"augmentations": ("swap",)},
        {"augmentations": ("flip", "jitter")},
        {"augmentations": ("thin",), "clip": 1e6},
        {"augmentations": ("thin", "jitter", "flip", "swap"), "weight": "raw"},
    ],
    ids=str,
)
def test_batches_equal_those_cut_from_the_files(stores, transform):
    plain = dataset(stores, seed=3, **transform)
    resident = ResidentWindows(plain)
    rows = np.random.default_rng(0).permutation(len(plain))
    for epoch in (0, 1):
        expected = plain.batch(rows, epoch)
        assert_equal(resident.batch(rows, epoch), expected)
    assert set(expected.store.tolist()) == {0, 1}
    assert not expected.contact_mask.all()
    if transform.get("clip") == 1e6 and transform.get("weight") == "raw":
        assert expected.contact_map.max() * 1e6 == 70_000


@pytest.mark.parametrize("tracks", [(), ("CTCF",)], ids=str)
@pytest.mark.parametrize("contacts", [True, False])
def test_targets_and_no_contacts_equal_those_from_the_files(stores, contacts, tracks):
    augmentations = ("swap", "flip", "jitter", "thin")
    plain = dataset(
        stores, contacts=contacts, target="CTCF", tracks=tracks, augmentations=augmentations, seed=4
    )
    resident = ResidentWindows(plain)
    rows = np.random.default_rng(1).permutation(len(plain))
    batch = resident.batch(rows, 1)
    assert_equal(batch, plain.batch(rows, 1))
    assert batch.target.shape == (len(rows), 2 * SIDE)
    assert batch.target.max() > 1
    assert batch.contact_mask.any() == contacts
    if contacts:
        less = ResidentWindows(dataset(stores, contacts=False, target="CTCF", tracks=tracks))
        assert less.nbytes < resident.nbytes


def test_the_stores_differ_as_they_should(stores):
    bands = [store.layer("chr1", 10_000).layout for store in stores]
    assert [band.near.dtype for band in bands] == [np.uint32, np.uint16]
    assert [band.near.shape[1] for band in bands] == [2, 1]
    assert len(bands[0].overflow_keys) > 1
    assert stores[1].track("CTCF", "chr1").mean.dtype == np.float32


def test_short_last_bins_have_no_signal_behind_their_end(stores):
    table = windows(0, ("chr1",), 1).iloc[2:3]
    (last,) = table["x"] // 10_000
    assert last == 191  # chr1 ends 3,210 bp into its last bin
    batch = ResidentWindows(dataset(stores[:1], [table], tracks=("ATAC",))).batch([0])
    assert batch.track_mask[0, 1900:1933, 0].any()
    assert not batch.track_mask[0, 1933:2000].any()
    assert not batch.track_mask[0, 3933:].any()


def test_contacts_that_are_no_integers(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    values = np.triu(rng.random((201, 201)) * 100)
    fake = FakeContacts(
        {("chr1", 10_000): values + np.triu(values, 1).T}, {("w", "chr1", 10_000): np.ones(201)}
    )
    store = build_fake(monkeypatch, tmp_path / "a.store", fake)
    plain = dataset([store], [windows(0, ("chr1",))], tracks=())
    assert_equal(ResidentWindows(plain).batch(range(len(plain))), plain.batch(range(len(plain))))
    with pytest.raises(DataError, match="only counts can be thinned"):
        ResidentWindows(dataset([store], [windows(0, ("chr1",))], tracks=(), augmentations=("thin",)))


def test_integers_and_others_side_by_side(stores, tmp_path, monkeypatch):
    fake = FakeContacts(
        {(chrom, 10_000): np.full((n, n), 1.5) for chrom, n in N_BINS.items()},
        {("weight", chrom, 10_000): np.ones(n) for chrom, n in N_BINS.items()},
    )
    store = build_fake(monkeypatch, tmp_path / "a.store", fake)
    plain = dataset([stores[0], store], tracks=(), clip=1e6)
    assert_equal(ResidentWindows(plain).batch(range(len(plain))), plain.batch(range(len(plain))))


def test_thinning_is_the_same_draw_by_draw():
    counts = np.array([0, 1, 2, 5, 12, 13, 40, 41, 300, 70_000])
    kept = np.array([0.25, 0.5, 0.51, 0.93, 1.0])
    keys = np.random.default_rng(0).integers(0, 2**64, 40, np.uint64)
    grid = np.meshgrid(counts, np.arange(len(kept)), np.arange(len(keys)), indexing="ij")
    n, part, key = (axis.ravel() for axis in grid)
    pixels = np.arange(len(n)) * 7919
    expected = [
        thinned(int(c), kept[p], keys[k], int(at)) for c, p, k, at in zip(n, part, key, pixels, strict=True)
    ]
    found = _thinned(
        torch.from_numpy(n), torch.from_numpy(kept[part]), torch.from_numpy(keys[key].view(np.int64)),
        torch.from_numpy(pixels),
    )  # fmt: skip
    np.testing.assert_array_equal(found, expected)


def test_only_the_chromosomes_needed_are_there(stores):
    """A byte or more for each pixel of the band, 4 bytes a weight, 2 for each 100 bp of ATAC."""

    def taken(*chroms):
        return ResidentWindows(dataset(stores[:1], [windows(0, chroms)], tracks=("ATAC",))).nbytes

    one, two = taken("chr2"), taken("chr2", "chr3")
    band = stores[0].layer("chr2", 10_000).layout
    arrays = band.near.size * band.near.itemsize + band.far.size + len(band.overflow_keys) * 12
    assert arrays + 121 * 4 + 12_100 * 2 <= one <= arrays + 121 * 4 + 12_100 * 2 + 200
    assert two > one
    assert taken("chr3") + one - 200 < two < taken("chr3") + one + 200


def test_a_window_that_sticks_out_is_refused_before_any_is_gathered(stores):
    table = windows(0)
    table.loc[5, ["x", "y"]] = 1_920_000
    for augmentations in ((), ("jitter",)):
        with pytest.raises(DataError, match="sticks out of the chromosome"):
            ResidentWindows(dataset(stores[:1], [table], augmentations=augmentations))


def test_single_windows(stores):
    resident = ResidentWindows(dataset(stores))
    assert_equal(resident[-1], resident.windows[len(resident) - 1])
    with pytest.raises(IndexError):
        resident[len(resident)]


# --- the loader


def all_equal(found, expected):
    found, expected = list(found), list(expected)
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("rank", [0, 1])
def test_the_loader_is_like_the_other(stores, shuffle, rank):
    plain = dataset(stores, augmentations=("swap",))
    made = [make(plain, 16, shuffle=shuffle, seed=2) for make in (resident_loader, loader)]
    for one in made:
        one.sampler.set_epoch(3)
        one.deal(rank, 2, CPU)
    assert len(made[0]) == len(made[1])
    all_equal(*made)
    for one in made:
        one.start_at(2)
    all_equal(*made)
    all_equal(*made)


def test_stores_by_weight_and_incomplete_batches(stores):
    plain = dataset(stores)
    options = {"shuffle": True, "seed": 1, "drop_last": True, "store_weights": [1, 4]}
    all_equal(resident_loader(plain, 32, **options), loader(plain, 32, **options))
    with pytest.raises(ConfigError, match="batch_size"):
        resident_loader(plain, 0)


def test_deal_moves_the_stores(stores):
    made = resident_loader(dataset(stores), 16)
    made.deal(0, 1, torch.device("meta"))
    assert next(iter(made)).contact_map.device.type == "meta"
    made.deal(0, 1, CPU)
    assert next(iter(made)).contact_map.device.type == "cpu"
