"""Loops over a chromosome: planted ones are found, the file is a BEDPE and says where it comes from."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chromweave import schemas
from chromweave.analysis.clustering import ClusterConfig
from chromweave.analysis.loops import CandidateConfig
from chromweave.data.windows import loop_windows, write_windows
from chromweave.errors import ChromosomeError, ConfigError, DataError, ModelError, ResolutionError
from chromweave.models.mixhic import MixHicConfig
from chromweave.progress import reporting
from chromweave.training.engine import FitConfig
from chromweave.workflows import loop_calling
from chromweave.workflows.foundation import finetune
from chromweave.workflows.foundation_settings import FinetuneConfig, LoopCallConfig
from chromweave.workflows.loop_calling import call_loops
from tests.fakes import FakeContacts, build_fake
from tests.fakes_loops import (
    ASSEMBLY,
    RESOLUTION,
    SPLIT,
    WINDOW_BINS,
    fake_map,
    fake_track,
    loop_store,
    planted,
)

CALLING = LoopCallConfig(
    candidates=CandidateConfig(min_distance=20 * RESOLUTION, max_distance=60 * RESOLUTION, pvalue=1e-4),
    clusters=ClusterConfig(min_neighbours=0, separation=2, kernel_radius=2),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calling")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store")
    report = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION)
    write_windows(folder / "loops.parquet", report.table)
    fit = FitConfig(epochs=5, batch_size=24, learning_rate=2e-3, warmup_steps=5, accelerator="cpu")
    config = FinetuneConfig(network=MixHicConfig(channels=8, heads=1, depth=1), fit=fit)
    finetune(folder / "run", stores=store, windows=folder / "loops.parquet", config=config)
    return folder


def test_planted_loops_of_an_unseen_chromosome_are_called(place, tmp_path):
    out = tmp_path / "calls.bedpe"
    called = call_loops(out, store=place / "a.store", model=place / "run", chroms=["3"], config=CALLING)
    schemas.LOOPS.check(called, "calls")
    assert set(called["chrom1"]) == {"chr3"}
    truth = planted().query("chrom1 == 'chr3'")
    hits = [
        (((called["start1"] - t.start1).abs() <= 5000) & ((called["start2"] - t.start2).abs() <= 5000)).any()
        for t in truth.itertuples()
    ]
    assert sum(hits) > 0.7 * len(truth)
    near = [
        (
            ((truth["start1"] - c.start1).abs() <= 10_000) & ((truth["start2"] - c.start2).abs() <= 10_000)
        ).any()
        for c in called.itertuples()
    ]
    assert sum(near) > 0.7 * len(called)


def test_the_file_is_bedpe_and_says_where_it_comes_from(place, tmp_path):
    out = tmp_path / "calls.bedpe"
    called = call_loops(out, store=place / "a.store", model=place / "run", chroms=["chr3"], config=CALLING)
    read = pd.read_csv(out, sep="\t")
    assert len(read) == len(called) > 0
    assert list(read.columns[:6]) == ["#chrom1", "start1", "end1", "chrom2", "start2", "end2"]
    said = json.loads((tmp_path / "calls.bedpe.json").read_text())
    assert (said["kind"], said["loops"], said["chromosomes"]) == ("loops", len(called), ["chr3"])
    assert said["config"]["clusters"]["threshold"] == 0.5
    assert [entry["path"] for entry in said["inputs"]] == [
        str(place / "a.store"),
        str(place / "run" / "config.json"),
    ]


def test_a_higher_threshold_calls_no_more(place, tmp_path):
    arguments = {"store": place / "a.store", "model": place / "run", "chroms": ["chr3"], "config": CALLING}
    some = call_loops(tmp_path / "some.bedpe", **arguments)
    none = call_loops(tmp_path / "none.bedpe", **arguments, threshold=1.0)
    assert len(none) == 0 < len(some)
    assert (tmp_path / "none.bedpe").is_file()


def test_windows_stay_within_the_chromosome(place, tmp_path):
    """The chromosome's very ends hold candidates whose windows would stick out."""
    everywhere = replace(CALLING, candidates=CandidateConfig(20_000, 100_000, pvalue=0.5))
    call_loops(
        tmp_path / "c.bedpe", store=place / "a.store", model=place / "run", chroms=["chr3"], config=everywhere
    )


