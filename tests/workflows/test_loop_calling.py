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
from chromweave.errors import ChromosomeError, ModelError
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows.foundation import finetune
from chromweave.workflows.foundation_settings import FinetuneConfig, LoopCallConfig
from chromweave.workflows.inference import window_table
from chromweave.workflows.loop_calling import call_loops, score_windows
from tests.fakes import build_fake
from tests.fakes_loops import ASSEMBLY, RESOLUTION, SPLIT, WINDOW_BINS, fake_track, loop_store, planted
from tests.fakes_tasks import CentreOfBins, fake_model, stored_means, track_store

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


def test_probabilities_are_calibrated_and_need_no_more_than_the_model_reads(tmp_path, monkeypatch):
    """sigmoid(logit / temperature), from a store without contacts; without a temperature it is 1."""
    store = track_store(monkeypatch, tmp_path / "tracks.store")
    x, y = np.array([4, 9, 16]), np.array([16, 20, 34])
    means = stored_means(store, "chr1")
    logit = means[x] + means[y] - 5
    for temperature in (1.0, 0.5, 4.0):
        more = {} if temperature == 1 else {"temperature": temperature}
        scores = score_windows(
            fake_model("loops", CentreOfBins(), **more), store, window_table("chr1", x, y, 1000)
        )
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logit / temperature)), atol=1e-5)
    bimodal = fake_model("loops", CentreOfBins(), mode="bimodal")
    with pytest.raises(ModelError, match="has no layer of 1,000 bp"):
        score_windows(bimodal, store, window_table("chr1", x, y, 1000))
