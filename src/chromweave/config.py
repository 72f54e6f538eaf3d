"""Configuration: frozen dataclasses to and from TOML, where an unknown key is an error.

A config class stands beside the class it configures; this module only moves values in and out.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from .errors import ConfigError
from .files import atomic_path

__all__ = ["from_mapping", "load", "save", "to_mapping"]

C = TypeVar("C")


def from_mapping(cls: type[C], values: Mapping[str, Any], *, where: str = "config") -> C:
    """Build the frozen dataclass `cls` from nested mappings.

    Parameters
    ----------
    cls
        A dataclass; fields may themselves be dataclasses, scalars, tuples, or optional ones of these.
    values
        Keys are field names.
    where
        What to call the source in an error message (a file name).

    Raises
    ------
    ConfigError
        A key that `cls` does not have (the near ones are named), a missing one, or a value of another type.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ConfigError(
            f"{where}: unknown key {', '.join(map(repr, unknown))}; {cls.__name__} has: {', '.join(fields)}."
        )
    missing = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: {cls.__name__} needs a value for {', '.join(missing)}.")
    try:
        return cls(
            **{name: _coerce(hints[name], value, f"{where}: {name}") for name, value in values.items()}
        )
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _coerce(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        if value is None:
            return None
        errors = []
        for option in options:
            try:
                return _coerce(option, value, where)
            except ConfigError as error:
                errors.append(str(error))
        raise ConfigError(errors[0])
    if origin is typing.Literal:
        allowed = typing.get_args(kind)
        if value not in allowed:
            raise ConfigError(f"{where} is {value!r}; it must be one of {', '.join(map(repr, allowed))}.")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r}.")
        inner = typing.get_args(kind)
        inners = [inner[0]] * len(value) if len(inner) == 2 and inner[1] is Ellipsis else list(inner)
        if len(inners) != len(value):
            raise ConfigError(f"{where} must hold {len(inners)} values, not {len(value)}.")
        return tuple(_coerce(k, v, where) for k, v in zip(inners, value, strict=True))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, not {value!r}.")
        _, inner_kind = typing.get_args(kind)
        return {str(key): _coerce(inner_kind, item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, not {value!r}.")
        return from_mapping(kind, value, where=where)
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where} must be {getattr(kind, '__name__', kind)}, not {value!r}.")


def to_mapping(config: Any) -> dict[str, Any]:
    """The dataclass `config` as nested dicts ready for TOML or JSON; unset optional values are left out.

    Raises
    ------
    ConfigError
        An unset value would come back as a default that is not unset: TOML has nothing to say it with.
    """
    for field in dataclasses.fields(config):
        if getattr(config, field.name) is None and field.default not in (None, dataclasses.MISSING):
            raise ConfigError(
                f"{type(config).__name__}.{field.name} cannot be unset; TOML has no such value."
            )
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if getattr(config, field.name) is not None
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    return value


def load(cls: type[C], path: str | Path) -> C:
    """Read `cls` from a TOML file.

    Raises
    ------
    ConfigError
        The file is missing or not TOML, or does not fit `cls`.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML ({error}).") from error
    return from_mapping(cls, values, where=str(path))


def save(config: Any, path: str | Path) -> None:
    """Write a config dataclass as TOML, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(tomli_w.dumps(to_mapping(config)))