def test_a_model_that_reads_the_map_alone_demands_no_tracks(place, tmp_path):
    fit = FitConfig(epochs=1, batch_size=24, accelerator="cpu")
    config = FinetuneConfig(mode="map", network=MixHicConfig(channels=8, heads=1, depth=1), fit=fit)
    finetune(tmp_path / "m", stores=place / "a.store", windows=place / "loops.parquet", config=config)
    described = json.loads((tmp_path / "m" / "config.json").read_text())
    described["data"]["transform"]["tracks"] = ["H3K27ac"]  # as of a pre-trained model
    (tmp_path / "m" / "config.json").write_text(json.dumps(described))
    call_loops(
        tmp_path / "c.bedpe", store=place / "a.store", model=tmp_path / "m", chroms=["3"], config=CALLING
    )
    assert (tmp_path / "c.bedpe").is_file()


def test_candidates_need_a_map_whatever_the_model_reads(place, tmp_path, monkeypatch):
    fit = FitConfig(epochs=1, batch_size=24, accelerator="cpu")
    config = FinetuneConfig(mode="tracks", network=MixHicConfig(channels=8, heads=1, depth=1), fit=fit)
    finetune(tmp_path / "m", stores=place / "a.store", windows=place / "loops.parquet", config=config)
    tracks = [fake_track(name, planted(), np.random.default_rng(0)) for name in ("ATAC", "DNase")]
    bare = build_fake(monkeypatch, tmp_path / "bare.store", None, tracks, assembly=ASSEMBLY)
    with pytest.raises(ModelError, match=r"bare\.store: has no layer of 5,000 bp"):
        call_loops(tmp_path / "c.bedpe", store=bare, model=tmp_path / "m")


def test_what_does_not_fit_is_refused(place, tmp_path):
    with pytest.raises(ChromosomeError, match="chr9"):
        call_loops(tmp_path / "c.bedpe", store=place / "a.store", model=place / "run", chroms=["chr9"])
    with pytest.raises(ModelError, match="is no model folder"):
        call_loops(tmp_path / "c.bedpe", store=place / "a.store", model=tmp_path)
    assert not (tmp_path / "c.bedpe").exists()


MAP_ALONE = LoopCallConfig.without_model(
    candidates=CandidateConfig(min_distance=15 * RESOLUTION, max_distance=60 * RESOLUTION)
)


def hits(calls, truth, bins=1):
    """How many calls lie within so many bins of a planted loop."""
    near = [
        ((truth["start1"] - c.start1).abs().le(bins * RESOLUTION))
        & (truth["start2"] - c.start2).abs().le(bins * RESOLUTION)
        & (truth["chrom1"] == c.chrom1)
        for c in calls.itertuples()
    ]
    return sum(bool(one.any()) for one in near)


def test_planted_loops_are_called_from_the_map_alone_at_the_rate_asked_for(place, tmp_path):
    """Of 120 loops a chromosome most are found, and no more than a tenth of the calls are none."""
    out = tmp_path / "calls.bedpe"
    config = replace(MAP_ALONE, fdr=0.1)
    called = call_loops(out, store=place / "a.store", chroms=["chr2", "chr3"], config=config)
    truth = planted().query("chrom1 != 'chr1'")
    assert hits(called, truth) >= 0.85 * len(called)
    assert hits(called, truth) > 0.6 * len(truth)
    assert called["probability"].isna().all()
    assert called["qvalue"].le(0.1).all()
    said = json.loads((tmp_path / "calls.bedpe.json").read_text())
    assert said["config"]["fdr"] == 0.1
    assert set(said["steps"]) == {"chr2", "chr3"}
    steps = said["steps"]["chr2"]
    order = ["pixels", "candidates", "passing", "clusters", "loops"]
    assert [steps[name] for name in order] == sorted((steps[name] for name in order), reverse=True)
    assert steps["decoy_clusters"] > 0
    assert steps["loops"] == (called["chrom1"] == "chr2").sum()
    assert said["pileup"]["enrichment"] > 2 > 1.2 > said["pileup"]["control_enrichment"]
    assert (tmp_path / "calls.bedpe.png").stat().st_size > 5000
    assert not (tmp_path / "calls.bedpe.parts").exists()


