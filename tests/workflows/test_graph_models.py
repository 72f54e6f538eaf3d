import pytest

from chromweave.data.graph import GraphConfig
from chromweave.errors import ModelError
from chromweave.genome import Assembly
from chromweave.models.vgae import VGAE, VGAEConfig
from chromweave.training.checkpoint import ModelDescription, save_model
from chromweave.workflows.graph_models import KIND, graph_config, load_graph_model, require_assembly
from tests.fakes_graph import planted_store

GRAPH = {"resolution": 10_000, "chroms": ["chr1"], "features": ["CTCF"], "max_distance": 200_000}


def saved(folder, kind=KIND):
    described = ModelDescription(kind, {"features": 1, "hidden": 3}, {**GRAPH, "assembly": "fake"}, {})
    save_model(folder, VGAE(VGAEConfig(1, 3)), described)
    return folder


def test_network_and_graph_are_those_that_were_saved(tmp_path):
    loaded = load_graph_model(saved(tmp_path))
    assert loaded.network.config == VGAEConfig(1, 3)
    assert not loaded.network.training
    assert graph_config(loaded, tmp_path) == GraphConfig(10_000, ("chr1",), ("CTCF",), 200_000)


def test_another_kind_of_model(tmp_path):
    with pytest.raises(ModelError, match="holds a 'pretrain' model; needed is one of: graph-vgae"):
        load_graph_model(saved(tmp_path, "pretrain"))


def test_another_assembly(tmp_path):
    loaded, store = load_graph_model(saved(tmp_path)), planted_store()
    require_assembly(loaded, tmp_path, store)
    other = planted_store(name="other")
    object.__setattr__(other, "assembly", Assembly("hg19", dict(store.assembly.chromosomes)))
    with pytest.raises(ModelError, match="was trained on fake, and other is hg19"):
        require_assembly(loaded, tmp_path, other)
