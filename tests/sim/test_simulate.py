import json
import shutil

import cooler
import numpy as np
import pandas as pd
import pybigtools
import pytest

from chromweave.errors import ConfigError, FileFormatError, OutputError
from chromweave.genome import Assembly
from chromweave.sim.simulate import Simulation, simulate
from chromweave.sim.tracks import TRACKS

SMALL = Assembly("mini", {"chr1": 3_001_000, "chr2": 2_000_500})


def mini(out, **options):
    """A genome of 5 Mb, in about a second."""
    options = {"cell_lines": 1, "depth": 50_000, "assembly": SMALL, **options}
    return simulate(out, **options)


def pixels(path, resolution):
    return cooler.Cooler(f"{path}::resolutions/{resolution}").pixels()[:]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return mini(tmp_path_factory.mktemp("first") / "sim")


def test_what_is_written(tiny_genome):
    assert tiny_genome.assembly.name == "sim-tiny"
    assert Assembly.from_chrom_sizes(tiny_genome.chrom_sizes) == tiny_genome.assembly
    assert tuple(tiny_genome.cell_lines) == ("A", "B")
    for line in tiny_genome.cell_lines.values():
        assert tuple(line.tracks) == TRACKS
        assert len(line.replicates) == 2
        for path in line.tracks.values():
            with pybigtools.open(str(path)) as track:
                assert track.chroms() == dict(tiny_genome.assembly.chromosomes)
        for resolution in tiny_genome.resolutions:
            contact_map = cooler.Cooler(f"{line.contacts}::resolutions/{resolution}")
            assert contact_map.info["sum"] == pytest.approx(300_000 * 30.0234, rel=0.01)
            assert "weight" not in contact_map.bins().columns
        genes = pd.read_csv(line.genes, sep="\t")
        assert genes.columns.tolist() == ["chrom", "tss", "name", "strand", "expression"]
        assert genes["name"].is_unique
        assert len(genes) > 200
        loops = pd.read_csv(line.loops, sep="\t", header=None)
        assert loops.shape[1] == 10
        assert ((loops[2] - loops[1]) == 5_000).all()


def test_replicates_sum_to_the_pooled_map(tiny_genome):
    line = tiny_genome.cell_lines["B"]
    for resolution in (5_000, 100_000):
        key = ["bin1_id", "bin2_id"]
        parts = pd.concat([pixels(path, resolution) for path in line.replicates])
        summed = parts.groupby(key, as_index=False)["count"].sum()
        pd.testing.assert_frame_equal(summed, pixels(line.contacts, resolution), check_dtype=False)


def test_cell_lines_share_a_sequence_and_differ_in_activity(tiny_genome):
    a, b = tiny_genome.cell_lines.values()

    def read(line, what):
        return pd.read_csv(line.truth[what], sep="\t", header=None)

    for what in ("ctcf", "enhancers"):
        one, other = read(a, what), read(b, what)
        assert one[[0, 1, 2, 3]].equals(other[[0, 1, 2, 3]])
        assert 0.05 < (np.abs(one[4] - other[4]) > 0.2).mean() < 0.6
    one, other = (pd.read_csv(line.genes, sep="\t") for line in (a, b))
    assert one[["chrom", "tss", "name", "strand"]].equals(other[["chrom", "tss", "name", "strand"]])
    correlation = np.corrcoef(np.log1p(one["expression"]), np.log1p(other["expression"]))[0, 1]
    assert 0.2 < correlation < 0.9
    assert not read(a, "compartments").equals(read(b, "compartments"))
    assert read(a, "visibility").equals(read(b, "visibility"))


def test_same_seed_same_counts_and_tracks(first, tmp_path):
    again = mini(tmp_path / "again")
    for resolution in first.resolutions:
        old, new = (pixels(s.cell_lines["A"].contacts, resolution) for s in (first, again))
        assert old.equals(new)
    for name, path in first.cell_lines["A"].tracks.items():
        assert path.read_bytes() == again.cell_lines["A"].tracks[name].read_bytes()
    assert first.cell_lines["A"].loops.read_bytes() == again.cell_lines["A"].loops.read_bytes()
    other = mini(tmp_path / "other", seed=1)
    assert not pixels(other.cell_lines["A"].contacts, 5_000).equals(
        pixels(first.cell_lines["A"].contacts, 5_000)
    )