def test_a_stricter_rate_takes_those_whose_q_value_it_reaches(place, tmp_path):
    def at(fdr):
        out = tmp_path / "calls.bedpe"
        return call_loops(out, store=place / "a.store", chroms=["chr3"], config=replace(MAP_ALONE, fdr=fdr))

    loose = at(0.9)
    cut = float(np.sort(loose["qvalue"].unique())[0])
    strict = at(cut)
    assert 0 < len(strict) < len(loose)
    assert strict["name"].tolist() == loose["name"][loose["qvalue"] <= cut].tolist()


@pytest.mark.parametrize("kind", ["residuals", "pixels"])
def test_a_map_without_loops_has_none(monkeypatch, tmp_path, kind):
    """Poisson noise around a law of distance: at a rate of 0.05 there is nothing to call."""
    rng = np.random.default_rng(0)
    n_bins = ASSEMBLY.length("chr1") // RESOLUTION
    empty = planted().iloc[:0]
    maps = {("chr1", RESOLUTION): fake_map(empty, n_bins, rng)}
    contacts = FakeContacts(maps, {("weight", "chr1", RESOLUTION): np.full(n_bins, 0.02)}, ASSEMBLY)
    store = build_fake(monkeypatch, tmp_path / "s", contacts, [], assembly=ASSEMBLY, max_distance=600_000)
    said = []
    with reporting(Listener(said)):
        called = call_loops(
            tmp_path / "c.bedpe", store=store, chroms=["chr1"], config=replace(MAP_ALONE, decoys=kind)
        )
    assert len(called) == 0
    assert (tmp_path / "c.bedpe").is_file()
    assert not (tmp_path / "c.bedpe.png").exists()
    assert any("no cluster stands out" in line for line in said)


def test_several_jobs_and_one_give_the_same_file(place, tmp_path):
    arguments = {"store": place / "a.store", "config": MAP_ALONE, "seed": 3}
    call_loops(tmp_path / "one.bedpe", **arguments)
    call_loops(tmp_path / "two.bedpe", **arguments, jobs=2)
    assert (tmp_path / "one.bedpe").read_bytes() == (tmp_path / "two.bedpe").read_bytes()


def test_a_run_that_was_stopped_goes_on_where_it_was(place, tmp_path, monkeypatch):
    """The second chromosome fails; the next run searches that and what follows, and the file is the same."""
    arguments = {"store": place / "a.store", "config": MAP_ALONE}
    call_loops(tmp_path / "whole.bedpe", **arguments)
    searched, real = [], loop_calling.search_chromosome

    def search(store, chrom, *rest, **options):
        searched.append(chrom)
        if chrom == "chr2" and searched.count("chr2") == 1:
            raise KeyboardInterrupt
        return real(store, chrom, *rest, **options)

    monkeypatch.setattr(loop_calling, "search_chromosome", search)
    with pytest.raises(KeyboardInterrupt):
        call_loops(tmp_path / "c.bedpe", **arguments)
    assert not (tmp_path / "c.bedpe").exists()
    call_loops(tmp_path / "c.bedpe", **arguments)
    assert searched == ["chr1", "chr2", "chr2", "chr3"]
    assert (tmp_path / "c.bedpe").read_bytes() == (tmp_path / "whole.bedpe").read_bytes()
    assert not (tmp_path / "c.bedpe.parts").exists()


def test_parts_of_other_settings_are_not_used(place, tmp_path, monkeypatch):
    """A changed seed makes other decoys: what was done with the old one is done again; a rate is not."""
    searched, real = [], loop_calling.search_chromosome

    def search(store, chrom, *rest, **options):
        searched.append(chrom)
        if len(searched) == 2:
            raise KeyboardInterrupt
        return real(store, chrom, *rest, **options)

    monkeypatch.setattr(loop_calling, "search_chromosome", search)
    arguments = {"store": place / "a.store", "chroms": ["chr1", "chr2"]}
    with pytest.raises(KeyboardInterrupt):
        call_loops(tmp_path / "c.bedpe", config=MAP_ALONE, seed=0, **arguments)
    call_loops(tmp_path / "c.bedpe", config=replace(MAP_ALONE, fdr=0.2), seed=0, **arguments)
    assert searched == ["chr1", "chr2", "chr2"]
    searched[:] = ["chr0"]
    with pytest.raises(KeyboardInterrupt):
        call_loops(tmp_path / "c.bedpe", config=MAP_ALONE, seed=0, **arguments)
    searched[:] = ["chr0", "chr0"]
    call_loops(tmp_path / "c.bedpe", config=MAP_ALONE, seed=1, **arguments)
    assert searched[2:] == ["chr1", "chr2"]


