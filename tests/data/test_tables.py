"""A window table on disk knows what it belongs to, and keeps its test split shut."""

import pandas as pd
import pytest

from chromweave.data.tables import check_windows, read_windows, select_split, write_windows
from chromweave.data.windows import grid_windows
from chromweave.errors import (
    AssemblyError,
    ConfigError,
    DataError,
    FileFormatError,
    ResolutionError,
    SchemaError,
)
from chromweave.genome import Assembly, ChromSplit
from tests.fakes import SMALL, build_fake, random_contacts

SPLIT = ChromSplit(("chr1",), (), ("chr2",))


@pytest.fixture
def store(tmp_path, monkeypatch):
    return build_fake(monkeypatch, tmp_path / "a.store", random_contacts())


@pytest.fixture
def table(store):
    return grid_windows(store, SPLIT, step=50_000, resolution=10_000, window_bins=10).table


def test_round_trip(tmp_path, store, table):
    path = tmp_path / "w.parquet"
    write_windows(path, table)
    everything = read_windows(path, store, splits=("train", "valid", "test"))
    pd.testing.assert_frame_equal(everything, table)
    facts = everything.attrs
    assert facts == table.attrs
    assert (facts["resolution"], facts["window_bins"], facts["assembly"], facts["store"], facts["seed"]) == (
        10_000, 10, "small", "a", 0,
    )  # fmt: skip
    assert facts["manifest_sha256"] == store.manifest_sha256


def test_the_test_split_is_read_only_when_named(tmp_path, store, table):
    path = tmp_path / "w.parquet"
    write_windows(path, table)
    assert "test" in set(table["split"])
    assert set(read_windows(path, store)["split"]) == {"train"}
    assert set(read_windows(path, store, splits=["test"])["split"]) == {"test"}
    assert read_windows(path).attrs["resolution"] == 10_000
    with pytest.raises(ConfigError, match="train, valid, test, not 'tests'"):
        read_windows(path, splits=["tests"])
    with pytest.raises(ConfigError, match="not 'holdout'"):
        select_split(table, "holdout")


def test_another_store_assembly_or_resolution_is_refused(tmp_path, monkeypatch, table):
    path = tmp_path / "w.parquet"
    write_windows(path, table)
    other = build_fake(monkeypatch, tmp_path / "b.store", random_contacts(seed=1))
    with pytest.raises(DataError, match=r"made for other contacts \(store 'a'\) than those of .*b\.store"):
        read_windows(path, other)
    assert len(read_windows(path, other, any_store=True))
    coarse = build_fake(monkeypatch, tmp_path / "c.store", random_contacts(resolutions=(20_000,)))
    with pytest.raises(ResolutionError, match=r"of 10,000 bp bins, and .* has 20,000"):
        read_windows(path, coarse, any_store=True)
    renamed = Assembly("tiny", SMALL.chromosomes)
    tiny = build_fake(monkeypatch, tmp_path / "d.store", random_contacts(assembly=renamed), assembly=renamed)
    with pytest.raises(AssemblyError, match=r"are of small, and .* is of tiny"):
        read_windows(path, tiny, any_store=True)


def test_windows_of_another_store_are_refused_without_maps_too(tmp_path, monkeypatch, store, table):
    path = tmp_path / "w.parquet"
    write_windows(path, table)
    other = build_fake(monkeypatch, tmp_path / "b.store", random_contacts(seed=1))
    with pytest.raises(DataError, match=r"made for other contacts \(store 'a'\) than those of .*b\.store"):
        read_windows(path, other, contacts=False)
    assert len(read_windows(path, other, contacts=False, any_store=True))
    assert len(read_windows(path, store, contacts=False))
    coarse = build_fake(monkeypatch, tmp_path / "c.store", random_contacts(resolutions=(20_000,)))
    with pytest.raises(DataError, match=r"made for another store \('a'\) than .*c\.store"):
        read_windows(path, coarse, contacts=False)
    (tmp_path / "again").mkdir()
    same = build_fake(monkeypatch, tmp_path / "again" / "a.store", random_contacts(resolutions=(20_000,)))
    assert len(read_windows(path, same, contacts=False))


def test_windows_made_before_the_map_are_known_by_name(tmp_path, store, table):
    table.attrs["layer_sha256"] = ""
    path = tmp_path / "w.parquet"
    write_windows(path, table)
    assert len(read_windows(path, store, contacts=False))
    with pytest.raises(DataError, match="made for other contacts"):
        read_windows(path, store)


def test_tracks_added_later_do_not_matter(tmp_path, monkeypatch, store, table):
    from chromweave.data.build import add_tracks
    from tests.fakes import install, random_track

    path = tmp_path / "w.parquet"
    write_windows(path, table)
    install(monkeypatch.setattr, tracks=[random_track()])
    assert len(read_windows(path, add_tracks(store, {"ATAC": "x"})))


def test_what_is_no_window_table(tmp_path, table):
    path = tmp_path / "w.parquet"
    with pytest.raises(FileFormatError, match="no such file"):
        read_windows(path)
    with pytest.raises(FileFormatError, match="is a directory"):
        read_windows(tmp_path)
    path.write_text("chrom\tx\ty\n")
    with pytest.raises(FileFormatError, match="no readable window table"):
        read_windows(path)
    table.to_parquet(path)
    with pytest.raises(FileFormatError, match="is no window table of version 1"):
        read_windows(path)
    write_windows(path, table)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="write it again"):
        read_windows(path)


def test_a_table_that_does_not_say_what_it_is_is_neither_written_nor_used(tmp_path, store, table):
    bare = table.copy()
    bare.attrs.clear()
    with pytest.raises(SchemaError, match="does not say which store"):
        write_windows(tmp_path / "w.parquet", bare)
    with pytest.raises(DataError, match="does not say which store"):
        check_windows(bare, store, "a table")
    with pytest.raises(SchemaError, match="needs the column split"):
        write_windows(tmp_path / "w.parquet", table.drop(columns="split"))
    assert not list(tmp_path.glob("*.parquet"))
