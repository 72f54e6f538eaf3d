"""What the tests of the simulated genome share: its maps, balanced."""

import shutil

import cooler
import h5py
import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def line_a(tiny_genome):
    return tiny_genome.cell_lines["A"]


@pytest.fixture(scope="session")
def balanced(line_a, tmp_path_factory):
    """Resolution -> Cooler of cell line A: at 5 kb by the true visibility, at 100 kb by cooler's ICE."""
    path = tmp_path_factory.mktemp("balanced") / "A.mcool"
    shutil.copy(line_a.contacts, path)
    bias = pd.read_csv(line_a.truth["visibility"], sep="\t", names=["chrom", "start", "end", "value"])
    with h5py.File(path, "r+") as file:
        weight = np.where(bias["value"] > 0, 1 / bias["value"].replace(0, 1), np.nan)
        file["resolutions/5000/bins/weight"] = weight / np.sqrt(1_000)
    maps = {r: cooler.Cooler(f"{path}::resolutions/{r}") for r in (5_000, 100_000)}
    cooler.balance_cooler(maps[100_000], cis_only=True, store=True)
    return maps
