"""Shared fixtures: where the real data is, and tensor shapes checked while tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Named dimensions of every tensor in these rooms are checked by beartype during the tests.
install_import_hook(["chromweave.batch", "chromweave.models"], "beartype.beartype")

DATA = Path(os.environ.get("CHROMWEAVE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"real data not found at {DATA} (set CHROMWEAVE_DATA to its folder)")
    return DATA
