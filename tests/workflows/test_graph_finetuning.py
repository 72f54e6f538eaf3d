"""A graph model taken to another cell line: where it starts, and what it refuses."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from chromweave.cli import main as cli
from chromweave.data.build import build
from chromweave.errors import DataError, ModelError
from chromweave.genome import Assembly
from chromweave.io.export import read_embedding
from chromweave.training.checkpoint import read_weights
from chromweave.workflows import graph
from tests.fakes_graph import planted_store, write_planted

RESOLUTION = 50_000


def small_store(folder, name, track="signal", assembly=None, **planted):
    fake = planted_store(name=name, n_bins=80, resolution=RESOLUTION, depth=15, **planted)
    files = write_planted(folder / name, fake)
    return build(
        folder / f"{name}.store",
        contacts=files.contacts,
        tracks={track: files.track},
        resolutions=[RESOLUTION],
        assembly=assembly or fake.assembly,
        name=name,
    )


@dataclass(frozen=True)
class Place:
    folder: Path
    runs: dict
    second: object


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetuning")
    first = small_store(folder, "first")
    runs = {}
    for preset, settings in (("vgae-original", {}), ("distance-aware", {"smoothness": 2.0})):
        runs[preset] = folder / preset
        graph.train(
            runs[preset], store=first.path, resolution=RESOLUTION, max_distance=2_000_000, preset=preset,
            latent=4, hidden=8, epochs=30, **settings,
        )  # fmt: skip
    return Place(folder, runs, small_store(folder, "second", seed=1, flip=range(20, 40)))


@pytest.mark.parametrize("preset", ["vgae-original", "distance-aware"])
def test_it_starts_where_the_model_ended(place, tmp_path, preset):
    run = place.runs[preset]
    result = graph.finetune(
        tmp_path / "tuned", model=run, store=place.second.path, epochs=1, learning_rate=1e-12
    )
    before, after = read_weights(run), read_weights(tmp_path / "tuned")
    assert set(before) == set(after)
    for name in before:
        if not name.startswith("norm.running") and "num_batches" not in name:
            torch.testing.assert_close(after[name], before[name], atol=1e-9, rtol=0)
    assert set(result.scores["method"]) >= {preset, "distance"}
    said = json.loads((tmp_path / "tuned" / "config.json").read_text())["provenance"]
    assert said["trained_on"] == "second"
    assert len(said["started_from"]) == 64


def test_it_learns_what_the_other_line_has(place, tmp_path):
    """Twenty bins were planted to change compartment: held-out counts get likelier than at the start."""
    run = place.runs["distance-aware"]
    short, long = (
        graph.finetune(
            tmp_path / f"{n}", model=run, store=place.second.path, epochs=n, learning_rate=3e-2
        ).scores.query("method == 'distance-aware' and metric == 'negative binomial'")["value"]
        for n in (1, 40)
    )
    assert float(long.iloc[0]) > float(short.iloc[0]) + 0.05


def test_a_tuned_model_encodes_its_own_store(place, tmp_path):
    graph.finetune(tmp_path / "tuned", model=place.runs["distance-aware"], store=place.second.path, epochs=3)
    graph.encode(tmp_path / "e.h5ad", model=tmp_path / "tuned", store=place.second.path, layout=False)
    own = read_weights(tmp_path / "tuned")["own.mean"]
    latent = read_embedding(tmp_path / "e.h5ad").latent
    assert latent.shape == tuple(own.shape)
    assert np.isfinite(latent).all()


def test_the_command(place, tmp_path, capsys):
    words = ["graph", "finetune", tmp_path / "run", "--model", place.runs["vgae-original"]]
    words += ["--store", place.second.path, "--epochs", "2", "--json"]
    assert cli.run(list(map(str, words))) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["epochs"] == 2
    assert set(shown["auc_vgae-original"]) == {"uniform", "in-range", "matched"}


def test_other_tracks_and_other_assemblies_are_refused(place, tmp_path):
    other = small_store(tmp_path, "other", track="ATAC")
    with pytest.raises(DataError, match="has no track signal; it has ATAC"):
        graph.finetune(tmp_path / "a", model=place.runs["vgae-original"], store=other)
    length = dict(other.assembly.chromosomes)
    strange = small_store(tmp_path, "strange", assembly=Assembly("elsewhere", length))
    with pytest.raises(ModelError, match="was trained on fake, and strange is elsewhere"):
        graph.finetune(tmp_path / "b", model=place.runs["vgae-original"], store=strange)
    with pytest.raises(ModelError, match="is no model folder"):
        graph.finetune(tmp_path / "c", model=tmp_path, store=other)
    assert not any((tmp_path / name).exists() for name in "abc")
