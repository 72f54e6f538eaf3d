"""Models on disk: `model.safetensors` and `config.json`, and what is read back from a run's checkpoints.

A model folder says what it is: the configuration that builds the network, what was done to its input,
where it comes from, and the checksum of its weights. Nothing here is ever unpickled.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import FileFormatError, ModelError
from ..files import atomic_path, is_first_process, read_json, sha256, write_json

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "LoadedModel",
    "ModelDescription",
    "Transfer",
    "fill",
    "load_model",
    "read_checkpoint",
    "read_description",
    "read_weights",
    "save_model",
    "transfer",
]

WEIGHTS, CONFIG = "model.safetensors", "config.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelDescription:
    """What `config.json` says.

    Attributes
    ----------
    kind
        Which network, e.g. ``"mixhic-loops"``.
    model
        The configuration that builds it.
    data
        What it reads: transform, tracks in order, assembly, resolution in bp.
    provenance
        Where it comes from: command, versions, seed, inputs, scores.
    """

    kind: str
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class LoadedModel:
    """A network in evaluation mode, and what its folder says of it."""

    network: nn.Module
    description: ModelDescription


@dataclass(frozen=True)
class Transfer:
    """Names of tensors that moved from one model to another, start anew in it, or stayed behind."""

    moved: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]


def save_model(directory: str | Path, network: nn.Module, description: ModelDescription) -> None:
    """Write `network` and its description into `directory`, each file whole or not at all.

    Of several processes that train together only the first writes.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    if not is_first_process():
        return
    directory = Path(directory)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(directory / WEIGHTS) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
    write_json(
        directory / CONFIG,
        {
            "format": "chromweave model",
            "format_version": FORMAT_VERSION,
            "kind": description.kind,
            "model": dict(description.model),
            "data": dict(description.data),
            "provenance": dict(description.provenance),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "weights_sha256": sha256(directory / WEIGHTS),
        },
    )


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG
    if not path.is_file():
        raise ModelError(
            f"{directory}: is no model folder: it has no {CONFIG}. Give the folder of a finished run."
        )
    try:
        values = read_json(path)
    except FileFormatError as error:
        raise ModelError(str(error)) from error
    if not isinstance(values, dict) or values.get("format") != "chromweave model":
        raise ModelError(f"{path}: does not describe a model of chromweave.")
    if values.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{path}: is of format version {values.get('format_version')!r}; this chromweave reads "
            f"{FORMAT_VERSION}."
        )
    missing = [key for key in ("kind", "model", "data", "provenance", "weights_sha256") if key not in values]
    if missing:
        raise ModelError(f"{path}: lacks {', '.join(missing)}; it is damaged.")
    return values


def read_description(directory: str | Path) -> ModelDescription:
    """What a model folder says of itself, without reading the weights.

    Raises
    ------
    ModelError
        The folder is not one of a model, or of a version this package does not know.
    """
    values = _read_config(Path(directory))
    return ModelDescription(values["kind"], values["model"], values["data"], values["provenance"])


def read_weights(directory: str | Path) -> dict[str, Tensor]:
    """The tensors of a model folder, by name, on the CPU.

    Raises
    ------
    ModelError
        The weights are missing, damaged, or not the ones `config.json` was written for.
    """
    directory = Path(directory)
    expected, path = _read_config(directory)["weights_sha256"], directory / WEIGHTS
    if not path.is_file():
        raise ModelError(f"{path}: no such file; the model folder is incomplete.")
    if sha256(path) != expected:
        raise ModelError(
            f"{path}: is damaged or belongs to another {CONFIG} (checksums differ); copy or train it again."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: is not a safetensors file ({error}).") from error


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown}, ... ({len(names)} in all)"


def fill(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Put `weights` into `network`; every name and shape must fit.

    Raises
    ------
    ModelError
        A tensor is missing, left over, or of another shape; all are named.
    """
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(weights))
    left = sorted(set(weights) - set(wanted))
    reshaped = [
        f"{name} {tuple(weights[name].shape)} for {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(weights))
        if weights[name].shape != wanted[name].shape
    ]
    faults = [
        f"{what}: {_some(names)}"
        for what, names in (("missing", missing), ("left over", left), ("of another shape", reshaped))
        if names
    ]
    if faults:
        raise ModelError(f"{source}: the weights do not fit the network; {'; '.join(faults)}.")
    network.load_state_dict(dict(weights))


def load_model(
    directory: str | Path, builders: Mapping[str, Callable[[Mapping[str, Any]], nn.Module]]
) -> LoadedModel:
    """Read a model folder.

    Parameters
    ----------
    directory
        Folder with `model.safetensors` and `config.json`.
    builders
        For each kind of model that will do, what builds the network from its configuration.

    Raises
    ------
    ModelError
        The folder is damaged, of another kind, or its weights do not fit (leftovers are named).
    """
    directory = Path(directory)
    description = read_description(directory)
    if description.kind not in builders:
        raise ModelError(
            f"{directory}: holds a {description.kind!r} model; needed is one of: {', '.join(builders)}."
        )
    with torch.random.fork_rng(devices=[]):  # the initial weights are drawn, then replaced
        network = builders[description.kind](description.model)
    fill(network, read_weights(directory), str(directory / WEIGHTS))
    return LoadedModel(network.eval(), description)


def transfer(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> Transfer:
    """Copy into `network` every tensor of `weights` that it has under the same name.

    Raises
    ------
    ModelError
        No parameter fits, or one of the same name has another shape.
    """
    wanted = network.state_dict()
    shared = [name for name in wanted if name in weights]
    if not shared:
        raise ModelError(f"{source}: nothing of it fits the new model; it has {_some(sorted(weights))}.")
    for name in shared:
        if wanted[name].shape != weights[name].shape:
            raise ModelError(
                f"{source}: {name} is {tuple(weights[name].shape)}, and {tuple(wanted[name].shape)} in the "
                f"new model; give both the same preset and tracks."
            )
    network.load_state_dict({name: weights[name] for name in shared}, strict=False)
    return Transfer(
        moved=tuple(shared),
        new=tuple(name for name in wanted if name not in weights),
        left=tuple(name for name in weights if name not in wanted),
    )


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A training checkpoint, tensors and plain values only.

    Raises
    ------
    ModelError
        It is missing, truncated, or holds anything that would have to be unpickled.
    """
    path = Path(path)
    if not path.is_file():
        remedy = _another(path) or "start the run without resuming"
        raise ModelError(f"{path}: there is no such checkpoint to resume from; {remedy}.")
    try:
        if not zipfile.is_zipfile(path):  # cut short, or a bare pickle
            raise ValueError("not a zip archive")
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError) as error:
        remedy = _another(path) or "start the run again"
        raise ModelError(f"{path}: is truncated or no checkpoint of chromweave; {remedy}.") from error
    if not isinstance(values, dict) or "state_dict" not in values:
        raise ModelError(f"{path}: is no training checkpoint.")
    return values


def _another(path: Path) -> str | None:
    """What to type to go on from the nearest sound checkpoint beside `path`."""
    for name in ("last.ckpt", "previous.ckpt", "best.ckpt"):
        other = path.with_name(name)
        if other != path and other.is_file() and zipfile.is_zipfile(other):
            return f"go on from the one before with --resume-from {other}"
    return None
