"""Graph models on a planted map: one row each beside trivial ones, A and B probed, failures with reasons."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave import config as configs
from chromweave.data.build import build
from chromweave.data.graph import MessageEdges
from chromweave.errors import ConfigError, DataError, FileFormatError, ResolutionError
from chromweave.evaluation.edges import summarise_scores
from chromweave.workflows.benchmark import benchmark
from chromweave.workflows.benchmark_cells import Outcome, cost_row, cost_table
from chromweave.workflows.benchmark_settings import BenchConfig, GraphBench, Line, Methods, load_bench
from chromweave.workflows.compartment_probes import (
    LAPLACIAN,
    MAP_PCA,
    MAP_UMAP,
    Asked,
    Described,
    leading_vectors,
)
from chromweave.workflows.graph_benchmark import GRAPH_PROBES, GRAPH_SCORES, GraphBenchmark, graph_benchmark
from chromweave.workflows.graph_report import graph_markdown
from tests.fakes_graph import planted_store, write_planted

RESOLUTION, BINS = 10_000, 400


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with A and B in stripes of ten bins, the list that says so, and a file of settings."""
    folder = tmp_path_factory.mktemp("graphs")
    files = write_planted(folder, planted_store(n_bins=BINS, resolution=RESOLUTION))
    build(
        folder / "a.store", contacts=files.contacts, resolutions=[RESOLUTION], assembly=files.assembly,
        tracks={"signal": files.track}, max_distance=BINS * RESOLUTION,
    )  # fmt: skip
    start = np.arange(0, BINS, 10) * RESOLUTION
    end = np.minimum(start + 10 * RESOLUTION, BINS * RESOLUTION - 1)
    names = np.where(np.arange(len(start)) % 2 == 0, "A1", "B2")
    sides = pd.DataFrame({"chrom": "chr1", "start": start, "end": end, "name": names})
    sides.to_csv(folder / "sides.bed", sep="\t", index=False, header=False)
    config = BenchConfig(
        lines=(Line("a", "a.store", compartments="sides.bed"),),
        methods=Methods(graph=("distance-aware", "vgae-original")),
        seeds=2,
        timeout=600.0,
        graph=GraphBench(RESOLUTION, max_distance=1_000_000, epochs=4, block=400_000),
    )
    configs.save(config, folder / "bench.toml")
    return folder


@pytest.fixture(scope="module")
def made(place):
    """The benchmark's tables, and its folder."""
    return benchmark("graph", place / "out", place / "bench.toml"), place / "out"


def test_every_model_stands_beside_trivial_rows(made):
    tables, out = made
    rows = tables["graph"]
    roles = rows.groupby("method")["role"].unique().map(list)
    assert roles["distance-aware"] == ["ours"]
    assert roles["vgae-original"] == ["baseline"]
    assert roles["distance"] == ["trivial"]
    assert not rows.duplicated(["method", "sampling", "metric", "seed"]).any()
    matched = rows[(rows["sampling"] == "matched") & (rows["metric"] == "auc")]
    at = matched.set_index(["method", "seed"])["value"]
    assert at["distance", 0] == at["distance", 1] == 0.5
    assert set(at.loc["vgae-original"].index) == {0, 1}
    summary = tables["graph.summary"].set_index(["method", "sampling", "metric"])
    mean = summary.loc[("vgae-original", "matched", "auc"), "mean"]
    assert mean == pytest.approx(at.loc["vgae-original"].mean())
    assert ("distance-aware - distance", "matched", "auc") in summary.index
    for name in ("graph.tsv", "graph.a.png", "graph.costs.tsv", "graph.compartments.tsv"):
        assert (out / name).stat().st_size > 100
    text = (out / "graph.md").read_text()
    assert "| method | AUC, uniform | AUC, in range | AUC, equal distances |" in text
    assert "| tracks | none | 1 | " in text
    assert (tables["graph.costs"]["parameters"] > 100).all()


def test_planted_compartments_are_told_by_the_map(made):
    found = made[0]["graph.compartments"]
    least = found.groupby("method")["auc"].min()
    assert least["tracks"] > 0.99, "the track is high in A"
    assert least["position and its square"] < 0.7
    assert least[MAP_PCA] > 0.99
    assert {MAP_UMAP, LAPLACIAN} <= set(found["method"])
    assert (found["role"].iloc[0], found["seeds"].iloc[0]) == ("ours", 2)
    assert np.isnan(found["difference"].iloc[0])
    assert found["difference"].iloc[1:].notna().all()
    assert found["bins"].nunique() == 1


def test_what_failed_says_why_and_the_rest_go_on(place, made, tmp_path):
    config, name = replace(load_bench(place / "bench.toml"), seeds=1), "graph.vgae-original.a.seed-0"
    out = shutil.copytree(made[1], tmp_path / "out")
    shutil.rmtree(out / "runs" / name)
    (out / "runs" / name).write_text("in the way")
    for file in (f"{name}.json", f"{name}.json.step.json"):
        (out / "cells" / file).unlink()
    found = graph_benchmark(out, config)
    failed = found.contacts[found.contacts["method"] == "vgae-original"]
    assert failed["value"].isna().all()
    assert failed["note"].str.contains(name).all()
    assert "vgae-original" not in set(found.compartments["method"])
    assert f"- vgae-original, seed 0: {failed['note'].iloc[0]}" in graph_markdown(
        found, "a", "distance-aware"
    )
    (out / "runs" / name).unlink()
    mended = graph_benchmark(out, config, retry=True)
    assert mended.contacts["note"].isna().all()


