"""The command as a user meets it: quick help, one sentence and exit code 2 for bad input."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from chromweave.cli import main as cli
from chromweave.errors import StoreError

SOURCE = Path(cli.__file__).parents[2]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
    )


HEAVY = "{'torch', 'lightning', 'matplotlib', 'cooltools', 'cooler', 'umap', 'anndata', 'sklearn'}"


@pytest.mark.parametrize(
    "code",
    [
        "import chromweave",
        "from chromweave.cli.main import run; run(['--help'])",
        "from chromweave.cli.main import run; run(['finetune', '--help'])",
    ],
)
def test_nothing_heavy_is_loaded(code):
    done = python(f"{code}\nimport sys\nprint('heavy:', sorted({HEAVY} & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("heavy: []\n")


def test_help_is_quick():
    """Under half a second of CPU, start of Python included; best of three, as others use the machine."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = python("from chromweave.cli.main import run; run(['--help'])")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert "simulate" in done.stdout
    assert min(took) < 0.5


@pytest.mark.parametrize("command", [[], ["--help"], ["loops", "--help"], ["graph", "train", "--help"]])
def test_every_help_answers(command, capsys):
    assert cli.run(command) == (0 if command else 2)
    assert "Usage" in capsys.readouterr().out


def test_version(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chromweave ")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["build", "x.store"], "needs contacts, tracks or both"),
        (["build", "x.store", "--contacts", "none.mcool", "--resolution", "5000"], "none.mcool"),
        (["build", "x.store", "--contacts", "none.mcool"], "--resolution is needed"),
        (["build", "x.store", "--track", "ATAC"], "write NAME=FILE"),
        (["build", "x.store", "--track", "A=a.bw", "--add-track", "B=b.bw"], "extend a store"),
        (["inspect", "none.store"], "none.store"),
        (["windows", "w.parquet", "--store", "none.store"], "none.store"),
        (["simulate", "out", "--preset", "huge"], "huge"),
        (["pretrain", "run", "--store", "none.store", "--windows", "w.parquet"], "none.store"),
        (["compare", "out", "a.h5ad", "b.h5ad"], "a.h5ad"),
        (["demo", "out", "--track", "ATAC=a.bw"], "need --contacts"),
        (["frobnicate"], "frobnicate"),
        (["build"], "OUT.store"),
        (["windows", "w.parquet", "--store", "s", "--step", "many"], "--step"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(command, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(command) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("chromweave: error: ")
    assert sentence in shown.err
    assert "Traceback" not in shown.err
    assert list(tmp_path.iterdir()) == []


def failing(error):
    def command(*arguments, **options):
        raise error

    return command


def test_flags_may_stand_anywhere_and_errors_are_json(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", failing(StoreError("x.store: is damaged.")))
    assert cli.run(["inspect", "x.store", "--json", "--quiet"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": "x.store: is damaged.", "kind": "StoreError"}


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(cli, "app", failing(StoreError("x")))
    with pytest.raises(StoreError):
        cli.run(["inspect", "x.store", "--debug"])


def test_a_defect_is_named_as_one(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", failing(ZeroDivisionError("division by zero")))
    assert cli.run(["inspect", "x.store"]) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero. This is a defect of chromweave" in shown
    assert "Traceback" not in shown


def test_an_interrupt_has_its_own_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", failing(KeyboardInterrupt()))
    assert cli.run(["inspect", "x.store"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_interrupt_inside_a_command_is_said_too(monkeypatch, capsys):
    from chromweave.data.store import RegionStore

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(RegionStore, "open", interrupted)
    assert cli.run(["inspect", "x.store"]) == 130
    assert capsys.readouterr().err.startswith("chromweave: error: interrupted; nothing half-written")


def test_what_follows_a_double_dash_is_left_alone():
    assert cli._flags_first(["a", "--json", "--", "--quiet"]) == ["--json", "a", "--", "--quiet"]
