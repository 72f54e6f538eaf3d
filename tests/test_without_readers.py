"""A cluster node that has no genomics reader, no scipy and no matplotlib trains from stores all the same.

Needed are numpy, torch, Lightning and safetensors; pandas and pyarrow for the tables, numba for the cutter.
"""

import json
import subprocess
import sys

import pytest

from chromweave.data.windows import loop_windows, write_windows
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

ABSENT = {
    "hictkpy": "hictkpy",
    "cooler": "cooler",
    "cooltools": "cooltools",
    "bioframe": "bioframe",
    "pybigtools": "pybigtools",
    "pyBigWig": "pybigwig",
    "h5py": "h5py",
    "hicrep": "hicrep",
    "anndata": "anndata",
    "umap": "umap-learn",
    "matplotlib": "matplotlib",
    "networkx": "networkx",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "huggingface_hub": "huggingface-hub",
}
"""Module -> distribution. Both are hidden: other libraries ask for the distribution, then import."""

PREAMBLE = """
import json, sys
from importlib.machinery import PathFinder

absent = json.loads(sys.argv[1])

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in absent else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, context=None):
        hidden = context is not None and str(context.name).lower().replace("_", "-") in absent.values()
        return iter(()) if hidden else super().find_distributions(context)

sys.meta_path = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""

STORY = """
from pathlib import Path
import chromweave
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import read_windows
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.engine import FitConfig
from chromweave.workflows.foundation import (
    FinetuneConfig, PretrainConfig, finetune, pretrain, score_windows,
)

place = Path(sys.argv[2])
store = chromweave.RegionStore.open(place / "a.store")
table = read_windows(place / "loops.parquet", store=store)
network = MixHicConfig(channels=8, heads=1, depth=1)
fit = FitConfig(epochs=1, batch_size=24, accelerator="cpu")
given = {"stores": store, "windows": place / "loops.parquet", "seed": 1}
before = pretrain(place / "p", config=PretrainConfig(network=network, fit=fit), **given)
after = finetune(
    place / "l", pretrained=before.run, config=FinetuneConfig(network=network, fit=fit), **given
)
for task, mode, transform in (
    ("contacts", "infer_map", WindowTransform(contacts="observed_expected")),
    ("expression", "bimodal", WindowTransform(tracks=("ATAC",))),
):
    settings = FinetuneConfig(
        mode=mode, network=network, fit=fit, signal="DNase", transform=transform
    )
    done = finetune(place / task, task=task, config=settings, **given)
    assert done.fit.best_metrics["pearson"] ** 2 <= 1
scores = score_windows(chromweave.load(after.run), store, table[:5])
print(json.dumps({
    "tracks": store.track_names,
    "retrieval": before.fit.best_metrics["retrieval_top1"],
    "auroc": after.fit.best_metrics["auroc"],
    "kind": chromweave.load(before.run).description.kind,
    "scores": scores.tolist(),
    "loaded": sorted(set(absent) & set(sys.modules)),
}))
"""


def bare_node(story, *arguments):
    """Run `story` in a Python that has none of the `ABSENT` packages."""
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + story, json.dumps(ABSENT), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("name", ["scipy.special", "hictkpy", "matplotlib"])
def test_the_node_lacks_what_it_should(name):
    answer = bare_node(f"import {name}")
    assert answer.returncode == 1
    assert f"No module named '{name.split('.')[0]}'" in answer.stderr


@pytest.mark.slow
def test_stores_models_and_training_need_no_reader(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, tmp_path / "a.store")
    report = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION)
    write_windows(tmp_path / "loops.parquet", report.table)
    answer = bare_node(STORY, tmp_path)
    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout.splitlines()[-1])
    assert said["tracks"] == ["ATAC", "DNase"]
    assert said["kind"] == "mixhic-pretrain"
    assert 0 <= said["retrieval"] <= 1
    assert 0 <= said["auroc"] <= 1
    assert len(said["scores"]) == 5
    assert all(0 < score < 1 for score in said["scores"])
    assert said["loaded"] == []
