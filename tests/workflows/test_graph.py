"""The graph system once through, each verb reading only what the one before wrote."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chromweave.cli import main as cli
from chromweave.data.build import build
from chromweave.errors import ConfigError, DataError, ModelError, OutputError
from chromweave.genome import Assembly
from chromweave.io.export import read_embedding
from chromweave.plot.embeddings import embedding_figure
from chromweave.workflows import graph, graph_encoding
from tests.fakes_graph import planted_store, write_planted

RESOLUTION = 50_000
CHROMS = ("chr1", "chr2")


def small_store(folder, name, **planted):
    fake = planted_store(name=name, n_bins=100, resolution=RESOLUTION, chroms=CHROMS, depth=15, **planted)
    files = write_planted(folder / name, fake)
    return build(
        folder / f"{name}.store",
        contacts=files.contacts,
        tracks={"signal": files.track},
        resolutions=[RESOLUTION],
        assembly=fake.assembly,
        name=name,
    )


def train(run, store, **changes):
    settings = {"epochs": 12, "patience": 6, "max_distance": 2_000_000, "hidden": 8, "latent": 4}
    settings["preset"] = "vgae-original"
    return graph.train(run, store=store.path, resolution=RESOLUTION, **{**settings, **changes})


@dataclass(frozen=True)
class Trained:
    folder: Path
    first: object
    second: object
    result: object

    @property
    def run(self):
        return self.folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    first = small_store(folder, "first")
    second = small_store(folder, "second", seed=1, flip=range(20, 40))
    return Trained(folder, first, second, train(folder / "run", first, repeats=2))


@pytest.fixture(scope="module")
def encoded(trained):
    for name in ("first", "second"):
        store = getattr(trained, name)
        graph.encode(trained.folder / f"{name}.h5ad", model=trained.run, store=store.path, layout=False)
    return trained


def test_scores_stand_beside_the_trivial_rows(trained):
    scores = pd.read_csv(trained.run / "scores.tsv", sep="\t")
    assert set(scores["method"]) == {
        "vgae-original",
        "distance",
        "degree product",
        "expected x visibility",
        "expected x visibility + SVD(8)",
        "O/E correlation PCA(8)",
        "spectral embedding(8)",
    }
    assert set(scores["sampling"]) == {"uniform", "in-range", "matched"}
    assert set(scores["seed"]) == {0, 1}
    assert len(scores) == 7 * 3 * 2 * 2
    assert scores["value"].between(0, 1).all()
    summary = pd.read_csv(trained.run / "scores_summary.tsv", sep="\t")
    assert (summary["seeds"] == 2).all()


def test_the_run_folder_is_complete(trained):
    for name in ("config.toml", "run.json", "metrics.csv", "model.safetensors", "config.json"):
        assert (trained.run / name).is_file(), name
    metrics = pd.read_csv(trained.run / "metrics.csv")
    assert {"step", "epoch", "split", "metric", "value"} <= set(metrics.columns)
    assert {"auc", "ap", "loss", "kl"} <= set(metrics.query("split == 'valid'")["metric"])
    assert (trained.run / "repeats" / "seed-1" / "metrics.csv").is_file()


def test_training_is_reproducible(trained, tmp_path):
    again = train(tmp_path / "again", trained.first)
    mine = trained.result.scores.query("seed == 0").reset_index(drop=True)
    pd.testing.assert_frame_equal(again.scores, mine)
    weights = [(run / "model.safetensors").read_bytes() for run in (trained.run, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_a_resumed_training_is_the_uninterrupted_one(trained, tmp_path):
    train(tmp_path / "whole", trained.first, epochs=8, patience=None)
    train(tmp_path / "parts", trained.first, epochs=4, patience=None)
    resumed = train(tmp_path / "parts", trained.first, epochs=8, patience=None, resume=True)
    assert resumed.fit.epochs == 8
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_training_learns_something(trained):
    metrics = pd.read_csv(trained.run / "metrics.csv").query("split == 'valid' and metric == 'auc'")
    assert metrics["value"].max() > 0.6


def test_encoding_has_a_row_for_every_bin(encoded):
    embedding = read_embedding(encoded.folder / "first.h5ad")
    assert len(embedding.bins) == 200
    assert embedding.bins["masked"].sum() == 4
    assert embedding.latent.shape == (196, 4)
    assert embedding.latent.std() > 0
    assert set(embedding.bins["compartment"]) == {"A", "B", "N"}
    assert embedding.bins.loc[embedding.bins["masked"], "compartment"].eq("N").all()
    assert embedding.provenance["features"] == ["signal"]
    assert embedding.provenance["silhouette"]["bins"] == 196


def test_refitting_the_norm_changes_a_shifted_cell_lines_encoding(encoded, tmp_path):
    shared, own = (
        graph.encode(
            tmp_path / f"{refit}.h5ad",
            model=encoded.run,
            store=encoded.second,
            chroms=["1"],
            refit_norm=refit,
            layout=False,
        )
        for refit in (False, True)
    )
    assert len(shared.bins) == 100
    assert not np.allclose(shared.latent, own.latent)


def test_comparison_writes_tables_and_tracks(encoded, tmp_path):
    found = graph.compare(
        tmp_path / "cmp",
        first=encoded.folder / "first.h5ad",
        second=encoded.folder / "second.h5ad",
        permutations=49,
    )
    switches = found.switches.set_index(["first", "second"])["bins"]
    # 10 bins a chromosome were planted to go from A to B, and 10 from B to A.
    assert 14 <= switches["A", "B"] <= 26
    assert 14 <= switches["B", "A"] <= 26
    bins = pd.read_csv(tmp_path / "cmp" / "bins.tsv", sep="\t")
    assert bins.loc[bins["masked"], "cosine"].isna().all()
    planted = bins["start"].between(20 * RESOLUTION, 40 * RESOLUTION - 1) & ~bins["masked"]
    assert bins["l2"][planted].mean() > bins["l2"][~planted].mean()
    import pyBigWig

    with pyBigWig.open(str(tmp_path / "cmp" / "delta.bw")) as file:
        assert file.chroms() == dict(encoded.first.assembly.chromosomes)
        row = bins[~bins["masked"]].iloc[30]
        value = file.values(row["chrom"], int(row["start"]), int(row["start"]) + 1)[0]
    assert value == pytest.approx(row["cosine"], rel=1e-4, abs=1e-7)
    assert {path.name for path in (tmp_path / "cmp").iterdir()} == {
        "bins.tsv", "by_compartment.tsv", "switches.tsv", "summary.tsv", "delta.bw", "delta.bedgraph",
        "delta.png", "switches.png", "config.toml", "run.json",
    }  # fmt: skip


def test_an_encoding_compared_with_itself(encoded, tmp_path):
    path, again = encoded.folder / "first.h5ad", tmp_path / "again.h5ad"
    for suffix in (".h5ad", ".bins.tsv"):
        shutil.copy(path.with_suffix(suffix), again.with_suffix(suffix))
    found = graph.compare(tmp_path / "same", first=path, second=again, permutations=9)
    assert found.summary["mean"] == pytest.approx(0, abs=1e-6)
    assert found.switches["bins"][[1, 2]].tolist() == [0, 0]


def test_umap_joins_and_keeps(encoded, tmp_path):
    paths = [encoded.folder / "first.h5ad", encoded.folder / "second.h5ad"]
    table = graph.umap(tmp_path / "umap.tsv", embeddings=paths, n_neighbors=5)
    assert table["embedding"].value_counts().to_dict() == {"first": 196, "second": 196}
    kept = read_embedding(paths[1]).layouts["umap_joint"]
    np.testing.assert_array_equal(kept, table.query("embedding == 'second'")[["umap1", "umap2"]])


def test_umap_is_drawn_by_what_is_known(encoded, tmp_path, monkeypatch):
    drawn = []

    def figure(points, bins, colour_by):
        drawn.append(list(colour_by))
        return embedding_figure(points, bins, colour_by)

    monkeypatch.setattr(graph_encoding, "embedding_figure", figure)
    paths = [encoded.folder / "first.h5ad", encoded.folder / "second.h5ad"]
    graph.umap(tmp_path / "both.tsv", embeddings=paths, n_neighbors=5)
    graph.umap(tmp_path / "one.tsv", embeddings=paths[:1], n_neighbors=5)
    assert drawn == [
        ["compartment", "position", "chromosome", "embedding"],
        ["compartment", "position", "chromosome"],
    ]
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


def test_an_encoding_is_what_scanpy_takes(encoded, tmp_path):
    """scanpy keeps umap-learn's fuzzy graph of a key of obsm in obsp, and its UMAP lays that out."""
    import anndata
    from umap.umap_ import fuzzy_simplicial_set, simplicial_set_embedding

    table = anndata.read_h5ad(encoded.folder / "first.h5ad")
    rows = np.asarray(table.obsm["X_vgae"])
    graph_of, _, _ = fuzzy_simplicial_set(rows, 10, np.random.RandomState(0), "euclidean")
    table.obsp["connectivities"] = graph_of.tocsr()
    table.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {"use_rep": "X_vgae"}}
    layout, _ = simplicial_set_embedding(
        rows, graph_of, 2, 1.0, 1.6, 0.9, 1.0, 5, 50, "spectral", np.random.RandomState(0), "euclidean",
        {}, False, {}, False, parallel=False,
    )  # fmt: skip
    table.obsm["X_umap"] = layout
    table[table.obs["compartment"] == "A"].write_h5ad(tmp_path / "A.h5ad")
    back = anndata.read_h5ad(tmp_path / "A.h5ad")
    n = int((table.obs["compartment"] == "A").sum())
    assert 50 < n == back.n_obs == back.obsp["connectivities"].shape[0] == len(back.obsm["X_umap"])
    assert np.isfinite(back.obsm["X_umap"]).all()
    assert back.uns["neighbors"]["params"]["use_rep"] == "X_vgae"


