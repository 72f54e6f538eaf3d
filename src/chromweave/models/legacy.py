"""Weights of MIX-HIC's published code under our names, so that its checkpoints can be used.

The published code names its modules otherwise, keeps queries apart from keys and values in the map's blocks,
learns the temperature itself and not its logarithm, and stores weights that nothing reads. Every name of a
checkpoint is accounted for: moved, dropped for a known reason, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError, ModelError
from .mixhic import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    MixHicConfig,
    MixHicPretrain,
)
from .tasks import ContactModel, LoopModel, Mode

__all__ = [
    "ImportedWeights",
    "import_weights",
    "legacy_model",
    "official_names",
    "state_dict_of",
]

_TRACK_LAYER = {
    "attention.qkv.weight": ("self_attn.in_proj_weight",),
    "attention.qkv.bias": ("self_attn.in_proj_bias",),
    "attention.out": ("self_attn.out_proj",),
    "norm1": ("norm1",),
    "expand": ("linear1",),
    "contract": ("linear2",),
    "norm2": ("norm2",),
}
_MAP_BLOCK = {
    "norm1": ("norm1",),
    "attention.qkv": ("attn.qkv.to_q", "attn.qkv.to_kv"),
    "attention.out": ("attn.proj",),
    "norm2": ("norm2",),
    "feed_forward.expand": ("mlp.linear1.0",),
    "feed_forward.depthwise": ("mlp.dwconv.0",),
    "feed_forward.contract": ("mlp.linear2.0",),
}
_FUSION_BLOCK = {
    "norm1": ("norm1",),
    "attention.qkv": ("attn.qkv.to_q", "attn.qkv.to_kv"),
    "attention.out": ("attn.proj",),
    "cross_attention.q": ("cross_attn.qkv.to_q",),
    "cross_attention.kv": ("cross_attn.qkv.to_kv",),
    "cross_attention.out": ("cross_attn.proj",),
    "norm2": ("norm2",),
    "expand": ("mlp.fc1",),
    "contract": ("mlp.fc2",),
}
_SEQ, _MAP, _UP = "seq_downsampleTrans", "map_downsampleTrans", "seq_upsampleTrans"
_SINGLE = {
    "track_encoder.stem.embed": "seq_input_projection.0",
    "map_encoder.embed": "patch_embedding",
    "track_halves.invariant": "epi_share_proj",
    "track_halves.specific": "epi_independent_proj",
    "map_halves.invariant": "map_share_proj",
    "map_halves.specific": "map_independent_proj",
    "to_map.dense": "mlp_e2m",
    "to_tracks.dense": "mlp_m2e",
    "head.hidden": "classifier.0",
    "head.out": "classifier.3",
}
_NUMBERED = (
    # ours, theirs with {0} the number, and what is added to ours to get it
    (r"track_encoder\.stem\.convs\.(\d+)", _SEQ + ".pooling_encoder.conv{0}", 1),
    (r"track_encoder\.stem\.norms\.(\d+)", _SEQ + ".pooling_encoder.bn{0}", 1),
    (r"track_encoder\.downs\.(\d+)", _SEQ + ".dowsample_{0}.conv.0", 0),
    (r"map_encoder\.downs\.(\d+)", _MAP + ".dowsample_{0}.conv.0", 0),
    (r"decoder\.ups\.(\d+)", _UP + ".upsample_{0}.conv_transpose.0", 3),
)
_BLOCKS = (
    # stage 3 of the track encoder comes first: theirs has a name of its own
    (r"track_encoder\.stages\.3\.(\d+)\.", _SEQ + ".bottleneck.layers.{0}.", 0, _TRACK_LAYER),
    (r"track_encoder\.stages\.(\d)\.(\d+)\.", _SEQ + ".seq_encoder_{0}.layers.{1}.", 0, _TRACK_LAYER),
    (r"decoder\.stages\.(\d)\.(\d+)\.", _UP + ".seq_decoder_{0}.layers.{1}.", 3, _TRACK_LAYER),
    (r"map_encoder\.stages\.(\d)\.(\d+)\.", _MAP + ".encoderlayer_{0}.blocks.{1}.", 0, _MAP_BLOCK),
    (r"fusion\.blocks\.(\d+)\.", "fusion_block.blocks.{0}.", 0, _FUSION_BLOCK),
)  # fmt: skip

_DEAD = (
    re.compile(r"map_downsampleTrans\.encoderlayer_[0-3]\.blocks\.\d+\.cross_attn\..+"),
    re.compile(r"seq_downsampleTrans\.layer_norm[0-2]\.(weight|bias)"),
)


@dataclass(frozen=True)
class ImportedWeights:
    """A published checkpoint under our names.

    Attributes
    ----------
    config
        Sizes read off the shapes, with `legacy` set.
    weights
        What :func:`legacy_model`'s network of `config` holds, by our names.
    dropped
        Published names that were left behind: weights that nothing reads, and parts that the mode does not.
    """

    config: MixHicConfig
    weights: Mapping[str, Tensor]
    dropped: tuple[str, ...]


def official_names(name: str) -> tuple[str, ...]:
    """What the published code calls the tensor that ours calls `name`; two names where ours joins two.

    Raises
    ------
    ModelError
        It has no such tensor.
    """
    if name == "log_temperature":
        return ("temp",)
    module, _, kind = name.rpartition(".")
    if module in _SINGLE:
        return (f"{_SINGLE[module]}.{kind}",)
    for pattern, theirs, shift in _NUMBERED:
        if found := re.fullmatch(pattern, module):
            return (f"{theirs.format(int(found[1]) + shift)}.{kind}",)
    for pattern, theirs, shift, layers in _BLOCKS:
        if found := re.match(pattern, name):
            numbers = list(found.groups())
            numbers[0] = str(int(numbers[0]) + shift)
            prefix, rest = theirs.format(*numbers), name[found.end() :]
            if rest in layers:
                return tuple(prefix + part for part in layers[rest])
            return tuple(f"{prefix}{part}.{kind}" for part in layers[rest.rpartition(".")[0]])
    raise ModelError(f"the published code has no tensor for {name}.")


def legacy_model(config: MixHicConfig, kind: str, mode: str = "") -> nn.Module:
    """The network of `config` that a kind of checkpoint is for.

    Parameters
    ----------
    config
        Sizes and choices.
    kind
        ``"pretrain"``, ``"loops"`` or ``"contacts"``.
    mode
        Of a task's model; nothing for ``"bimodal"`` loops and ``"infer_map"`` contacts.

    Raises
    ------
    ConfigError
        There is no such kind or mode.
    """
    loops: dict[str, Mode] = {
        "": "bimodal", "bimodal": "bimodal", "map": "map", "tracks": "tracks", "infer_map": "infer_map",
    }  # fmt: skip
    contacts: dict[str, Mode] = {"": "infer_map", "infer_map": "infer_map", "tracks": "tracks"}
    if kind == "pretrain" and not mode:
        return MixHicPretrain(config)
    if kind == "loops" and mode in loops:
        return LoopModel(config, loops[mode])
    if kind == "contacts" and mode in contacts:
        return ContactModel(config, contacts[mode])
    raise ConfigError(
        f"no published checkpoint of kind {kind!r} and mode {mode!r}; there are pretrain (no mode), loops "
        f"(bimodal, map, tracks, infer_map) and contacts (infer_map, tracks)."
    )


def state_dict_of(checkpoint: Any, source: str) -> dict[str, Tensor]:
    """Tensors by name, out of a checkpoint's `model_state_dict` if it has one, without `module.` prefixes.

    Raises
    ------
    ModelError
        There is no state dict in it.
    """
    state = checkpoint
    if isinstance(checkpoint, Mapping) and "model_state_dict" in checkpoint:
        state = checkpoint["model_state_dict"]
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(
            f"{source}: holds no state dict; needed are tensors by name, bare or as model_state_dict."
        )
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def _config_of(state: Mapping[str, Tensor], source: str) -> MixHicConfig:
    """Sizes from the shapes; heads, window and pools are the same in all of the published code."""
    embed = state.get("seq_input_projection.0.weight")
    if embed is None or embed.ndim != 2:
        raise ModelError(
            f"{source}: has no seq_input_projection.0.weight, from which sizes are read; it is no checkpoint "
            f"of the published MIX-HIC (it has {_some(sorted(state))})."
        )
    layers = [re.match(r"seq_downsampleTrans\.bottleneck\.layers\.(\d+)\.", name) for name in state]
    depth = 1 + max((int(found[1]) for found in layers if found), default=-1)
    if not depth:
        raise ModelError(f"{source}: has no seq_downsampleTrans.bottleneck.layers, which tell the depth.")
    try:
        return MixHicConfig(
            channels=embed.shape[0], n_tracks=embed.shape[1], heads=4, depth=depth, legacy=True
        )
    except ConfigError as error:
        raise ModelError(f"{source}: is of a size that MIX-HIC cannot have: {error}") from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")


def import_weights(
    checkpoint: Any, kind: str, mode: str = "", *, source: str = "checkpoint"
) -> ImportedWeights:
    """A checkpoint of the published code as weights of ours.

    Parameters
    ----------
    checkpoint
        What ``torch.load`` gave: a state dict, or a mapping that has one as `model_state_dict`.
    kind, mode
        See :func:`legacy_model`. The published code saves every part whatever the mode reads, so the mode
        cannot be told from the file.
    source
        What to call the checkpoint in messages.

    Raises
    ------
    ModelError
        It holds no state dict, lacks a tensor, has one that nothing accounts for, or one of another shape;
        all are named.
    """
    state = state_dict_of(checkpoint, source)
    config = _config_of(state, source)
    with torch.device("meta"):
        wanted = legacy_model(config, kind, mode).state_dict()
    sources = {name: official_names(name) for name in wanted}
    needed = {theirs for names in sources.values() for theirs in names}
    dropped = sorted((set(state) - needed) & _not_needed(config, kind, state))
    faults = {
        "missing": sorted(needed - set(state)),
        "left over": sorted(set(state) - needed - set(dropped)),
    }
    weights = {}
    for name, theirs in sources.items():
        if all(part in state for part in theirs):
            weights[name] = _converted(name, [state[part] for part in theirs])
    faults["of another shape"] = [
        f"{' + '.join(sources[name])} {tuple(tensor.shape)} for {tuple(wanted[name].shape)}"
        for name, tensor in weights.items()
        if tensor.shape != wanted[name].shape
    ]
    if any(faults.values()):
        told = "; ".join(f"{what}: {_some(names)}" for what, names in faults.items() if names)
        raise ModelError(
            f"{source}: does not fit a published model of kind {kind!r} with {config.channels} channels and "
            f"{config.n_tracks} tracks; {told}. Is it of another kind?"
        )
    return ImportedWeights(config, weights, tuple(dropped))


def _not_needed(config: MixHicConfig, kind: str, state: Mapping[str, Tensor]) -> set[str]:
    """Published names that are known to be of no use: dead weights, and what other modes of `kind` read."""
    names = {name for name in state if any(dead.fullmatch(name) for dead in _DEAD)}
    if kind == "pretrain":
        return names
    with torch.device("meta"):
        parts = [*MixHicPretrain(config).state_dict(), *LoopModel(config).state_dict()]
    return names | {theirs for ours in parts for theirs in official_names(ours)}


def _converted(name: str, parts: list[Tensor]) -> Tensor:
    if name == "log_temperature":  # theirs is clamped before every use
        return parts[0].reshape(()).clamp(MIN_TEMPERATURE, MAX_TEMPERATURE).log()
    return torch.cat(parts) if len(parts) > 1 else parts[0]
