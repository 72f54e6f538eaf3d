"""Ctrl-C is heard in these tests, also where the shell that started them in the background has it ignored."""

import signal

import pytest


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
