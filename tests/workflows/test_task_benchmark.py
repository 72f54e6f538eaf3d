"""The papers' tables on small simulated lines: all methods, whatever fails, nothing made twice."""

import json
from dataclasses import replace

import pytest

from chromweave import config as configs
from chromweave.data.windows import grid_windows, loop_windows, write_windows
from chromweave.errors import ConfigError, OutputError
from chromweave.io.pairs import write_bedpe
from chromweave.workflows import benchmark as workflow
from chromweave.workflows.annotation_callers import External, HicExplorer
from chromweave.workflows.benchmark import benchmark
from chromweave.workflows.benchmark_settings import (
    Annotation,
    BenchConfig,
    Line,
    Methods,
    load_bench,
)
from chromweave.workflows.task_benchmark import task_benchmark
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

pytestmark = pytest.mark.usefixtures("quick")
SHAPE = {"window_bins": WINDOW_BINS, "resolution": RESOLUTION}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two cell lines, each with windows around loops and along the diagonal, and a file of settings."""
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        for name in "ab":
            store = loop_store(patch, folder / f"{name}.store", tracks=("ATAC", "DNase", "CAGE"))
            loops = loop_windows(store, planted(), SPLIT, **SHAPE).table
            few = loops.iloc[::6].reset_index(drop=True)
            few.attrs = dict(loops.attrs)
            write_windows(folder / f"{name}.loops.parquet", few)
            write_windows(
                folder / f"{name}.grid.parquet", grid_windows(store, SPLIT, step=200_000, **SHAPE).table
            )
    write_bedpe(folder / "known.bedpe", planted())
    config = BenchConfig(
        lines=tuple(
            Line(
                name,
                f"{name}.store",
                loops=f"{name}.loops.parquet",
                contacts=f"{name}.grid.parquet",
                published="known.bedpe",
            )
            for name in "ab"
        ),
        methods=Methods(
            contacts=("mix-hic", "epiphany"), loops=("mix-hic", "dloopcaller"), expression=("epi-cnn",)
        ),
        epochs=1,
        block=500_000,
        timeout=600.0,
    )
    configs.save(config, folder / "bench.toml")
    return folder


def at(rows, method, metric="auroc"):
    found = rows[(rows["method"] == method) & (rows["metric"] == metric) & (rows["stratum"] == "all")]
    return found.set_index(["train_line", "test_line"])["value"].to_dict()


def test_a_failure_is_in_the_table_and_nothing_is_trained_twice(place, tmp_path):
    config = replace(load_bench(place / "bench.toml"), lines=load_bench(place / "bench.toml").lines[:1])
    out = tmp_path / "out"
    (out / "runs").mkdir(parents=True)
    (out / "runs" / "loops.dloopcaller.a.seed-0").write_text("in the way")
    found = task_benchmark(out, "loops", config)
    assert 0 <= at(found.scores, "MIX-HIC")["a", "a"] <= 1
    failed = found.scores[found.scores["method"] == "DLoopCaller"]
    assert failed["value"].isna().all()
    assert "in the way" not in str(failed["note"].iloc[0])
    assert "loops.dloopcaller.a.seed-0" in str(failed["note"].iloc[0])
    roles = found.scores.groupby("role")["method"].unique()
    assert list(roles["ours"]) == ["MIX-HIC"]
    assert list(roles["baseline"]) == ["DLoopCaller"]
    assert "distance alone" in roles["trivial"]
    assert "MIX-HIC - distance alone" in roles["difference"]
    ours, theirs = found.costs.to_dict("records")
    assert ours["parameters"] > 1000
    assert ours["peak_mb"] > 100
    assert (ours["note"], theirs["note"] == failed["note"].iloc[0]) == (None, True)

    weights = out / "runs" / "loops.mix-hic.a.seed-0" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = task_benchmark(out, "loops", config)
    assert again.scores.equals(found.scores)
    (out / "runs" / "loops.dloopcaller.a.seed-0").unlink()
    mended = task_benchmark(out, "loops", config, retry=True)
    assert weights.stat().st_mtime_ns == before
    assert 0 <= at(mended.scores, "DLoopCaller")["a", "a"] <= 1
    assert "MIX-HIC - DLoopCaller" in set(mended.scores["method"])
    with pytest.raises(ConfigError, match=r"was made with other settings"):
        task_benchmark(out, "loops", replace(config, epochs=2))


def test_the_command_fills_tables_within_and_across_lines(place, tmp_path):
    out = tmp_path / "out"
    tables = benchmark("contacts", out, place / "bench.toml", jobs=2)
    rows = tables["contacts"]
    assert set(at(rows, "Epiphany", "pearson")) == {("a", "a"), ("b", "b")}
    crossed = benchmark("cross-cell", out, place / "bench.toml")["cross-cell.contacts"]
    assert set(at(crossed, "MIX-HIC", "pearson")) == {("a", "b"), ("b", "a")}
    cells = sorted(path.name for path in (out / "cells").glob("contacts*.json"))
    assert len([name for name in cells if ".step." not in name]) == 4, "the same four trainings"
    text = (out / "contacts.md").read_text()
    assert "| method | R², a | PCC, a | SCC, a |" in text
    assert "| Epiphany | " in text
    for name in ("contacts.a.png", "cross-cell.contacts.a-on-b.png", "contacts.costs.tsv", "contacts.json"):
        assert (out / name).stat().st_size > 100
    record = json.loads((out / "contacts.json").read_text())
    assert record["config"]["epochs"] == 1
    assert {"command", "platform"} & set(record)


def test_chromosomes_are_annotated_by_every_caller(place, tmp_path, monkeypatch):
    asked = {}

    def callers(**given):
        asked.update(given)
        return {"restated": HicExplorer(), "absent": External("mustache", str(tmp_path / "nowhere"))}

    monkeypatch.setattr(workflow, "standard_callers", callers)
    config = configs.load(BenchConfig, place / "bench.toml")
    configs.save(
        replace(config, lines=config.lines[:1], annotation=Annotation(chroms=("chr1",))),
        place / "one.toml",
    )
    out = tmp_path / "out"
    (table,) = benchmark("annotation", out, place / "one.toml", programs=tmp_path / "nowhere").values()
    assert asked["model"] == out / "runs" / "loops.mix-hic.a.seed-0"
    assert asked["programs"] == str(tmp_path / "nowhere")
    reasons = table.groupby("method")["reason"].first()
    assert reasons["restated"] == ""
    assert "pip install" in reasons["absent"]
    text = (out / "annotation.md").read_text()
    assert "| absent |  | 1 | none: " in text
    assert "| restated | " in text
    assert (out / "annotation.a.png").stat().st_size > 1000


def test_settings_that_do_not_fit(place, tmp_path):
    with pytest.raises(ConfigError, match="no benchmark 'tables'; there are contacts, loops"):
        benchmark("tables", tmp_path / "o", place / "bench.toml")
    with pytest.raises(ConfigError, match="no cell line has windows for expression"):
        benchmark("expression", tmp_path / "o", place / "bench.toml")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years")
    with pytest.raises(OutputError, match="full: is there and holds no benchmark"):
        benchmark("contacts", tmp_path / "full", place / "bench.toml")
