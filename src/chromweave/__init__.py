"""chromweave: contact maps and signal tracks in one store, and two models on top of it.

Public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .data.build import build
    from .data.store import RegionStore
    from .genome import Assembly, Binning, BlockSplit, ChromSplit, Interval
    from .workflows.networks import load

_LAZY = {
    "Assembly": "chromweave.genome",
    "Binning": "chromweave.genome",
    "BlockSplit": "chromweave.genome",
    "ChromSplit": "chromweave.genome",
    "Interval": "chromweave.genome",
    "RegionStore": "chromweave.data.store",
    "build": "chromweave.data.build",
    "load": "chromweave.workflows.networks",
}

__all__ = [
    "Assembly",
    "Binning",
    "BlockSplit",
    "ChromSplit",
    "Interval",
    "RegionStore",
    "__version__",
    "build",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'chromweave' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
