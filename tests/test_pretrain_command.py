"""The pretrain command as a user gives it: two processes, a kill in the middle, and going on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from chromweave import config as configs
from chromweave.cli import main as cli
from chromweave.data.windows import loop_windows, write_windows
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows.foundation import PretrainConfig
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

pytestmark = pytest.mark.slow

SETTINGS = PretrainConfig(
    network=MixHicConfig(channels=8, heads=1, depth=1),
    fit=FitConfig(epochs=2, batch_size=24, learning_rate=2e-3, warmup_steps=3, log_every=1),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    report = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION)
    write_windows(folder / "w.parquet", report.table)
    configs.save(SETTINGS, folder / "settings.toml")
    long = replace(SETTINGS, fit=replace(SETTINGS.fit, epochs=3, checkpoint_every=3))
    configs.save(long, folder / "long.toml")
    return folder


def words(run, settings="settings.toml"):
    return ["pretrain", run, "--store", "a.store", "--windows", "w.parquet", "--config", settings,
            "--accelerator", "cpu"]  # fmt: skip


def start(place, *arguments):
    """The command in processes of its own, as a shell starts it."""
    outer = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.Popen(
        [sys.executable, "-m", "chromweave.cli.main", *arguments],
        cwd=place, env=environment | {"OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def rows(run):
    with (run / "metrics.csv").open() as file:
        return [((r["step"], r["split"], r["metric"]), r["value"]) for r in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(place):
    """One process, whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert cli.run([*words("alone"), "--quiet"]) == 0
    return place / "alone"


def test_two_processes_write_one_run(place, alone):
    process = start(place, *words("two"), "--devices", "2", "--json", "--quiet")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads(out)["epochs"] == 2  # one result, though two processes came to it
    assert err == ""
    found, expected = rows(place / "two"), rows(alone)
    assert [key for key, _ in found] == [key for key, _ in expected]
    # Before the first update they agree; then AdamW turns rounding of gradients that are zero but for it into
    # whole steps. In double precision all of it agrees within 1e-5: tests/training/test_distributed.py.
    differences = [
        (int(key[0]), abs(float(a) - float(b)))
        for (key, a), (_, b) in zip(found, expected, strict=True)
        if a or b
    ]
    assert max(size for step, size in differences if step == 1) < 1e-5
    assert max(size for _, size in differences) < 0.2
    assert {path.name for path in (place / "two").iterdir()} == {path.name for path in alone.iterdir()}


def test_a_killed_command_goes_on_where_it_was(place, monkeypatch, capsys):
    """kill -9 after step 5; with a checkpoint every 3 steps the curve is that of a run nobody killed."""
    monkeypatch.chdir(place)
    process = start(place, *words("killed", "long.toml"))
    metrics = place / "killed" / "metrics.csv"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and any(key[0] == "5" for key, _ in rows(place / "killed"))):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (place / "killed" / "model.safetensors").exists()
    assert cli.run([*words("killed", "long.toml"), "--resume", "--quiet"]) == 0
    assert cli.run([*words("whole", "long.toml"), "--quiet"]) == 0
    capsys.readouterr()
    assert rows(place / "killed") == rows(place / "whole")  # to the last digit


def test_a_truncated_checkpoint_is_named_and_the_one_before_offered(place, alone, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert cli.run([*words("cut", "long.toml"), "--quiet"]) == 0
    last, previous = (place / "cut" / "checkpoints" / f"{name}.ckpt" for name in ("last", "previous"))
    last.write_bytes(last.read_bytes()[:-500])
    capsys.readouterr()
    assert cli.run([*words("cut", "long.toml"), "--resume", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "last.ckpt" in said.split(";")[0]
    assert f"--resume-from {previous.relative_to(place)}" in said
    assert cli.run([*words("cut", "long.toml"), "--resume-from", str(previous), "--quiet"]) == 0
