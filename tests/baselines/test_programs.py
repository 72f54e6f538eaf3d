"""Programs are found, asked for their version, run, measured, and killed in time."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from chromweave.baselines.programs import (
    Cost,
    ProgramFailed,
    ProgramMissing,
    find_program,
    measured,
    program_version,
    run_program,
)
from chromweave.errors import ChromweaveError
from tests.fakes_programs import calls_of, fake_program, writes


def python(code):
    return [sys.executable, "-c", code]


def test_a_program_is_found_in_a_folder_or_on_the_path(tmp_path, monkeypatch):
    made = fake_program(tmp_path / "bin", "caller")
    assert find_program("caller", tmp_path / "bin", "") == made
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert find_program("caller", None, "") == made


def test_a_missing_program_says_how_to_install_it(tmp_path):
    with pytest.raises(
        ProgramMissing, match=r"no program caller in .*environment of its own.*pip install it==1"
    ):
        find_program("caller", tmp_path, "pip install it==1")
    with pytest.raises(ChromweaveError, match="on the PATH"):
        find_program("no-such-caller", None, "pip install it==1")


def test_the_version_is_what_the_program_says_or_its_package(tmp_path):
    assert program_version(fake_program(tmp_path, "caller")) == "9.8.7"
    assert program_version(fake_program(tmp_path, "other"), package="numpy") == np.__version__
    assert program_version(fake_program(tmp_path, "none"), package="no-such-package") == "unknown"
    assert program_version(tmp_path / "absent") == "unknown"


def test_a_run_says_what_it_took():
    cost, said = run_program(
        python("x = bytearray(200 << 20); sum(i * i for i in range(3_000_000)); print('done')")
    )
    assert said == "done\n"
    assert 0.1 < cost.seconds < 30
    assert 200 < cost.megabytes < 300


def test_memory_is_that_of_the_program_not_ours():
    ours = np.ones(40 << 20)  # 320 MB
    cost, _ = run_program(python("print('small')"))
    assert cost.megabytes < 100
    del ours


def test_costs_add_up():
    assert Cost(1.5, 300) + Cost(2.0, 200) == Cost(3.5, 300)


def test_a_failing_program_says_its_last_words():
    with pytest.raises(ProgramFailed, match=r"(?s)status 3.*out of luck") as caught:
        run_program(python("print('out of luck'); raise SystemExit(3)"))
    assert caught.value.cost.megabytes > 0
    with pytest.raises(ProgramFailed, match=r"(?s)status 127.*No such file"):
        run_program(["/no/such/program"])


def test_a_program_that_is_not_done_in_time_is_killed_with_its_children(tmp_path):
    beat = tmp_path / "beat"
    write = f"pathlib.Path({str(beat)!r}).write_text(str(time.time()))"
    child = f"import time, pathlib\nwhile True: {write}; time.sleep(.05)"
    call = f"subprocess.call([sys.executable, '-c', {child!r}])"
    parent = f"import subprocess, sys; print('waiting', flush=True); {call}"
    start = time.monotonic()
    with pytest.raises(ProgramFailed, match=r"(?s)not done after 3 s.*waiting"):
        run_program(python(parent), timeout=3)
    assert time.monotonic() - start < 10
    time.sleep(0.3)
    last = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == last


def test_a_program_ends_with_whoever_waits_for_it(tmp_path):
    beat = tmp_path / "beat"
    write = f"pathlib.Path({str(beat)!r}).write_text(str(time.time()))"
    child = f"import time, pathlib\nwhile True: {write}; time.sleep(.05)"
    run = "from chromweave.baselines.programs import run_program"
    waiting = subprocess.Popen(python(f"{run}\nrun_program([{sys.executable!r}, '-c', {child!r}])"))
    end = time.monotonic() + 30
    while not beat.exists() and time.monotonic() < end:
        time.sleep(0.1)
    waiting.kill()
    waiting.wait()
    time.sleep(2.5)
    last = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == last


def test_what_was_made_is_not_made_again(tmp_path):
    out = tmp_path / "calls.tsv"
    program = fake_program(tmp_path, "caller", writes("arguments[0]", "x"))
    first = measured([program, out], out)
    assert measured([program, out], out) == first
    assert calls_of(program) == [str(out)]
    out.unlink()
    measured([program, out], out)
    assert len(calls_of(program)) == 2


def test_a_program_that_leaves_nothing_has_failed(tmp_path):
    with pytest.raises(ProgramFailed, match=r"(?s)left no calls.tsv.*nothing here"):
        measured([fake_program(tmp_path, "caller", "print('nothing here')")], tmp_path / "calls.tsv")
