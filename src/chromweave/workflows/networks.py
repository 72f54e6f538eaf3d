"""The networks that a model folder may hold, how each is built from its description, and where folders are.

A model is a folder of this machine or a repository of the Hugging Face Hub; of the latter three files are
fetched by name, none of them a pickle, and they are checked like any other folder.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from .. import config as configs
from .._version import __version__
from ..errors import ConfigError, ModelError
from ..models.mixhic import MixHicConfig, MixHicPretrain
from ..models.tasks import ContactModel, ExpressionModel, LoopModel
from ..training.checkpoint import CONFIG, WEIGHTS, LoadedModel, load_model, read_description
from .architectures import build_baseline

__all__ = [
    "CARD",
    "CONTACTS",
    "EXPRESSION",
    "LOOPS",
    "PRETRAIN",
    "TASKS",
    "build_network",
    "first_line",
    "load",
    "load_task",
    "made_by",
    "network_config",
    "wrong_kind",
]

PRETRAIN, LOOPS, CONTACTS = "mixhic-pretrain", "mixhic-loops", "mixhic-contacts"
EXPRESSION = "mixhic-expression"
TASKS = {"loops": LOOPS, "contacts": CONTACTS, "expression": EXPRESSION}
"""What a model can be fine-tuned for, and the kind of model that it then is."""
_COMMANDS = {
    PRETRAIN: "pretrain",
    **{kind: f"finetune --task {task}" for task, kind in TASKS.items()},
    "graph-vgae": "graph train",
}
CARD = "README.md"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def made_by(kind: str) -> str:
    """The command that makes models of a kind, as a message names it."""
    return _COMMANDS.get(kind, f"another kind ({kind!r})")


def wrong_kind(model: str | Path, kind: str, wanted: str) -> ModelError:
    """The error of a model of one kind where that of another is needed, in the words of the command line.

    Parameters
    ----------
    model
        Its folder, or what it is called.
    kind
        What it is.
    wanted
        The command, or commands, whose model is needed.
    """
    return ModelError(f"{model}: is a model of {made_by(kind)}; give a run folder of {wanted}.")


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


def _of_task(task: str, build: Callable[..., nn.Module], model: Mapping[str, Any], *more: Any) -> nn.Module:
    if "architecture" in model:
        return build_baseline(model, task)
    try:
        return build(network_config(model), _entry(model, "mode"), bool(model.get("probe", False)), *more)
    except ConfigError as error:
        raise ModelError(f"{CONFIG}: {error}") from error


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    PRETRAIN: lambda model: MixHicPretrain(network_config(model)),
    LOOPS: lambda model: _of_task("loops", LoopModel, model),
    CONTACTS: lambda model: _of_task("contacts", ContactModel, model, model.get("output", "sigmoid")),
    EXPRESSION: lambda model: _of_task("expression", ExpressionModel, model),
}


def build_network(kind: str, model: Mapping[str, Any]) -> nn.Module:
    """The network that a description is of, with new weights.

    Parameters
    ----------
    kind
        :data:`PRETRAIN` or one of :data:`TASKS`.
    model
        As in `config.json`: ``network``; of a task's model also ``mode`` and ``probe``, of contacts
        ``output``, and of a baseline ``architecture``.

    Raises
    ------
    ConfigError, ModelError
        The description does not fit.
    """
    return _BUILDERS[kind](model)


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
        return _load(path_or_hub_id, _BUILDERS, "pretrain or finetune")
    folder = _fetch(str(path_or_hub_id), revision)
    try:
        return _load(folder, _BUILDERS, "pretrain or finetune")
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


def load_task(path: str | Path, task: str) -> LoadedModel:
    """A model fine-tuned for a task of :data:`TASKS`, in evaluation mode, from its run folder.

    Raises
    ------
    ModelError
        The folder is damaged, or holds another kind of model.
    """
    kind = TASKS[task]
    return _load(path, {kind: _BUILDERS[kind]}, made_by(kind))


def _load(
    path: str | Path, builders: Mapping[str, Callable[[Mapping[str, Any]], nn.Module]], wanted: str
) -> LoadedModel:
    kind = read_description(path).kind
    if kind not in builders:
        raise wrong_kind(path, kind, wanted)
    return load_model(path, builders)
