"""Model folders of graph autoencoders, read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import config as configs
from ..data.graph import GraphConfig
from ..data.store import RegionStore
from ..errors import ModelError
from ..models.vgae import VGAE, VGAEConfig
from ..training.checkpoint import LoadedModel, load_model

__all__ = ["KIND", "graph_config", "load_graph_model", "require_assembly"]

KIND = "graph-vgae"


def _build_network(values: Mapping[str, Any]) -> VGAE:
    return VGAE(configs.from_mapping(VGAEConfig, values, where="config.json"))


def load_graph_model(model: str | Path) -> LoadedModel:
    """A trained graph autoencoder.

    Raises
    ------
    ModelError
        The folder holds none.
    """
    return load_model(model, {KIND: _build_network})


def graph_config(loaded: LoadedModel, source: str | Path) -> GraphConfig:
    """How the graph was made that a model was trained on; `source` is the model's folder."""
    values = {key: value for key, value in loaded.description.data.items() if key != "assembly"}
    return configs.from_mapping(GraphConfig, values, where=str(Path(source) / "config.json"))


def require_assembly(loaded: LoadedModel, source: str | Path, store: RegionStore) -> None:
    """Nothing, if the store is of the assembly that the model of the folder `source` was trained on.

    Raises
    ------
    ModelError
        It is of another.
    """
    trained_on = loaded.description.data["assembly"]
    if store.assembly.name != trained_on:
        raise ModelError(
            f"{source}: was trained on {trained_on}, and {store.name} is {store.assembly.name}; "
            "give a store of the same assembly."
        )
