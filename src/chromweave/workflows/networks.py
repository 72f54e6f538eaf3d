"""The networks that a model folder may hold, how each is built from its description, and where folders are.

A model is a folder of this machine or a repository of the Hugging Face Hub; of the latter three files are
fetched by name, none of them a pickle, and they are checked like any other folder.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from torch import nn

from .. import config as configs
from .._version import __version__
from ..errors import ModelError
from ..models.mixhic import ContactMode, ContactModel, LoopMode, LoopModel, MixHicConfig, MixHicPretrain
from ..training.checkpoint import CONFIG, WEIGHTS, LoadedModel, load_model

__all__ = ["CARD", "CONTACTS", "LOOPS", "PRETRAIN", "first_line", "load", "load_loops", "network_config"]

PRETRAIN, LOOPS, CONTACTS = "mixhic-pretrain", "mixhic-loops", "mixhic-contacts"
CARD = "README.md"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def _entry(model: Mapping[str, Any], name: str) -> Any:
    if name not in model:
        raise ModelError(f"{CONFIG}: model lacks {name!r}; it is damaged.")
    return model[name]


def network_config(model: Mapping[str, Any]) -> MixHicConfig:
    """Sizes of the network that a description is of.

    Raises
    ------
    ConfigError
        They are not ones this version knows.
    ModelError
        There are none.
    """
    return configs.from_mapping(MixHicConfig, _entry(model, "network"), where=f"{CONFIG}: network")


def _mode(model: Mapping[str, Any], modes: tuple[str, ...]) -> Any:
    mode = _entry(model, "mode")
    if mode not in modes:
        raise ModelError(f"{CONFIG}: no mode {mode!r}; there are {', '.join(modes)}.")
    return mode


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    PRETRAIN: lambda model: MixHicPretrain(network_config(model)),
    LOOPS: lambda model: LoopModel(network_config(model), _mode(model, get_args(LoopMode))),
    CONTACTS: lambda model: ContactModel(network_config(model), _mode(model, get_args(ContactMode))),
}


def load(path_or_hub_id: str | Path, revision: str | None = None) -> LoadedModel:
    """A pre-trained or fine-tuned model, in evaluation mode, from its run folder or the Hugging Face Hub.

    Parameters
    ----------
    path_or_hub_id
        A folder with `model.safetensors` and `config.json`; or, where there is no such folder,
        ``"owner/name"`` on the hub, of which these two and the model card are fetched and nothing else.
    revision
        Branch, tag or commit on the hub; its main branch without it.

    Returns
    -------
    LoadedModel
        The network, and what its folder says of it.

    Raises
    ------
    ModelError
        The folder is damaged, or holds another kind of model; the hub has no such model, cannot be reached,
        or its client is not installed.
    ConfigError
        The network has settings that this version does not know.
    """
    if Path(path_or_hub_id).exists() or not _HUB_ID.fullmatch(str(path_or_hub_id)):
        if revision is not None:
            raise ModelError(
                f"{path_or_hub_id}: is no model on the hub, and a folder has no revisions; leave it out."
            )
        return load_model(path_or_hub_id, _BUILDERS)
    folder = _fetch(str(path_or_hub_id), revision)
    try:
        return load_model(folder, _BUILDERS)
    except ModelError as error:
        raise ModelError(f"{path_or_hub_id} on the hub: {error}") from error


def _fetch(hub_id: str, revision: str | None) -> Path:
    """The three files of a hub model, in the hub client's cache."""
    nowhere = f"{hub_id}: there is no such folder here"
    try:
        hub = importlib.import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{nowhere}; to take it as a model of the Hugging Face Hub, install its client: "
            f"pip install 'chromweave[hub]'."
        ) from error
    try:
        folder = hub.snapshot_download(
            hub_id,
            revision=revision,
            allow_patterns=[CONFIG, WEIGHTS, CARD],
            library_name="chromweave",
            library_version=__version__,
        )
    except (OSError, ValueError) as error:  # the client's errors are of these two kinds
        wanted = "" if revision is None else f" at revision {revision}"
        raise ModelError(
            f"{nowhere}, and the hub did not give the model{wanted} "
            f"({type(error).__name__}: {first_line(error)}); look at its name, the network and your access."
        ) from error
    return Path(folder)


def first_line(error: Exception) -> str:
    """What an error of a library says, as much of it as fits into a sentence of ours."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")


def load_loops(path: str | Path) -> LoadedModel:
    """A model fine-tuned for loops, in evaluation mode, from its run folder.

    Raises
    ------
    ModelError
        The folder is damaged, or holds another kind of model.
    """
    return load_model(path, {LOOPS: _BUILDERS[LOOPS]})
