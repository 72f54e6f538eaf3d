"""One story drives every command; each reads only what the ones before it wrote."""

import json

import anndata
import pandas as pd
import pytest

from chromweave.cli import main as cli
from chromweave.genome import Assembly
from chromweave.io.intervals import read_bedpe

pytestmark = pytest.mark.slow

FAST = ("--epochs", "2", "--batch-size", "16")


class Story:
    """A folder, and commands run inside it."""

    def __init__(self, folder, genome, capsys):
        self.folder, self.genome, self.capsys = folder, genome, capsys

    def run(self, *words):
        code = cli.run([*map(str, words), "--json", "--quiet"])
        shown = self.capsys.readouterr()
        assert code == 0, shown.err
        return json.loads(shown.out)


@pytest.fixture
def story(tmp_path, tiny_genome, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Story(tmp_path, tiny_genome, capsys)


def build(story, name):
    line = story.genome.cell_lines[name]
    tracks = [word for assay in ("ATAC", "DNase") for word in ("--track", f"{assay}={line.tracks[assay]}")]
    built = story.run(
        *(
            "build",
            f"{name}.store",
            "--contacts",
            line.contacts,
            "--resolution",
            5000,
            "--resolution",
            25_000,
        ),
        *("--assembly", story.genome.chrom_sizes, "--name", name),
        *tracks,
    )
    assert built["tracks"] == ["ATAC", "DNase"]
    story.run("build", f"{name}.store", "--add-track", f"H3K27ac={line.tracks['H3K27ac']}")
    inspected = story.run("inspect", f"{name}.store", "--verify")
    assert inspected["verified"]
    assert inspected["tracks"] == ["ATAC", "DNase", "H3K27ac"]
    assert inspected["resolutions"] == [5000, 25_000]


def windows(story):
    held_out = ("--valid-chrom", "chr2", "--test-chrom", "chr3")
    loops = story.genome.cell_lines["A"].loops
    grid = story.run("windows", "grid.parquet", "--store", "A.store", "--step", 250_000, *held_out)
    assert grid["train grid"] > 30
    around = story.run(
        *("windows", "loops.parquet", "--store", "A.store", "--around", "loops", "--loops", loops, *held_out)
    )
    for split in ("train", "valid", "test"):
        assert around[f"{split} loop"] == around[f"{split} negative"] > 20
    genes = story.genome.cell_lines["A"].genes
    promoters = story.run(
        *("windows", "tss.parquet", "--store", "A.store", "--around", "tss", "--tss", genes),
        *("--split", "blocks", "--gap", 500_000),
    )
    assert promoters["train tss"] > 0


def loops(story):
    pretrained = story.run(
        *("pretrain", "pre", "--store", "A.store", "--windows", "grid.parquet", "--track", "ATAC", *FAST)
    )
    assert pretrained["epochs"] == 2
    tuned = story.run(
        *("finetune", "model", "--from", "pre", "--store", "A.store", "--windows", "loops.parquet", *FAST)
    )
    assert 0 <= tuned["auroc"] <= 1
    story.run("evaluate", "scores", "--model", "model", "--store", "A.store", "--windows", "loops.parquet")
    scores = pd.read_csv("scores/loops.tsv", sep="\t")
    assert {"model", "distance alone", "boosting on distance + O/E"} <= set(scores["method"])
    matched = scores[(scores["method"] == "distance alone") & (scores["metric"] == "auroc_distance_matched")]
    assert matched["value"].item() == 0.5
    called = story.run(
        *("loops", "call", "calls.bedpe", "--store", "A.store", "--model", "model", "--chrom", "chr3"),
        *("--pvalue", 1e-5, "--threshold", 0.0, "--min-neighbours", 0, "--no-fdr"),
    )
    table = read_bedpe("calls.bedpe", Assembly.from_chrom_sizes(story.genome.chrom_sizes))
    assert len(table) == called["loops"] > 10
    assert set(table["chrom1"]) == {"chr3"}
    validated = story.run(
        *("loops", "validate", "calls.bedpe", story.genome.cell_lines["A"].loops, "--store", "A.store"),
        *("--chrom", "chr3"),
    )
    # Enriched pixels of a simulated map lie near planted loops more often than chance, whatever the model.
    assert validated["precision"] > 2 * validated["shifted_control"]


def graphs(story):
    trained = story.run(
        *("graph", "train", "graph", "--store", "A.store", "--resolution", 25_000, "--epochs", 3),
    )
    assert set(trained["auc_distance-aware"]) == {"uniform", "in-range", "matched"}
    called = story.run(
        *("compartments", "A.tsv", "--store", "A.store", "--resolution", 25_000, "--phase-by", "H3K27ac")
    )
    assert called["A"] > 100 < called["B"]
    domains = story.run(*("insulation", "A.insulation.tsv", "--store", "A.store", "--resolution", 25_000))
    assert pd.read_csv("A.insulation.tsv", sep="\t")["is_boundary"].eq(True).sum() > 10, domains
    for name in "AB":
        story.run(
            *("graph", "encode", f"{name}.h5ad", "--model", "graph", "--store", f"{name}.store"),
            *("--phase-by", "H3K27ac"),
        )
    story.run("graph", "umap", "umap.tsv", "A.h5ad", "B.h5ad")
    compared = story.run("compare", "compared", "A.h5ad", "B.h5ad", "--permutations", 50)
    assert compared["folder"] == "compared"
    embedding = anndata.read_h5ad("B.h5ad")
    assert {"X_vgae", "X_umap", "X_umap_joint"} <= set(embedding.obsm)
    assert set(embedding.obs["compartment"]) >= {"A", "B"}


def refusals(story):
    """A missing track, another store's windows, another kind of model, no such layer: one sentence each."""
    line = story.genome.cell_lines["B"]
    story.run(
        *("build", "bare.store", "--contacts", line.contacts, "--resolution", 5000),
        *("--assembly", story.genome.chrom_sizes, "--track", f"DNase={line.tracks['DNase']}"),
    )
    bare = ["--store", "bare.store", "--windows", "loops.parquet"]
    for words, sentence in (
        (["finetune", "m", "--from", "pre", *bare], "bare.store"),
        (["finetune", "m", *bare], "other contacts"),
        (["loops", "call", "c.bedpe", "--model", "pre", "--store", "A.store"], "pre"),
        (["graph", "train", "m", "--store", "A.store", "--resolution", "10000"], "10,000"),
        (["graph", "encode", "m.h5ad", "--model", "graph", "--store", "bare.store"], "no track ATAC"),
    ):
        assert cli.run([*words, "--quiet"]) == 2, words
        assert sentence in story.capsys.readouterr().err
    assert not [path for path in ("m", "c.bedpe", "m.h5ad") if (story.folder / path).exists()]


def test_every_command_once(story):
    build(story, "A")
    build(story, "B")
    windows(story)
    loops(story)
    graphs(story)
    refusals(story)
    assert not list(story.folder.rglob(".*")), "something half-written"
