"""Run folders."""

from dataclasses import dataclass

import pytest

from chromweave import config
from chromweave.errors import OutputError
from chromweave.files import read_json, sha256
from chromweave.provenance import describe_inputs, start_run


@dataclass(frozen=True)
class Settings:
    epochs: int = 3


def test_a_run_folder_says_where_it_comes_from(tmp_path):
    source = tmp_path / "in.tsv"
    source.write_text("x")
    run = start_run(tmp_path / "run", kind="pretrain", config=Settings(7), seed=5, inputs=[source])
    assert config.load(Settings, run / "config.toml") == Settings(7)
    record = read_json(run / "run.json")
    assert record["kind"] == "pretrain"
    assert record["seed"] == 5
    assert record["inputs"] == [{"path": str(source), "bytes": 1, "sha256": sha256(source)}]
    assert {"chromweave", "command", "git_commit", "time", "packages"} <= set(record)
    assert "numpy" in record["packages"]


def test_a_store_is_known_by_its_manifest(tmp_path):
    (tmp_path / "a.store").mkdir()
    (tmp_path / "a.store" / "manifest.json").write_text("{}")
    (described,) = describe_inputs([tmp_path / "a.store", tmp_path / "absent"])
    assert described["bytes"] == 2


def test_a_cooler_uri_is_known_by_its_file(tmp_path):
    (tmp_path / "a.mcool").write_text("abc")
    (described,) = describe_inputs([f"{tmp_path}/a.mcool::/resolutions/5000"])
    assert described["bytes"] == 3


def test_other_folders_are_left_alone(tmp_path):
    start_run(tmp_path / "run", kind="pretrain", config=Settings(), seed=0)
    with pytest.raises(OutputError, match="holds a 'pretrain' run"):
        start_run(tmp_path / "run", kind="finetune", config=Settings(), seed=0)
    with pytest.raises(OutputError, match="resume"):
        start_run(tmp_path / "run", kind="pretrain", config=Settings(), seed=0, overwrite=False)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("a")
    with pytest.raises(OutputError, match="not empty"):
        start_run(tmp_path / "docs", kind="pretrain", config=Settings(), seed=0)
    with pytest.raises(OutputError, match="is a file"):
        start_run(tmp_path / "docs" / "a.txt", kind="pretrain", config=Settings(), seed=0)


def test_later_processes_of_a_training_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    run = start_run(tmp_path / "run", kind="pretrain", config=Settings(), seed=0)
    assert run == tmp_path / "run"
    assert not run.exists()
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert (start_run(run, kind="pretrain", config=Settings(), seed=0) / "run.json").is_file()
