"""Other papers' networks are trained, kept, read back and judged like the model they stand beside."""

import json
from dataclasses import replace

import pytest
import torch

from chromweave.baselines.networks import NETWORKS
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import grid_windows, loop_windows, write_windows
from chromweave.errors import ConfigError, ModelError
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows.architectures import (
    MIX_HIC,
    architecture_mode,
    architectures,
    build_baseline,
    describe_baseline,
)
from chromweave.workflows.evaluate import EvaluateConfig, evaluate
from chromweave.workflows.finetuning import finetune
from chromweave.workflows.foundation_settings import FinetuneConfig
from chromweave.workflows.inference import TaskModel
from chromweave.workflows.networks import load_task
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

READ = ("ATAC", "DNase")
SIZES = MixHicConfig(n_tracks=2, window_bins=50, positions=5000)
BASELINES = [(task, name) for task in NETWORKS for name in architectures(task)[1:]]
QUICK = FinetuneConfig(
    fit=FitConfig(epochs=1, batch_size=24, learning_rate=2e-3, warmup_steps=3, accelerator="cpu"),
    transform=WindowTransform(tracks=READ, contacts="observed_expected"),
)
every_baseline = pytest.mark.parametrize(("task", "name"), BASELINES)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with planted loops, and window tables around them and along the diagonal."""
    folder = tmp_path_factory.mktemp("architectures")
    shape = {"window_bins": WINDOW_BINS, "resolution": RESOLUTION}
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store", tracks=(*READ, "CAGE"))
    loops = loop_windows(store, planted(), SPLIT, **shape).table
    for name, table in {
        "loops": loops,
        "grid": grid_windows(store, SPLIT, step=160_000, **shape).table,
    }.items():
        few = table.iloc[::3].reset_index(drop=True) if name == "loops" else table
        few.attrs = dict(table.attrs)
        write_windows(folder / f"{name}.parquet", few)
    return folder


def trained(place, run, task, name, **options):
    windows = place / ("loops.parquet" if task == "loops" else "grid.parquet")
    config = replace(QUICK, architecture=name)
    return finetune(
        run, stores=place / "a.store", windows=windows, task=task, config=config, seed=1, **options
    )


def test_every_task_has_our_model_and_the_papers_baselines():
    assert architectures("contacts") == (MIX_HIC, "epiphany", "corigami", "epcot-lstm", "epcot-transformer")
    assert architectures("loops") == (MIX_HIC, "dloopcaller")
    assert architectures("expression") == (MIX_HIC, "epcot-lstm", "epcot-transformer", "epi-cnn", "epi-graph")


@pytest.mark.parametrize(
    ("task", "name", "mode"),
    [
        ("contacts", "epiphany", "tracks"),
        ("loops", "dloopcaller", "bimodal"),
        ("expression", "epi-cnn", "tracks"),
        ("expression", "epi-graph", "bimodal"),
    ],
)
def test_a_baseline_reads_what_its_paper_reads(task, name, mode):
    assert architecture_mode(name, task) == mode


@every_baseline
def test_a_description_builds_the_same_network(task, name):
    model = describe_baseline(name, task, "tiny", SIZES)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_baseline(json.loads(json.dumps(model)), task)
    assert type(network) is NETWORKS[task][name].build
    assert network.config == replace(NETWORKS[task][name].presets["tiny"], n_tracks=2)


def test_what_there_is_not_is_named():
    with pytest.raises(
        ConfigError, match="no architecture 'epiphany' for loops; there are mix-hic, dloopcaller"
    ):
        architecture_mode("epiphany", "loops")
    with pytest.raises(ConfigError, match="no architecture 'refhic' for loops"):
        describe_baseline("refhic", "loops", "tiny", SIZES)
    with pytest.raises(ConfigError, match="no preset 'huge' of epi-cnn; there are"):
        describe_baseline("epi-cnn", "expression", "huge", SIZES)
    with pytest.raises(ModelError, match="no architecture 'epiphany' for loops"):
        build_baseline({"architecture": "epiphany", "network": {}}, "loops")
    with pytest.raises(ModelError, match="unknown key 'fingers'"):
        build_baseline({"architecture": "epi-cnn", "network": {"fingers": 3}}, "expression")


@pytest.mark.parametrize(
    ("task", "name"), [("contacts", "epcot-lstm"), ("loops", "dloopcaller"), ("expression", "epi-graph")]
)
def test_a_baseline_is_trained_kept_and_judged(place, tmp_path, task, name):
    result = trained(place, tmp_path / "run", task, name)
    read = load_task(result.run, task)
    assert type(read.network) is NETWORKS[task][name].build
    assert (read.description.model["architecture"], read.description.model["mode"]) == (
        name,
        architecture_mode(name, task),
    )
    card = (result.run / "README.md").read_text()
    assert f"# {name}, trained for" in card
    assert "the network of another paper, restated" in card
    assert TaskModel.of(result.run, task).reads_map == (name != "epcot-lstm")
    windows = place / ("loops.parquet" if task == "loops" else "grid.parquet")
    table = evaluate(
        tmp_path / "out", model=result.run, store=place / "a.store", windows=windows,
        config=EvaluateConfig(block=500_000, batch_size=32),
    )  # fmt: skip
    values = table.loc[(table["method"] == "model") & (table["stratum"] == "all"), "value"]
    assert values.notna().any()


def test_a_baseline_starts_from_scratch(place, tmp_path):
    with pytest.raises(
        ConfigError, match=r"epi-cnn is trained from scratch: .*pre is a pre-training of mix-hic"
    ):
        trained(place, tmp_path / "run", "expression", "epi-cnn", pretrained=tmp_path / "pre")
    assert not (tmp_path / "run").exists()
