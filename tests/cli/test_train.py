"""Options of finetune: what settings they become, and which of them exclude one another."""

import json
from types import SimpleNamespace

import pytest

from chromweave import config as configs
from chromweave.cli import main as cli
from chromweave.workflows import foundation
from chromweave.workflows.foundation_settings import FinetuneConfig

GIVEN = ("finetune", "run", "--store", "a.store", "--windows", "w.parquet")


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What the library is asked for by the command; nothing is trained."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def finetune(run, **given):
        calls.append({"run": run, **given})
        fit = SimpleNamespace(epochs=3, best_epoch=2, best_metrics={"pearson": 0.5})
        return SimpleNamespace(run=run, fit=fit, train_windows=10, valid_windows=4)

    monkeypatch.setattr(foundation, "finetune", finetune)
    return calls


def words(*more):
    return [*GIVEN, *map(str, more), "--json", "--quiet"]


def refused(capsys, *more):
    assert cli.run(words(*more)) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "task", "mode", "contacts"),
    [
        ([], "loops", "bimodal", "observed_expected"),
        (["--task", "contacts"], "contacts", "infer_map", "observed_expected"),
        (["--task", "contacts", "--preset", "paper-128"], "contacts", "infer_map", "clip"),
        (["--task", "contacts", "--target", "log1p"], "contacts", "infer_map", "log1p"),
        (["--task", "contacts", "--target", "clip", "--mode", "tracks"], "contacts", "tracks", "clip"),
        (["--task", "expression"], "expression", "bimodal", "observed_expected"),
        (
            ["--task", "expression", "--mode", "infer_tracks"],
            "expression",
            "infer_tracks",
            "observed_expected",
        ),
    ],
)
def test_task_mode_and_target(asked, options, task, mode, contacts):
    assert cli.run(words(*options)) == 0
    (call,) = asked
    assert (call["task"], call["config"].mode, call["config"].transform.contacts) == (task, mode, contacts)
    assert call["config"].masked is ("paper-128" not in options)


def test_without_options_the_settings_are_the_presets(asked):
    assert cli.run(words()) == 0
    assert asked[0]["config"] == FinetuneConfig.preset("tiny", "loops")
    assert (asked[0]["pretrained"], asked[0]["seed"], asked[0]["resume"]) == (None, 0, False)


def test_tune_signal_and_where_it_starts(asked, capsys):
    options = ("--task", "expression", "--tune", "probe", "--signal", "PRO-cap", "--from", "pre", "--seed", 7,
               "--least-known", 0.02)  # fmt: skip
    assert cli.run(words(*options, "--epochs", 4, "--resume")) == 0
    (call,) = asked
    config = call["config"]
    assert (config.tune, config.signal, config.least_known) == ("probe", "PRO-cap", 0.02)
    assert config.fit.epochs == 4
    assert (str(call["pretrained"]), call["seed"], call["resume"]) == ("pre", 7, True)
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        "run": "run", "train_windows": 10, "valid_windows": 4, "epochs": 3, "best_epoch": 2, "pearson": 0.5,
    }  # fmt: skip


def test_tracks_are_named_from_scratch_only(asked, capsys):
    assert cli.run(words("--track", "ATAC", "--track", "DNase")) == 0
    assert asked[0]["config"].transform.tracks == ("ATAC", "DNase")
    assert "--track and --from exclude each other" in refused(capsys, "--track", "ATAC", "--from", "pre")


def test_a_file_of_settings_is_taken_as_it_is(asked, tmp_path):
    settings = FinetuneConfig.preset("small", "contacts", "tracks", epochs=3)
    configs.save(settings, tmp_path / "c.toml")
    assert cli.run(words("--task", "contacts", "--config", "c.toml")) == 0
    assert asked[0]["config"] == settings


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("preset", "small"), ("mode", "map"), ("tune", "frozen"), ("signal", "CAGE"), ("target", "clip"),
        ("least-known", 0.5),
        ("epochs", 3), ("batch-size", 3), ("learning-rate", 0.1),
    ],
)  # fmt: skip
def test_a_file_of_settings_excludes_options_for_them(asked, tmp_path, capsys, option, value):
    configs.save(FinetuneConfig(), tmp_path / "c.toml")
    said = refused(capsys, "--task", "contacts", "--config", "c.toml", f"--{option}", value)
    assert f"--config c.toml and {option.replace('-', '_')} exclude each other; set them in the file" in said
    assert asked == []


@pytest.mark.parametrize("task", ["loops", "expression"])
def test_a_target_is_a_scale_of_contacts(asked, capsys, task):
    said = refused(capsys, "--task", task, "--target", "clip")
    assert f"--target is the scale of predicted contacts; --task {task} has none" in said
    assert asked == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("--task", "genes"), ("--mode", "maps"), ("--tune", "some"), ("--target", "standard")],
)
def test_what_there_is_no_such_of_is_refused_with_what_there_is(asked, capsys, option, value):
    said = refused(capsys, option, value)
    assert value in said
    assert asked == []


def test_the_librarys_own_refusals_are_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "name the run they come from" in refused(capsys, "--tune", "frozen")
    assert "must not read them" in refused(capsys, "--task", "contacts", "--mode", "bimodal")
    assert not (tmp_path / "run").exists()
