"""Signals as wishes; a training that is killed, or asked to stop, is taken up as if it had run through."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from chromweave.training.interruption import StopWish
from tests.training import interrupted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_is_noted_and_the_handlers_come_back(number, name):
    before = signal.getsignal(number)
    with StopWish() as wish:
        assert wish.signal is None
        os.kill(os.getpid(), number)
        assert wish.signal == name
    assert signal.getsignal(number) is before


def test_ctrl_c_after_either_interrupts():
    with StopWish():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a command in the background of a shell script
    try:
        with StopWish() as wish:
            os.kill(os.getpid(), signal.SIGINT)
            assert wish.signal is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_signals_to_listen_to():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with StopWish() as wish:
            wish.listen()
            seen.append((wish.signal, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


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
