"""A store says what it is, refuses what it does not know, and names the file that is damaged."""

import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chromweave.data.store import KIND, RegionStore, seal
from chromweave.errors import ChromosomeError, DataError, ResolutionError, StoreError
from tests.fakes import SMALL, build_fake, random_contacts, random_track


@pytest.fixture
def store(tmp_path, monkeypatch):
    contacts = random_contacts(resolutions=(10_000, 20_000))
    return build_fake(monkeypatch, tmp_path / "K562.store", contacts, [random_track()], max_distance=500_000)


def rewrite(store, **changes):
    path = store.path / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(manifest | {"seal": seal(manifest)}))


def test_it_says_what_it_holds(store):
    assert (store.name, store.assembly) == ("K562", SMALL)
    assert store.chromosomes == ("chr1", "chr2")
    assert store.resolutions == (10_000, 20_000)
    assert store.track_names == ("ATAC",)
    assert store.weight_names(10_000) == ("weight",)
    assert store.default_weight(20_000) == "weight"
    assert store.manifest["kind"] == KIND
    assert store.manifest["provenance"]["chromweave"]
    assert set(store.manifest["files"]) == {
        str(path.relative_to(store.path)) for path in store.path.rglob("*.npy")
    }


def test_names_of_other_conventions_meet(store):
    assert store.layer("1", 10_000).chrom == "chr1"
    assert store.track("ATAC", "2").chrom == "chr2"


def test_what_is_not_there_is_refused_with_what_is(store):
    with pytest.raises(ResolutionError, match=r"no layer of 5,000 bp; it has 10,000, 20,000"):
        store.layer("chr1", 5000)
    with pytest.raises(ChromosomeError, match="has no chr3; it has chr1, chr2"):
        store.layer("chr3", 10_000)
    with pytest.raises(ChromosomeError, match="chr3"):
        store.track("ATAC", "chr3")
    with pytest.raises(DataError, match="no track 'CTCF'; it has ATAC"):
        store.track("CTCF", "chr1")


def test_it_pickles_and_reopens(store):
    store.layer("chr1", 10_000).dense()
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.layer("chr1", 10_000).dense(), store.layer("chr1", 10_000).dense())
    assert len(pickle.dumps(store)) < 1000


def test_kind_and_version_are_checked(store, tmp_path):
    rewrite(store, schema_version=99)
    with pytest.raises(StoreError, match=r"version 99 of the store format.*build it again, or use"):
        RegionStore.open(store.path)
    rewrite(store, kind="a shop")
    with pytest.raises(StoreError, match=r"manifest.json: is of the kind 'a shop'"):
        RegionStore.open(store.path)
    with pytest.raises(StoreError, match="no such store"):
        RegionStore.open(tmp_path / "none.store")
    (tmp_path / "empty.store").mkdir()
    with pytest.raises(StoreError, match=r"is no region store \(it has no manifest.json\)"):
        RegionStore.open(tmp_path / "empty.store")


def all_files(store):
    return sorted(path for path in store.path.rglob("*") if path.is_file())


@pytest.mark.parametrize("seed", range(4))
def test_a_missing_or_truncated_file_is_named_when_opening(store, seed):
    damaged = random.Random(seed).choice(all_files(store))
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match=damaged.name):
        RegionStore.open(store.path)
    if damaged.suffix == ".npy":
        damaged.unlink()
        with pytest.raises(StoreError, match=f"{damaged.name}: is missing"):
            RegionStore.open(store.path)


def test_one_flipped_byte_anywhere_is_found_and_named(store):
    chooser = random.Random(1)
    for damaged in all_files(store):
        content = bytearray(damaged.read_bytes())
        place = chooser.randrange(len(content))
        content[place] ^= 1 << chooser.randrange(8)
        damaged.write_bytes(bytes(content))
        with pytest.raises(StoreError, match=damaged.name):
            RegionStore.open(store.path).verify()
        content[place:] = b""
        damaged.unlink()
        damaged.write_bytes(_original(store, damaged))
    RegionStore.open(store.path).verify()


@pytest.fixture(autouse=True)
def _keep_originals(store):
    _ORIGINALS.update({path: path.read_bytes() for path in all_files(store)})
    yield
    _ORIGINALS.clear()


_ORIGINALS: dict[Path, bytes] = {}


def _original(store, path):
    return _ORIGINALS[path]


def test_an_array_damaged_between_opening_and_reading_is_named(store):
    path = store.path / "contacts/10000/chr1/far.npy"
    path.write_bytes(b"\x93NUMPY" + b"x" * (path.stat().st_size - 6))
    with pytest.raises(StoreError, match=r"far\.npy"):
        RegionStore.open(store.path).layer("chr1", 10_000)


def test_the_layer_checksum_outlives_other_changes(store, tmp_path, monkeypatch):
    same = build_fake(monkeypatch, tmp_path / "b.store", random_contacts(), max_distance=500_000)
    other = build_fake(monkeypatch, tmp_path / "c.store", random_contacts(seed=1), max_distance=500_000)
    assert same.layer_sha256(10_000) == store.layer_sha256(10_000)
    assert same.manifest_sha256 != store.manifest_sha256
    assert other.layer_sha256(10_000) != store.layer_sha256(10_000)


READ_ALL = """
import sys
blocked = {"hictkpy", "cooler", "pybigtools", "bioframe", "cooltools", "h5py", "torch"}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
from chromweave.data.store import RegionStore
from chromweave.data.cutter import WindowCutter
from chromweave.data.windows import grid_windows
from chromweave.genome import ChromSplit
import numpy as np
store = RegionStore.open(sys.argv[1])
store.verify()
assert store.layer("chr1", 20_000).dense(weight="weight").shape == (101, 101)
assert store.track("ATAC", "chr1").binned(1000).mean.any()
split = ChromSplit(("chr1",), ("chr2",), ())
report = grid_windows(store, split, step=50_000, resolution=10_000, window_bins=20)
assert len(report.table) > 10
import chromweave.data.build
assert not blocked & set(sys.modules)
blocked -= {"torch"}
"""


def test_reading_needs_no_genomics_reader(store):
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(store.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