def test_a_folder_in_the_way_of_the_parts_is_left_alone(place, tmp_path):
    (tmp_path / "c.bedpe.parts").mkdir()
    (tmp_path / "c.bedpe.parts" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"c\.bedpe\.parts: is in the way"):
        call_loops(tmp_path / "c.bedpe", store=place / "a.store", config=MAP_ALONE)
    assert (tmp_path / "c.bedpe.parts" / "mine.txt").read_text() == "mine"


def test_what_the_map_alone_cannot_give_is_refused(place, tmp_path, monkeypatch):
    out = tmp_path / "c.bedpe"
    with pytest.raises(ResolutionError, match=r"has no layer of 1,000 bp; it has 5,000"):
        call_loops(out, store=place / "a.store", resolution=1000)
    with pytest.raises(ConfigError, match=r"reads bins of 5,000 bp, not 10,000"):
        call_loops(out, store=place / "a.store", model=place / "run", resolution=10_000)
    with pytest.raises(ConfigError, match="at least one job"):
        call_loops(out, store=place / "a.store", jobs=0)
    further = replace(MAP_ALONE, candidates=CandidateConfig(max_distance=5_000_000))
    with pytest.raises(ConfigError, match="build the store with a larger --max-distance"):
        call_loops(out, store=place / "a.store", config=further)
    tracks = [fake_track("ATAC", planted(), np.random.default_rng(0))]
    bare = build_fake(monkeypatch, tmp_path / "bare.store", None, tracks, assembly=ASSEMBLY)
    with pytest.raises(DataError, match=r"bare\.store: has no contacts, only tracks"):
        call_loops(out, store=bare)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.store"]


def test_with_a_model_decoys_are_scored_by_it(place, tmp_path):
    """Clusters of the decoy map exist, and few of them are as dense as those of planted loops."""
    config = replace(CALLING, fdr=0.1)
    called = call_loops(
        tmp_path / "c.bedpe", store=place / "a.store", model=place / "run", chroms=["chr3"], config=config
    )
    truth = planted().query("chrom1 == 'chr3'")
    assert hits(called, truth, 2) > 0.7 * len(called) > 0
    assert called["qvalue"].le(0.1).all()
    assert called["probability"].between(0.5, 1).all()
    said = json.loads((tmp_path / "c.bedpe.json").read_text())
    assert said["steps"]["chr3"]["decoy_scored"] > 0


def test_a_model_beside_the_map_finds_planted_loops_at_the_rate_asked_for(place, tmp_path):
    """The score is what the map alone gives plus the model's weighted log-odds, and both are in the file."""
    config = LoopCallConfig.with_model(candidates=MAP_ALONE.candidates, fdr=0.1)
    arguments = {"store": place / "a.store", "chroms": ["chr2", "chr3"]}
    called = call_loops(tmp_path / "c.bedpe", model=place / "run", config=config, **arguments)
    truth = planted().query("chrom1 != 'chr1'")
    assert hits(called, truth) >= 0.85 * len(called)
    assert hits(called, truth) > 0.6 * len(truth)
    alone = call_loops(tmp_path / "a.bedpe", config=replace(MAP_ALONE, fdr=0.1), **arguments)
    both = called.merge(alone, on=["chrom1", "start1", "start2"])
    assert len(both) > 20
    sure = both["probability_x"].clip(1e-6, 1 - 1e-6)
    odds = np.log(sure / (1 - sure))
    np.testing.assert_allclose(both["score_x"], both["score_y"] + 0.7 * odds, atol=1e-3)
    steps = json.loads((tmp_path / "c.bedpe.json").read_text())["steps"]["chr2"]
    assert 0 < steps["scored"] < steps["candidates"]


class Listener:
    """Keeps what is said."""

    def __init__(self, said):
        self.said = said

    def track(self, items, description, total, unit):
        yield from items

    def notify(self, message):
        self.said.append(message)
