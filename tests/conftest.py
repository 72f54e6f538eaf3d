"""Shared fixtures: where the real data is, and tensor shapes checked while tests run."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from chromweave.sim.simulate import Simulation

# Named dimensions of every tensor in these rooms are checked by beartype during the tests.
install_import_hook(["chromweave.batch", "chromweave.models"], "beartype.beartype")

DATA = Path(os.environ.get("CHROMWEAVE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"real data not found at {DATA} (set CHROMWEAVE_DATA to its folder)")
    return DATA


@pytest.fixture(scope="session")
def tiny_genome(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """Two simulated cell lines (preset tiny, seed 0) with two Hi-C replicates each; read only.

    Made once per test run: parallel workers wait for the first one's.
    """
    from chromweave.sim.simulate import Simulation, simulate

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    target = root / "tiny_genome"
    with open(root / "tiny_genome.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            simulate(target, preset="tiny", cell_lines=2, seed=0, replicates=2)
    return Simulation.open(target)
