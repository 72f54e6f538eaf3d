"""Commands that make data: what their options ask of the code behind them."""

from types import SimpleNamespace

import pytest

from chromweave.cli.main import run
from chromweave.sim import simulate as simulation


@pytest.mark.parametrize(("given", "cohesin"), [([], True), (["--no-cohesin"], False)])
def test_a_simulation_can_be_of_cells_without_cohesin(tmp_path, monkeypatch, given, cohesin):
    asked = {}

    def simulate(out, **options):
        asked.update(options)
        return SimpleNamespace(path=out, chrom_sizes=out, resolutions=(), cell_lines={})

    monkeypatch.setattr(simulation, "simulate", simulate)
    assert run(["simulate", str(tmp_path / "out"), *given]) == 0
    assert asked["cohesin"] is cohesin
    assert asked["preset"] == "tiny"
