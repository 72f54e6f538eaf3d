"""What an embedding knows, read from files; the embeddings are made, not trained."""

import json

import numpy as np
import pandas as pd
import pytest

from chromweave.cli import main as cli
from chromweave.data.build import build
from chromweave.errors import ConfigError, DataError, FileFormatError, SchemaError
from chromweave.io.export import Embedding, write_embedding
from chromweave.workflows.graph_reading import EMBEDDING, MAP_COMPONENTS, ReadConfig, read
from tests.fakes_graph import planted_store, write_planted

RESOLUTION = 10_000
BINS = 300
RUN = 20


def calls():
    """A and B in runs of unequal length, so that no shift but none falls on itself."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(8, 30, 40)
    return np.repeat(np.where(np.arange(40) % 2, "B", "A"), lengths)[:BINS].astype(object)


def bin_table(chroms=("chr1",)):
    start = np.arange(BINS, dtype=np.int64) * RESOLUTION
    parts = [pd.DataFrame({"chrom": chrom, "start": start, "end": start + RESOLUTION}) for chrom in chroms]
    return pd.concat(parts, ignore_index=True)


def embedding(chroms=("chr1",), noise=0.4, seed=0):
    bins = bin_table(chroms)
    bins["masked"] = (bins["start"] // RESOLUTION).isin([0, 77])
    side = np.tile(np.where(calls() == "A", 1.0, -1.0), len(chroms))
    latent = np.random.default_rng(seed).normal(0, noise, (len(bins), 4))
    latent[:, 0] += side
    latent[:, 1] += np.tile(np.arange(BINS) >= BINS // 2, len(chroms)) - 0.5
    origin = {
        "weights_sha256": "a", "assembly": "small", "resolution": RESOLUTION,
        "chrom_sizes": dict.fromkeys(chroms, BINS * RESOLUTION),
    }  # fmt: skip
    return Embedding(bins, latent[~bins["masked"]].astype(np.float32), provenance=origin)


def write_tables(folder, chroms=("chr1",)):
    """Compartments, sub-compartments and insulation that fit the embedding."""
    compartment = np.tile(calls(), len(chroms))
    table = bin_table(chroms).assign(E1=np.where(compartment == "A", 1.0, -1.0), compartment=compartment)
    table["chrom"] = table["chrom"].str.removeprefix("chr")  # another style of name
    table.to_csv(folder / "compartments.tsv", sep="\t", index=False)
    half = np.tile(np.where(np.arange(BINS) < BINS // 2, "1", "2"), len(chroms))
    names = bin_table(chroms).assign(name=compartment + half)
    names.to_csv(folder / "sub.bed", sep="\t", index=False, header=False)
    border = np.concatenate([[False], compartment[1:] != compartment[:-1]])
    both = []
    for window in (50_000, 100_000):
        rng = np.random.default_rng(window)
        one = bin_table(chroms).assign(
            is_bad_bin=False, log2_insulation_score=rng.normal(0, 0.2, len(border)) - border,
            boundary_strength=np.where(border, 1.0, np.nan), is_boundary=border, window=window,
        )  # fmt: skip
        both.append(one)
    pd.concat(both).to_csv(folder / "insulation.tsv", sep="\t", index=False)
    write_embedding(folder / "e.h5ad", embedding(chroms))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("read"))


def given(files, **changes):
    return {
        "embedding": files / "e.h5ad", "compartments": files / "compartments.tsv", "block": 300_000,
        "permutations": 39, **changes,
    }  # fmt: skip


def test_every_reading_of_what_was_planted(files, tmp_path):
    table = read(
        tmp_path / "out",
        **given(files, subcompartments=files / "sub.bed", insulation=files / "insulation.tsv"),
    )
    assert set(table["method"]) == {EMBEDDING}
    found = table.set_index(["against", "reading"])
    windows = ("insulation 50,000 bp", "insulation 100,000 bp")
    assert set(found.index) == {
        ("compartments", "linear probe auroc"), ("compartments", "linear probe balanced accuracy"),
        *((group, name) for group in ("compartments", "sub-compartments")
          for name in ("silhouette", "k-means ari", "k-means nmi")),
        *((window, name) for window in windows for name in ("gradient spearman", "gradient boundary auroc")),
    }  # fmt: skip
    assert found.loc[("compartments", "linear probe auroc"), "value"] > 0.95
    assert found.loc[("compartments", "k-means ari"), "value"] > 0.8
    assert found.loc[("sub-compartments", "k-means ari"), "value"] > 0.3
    assert found.loc[("compartments", "silhouette"), "value"] > 0.3
    assert found.loc[(windows[0], "gradient spearman"), "value"] < -0.1
    assert found.loc[(windows[0], "gradient boundary auroc"), "value"] > 0.7
    assert (found["pvalue"] <= 0.1).all()
    assert (found["bins"] <= BINS - 2).all()

    written = pd.read_csv(tmp_path / "out" / "readings.tsv", sep="\t")
    assert written["reading"].tolist() == table["reading"].tolist()
    np.testing.assert_allclose(written["value"], table["value"], rtol=1e-5)
    said = json.loads((tmp_path / "out" / "readings.json").read_text())
    assert [row["value"] for row in said["readings"]] == table["value"].tolist()
    assert said["config"] == {"block": 300_000, "levels": None, "permutations": 39}
    assert len(said["inputs"]) == 4
    assert {"command", "chromweave", "time"} <= set(said)


def test_what_was_found_of_each_bin(files, tmp_path):
    read(tmp_path / "out", **given(files, subcompartments=files / "sub.bed"))
    bins = pd.read_csv(tmp_path / "out" / "bins.tsv", sep="\t")
    assert len(bins) == BINS
    assert bins.loc[bins["masked"], ["probability_A", "compartment_cluster"]].isna().all(axis=None)
    valid = bins[~bins["masked"]]
    assert ((valid["probability_A"] > 0.5) == (valid["compartment"] == "A")).mean() > 0.9
    assert set(valid["subcompartment"]) == {"A1", "A2", "B1", "B2"}
    assert set(valid["subcompartment_cluster"]) == {0, 1, 2, 3}


def test_an_embedding_of_noise_knows_nothing(files, tmp_path):
    one = embedding()
    noise = np.random.default_rng(8).normal(size=one.latent.shape).astype(np.float32)
    write_embedding(tmp_path / "n.h5ad", Embedding(one.bins, noise, provenance=one.provenance))
    table = read(
        tmp_path / "out", **given(files, embedding=tmp_path / "n.h5ad", insulation=files / "insulation.tsv")
    )
    assert table["pvalue"].min() > 0.02
    assert abs(table.set_index("reading")["value"]["linear probe auroc"] - 0.5) < 0.15


def store_of(folder, chroms):
    fake = planted_store(n_bins=BINS, resolution=RESOLUTION, chroms=chroms)
    made = write_planted(folder / "planted", fake)
    return build(
        folder / "map.store", contacts=made.contacts, tracks={"signal": made.track},
        resolutions=[RESOLUTION], assembly=fake.assembly,
    )  # fmt: skip


def test_the_maps_components_stand_beside_it(files, tmp_path):
    store = store_of(tmp_path, ("chr1",))
    table = read(
        tmp_path / "out", **given(files, insulation=files / "insulation.tsv", permutations=5), store=store
    )
    assert table["method"].unique().tolist() == [EMBEDDING, MAP_COMPONENTS]
    own, rows = (table[table["method"] == name] for name in (EMBEDDING, MAP_COMPONENTS))
    assert own["reading"].tolist() == rows["reading"].tolist()
    # The map's compartments are others: runs of ten.
    assert rows.set_index("reading")["value"]["linear probe auroc"] < 0.8


def test_components_of_two_chromosomes_are_in_no_frame(tmp_path):
    chroms = ("chr1", "chr2")
    files = write_tables(tmp_path, chroms)
    table = read(
        tmp_path / "out", **given(files, insulation=files / "insulation.tsv", permutations=5),
        store=store_of(tmp_path, chroms).path,
    )  # fmt: skip
    rows = table[table["method"] == MAP_COMPONENTS]
    assert set(rows["reading"]) == {"gradient spearman", "gradient boundary auroc"}
    assert len(table) == 4 + 5 + len(rows)


def test_a_store_of_other_bins(files, tmp_path):
    fake = planted_store(n_bins=100, resolution=RESOLUTION, chroms=("chr1",))
    made = write_planted(tmp_path / "planted", fake)
    store = build(
        tmp_path / "map.store", contacts=made.contacts, tracks={"signal": made.track},
        resolutions=[RESOLUTION], assembly=fake.assembly,
    )  # fmt: skip
    with pytest.raises(DataError, match="has 100 bins on chr1 where the embedding has 300"):
        read(tmp_path / "out", **given(files), store=store)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "text", "error", "sentence"),
    [
        ("compartments", None, FileFormatError, r"given: no such file"),
        ("compartments", "", FileFormatError, r"given: is no compartment table"),
        ("compartments", "chrom\tstart\tend\nchr1\t0\t9\n", SchemaError, "needs the column E1, compartment"),
        (
            "compartments",
            "chrom\tstart\tend\tE1\tcompartment\nchr1\t0\t500\t0.5\tA\n",
            DataError,
            "none of the embedding's bins",
        ),
        ("subcompartments", "chr1\t0\t10000\n", DataError, "given: the intervals have no names"),
        ("insulation", "chrom\tstart\tend\nchr1\t0\t9\n", SchemaError, "needs the column is_bad_bin"),
    ],
)
def test_tables_that_do_not_fit(files, tmp_path, option, text, error, sentence):
    if text is not None:
        (tmp_path / "given").write_text(text)
    with pytest.raises(error, match=sentence):
        read(tmp_path / "out", **given(files, **{option: tmp_path / "given"}))
    assert not (tmp_path / "out").exists()


def test_blocks_too_long_for_the_map(files, tmp_path):
    with pytest.raises(DataError, match="Take shorter blocks"):
        read(tmp_path / "out", **given(files, block=10_000_000))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"block": 0}, {"permutations": 0}, {"levels": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be at least 1"):
        ReadConfig(**wrong)


def test_the_command(files, tmp_path, capsys):
    words = ["graph", "read", files / "e.h5ad", "--compartments", files / "compartments.tsv"]
    words += ["--subcompartments", files / "sub.bed", "--insulation", files / "insulation.tsv"]
    words += ["--levels", 1, "--block", 300_000, "--permutations", 9, "--seed", 2, "--out", tmp_path / "out"]
    assert cli.run(list(map(str, words))) == 0
    shown = capsys.readouterr().out
    assert "linear probe auroc" in shown
    assert "p = 0.1" in shown
    said = json.loads((tmp_path / "out" / "readings.json").read_text())
    assert said["seed"] == 2
    assert said["config"]["levels"] == 1
    assert cli.run(list(map(str, [*words[:3], "--out", tmp_path / "o"]))) == 2
    assert "--compartments" in capsys.readouterr().err
