"""Calls that a benchmark's cells may make: well-behaved ones, and others. Their processes import them."""

import os
import time
from pathlib import Path

from chromweave.errors import DataError


def counts(path, value=1.0):
    """Leave a mark of every call."""
    with Path(path).open("a") as file:
        file.write("x")
    print("counted")
    return {"value": value}


def refuses(path):
    """An error of ours."""
    counts(path)
    raise DataError(f"{path}: has no windows; make some.")


def breaks():
    """A mistake in somebody's code."""
    return {"value": 1 / 0}


def hangs():
    """Never an answer."""
    time.sleep(600)
    return {}


def dies():
    """As a process that is killed for its memory."""
    os._exit(9)


def eats(megabytes):
    """Memory and time."""
    held = os.urandom(1 << 20) * megabytes
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    return {"held": len(held)}
