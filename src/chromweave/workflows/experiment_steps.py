"""Parts of an experiment that are made once: beside each lies a record of the settings it was made with.

An experiment that is started again finds what is complete, goes on with what was begun, and refuses what
was made otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import config as configs
from ..errors import ConfigError, DataError
from ..files import read_json, write_json
from ..provenance import describe_inputs

__all__ = ["forget_others", "identity", "once", "plain", "training_settings"]

_SUFFIX = ".step.json"
# What no result depends on: where and how fast the work is done, and how often it is saved.
_FREE = {
    "fit": (
        "accelerator",
        "devices",
        "nodes",
        "strategy",
        "checkpoint_every",
        "tensorboard",
        "log_every",
    ),
    "loading": ("workers", "resident"),
}


_REMEDY = "give the experiment another folder, or --overwrite to start it anew"


def once(
    target: Path, settings: Mapping[str, Any], make: Callable[[bool], Any], *, remedy: str = _REMEDY
) -> Any:
    """Make `target` unless it is there, made with the same settings.

    Parameters
    ----------
    target
        File or folder that `make` writes.
    settings
        Everything that decides how it turns out, as plain values.
    make
        Called with whether an earlier call began and did not end; what it returns is kept (plain values).
    remedy
        What to do about other settings, for the error.

    Returns
    -------
    object
        What `make` returned, now or then.

    Raises
    ------
    ConfigError
        What is there was made with other settings; the first that differs is named.
    """
    path, wanted = _record_path(target), plain(settings)
    record = read_json(path) if path.is_file() else None
    if record is not None:
        if different := _difference(record["settings"], wanted):
            raise ConfigError(f"{target}: was made with other settings ({different}); {remedy}.")
        if record["done"] and target.exists():
            return record["result"]
    write_json(path, {"settings": wanted, "done": False})
    result = plain(make(record is not None))
    write_json(path, {"settings": wanted, "done": True, "result": result})
    return result


def forget_others(target: Path, settings: Mapping[str, Any]) -> bool:
    """Make `target` anew at the next :func:`once` if it was made with other settings; whether it was."""
    path = _record_path(target)
    other = path.is_file() and read_json(path)["settings"] != plain(settings)
    if other:
        path.unlink()
    return other


def identity(path: str | Path | None) -> Any:
    """What an input is known by: of a step's product its settings, of anything else its checksum.

    Raises
    ------
    DataError
        There is no such file, store or run.
    """
    if path is None:
        return None
    record = _record_path(Path(path))
    if record.is_file():
        return read_json(record)["settings"]
    known = describe_inputs([path])
    if not known:
        raise DataError(f"{path}: there is no such file, store or run.")
    return known[0]["sha256"]


def training_settings(config: Any) -> dict[str, Any]:
    """Settings of a training as plain values, without those that no result depends on."""
    values = configs.to_mapping(config)
    for part, names in _FREE.items():
        values[part] = {name: value for name, value in values[part].items() if name not in names}
    return values


def plain(value: Any) -> Any:
    """What JSON makes of `value`; infinity and other objects are text, and NaN is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return json.loads(json.dumps(value, default=str))


def _record_path(target: Path) -> Path:
    return target.with_name(target.name + _SUFFIX)


def _difference(before: Any, now: Any, name: str = "") -> str:
    """The first setting that differs, in words; empty where none does."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            inner = f"{name}.{key}" if name else str(key)
            if found := _difference(before.get(key), now.get(key), inner):
                return found
        return ""
    if before == now:
        return ""
    if isinstance(before, str) and isinstance(now, str) and len(before) == len(now) == 64:
        return f"{name} has another content"
    return f"{name} was {_short(before)}, and is {_short(now)}"


def _short(value: Any) -> str:
    text = "not set" if value is None else f"{value}"
    return text if len(text) <= 60 else text[:57] + "..."
