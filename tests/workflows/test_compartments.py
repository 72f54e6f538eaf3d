import json

import numpy as np
import pandas as pd
import pytest

from chromweave.data.build import build
from chromweave.errors import ConfigError, DataError
from chromweave.schemas import COMPARTMENTS
from chromweave.workflows.compartments import call_compartments
from tests.fakes_graph import planted_store, write_planted

RESOLUTION = 10_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two chromosomes of 100 bins with planted compartments."""
    folder = tmp_path_factory.mktemp("compartments")
    fake = planted_store(n_bins=100, chroms=("chr1", "chr2"), depth=200, resolution=RESOLUTION)
    files = write_planted(folder, fake)
    return build(
        folder / "planted.store",
        contacts=files.contacts,
        tracks={"signal": files.track},
        resolutions=[RESOLUTION],
        assembly=fake.assembly,
    )


def call(out, store, **given):
    return call_compartments(out, **{"store": store, "resolution": RESOLUTION, "phase_by": "signal", **given})


def test_table_tracks_saddle_and_origin(store, tmp_path):
    calls = call(tmp_path / "c.tsv", store.path, saddle_groups=25)
    assert {path.name for path in tmp_path.iterdir()} == {
        "c.tsv", "c.bw", "c.bedgraph", "c.json", "c.saddle.tsv", "c.saddle.png", "c.strength.tsv",
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "c.tsv", sep="\t")
    COMPARTMENTS.check(table, "c.tsv")
    assert table.columns.tolist() == [
        "chrom", "start", "end", "E1", "compartment", "confidence", "E2", "E3", "eigenvalue1",
    ]  # fmt: skip
    assert table["compartment"].tolist() == calls.table["compartment"].tolist()
    planted = np.tile(np.where((np.arange(100) // 10) % 2 == 0, "A", "B"), 2)
    assert (table["compartment"] == planted)[table["compartment"] != "N"].mean() > 0.97

    import pybigtools

    signal = pybigtools.open(str(tmp_path / "c.bw")).values("chr2", 0, 100, fillna=None)
    assert np.isnan(signal).all(), "the first bin is masked"
    assert (tmp_path / "c.bedgraph").read_text().count("\n") == 196

    strength = pd.read_csv(tmp_path / "c.strength.tsv", sep="\t")
    assert strength["saddle"].tolist() == ["all", "chr1", "chr2"]
    assert strength["bins"].tolist() == [196, 98, 98]
    np.testing.assert_allclose(strength["strength"], calls.strength["strength"], rtol=1e-5)
    assert strength["strength"].min() > 2.5
    cells = pd.read_csv(tmp_path / "c.saddle.tsv", sep="\t")
    assert cells.groupby("saddle").size().to_dict() == {"all": 25**2, "chr1": 19**2, "chr2": 19**2}, (
        "five bins to a group"
    )
    assert (tmp_path / "c.saddle.png").read_bytes()[:4] == b"\x89PNG"
    said = json.loads((tmp_path / "c.json").read_text())
    assert (said["kind"], said["phase_by"], said["weight"]) == ("compartments", "signal", "weight")


def test_arms_from_a_bed(store, tmp_path):
    (tmp_path / "arms.bed").write_text("chr1\t0\t500000\tp\nchr1\t500000\t999999\tq\n")
    calls = call(tmp_path / "c.tsv", store, regions=tmp_path / "arms.bed", saddle_groups=0)
    ours = calls.table[calls.table["chrom"] == "chr1"]
    assert ours["eigenvalue1"].nunique() == 2
    assert set(calls.table.loc[calls.table["chrom"] == "chr2", "compartment"]) == {"N"}
    assert not (tmp_path / "c.saddle.tsv").exists()
    assert calls.strength.empty
    inputs = json.loads((tmp_path / "c.json").read_text())["inputs"]
    assert [one["path"].endswith("arms.bed") for one in inputs] == [False, True]


def test_too_few_bins_for_a_saddle(store, tmp_path):
    (tmp_path / "few.bed").write_text("chr1\t0\t200000\n")
    calls = call(tmp_path / "c.tsv", store, regions=tmp_path / "few.bed", chroms=["chr1"])
    assert calls.strength.empty
    assert (calls.table["compartment"] != "N").sum() == 19
    assert not (tmp_path / "c.saddle.png").exists()


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ({"phase_by": "GC"}, ConfigError, "no track 'GC'"),
        ({"saddle_groups": 3}, ConfigError, "3 groups shows nothing"),
        ({"n_eigs": 0}, ConfigError, "give 1 or more"),
        ({"chroms": ["chr7"]}, DataError, "'chr7' is no chromosome of"),
        ({"resolution": 20_000}, DataError, "20,000 bp"),
        ({"weight": "KR"}, DataError, "no weights 'KR'"),
        ({"regions": "none.bed"}, DataError, "none.bed"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(store, tmp_path, given, error, sentence):
    with pytest.raises(error, match=sentence):
        call(tmp_path / "c.tsv", store, **given)
    assert list(tmp_path.iterdir()) == []
