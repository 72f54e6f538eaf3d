"""What the tests of the evaluations share. Fixtures called `place` elsewhere in this folder are their own."""

import pytest

from tests import fakes_evaluation


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of `fakes_evaluation.make_place`."""
    return fakes_evaluation.place_of(tmp_path_factory)


@pytest.fixture
def quick(monkeypatch):
    """Evaluations take next to no time."""
    fakes_evaluation.quick(monkeypatch)
