"""Whole files or none."""

import hashlib
import os
import subprocess
import sys

import pytest

from chromweave.errors import FileFormatError, OutputError
from chromweave.files import (
    atomic_directory,
    atomic_path,
    is_first_process,
    read_json,
    sha256,
    write_json,
)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_path(target) as temporary:
        temporary.write_text("half, then \ud800")
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == ["table.tsv"]


def test_a_finished_write_replaces_it(tmp_path):
    target = tmp_path / "new" / "table.tsv"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".tsv"
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert leftovers(target.parent) == ["table.tsv"]


def test_writing_nothing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="nothing was written"), atomic_path(tmp_path / "x"):
        pass


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(OutputError, match="is a directory"), atomic_path(tmp_path):
        pass


def test_a_folder_appears_as_a_whole(tmp_path):
    target = tmp_path / "a.store"
    for text in ("first", "second"):
        with atomic_directory(target, marker="manifest.json") as temporary:
            (temporary / "manifest.json").write_text(text)
            (temporary / text).write_text(text)
    assert leftovers(target) == ["manifest.json", "second"]
    assert leftovers(tmp_path) == ["a.store"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "a.store"
    with atomic_directory(target, marker="manifest.json") as temporary:
        (temporary / "manifest.json").write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_directory(target, marker="manifest.json") as temporary:
        (temporary / "manifest.json").write_text("half, then \ud800")
    assert (target / "manifest.json").read_text() == "old"
    assert leftovers(tmp_path) == ["a.store"]


def test_a_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    with (
        pytest.raises(OutputError, match="not replaced"),
        atomic_directory(tmp_path / "home", marker="manifest.json"),
    ):
        pass
    assert leftovers(tmp_path / "home") == ["thesis.tex"]


def test_checksum(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"chromatin" * 300_000)
    assert sha256(path) == hashlib.sha256(b"chromatin" * 300_000).hexdigest()


def test_json_round_trip_and_refusals(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, 2.5, None]})
    assert read_json(path) == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": [1, 2.5, None]}
    path.write_text('{"a": ')
    with pytest.raises(FileFormatError, match="truncated"):
        read_json(path)
    with pytest.raises(FileFormatError, match="no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(FileFormatError, match="directory"):
        read_json(tmp_path)


def test_the_leftovers_of_a_dead_writer_are_cleared_and_those_of_a_live_one_are_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".a.store.{dead.pid}-x.partial").mkdir()
    (tmp_path / f".a.store.{os.getpid()}-x.partial").mkdir()
    (tmp_path / f".b.store.{dead.pid}-x.partial").mkdir()
    with atomic_directory(tmp_path / "a.store", marker="m") as temporary:
        (temporary / "m").touch()
    assert leftovers(tmp_path) == [
        f".a.store.{os.getpid()}-x.partial",
        f".b.store.{dead.pid}-x.partial",
        "a.store",
    ]


def test_a_folder_lost_while_stepping_aside_comes_back(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    aside = tmp_path / f".a.store.{dead.pid}-x.old" / "0"
    aside.mkdir(parents=True)
    (aside / "m").write_text("old")
    with pytest.raises(KeyError), atomic_directory(tmp_path / "a.store", marker="m"):
        raise KeyError
    assert (tmp_path / "a.store" / "m").read_text() == "old"
    assert leftovers(tmp_path) == ["a.store"]


@pytest.mark.parametrize(
    ("environment", "processes", "first"),
    [
        ({}, 1, True),
        ({}, 4, True),
        ({"RANK": "1"}, 1, True),  # of nothing: no group is announced
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, 1, True),
        ({"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "0"}, 1, False),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, 1, False),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "0", "NODE_RANK": "1"}, 1, False),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}, 1, True),  # one of eight independent commands
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}, 8, False),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, 8, True),
        ({"NODE_RANK": "0"}, 8, True),  # of several machines, each with a command of its own
        ({"NODE_RANK": "1"}, 8, False),
        ({"GROUP_RANK": "1"}, 8, False),
        ({"NODE_RANK": "1"}, 1, True),
    ],
)
def test_the_first_of_several_processes(monkeypatch, environment, processes, first):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process(processes) == first