def test_models_that_differ_are_aligned_and_not_laid_out_together(encoded, tmp_path):
    train(tmp_path / "other", encoded.first, seed=5, epochs=1)
    graph.encode(tmp_path / "other.h5ad", model=tmp_path / "other", store=encoded.first, layout=False)
    both = [encoded.folder / "first.h5ad", tmp_path / "other.h5ad"]
    found = graph.compare(tmp_path / "cmp", first=both[0], second=both[1], permutations=9)
    assert str(found.summary["frame"]).startswith("procrustes on 196 stable bins")
    with pytest.raises(ConfigError, match="different models"):
        graph.umap(tmp_path / "umap.tsv", embeddings=both)


def test_a_store_without_the_models_tracks(encoded, tmp_path):
    fake = planted_store(n_bins=100, resolution=RESOLUTION, chroms=CHROMS)
    files = write_planted(tmp_path / "f", fake)
    store = build(
        tmp_path / "other.store",
        contacts=files.contacts,
        tracks={"ATAC": files.track},
        resolutions=[RESOLUTION],
        assembly=fake.assembly,
    )
    with pytest.raises(DataError, match="has no track signal; it has ATAC"):
        graph.encode(tmp_path / "e.h5ad", model=encoded.run, store=store)


def test_a_store_of_another_assembly_or_without_the_models_bins(encoded, tmp_path, capsys):
    fake = planted_store(n_bins=100, resolution=RESOLUTION, chroms=CHROMS)
    files = write_planted(tmp_path / "f", fake)
    made = {"contacts": files.contacts, "tracks": {"signal": files.track}, "resolutions": [RESOLUTION]}
    elsewhere = Assembly("elsewhere", dict(fake.assembly.chromosomes))
    build(tmp_path / "elsewhere.store", assembly=elsewhere, **made)
    coarse = planted_store(n_bins=50, resolution=2 * RESOLUTION, chroms=CHROMS)
    files = write_planted(tmp_path / "c", replace(coarse, assembly=fake.assembly))
    made |= {"contacts": files.contacts, "tracks": {"signal": files.track}, "resolutions": [2 * RESOLUTION]}
    build(tmp_path / "coarse.store", assembly=fake.assembly, **made)
    for name, sentence in (
        ("elsewhere", "was trained on fake, and elsewhere is elsewhere"),
        ("coarse", "coarse.store: has no layer of 50,000 bp"),
    ):
        words = ["graph", "encode", tmp_path / "e.h5ad", "--model", encoded.run]
        assert cli.run([*map(str, words), "--store", str(tmp_path / f"{name}.store")]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "e.h5ad").exists()


def test_a_folder_that_is_no_model(trained, tmp_path):
    with pytest.raises(ModelError, match="is no model folder"):
        graph.encode(tmp_path / "e.h5ad", model=tmp_path, store=trained.first)


def test_a_folder_that_is_no_run(trained, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not empty"):
        train(tmp_path / "mine", trained.first)


def test_no_repeats(trained, tmp_path):
    with pytest.raises(ConfigError, match="repeats must be at least 1"):
        train(tmp_path / "run", trained.first, repeats=0)


def test_nothing_to_lay_out(tmp_path):
    with pytest.raises(ConfigError, match="at least one"):
        graph.umap(tmp_path / "u.tsv", embeddings=[])
