"""The field's reference implementation (cooltools), loaded when first used."""

from __future__ import annotations

import importlib
import logging
import warnings
from types import ModuleType

__all__ = ["cooltools_module"]


def cooltools_module(name: str) -> ModuleType:
    """``cooltools.<name>``, with the root logger left as it was (the import puts a handler on it)."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"cooltools.{name}")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
