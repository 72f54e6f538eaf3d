"""The region store: a cell line's contact maps and tracks in one folder of plain, memory-mapped arrays.

``NAME.store/manifest.json`` says what everything is, where it comes from, and what its checksum is.
Opening a store checks that every file is there with its right size; :meth:`RegionStore.verify` reads all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import ChromosomeError, DataError, FileFormatError, ResolutionError, StoreError
from ..files import read_json, sha256
from ..genome import Assembly, summarise
from ..progress import track
from . import layouts
from .layers import ContactLayer, TrackLayer

__all__ = ["KIND", "MANIFEST", "SCHEMA_VERSION", "RegionStore"]

KIND = "chromweave region store"
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"

_MAPPED_FROM = 1 << 16  # smaller files are read: a mapping costs a file handle and two pages


def seal(manifest: Mapping[str, Any]) -> str:
    """Checksum of a manifest's content, itself left out."""
    content = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class RegionStore:
    """An open store; made by :meth:`open`. It pickles as its path, and maps files when they are first used.

    Attributes
    ----------
    path
        The store's folder.
    manifest
        Everything the store says about itself.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self._arrays: dict[str, np.ndarray] = {}

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a store.

        Raises
        ------
        StoreError
            There is no store at `path`, it is damaged (the file is named), or of a version not known here.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        for name, entry in manifest["files"].items():
            _check_size(path / name, entry["bytes"])
        return cls(path, manifest)

    def __reduce__(self) -> tuple[object, ...]:
        return (RegionStore.open, (self.path,))

    def __repr__(self) -> str:
        return f"RegionStore({str(self.path)!r})"

    @property
    def name(self) -> str:
        """Name of the cell line or condition."""
        return str(self.manifest["name"])

    @cached_property
    def assembly(self) -> Assembly:
        """The genome assembly, with all its chromosomes."""
        entry = self.manifest["assembly"]
        return Assembly(entry["name"], entry["chromosomes"])

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosomes stored, in the assembly's order."""
        return tuple(self.manifest["chromosomes"])

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Bin sizes of the contact layers in bp, ascending; empty for a store of tracks only."""
        return tuple(sorted(int(resolution) for resolution in self.manifest["contacts"]))

    @property
    def track_names(self) -> tuple[str, ...]:
        """Names of the tracks, in the order they were added."""
        return tuple(self.manifest["tracks"])

    def weight_names(self, resolution: int) -> tuple[str, ...]:
        """Balancing vectors that every chromosome has at this resolution, the default one first."""
        by_chrom = self._contacts(resolution)["chromosomes"].values()
        first, *others = [tuple(entry["weights"]) for entry in by_chrom]
        return tuple(name for name in first if all(name in other for other in others))

    def default_weight(self, resolution: int) -> str:
        """The balancing vector used where none is named."""
        return str(self._contacts(resolution)["default_weight"])

    def layer(self, chrom: str, resolution: int) -> ContactLayer:
        """Contacts of one chromosome at one resolution.

        Raises
        ------
        ResolutionError, ChromosomeError
            Not in the store; the message lists what is.
        """
        layers = self._contacts(resolution)["chromosomes"]
        chrom = self.require(chrom)
        if chrom not in layers:
            raise ChromosomeError(
                f"{self.path}: has no contacts of {chrom}; it has {summarise(list(layers))}."
            )
        entry, folder = layers[chrom], f"contacts/{resolution}/{chrom}"
        arrays = {part: self._array(f"{folder}/{part}.npy") for part in layouts.parts(entry["layout"])}
        return ContactLayer(
            chrom=chrom,
            resolution=resolution,
            layout=layouts.unpack(entry["layout"], arrays),
            weights={name: self._array(f"{folder}/weight.{name}.npy") for name in entry["weights"]},
            scales={
                name: np.nan if weight["scale"] is None else float(weight["scale"])
                for name, weight in entry["weights"].items()
            },
        )

    def track(self, name: str, chrom: str) -> TrackLayer:
        """One track on one chromosome.

        Raises
        ------
        DataError, ChromosomeError
            Not in the store; the message lists what is.
        """
        if name not in self.manifest["tracks"]:
            raise DataError(f"{self.path}: has no track {name!r}; it has {summarise(self.track_names)}.")
        chrom = self.require(chrom)
        folder = f"tracks/{name}/{chrom}"
        return TrackLayer(
            name=name,
            chrom=chrom,
            length=self.assembly.length(chrom),
            mean=self._array(f"{folder}.mean.npy"),
            coverage=self._array(f"{folder}.coverage.npy"),
        )

    def require(self, chrom: str) -> str:
        """The store's name of `chrom`.

        Raises
        ------
        ChromosomeError
            `chrom` is not in the store.
        """
        known = self.assembly.require(chrom)
        if known not in self.chromosomes:
            raise ChromosomeError(f"{self.path}: has no {known}; it has {summarise(self.chromosomes)}.")
        return known

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises
        ------
        StoreError
            A file is missing or damaged; the message names it.
        """
        _read_manifest(self.path)
        for name, entry in track(self.manifest["files"].items(), "checking", unit="file"):
            _check_size(self.path / name, entry["bytes"])
            if sha256(self.path / name) != entry["sha256"]:
                raise StoreError(
                    f"{self.path / name}: is damaged (its checksum is not the manifest's); "
                    "build the store again."
                )

    @property
    def manifest_sha256(self) -> str:
        """Checksum of what the manifest says."""
        return str(self.manifest["seal"])

    def layer_sha256(self, resolution: int) -> str:
        """Checksum of all contacts and weights of a resolution; tracks added later do not change it."""
        self._contacts(resolution)
        listed = [
            f"{name} {entry['sha256']}"
            for name, entry in sorted(self.manifest["files"].items())
            if name.startswith(f"contacts/{resolution}/")
        ]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()

    def _contacts(self, resolution: int) -> dict[str, Any]:
        found: dict[str, Any] | None = self.manifest["contacts"].get(str(resolution))
        if found is None:
            has = ", ".join(f"{r:,}" for r in self.resolutions) or "no contacts, only tracks"
            raise ResolutionError(f"{self.path}: has no layer of {resolution:,} bp; it has {has}.")
        return found

    def _array(self, name: str) -> np.ndarray:
        """A file as an array, mapped once per process (a forked child shares its parent's mapping)."""
        if name not in self._arrays:
            path = self.path / name
            large = self.manifest["files"][name]["bytes"] > _MAPPED_FROM
            try:
                self._arrays[name] = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise StoreError(
                    f"{path}: is missing or damaged ({error}); build the store again."
                ) from error
        return self._arrays[name]


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, once its kind, version and checksum are those expected."""
    if not (path / MANIFEST).is_file():
        what = "is no region store (it has no manifest.json)" if path.exists() else "no such store"
        raise StoreError(f"{path}: {what}; make one with chromweave build.")
    try:
        manifest = read_json(path / MANIFEST)
    except FileFormatError as error:
        raise StoreError(f"{error} Build the store again.") from error
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    if kind != KIND:
        raise StoreError(
            f"{path / MANIFEST}: is of the kind {kind!r}, where a {KIND!r} is needed; give a store."
        )
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: is written in version {version} of the store format, and this chromweave reads version "
            f"{SCHEMA_VERSION}; build it again, or use the chromweave that wrote it "
            f"({manifest.get('provenance', {}).get('chromweave', 'unknown')})."
        )
    if manifest.get("seal") != seal(manifest):
        raise StoreError(f"{path / MANIFEST}: is damaged (its checksum is wrong); build the store again.")
    return manifest


def _check_size(path: Path, expected: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise StoreError(f"{path}: is missing from the store ({error.strerror}); build it again.") from error
    if found != expected:
        raise StoreError(
            f"{path}: is damaged ({found:,} bytes, where the manifest has {expected:,}); "
            "build the store again."
        )
