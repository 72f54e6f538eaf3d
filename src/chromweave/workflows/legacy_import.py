"""A checkpoint of MIX-HIC's published code as a model folder of ours."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from .. import config as configs
from ..data.transforms import WindowTransform
from ..errors import ConfigError, ModelError, OutputError
from ..genome import Assembly
from ..models.legacy import import_weights, legacy_model
from ..models.mixhic import MixHicConfig
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, ModelDescription, save_model
from .model_card import write_model_card
from .model_input import ModelInput
from .networks import CONTACTS, LOOPS, PRETRAIN, first_line

__all__ = ["LegacyImport", "import_legacy"]

KINDS = {"pretrain": PRETRAIN, "loops": LOOPS, "contacts": CONTACTS}
DEFAULT_MODES = {"pretrain": "", "loops": "bimodal", "contacts": "infer_map"}


@dataclass(frozen=True)
class LegacyImport:
    """A published checkpoint that is now a model folder.

    Attributes
    ----------
    folder
        Where it is.
    kind
        Of the model, as in its `config.json`.
    config
        Sizes, with `legacy` set: the network computes what the published code does.
    dropped
        Published names left behind, because nothing reads them.
    """

    folder: Path
    kind: str
    config: MixHicConfig
    dropped: tuple[str, ...]


def import_legacy(
    checkpoint: str | Path,
    out: str | Path,
    *,
    kind: Literal["pretrain", "loops", "contacts"],
    assembly: str,
    tracks: Sequence[str],
    resolution: int = 5000,
    mode: str = "",
    weight: str = "KR",
    signal: Literal["raw", "log2"] | None = None,
    overwrite: bool = False,
) -> LegacyImport:
    """Turn a checkpoint of the published code into a model folder.

    Parameters
    ----------
    checkpoint
        File that ``torch.save`` wrote: a state dict, or a mapping with one as `model_state_dict`. It is read
        as tensors and plain values; anything that would run code is refused.
    out
        Folder to write.
    kind
        What was trained: ``"pretrain"``, ``"loops"``, or ``"contacts"`` (the published "maps").
    assembly, tracks, resolution
        What the windows were made from; tracks in the model's order (published: ATAC, DNase; hg38, 5 kb).
    mode
        Of a task's model: ``"bimodal"`` (loops) or ``"infer_map"`` (contacts) unless given.
    weight
        Balancing vector that the model's windows take from a store. The published code reads juicer's KR as
        it is; values of any other vector are brought to the scale of counts first.
    signal
        ``"raw"`` for pre-training and ``"log2"`` for tasks unless given, as in the published code.
    overwrite
        Write over a model that is already there.

    Raises
    ------
    ModelError
        The file cannot be read, holds code, or does not fit; every name at fault is told.
    ConfigError
        There is no such kind or mode, or the number of tracks differs.
    AssemblyError
        There is no such assembly.
    OutputError
        `out` holds a model.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    if kind not in KINDS:
        raise ConfigError(f"no kind {kind!r} of published checkpoint; there are {', '.join(KINDS)}.")
    if (out / CONFIG).exists() and not overwrite:
        raise OutputError(f"{out}: holds a model already; give another folder, or overwrite it.")
    mode = mode or DEFAULT_MODES[kind]
    imported = import_weights(read_foreign(checkpoint), kind, mode, source=str(checkpoint))
    if len(tracks) != imported.config.n_tracks:
        raise ConfigError(
            f"{checkpoint}: reads {imported.config.n_tracks} tracks, and {len(tracks)} are named "
            f"({', '.join(tracks) or 'none'}); name them in the model's order."
        )
    transform = WindowTransform(
        tracks=tuple(tracks),
        weight=weight,
        scaled=weight != "KR",
        signal=signal or ("raw" if kind == "pretrain" else "log2"),
    )
    name = Assembly.named(assembly).name
    given = ModelInput(name, resolution, imported.config.window_bins, transform)
    if given.positions != imported.config.positions:
        raise ConfigError(
            f"{checkpoint}: reads {imported.config.positions:,} positions of 100 bp, and "
            f"{imported.config.window_bins} bins of {resolution:,} bp have {given.positions:,}."
        )
    with torch.random.fork_rng(devices=[]):  # the initial weights are drawn, then replaced
        network = legacy_model(imported.config, kind, mode)
    network.load_state_dict(dict(imported.weights))
    model: dict[str, Any] = {"network": configs.to_mapping(imported.config)}
    if mode:
        model["mode"] = mode
    provenance = {
        **describe_process(),
        "inputs": describe_inputs([checkpoint]),
        "origin": "a checkpoint of MIX-HIC's published code",
        "dropped_tensors": list(imported.dropped),
    }
    description = ModelDescription(KINDS[kind], model, configs.to_mapping(given), provenance)
    for stale in ("config.toml", "metrics.csv"):  # of a run that is overwritten
        (out / stale).unlink(missing_ok=True)
    save_model(out, network.eval(), description)
    write_model_card(out)
    _tell(out, imported.dropped)
    return LegacyImport(out, KINDS[kind], imported.config, imported.dropped)


def _tell(out: Path, dropped: Sequence[str]) -> None:
    modules = sorted({name.split(".")[0] for name in dropped})
    left = f"{len(dropped)} tensors that it does not read left behind (of {', '.join(modules)})"
    notify(
        f"model: {out}; {left if dropped else 'nothing left behind'}. As in the published code, its track "
        f"layers attend along the batch: a window's values depend on the windows beside it."
    )


def read_foreign(path: Path) -> Any:
    """What a checkpoint holds, if that is tensors and plain values only.

    Raises
    ------
    ModelError
        It is missing, damaged, or holds anything that would have to be run to be read.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such checkpoint.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickles that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: holds more than tensors and plain values, and is not read, as a pickle can run any "
            f"code; where you trust it, save its state dict alone with torch.save. ({first_line(error)})"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: is damaged, or no file of torch.save ({first_line(error)}).") from error
