"""The networks that a model folder may hold, and how each is built from its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from .. import config as configs
from ..models.mixhic import LoopModel, MixHicConfig, MixHicPretrain
from ..training.checkpoint import LoadedModel, load_model

__all__ = ["LOOPS", "PRETRAIN", "load", "load_loops", "network_config"]

PRETRAIN, LOOPS = "mixhic-pretrain", "mixhic-loops"


def network_config(model: Mapping[str, Any]) -> MixHicConfig:
    """Sizes of the network that a description is of.

    Raises
    ------
    ConfigError
        They are not ones this version knows.
    """
    return configs.from_mapping(MixHicConfig, model["network"], where="config.json: network")


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    PRETRAIN: lambda model: MixHicPretrain(network_config(model)),
    LOOPS: lambda model: LoopModel(network_config(model), model["mode"]),
}


def load(path: str | Path) -> LoadedModel:
    """A pre-trained or fine-tuned model, in evaluation mode, from its run folder.

    Raises
    ------
    ModelError
        The folder is damaged, or holds another kind of model.
    """
    return load_model(path, _BUILDERS)


def load_loops(path: str | Path) -> LoadedModel:
    """A model fine-tuned for loops, in evaluation mode, from its run folder.

    Raises
    ------
    ModelError
        The folder is damaged, or holds another kind of model.
    """
    return load_model(path, {LOOPS: _BUILDERS[LOOPS]})
