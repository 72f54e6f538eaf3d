"""Arrays on disk are plain .npy, and an extended store shares what it had."""

import errno
import os

import numpy as np
import pytest

from chromweave.data.draft import Draft, extending
from chromweave.data.store import RegionStore
from chromweave.files import sha256
from tests.fakes import build_fake, random_contacts, random_track


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint16).reshape(3, 4),
        np.zeros((5, 0), np.uint8),
        np.array([1.5, np.nan], np.float16),
        np.arange(12).reshape(3, 4).T,
    ],
)
def test_arrays_are_plain_npy_files(tmp_path, array):
    draft = Draft(tmp_path)
    draft.save("deep/down/array", array)
    path = tmp_path / "deep/down/array.npy"
    np.testing.assert_array_equal(np.load(path), array)
    assert np.load(path).dtype == array.dtype
    assert draft.files == {"deep/down/array.npy": {"bytes": path.stat().st_size, "sha256": sha256(path)}}


def test_a_part_of_a_store_is_taken_over(tmp_path, monkeypatch):
    store = build_fake(monkeypatch, tmp_path / "a.store", random_contacts(), [random_track()])
    draft = Draft(tmp_path / "part")
    draft.link(store, "tracks/")
    assert set(draft.files) == {name for name in store.manifest["files"] if name.startswith("tracks/")}
    assert draft.files
    for name, entry in draft.files.items():
        assert sha256(tmp_path / "part" / name) == entry["sha256"]


def test_where_links_are_not_allowed_files_are_copied(tmp_path, monkeypatch):
    store = build_fake(monkeypatch, tmp_path / "a.store", random_contacts())

    def refuse(source, target):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with extending(store) as (_, content):
        content["note"] = "copied"
    again = RegionStore.open(store.path)
    again.verify()
    assert again.manifest["note"] == "copied"
    assert again.manifest["files"] == store.manifest["files"]


def test_a_failed_extension_leaves_the_store(tmp_path, monkeypatch):
    store = build_fake(monkeypatch, tmp_path / "a.store", random_contacts())
    with pytest.raises(KeyError), extending(store):
        raise KeyError("track")
    RegionStore.open(store.path).verify()
    assert [path.name for path in tmp_path.iterdir()] == ["a.store"]
