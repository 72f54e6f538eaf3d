"""A training that is killed from outside, or asked to stop, is taken up again as if it had run through."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training import interrupted

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Table of the run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    interrupted.learn(folder)
    return (folder / "metrics.csv").read_text()


def steps(run):
    """Steps with a whole row in the table."""
    table = run / "metrics.csv"
    lines = table.read_text().split("\n")[1:-1] if table.exists() else []
    return [int(line.split(",")[0]) for line in lines]


def disturb(run, number, at):
    """Train in another process, which gets signal `number` once the table shows step `at`."""
    process = subprocess.Popen(
        [sys.executable, interrupted.__file__, str(run), "0.05"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while max(steps(run), default=0) < at:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    said = "".join(process.communicate(timeout=60))
    return process.returncode, said


def saved_step(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def test_kill_9_loses_at_most_the_steps_since_the_last_checkpoint(tmp_path, whole):
    code, _ = disturb(tmp_path, signal.SIGKILL, at=5)
    assert code == -signal.SIGKILL
    done = max(steps(tmp_path))
    assert 5 <= done < 30
    assert saved_step(tmp_path) >= done - interrupted.FIT.checkpoint_every
    result = interrupted.learn(tmp_path, resume=True)
    assert (result.epochs, result.steps) == (3, 30)
    assert (tmp_path / "metrics.csv").read_text() == whole


def test_sigterm_loses_nothing(tmp_path, whole):
    code, said = disturb(tmp_path, signal.SIGTERM, at=5)
    done = max(steps(tmp_path))
    assert (code, said) == (1, f"stopped by SIGTERM after step {done}; go on with --resume.\n")
    assert saved_step(tmp_path) == done
    interrupted.learn(tmp_path, resume=True)
    assert (tmp_path / "metrics.csv").read_text() == whole