def test_settings_that_do_not_fit_are_refused(place, tmp_path):
    config = load_bench(place / "bench.toml")
    with pytest.raises(ConfigError, match=r"no \[graph\]"):
        graph_benchmark(tmp_path / "out", replace(config, graph=None))
    with pytest.raises(DataError, match="chr9"):
        graph_benchmark(tmp_path / "out", replace(config, graph=replace(config.graph, chroms=("chr9",))))
    with pytest.raises(ConfigError, match="no method 'vgae' for graph"):
        Methods(graph=("vgae",))
    with pytest.raises(ConfigError, match="named twice: vgae-gat, vgae-gat"):
        Methods(graph=("vgae-gat", "vgae-gat"))
    for name, value in (("resolution", 0), ("block", 100), ("max_distance", 9_999), ("epochs", 0)):
        with pytest.raises(ConfigError, match=rf"\[graph\] {name} must be at least .*, not {value}"):
            replace(config.graph, **{name: value})


@pytest.mark.parametrize(
    ("graph", "line", "error", "words"),
    [
        ({"resolution": 20_000, "block": 400_000}, {}, ResolutionError, "20,000"),
        ({"features": ("H3K9me3",)}, {}, DataError, "H3K9me3"),
        ({}, {"compartments": "nowhere.bed"}, FileFormatError, "nowhere.bed"),
        ({}, {"compartments": "one.bed"}, DataError, "one.bed: none of its 1 intervals makes a bin of chr1"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_trained(place, tmp_path, graph, line, error, words):
    (place / "one.bed").write_text("chr1\t0\t1000000\tA1\n")
    config = load_bench(place / "bench.toml")
    changed = {name: str(place / value) for name, value in line.items()}
    config = replace(
        config, graph=replace(config.graph, **graph), lines=(replace(config.lines[0], **changed),)
    )
    with pytest.raises(error, match=words):
        graph_benchmark(tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_signs_are_against_the_first_method_or_there_are_none():
    scores = pd.DataFrame(
        [
            ("a", role, method, "uniform", "auc", value, 0, 9, None)
            for role, method, value in (("baseline", "vgae-original", 0.7), ("trivial", "distance", 0.9))
        ],
        columns=[column.name for column in GRAPH_SCORES.columns],
    )
    means = summarise_scores(scores).assign(line="a")
    names = [column.name for column in GRAPH_PROBES.columns]
    probes = pd.DataFrame([dict.fromkeys(names, np.nan) | {"line": "b", "method": "tracks", "bins": 5}])
    costs = cost_table([cost_row("graph", "distance-aware", "a", 0, Outcome({}, "it broke", *[np.nan] * 3))])
    lost = scores.iloc[:1].assign(method="distance-aware", role="ours", value=np.nan, note="it broke")
    found = GraphBenchmark(pd.concat([lost, scores]), means, probes, costs)
    text = graph_markdown(found, "a", "distance-aware")
    assert "| distance | 0.900 |" in text
    assert "| distance-aware | failed |" in text
    assert "- distance-aware, seed 0: it broke" in text
    assert "linear probe" not in text, "compartments are the other line's"


def test_only_bins_that_all_describe_are_asked():
    side = np.array([1, 1, 0, 0, np.nan, 1, 0, 1.0])
    rows = np.arange(16.0).reshape(8, 2)
    rows[1] = np.nan
    chrom, start = np.array(["chr1"] * 8), np.arange(8) * 10
    described = [Described("one", 0, (rows,))]
    asked = Asked.of(side, described, chrom, start, resolution=10, block=20)
    assert asked.rows.tolist() == [0, 2, 3, 5, 6, 7]
    with pytest.raises(DataError, match="A and B"):
        Asked.of(np.ones(8), described, chrom, start, resolution=10, block=20)


def test_a_part_that_no_edge_joins_has_no_vector_of_its_own():
    ring = [(i, (i + 1) % 8) for i in range(8)]
    index = np.array([*ring, *[(a + 8, b + 8) for a, b in ring]]).T.astype(np.int64)
    edges = MessageEdges(torch.from_numpy(np.sort(index, axis=0)), torch.ones(index.shape[1]))
    vectors = leading_vectors(16, edges, 4)
    assert vectors.shape == (16, 4)
    assert np.abs(vectors[:8].sum(axis=0)).max() < 1e-5, "none is constant within a part"
    assert np.abs(vectors[8:].sum(axis=0)).max() < 1e-5


def test_bins_of_a_fold_that_could_not_learn_are_not_counted():
    side = np.r_[np.ones(10), np.zeros(10)]
    asked = Asked(np.arange(20), side, np.full(20, "chr1"), np.arange(20) * 10, 10, 50)
    said = side[:, None] * 0.5
    said[[0, 19]] = np.nan
    assert (asked.auc(said).value, asked.auc(said).n) == (1, 18)
    assert asked.difference(said, 1 - said).value == 1


def test_a_description_that_is_the_answer_is_told_perfectly():
    side = np.tile(np.repeat([1.0, 0.0], 5), 20)
    chrom, start = np.full(200, "chr1"), np.arange(200) * 10
    noise = np.random.default_rng(0).normal(size=(200, 3))
    answer = Described("answer", None, (side[:, None] + 0.01 * noise[:, :1],))
    other = Described("noise", None, (noise, noise[::-1]))
    asked = Asked.of(side, [answer, other], chrom, start, resolution=10, block=200)
    told, guessed = asked.probe(answer), asked.probe(other)
    assert (told.shape, guessed.shape) == ((200, 1), (200, 2))
    assert asked.auc(told).value == 1
    assert asked.auc(guessed).value == pytest.approx(0.5, abs=0.12)
    more = asked.difference(told, guessed)
    assert more.value == pytest.approx(1 - asked.auc(guessed).value)
    assert more.low > 0.2
