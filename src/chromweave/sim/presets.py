"""The genomes one can practise on, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigError

__all__ = ["PRESETS", "Preset"]

_MB = 1_000_000


@dataclass(frozen=True)
class Preset:
    """Size and depth of a simulated genome.

    Parameters
    ----------
    name
        e.g. ``"tiny"``; the assembly is called ``sim-tiny``.
    chromosomes
        Lengths in bp.
    resolutions
        Of the maps, in bp, finest first; each a multiple of the first.
    depth
        Contacts per Mb of chromosome in the pooled map of a cell line.
    near
        Distance in bp below which every pixel has an expectation of its own; further out one expectation
        is shared by a square of ten by ten bins.
    snapshots
        Conformations averaged into the expected map.
    """

    name: str
    chromosomes: Mapping[str, int]
    resolutions: tuple[int, ...] = (5_000, 10_000, 25_000, 50_000, 100_000)
    depth: float = 300_000.0
    near: int = 2 * _MB
    snapshots: int = 400

    @classmethod
    def named(cls, name: str) -> Preset:
        """A preset by its name.

        Raises
        ------
        ConfigError
            There is no such preset.
        """
        if name not in PRESETS:
            raise ConfigError(f"there is no preset {name!r}; choose from {', '.join(PRESETS)}.")
        return PRESETS[name]


def _numbered(*lengths: int) -> dict[str, int]:
    return {f"chr{number}": length for number, length in enumerate(lengths, 1)}


PRESETS = {
    preset.name: preset
    for preset in (
        # Lengths that are no multiple of a bin: the last, shorter bin is part of the exercise.
        Preset("tiny", _numbered(12_013_400, 10_007_300, 8_002_700)),
        Preset(
            "small",
            _numbered(30_012_100, 28_004_300, 26_021_700, 24_008_800, 22_013_900, 20_006_200),
        ),
        Preset("chromosome", _numbered(248_956_422), depth=400_000.0, snapshots=300),
    )
}
