import json

import numpy as np
import pandas as pd
import pytest

from chromweave.data.build import build
from chromweave.errors import ConfigError
from chromweave.genome import Assembly
from chromweave.io.intervals import read_bed
from chromweave.schemas import INSULATION
from chromweave.workflows.insulation import call_insulation
from tests.fakes_graph import FakeLayer, FakeStore, write_planted

RESOLUTION = 10_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Domains of 20 bins on one chromosome of 120."""
    n = 120
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    same = np.subtract.outer(np.arange(n) // 20, np.arange(n) // 20) == 0
    counts = np.triu(np.random.default_rng(0).poisson(600.0 / (1 + distance) * np.where(same, 6, 1)))
    weights = np.ones(n)
    weights[50] = np.nan
    layer = FakeLayer(counts + np.triu(counts, 1).T, weights, RESOLUTION)
    signal = {"signal": {"chr1": np.ones(n)}}
    fake = FakeStore(
        "domains", Assembly("toy", {"chr1": n * RESOLUTION}), RESOLUTION, {"chr1": layer}, signal
    )
    folder = tmp_path_factory.mktemp("insulation")
    return build(
        folder / "domains.store",
        contacts=write_planted(folder, fake).contacts,
        resolutions=[RESOLUTION],
        assembly=fake.assembly,
        max_distance=400_000,
    )


def test_table_tracks_boundaries_and_origin(store, tmp_path):
    table = call_insulation(tmp_path / "i.tsv", store=store.path, resolution=RESOLUTION, windows=[50_000])
    assert {path.name for path in tmp_path.iterdir()} == {
        "i.tsv", "i.json", "i.50000.bw", "i.50000.bedgraph", "i.50000.boundaries.bed",
    }  # fmt: skip
    written = pd.read_csv(tmp_path / "i.tsv", sep="\t")
    INSULATION.check(written, "i.tsv")
    assert written.columns[:8].tolist() == [
        "chrom", "start", "end", "is_bad_bin", "log2_insulation_score", "boundary_strength", "is_boundary",
        "window",
    ]  # fmt: skip
    assert written["is_boundary"].tolist() == table["is_boundary"].tolist()
    found = read_bed(tmp_path / "i.50000.boundaries.bed", store.assembly)
    assert np.abs(found["start"] // RESOLUTION - np.array([20, 40, 60, 80, 100])).max() <= 1
    assert found["name"].tolist() == ["50000"] * 5
    strength = table.loc[table["is_boundary"], "boundary_strength"]
    np.testing.assert_allclose(found["score"], strength, rtol=1e-5)
    scored = table["log2_insulation_score"].notna()
    assert (tmp_path / "i.50000.bedgraph").read_text().count("\n") == scored.sum()
    said = json.loads((tmp_path / "i.json").read_text())
    assert (said["kind"], said["windows"], said["strength"]) == ("insulation", [50_000], None)


def test_several_windows_stand_below_one_another(store, tmp_path):
    table = call_insulation(
        tmp_path / "i.tsv", store=store, resolution=RESOLUTION, windows=[50_000, 80_000, 50_000]
    )
    assert table["window"].value_counts().to_dict() == {50_000: 120, 80_000: 120}
    alone = call_insulation(tmp_path / "a.tsv", store=store, resolution=RESOLUTION, windows=[80_000])
    second = table[table["window"] == 80_000].reset_index(drop=True)
    pd.testing.assert_frame_equal(second, alone)
    assert (tmp_path / "i.80000.bw").exists()
    assert (tmp_path / "i.50000.bw").exists()


def test_ten_bins_where_no_window_is_given(store, tmp_path):
    table = call_insulation(tmp_path / "i.tsv", store=store, resolution=RESOLUTION, strength=99.0)
    assert set(table["window"]) == {100_000}
    assert (tmp_path / "i.100000.boundaries.bed").read_text() == ""


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [
        ([50_000, 25_000], r"25,000 bp\) must be a multiple of the resolution"),
        ([10_000], r"10,000 bp\) must be a multiple .* and larger"),
        ([0], r"\(0 bp\) must be a multiple"),
        ([50_000, 250_000], "holds contacts up to 400,000 bp; a window of 250,000 bp reaches twice"),
    ],
)
def test_a_window_that_does_not_fit_leaves_nothing(store, tmp_path, windows, sentence):
    with pytest.raises(ConfigError, match=sentence):
        call_insulation(tmp_path / "i.tsv", store=store, resolution=RESOLUTION, windows=windows)
    assert list(tmp_path.iterdir()) == []