def test_a_line_does_not_depend_on_how_many_others_there_are(first, tmp_path):
    two = mini(tmp_path / "two", cell_lines=2)
    old, new = (pixels(s.cell_lines["A"].contacts, 5_000) for s in (first, two))
    assert old.equals(new)


def test_without_cohesin_there_are_no_loops_and_no_domains(first, tmp_path):
    lost = mini(tmp_path / "lost", cohesin=False)
    assert lost.manifest["cohesin"] is False
    assert len(lost.cell_lines["A"].loops.read_text().splitlines()) == 0
    assert len(first.cell_lines["A"].loops.read_text().splitlines()) > 5
    kept, gone = (pd.read_csv(s.cell_lines["A"].truth["ctcf"], sep="\t", header=None) for s in (first, lost))
    assert kept.equals(gone)  # the same cells


def test_coarse_genomes_can_be_simulated(tmp_path):
    coarse = simulate(
        tmp_path / "coarse", cell_lines=1, depth=5_000, resolutions=(25_000, 100_000),
        assembly=Assembly("long", {"chr1": 60_000_000}), balance=True,
    )  # fmt: skip
    assert coarse.resolutions == (25_000, 100_000)
    contact_map = cooler.Cooler(f"{coarse.cell_lines['A'].contacts}::resolutions/100000")
    assert contact_map.bins()[:]["weight"].notna().mean() > 0.8
    assert contact_map.info["sum"] == pytest.approx(300_000, rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "huge"}, "no preset 'huge'; choose from tiny, small, chromosome"),
        ({"cell_lines": 0}, "cell_lines must be 1 to 26, not 0"),
        ({"cell_lines": 27}, "cell_lines must be 1 to 26, not 27"),
        ({"replicates": 0}, "replicates must be 1 or more"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"depth": 0}, "depth must be a positive number"),
        ({"depth": float("nan")}, "depth must be a positive number"),
        ({"resolutions": (5_000, 12_000)}, "multiples of the finest, 5,000 bp.*12,000 is not"),
        ({"resolutions": ()}, "finest resolution must be 1 to 100 kb"),
        ({"resolutions": (100,)}, "finest resolution must be 1 to 100 kb"),
        ({"assembly": Assembly("x", {"chrM": 16_569})}, "chrM is 16,569 bp long; .* at least 1,000,000 bp"),
    ],
)
def test_options_that_make_no_genome(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        simulate(tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_simulation_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("...")
    with pytest.raises(OutputError, match="no simulation folder"):
        mini(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.txt"]


def test_a_simulation_is_replaced_as_a_whole(first, tmp_path):
    shutil.copytree(first.path, tmp_path / "sim")
    (tmp_path / "sim" / "old.txt").write_text("from before")
    mini(tmp_path / "sim", seed=5)
    assert not (tmp_path / "sim" / "old.txt").exists()
    assert Simulation.open(tmp_path / "sim").manifest["seed"] == 5
    assert [path.name for path in tmp_path.iterdir()] == ["sim"]


def test_open_refuses_what_is_no_simulation(first, tmp_path):
    with pytest.raises(FileFormatError, match=r"no simulation.json"):
        Simulation.open(tmp_path)
    shutil.copytree(first.path, tmp_path / "sim")
    (tmp_path / "sim" / "A.ATAC.bw").unlink()
    with pytest.raises(FileFormatError, match=r"A\.ATAC\.bw is missing"):
        Simulation.open(tmp_path / "sim")
    (tmp_path / "sim" / "simulation.json").write_text(json.dumps({"kind": "store", "schema_version": 9}))
    with pytest.raises(FileFormatError, match="'store' of version 9"):
        Simulation.open(tmp_path / "sim")
