"""Distance-aware models through train and encode; latents of another map's bins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave.data.build import build
from chromweave.data.graph import GraphConfig, build_graph
from chromweave.errors import ConfigError
from chromweave.io.export import read_embedding
from chromweave.models.vgae import VGAE, VGAEConfig
from chromweave.workflows import graph
from chromweave.workflows.graph_latents import LatentsConfig, learn_latents
from tests.fakes_graph import planted_store, write_planted

RESOLUTION = 50_000
CHROMS = ("chr1", "chr2")


def small_store(folder, name, **planted):
    fake = planted_store(name=name, n_bins=80, resolution=RESOLUTION, chroms=CHROMS, depth=15, **planted)
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
    settings = {"epochs": 40, "patience": None, "max_distance": 2_000_000, "latent": 4, "hidden": 8}
    settings |= {"preset": "distance-aware", "smoothness": 2.0}
    return graph.train(run, store=store.path, resolution=RESOLUTION, **{**settings, **changes})


@dataclass(frozen=True)
class Trained:
    folder: Path
    first: object
    result: object

    @property
    def run(self):
        return self.folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aware")
    first = small_store(folder, "first")
    return Trained(folder, first, train(folder / "run", first))


def test_counts_are_scored_beside_contacts(trained):
    scores = trained.result.scores.set_index(["method", "sampling", "metric"])["value"]
    own, trivial = scores["distance-aware"], scores["expected x visibility"]
    assert own["counts", "log O/E pearson"] > trivial["counts", "log O/E pearson"] + 0.1
    assert own["counts", "negative binomial"] > trivial["counts", "negative binomial"]
    assert own["in-range", "auc"] > trivial["in-range", "auc"]
    metrics = pd.read_csv(trained.run / "metrics.csv")
    assert {"log_likelihood", "auc"} <= set(metrics.query("split == 'valid'")["metric"])


def test_the_original_in_parts_learns_too(trained, tmp_path):
    settings = {"preset": "vgae-original", "smoothness": None, "epochs": 12, "by_chromosome": True}
    fitted = train(tmp_path / "run", trained.first, **settings).fit
    assert fitted.steps == fitted.epochs  # both chromosomes make one step
    metrics = pd.read_csv(tmp_path / "run" / "metrics.csv").query("split == 'valid' and metric == 'auc'")
    assert metrics["value"].max() > 0.6


def test_a_resumed_training_is_the_uninterrupted_one(trained, tmp_path):
    settings = {"schedule": "constant", "encoder": "gat", "likelihood": "poisson", "structure": 2}
    train(tmp_path / "whole", trained.first, epochs=4, **settings)
    train(tmp_path / "half", trained.first, epochs=2, **settings)
    assert train(tmp_path / "half", trained.first, epochs=4, resume=True, **settings).fit.epochs == 4
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "half")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"likelihood": "bernoulli", "encoder": "sage"},
        {"decoder": "inner-product", "own": False, "likelihood": "poisson"},
        {"balance": True, "noise": True},
    ],
    ids=["contacts", "inner product", "weights"],
)
def test_other_choices_run(trained, tmp_path, changes):
    scores = train(tmp_path / "run", trained.first, epochs=3, **changes).scores
    assert scores.query("method == 'distance-aware' and metric == 'auc'")["value"].between(0.3, 1).all()
    assert ("counts" in set(scores["sampling"])) == (changes.get("likelihood") != "bernoulli")


def test_a_graph_without_tracks(trained, tmp_path):
    bare = build(
        tmp_path / "bare.store",
        contacts=trained.folder / "first" / "map.cool",
        resolutions=[RESOLUTION],
        assembly=trained.first.assembly,
    )
    with pytest.raises(ConfigError, match="--structure N"):
        train(tmp_path / "none", bare, epochs=1)
    train(tmp_path / "run", bare, epochs=2, structure=3)
    with pytest.raises(ConfigError, match="reads no track; name one"):
        graph.encode(tmp_path / "e.h5ad", model=tmp_path / "run", store=bare)


def test_its_own_store_is_encoded_as_it_was_trained(trained, tmp_path):
    graph.encode(tmp_path / "a.h5ad", model=trained.run, store=trained.first.path, layout=False)
    embedding = read_embedding(tmp_path / "a.h5ad")
    from safetensors.torch import load_file

    own = load_file(trained.run / "model.safetensors")["own.mean"].numpy()
    assert embedding.latent.shape == own.shape
    assert np.corrcoef(embedding.latent.ravel(), own.ravel())[0, 1] > 0.9


def test_another_map_is_encoded_in_the_same_frame(trained, tmp_path):
    second = small_store(tmp_path, "second", seed=1, flip=range(20, 40))
    for name, store in (("first", trained.first), ("second", second)):
        graph.encode(tmp_path / f"{name}.h5ad", model=trained.run, store=store.path, layout=False)
    first, other = (read_embedding(tmp_path / f"{name}.h5ad").latent for name in ("first", "second"))
    # Bins 20..39 changed their compartment: nodes 19..38 of the first chromosome (bin 0 is masked).
    change = np.linalg.norm(first - other, axis=1)[:78]
    assert change[21:36].mean() > 1.5 * np.r_[change[:16], change[60:]].mean()


def test_nothing_but_own_latents_is_learned():
    fake = planted_store(n_bins=60)
    config = GraphConfig(10_000, ("chr1",), ("signal",), max_distance=200_000)
    there = build_graph(fake, config)
    torch.manual_seed(0)
    network = VGAE(
        VGAEConfig(1, 4, 3, decoder="distance-aware", likelihood="poisson", own=58, max_bins=20)
    ).eval()
    network.own.place(torch.zeros(58, dtype=torch.int64), torch.from_numpy(there.bins))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learned = learn_latents(network, ("chr1",), there, LatentsConfig(epochs=3))
    for name, value in learned.state_dict().items():
        places = name in ("own.chrom", "own.bins")
        assert torch.equal(value, before[name]) == (places or not name.startswith("own.")), name
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
