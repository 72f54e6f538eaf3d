"""Contact maps: .hic, .cool and .mcool files behind one small interface.

Chromosomes go by the assembly's names, whatever the file calls them; contacts between chromosomes are
left alone; balancing vectors come out multiplicative.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import hictkpy
import numpy as np

from ..errors import (
    AssemblyError,
    ChromosomeError,
    DataError,
    FileFormatError,
    ResolutionError,
    WeightError,
)
from ..genome import Assembly, summarise
from .containers import Container, container_of, contents_of
from .formats import reading, require_file
from .pixels import Pixels
from .weights import Direction, Weight, WeightType, known_direction, resolve_weight

__all__ = ["ContactSource", "Pixels", "Weight", "open_contacts"]

_KIND = "a contact map (.hic, .cool, .mcool)"


def open_contacts(path: str | Path, assembly: Assembly | str | None = None) -> ContactSource:
    """Open a .hic, .cool or .mcool file, or a cooler URI (``file.mcool::/resolutions/5000``).

    Parameters
    ----------
    path
        The file or URI.
    assembly
        The assembly, or its name or chrom.sizes file; recognised from the chromosome lengths if not given.

    Raises
    ------
    FileFormatError
        No such file, a directory, another kind of file, or one truncated or damaged.
    AssemblyError
        The assembly is not recognised, or the file's lengths are not the assembly's.
    """
    file, _, group = str(path).partition("::")
    require_file(file, _KIND)
    container = container_of(file, group)
    with reading(str(path), _KIND):
        lengths, resolutions = contents_of(str(path), container)
    if not resolutions:
        raise FileFormatError(f"{path}: holds no map with bins of one fixed size.")
    known = _assembly(assembly, lengths, str(path))
    return ContactSource(
        path=str(path),
        assembly=known,
        resolutions=resolutions,
        container=container,
        names=MappingProxyType(known.check_lengths(lengths, str(path))),
        lengths=MappingProxyType(lengths),
    )


def _assembly(given: Assembly | str | None, lengths: Mapping[str, int], source: str) -> Assembly:
    if isinstance(given, Assembly):
        return given
    if given is not None:
        return Assembly.resolve(given)
    found = Assembly.recognise(lengths)
    if found is None:
        shown = summarise([f"{name} {length:,}" for name, length in lengths.items()], 4)
        raise AssemblyError(
            f"{source}: the assembly is not recognised from the chromosome lengths ({shown}); "
            "give its name or a chrom.sizes file as the assembly."
        )
    return found


@dataclass(frozen=True, eq=False)
class ContactSource:
    """An open contact map; made by :func:`open_contacts`. It pickles, and reopens its file where it lands.

    Parameters
    ----------
    path
        File or cooler URI.
    assembly
        The assembly whose names and lengths it speaks.
    resolutions
        Bin sizes in bp, ascending.
    container
        ``"hic"``, ``"mcool"`` or ``"cool"``.
    names
        Assembly name -> name in the file.
    lengths
        Name in the file -> length in bp, in the file's order, contigs unknown to the assembly included.
    """

    path: str
    assembly: Assembly
    resolutions: tuple[int, ...]
    container: Container
    names: Mapping[str, str]
    lengths: Mapping[str, int]

    def __reduce__(self) -> tuple[object, ...]:
        return (open_contacts, (self.path, self.assembly))

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """The assembly's names of the chromosomes the file knows; not each need have contacts."""
        return tuple(self.names)

    @cached_property
    def with_contacts(self) -> tuple[str, ...]:
        """The chromosomes that have at least one contact within themselves.

        Raises
        ------
        DataError
            The map is empty.
        """
        coarsest = self.resolutions[-1]
        with reading(self.path, _KIND):
            handle = self._open(coarsest)
            filled = tuple(
                chrom
                for chrom, name in self.names.items()
                if next(iter(handle.fetch(name, count_type="float64")), None) is not None
            )
        if not filled:
            raise DataError(f"{self.path}: holds no contact within any chromosome; the map is empty.")
        return filled

    def weight_names(self, resolution: int) -> tuple[str, ...]:
        """Balancing vectors of a resolution: those of a known name, or declared as weights by the file.

        Raises
        ------
        ResolutionError
            The resolution is not in the file.
        """
        self._require_resolution(resolution)
        if self.container == "hic":
            return self._vectors(resolution)
        with reading(self.path, _KIND), self._bins(resolution) as bins:
            return tuple(
                name
                for name in _float_columns(bins)
                if known_direction(name) or {"divisive_weights", "ignore_diags"} & set(bins[name].attrs)
            )

    def counts(self, chrom: str, resolution: int, max_distance: int | None = None) -> Pixels:
        """Raw contacts within a chromosome.

        Parameters
        ----------
        chrom
            Chromosome, by the assembly's name or the file's.
        resolution
            Bin size in bp.
        max_distance
            If given (bp), only the diagonals 0 to ``max_distance // resolution - 1`` are read.

        Raises
        ------
        ChromosomeError, ResolutionError
            Not in the file; the message lists what is.
        DataError
            The chromosome has no contact.
        FileFormatError
            The file is damaged.
        """
        name = self._require_chrom(chrom)
        self._require_resolution(resolution)
        band = None if max_distance is None else max(1, max_distance // resolution)
        with reading(self.path, _KIND):
            matrix = (
                self._open(resolution)
                .fetch(name, count_type=self._count_type(resolution), diagonal_band_width=band)
                .to_coo()
            )
        if matrix.nnz == 0:
            raise DataError(
                f"{self.path}: has no contact within {chrom} at {resolution:,} bp; "
                f"there are contacts within {summarise(self.with_contacts)}."
            )
        pixels = Pixels.from_coo(matrix, -(-self.lengths[name] // resolution), resolution)
        return self._checked(pixels, chrom)

    def weight(
        self,
        chrom: str,
        resolution: int,
        name: str,
        weight_type: WeightType = "auto",
        pixels: Pixels | None = None,
    ) -> Weight:
        """A balancing vector of a chromosome, made multiplicative (see :func:`weights.resolve_weight`).

        Parameters
        ----------
        chrom, resolution
            Where.
        name
            The vector, as the file calls it.
        weight_type
            ``"auto"``, or the direction of the vector in the file.
        pixels
            The chromosome's contacts, where they have been read already; ``"auto"`` reads them otherwise.

        Raises
        ------
        WeightError
            No such vector in the file or for this chromosome (the message lists what there is), or its
            direction cannot be told.
        """
        found = self._require_chrom(chrom)
        self._require_resolution(resolution)
        stored = self._stored(found, resolution, name)
        if not np.isfinite(stored).any():
            others = [
                v for v in self.weight_names(resolution) if v != name and self._has(found, resolution, v)
            ]
            raise WeightError(
                f"{self.path}: the weights {name!r} have no value on {chrom} at {resolution:,} bp; "
                f"there {'is' if len(others) == 1 else 'are'} {summarise(others)} for it. "
                "Name another, or none to have ICE computed."
            )
        if weight_type == "auto" and pixels is None:
            pixels = self.counts(chrom, resolution)
        return resolve_weight(
            name,
            stored,
            pixels if pixels is not None else _no_pixels(len(stored), resolution),
            source=f"{self.path}, {chrom} at {resolution:,} bp",
            declared=self._declared(resolution, name),
            weight_type=weight_type,
        )

    # -- what the file says ---------------------------------------------------------------------------

    def _open(self, resolution: int) -> Any:
        """A handle of this process (a forked child opens its own)."""
        key = (os.getpid(), resolution)
        handles = self.__dict__.setdefault("_handles", {})
        if key not in handles:
            handles[key] = hictkpy.File(self.path, None if self.container == "cool" else resolution)
        return handles[key]

    def _bins(self, resolution: int) -> _Bins:
        file, _, group = self.path.partition("::")
        return _Bins(file, f"resolutions/{resolution}" if self.container == "mcool" else group or "/")

    def _count_type(self, resolution: int) -> str:
        if self.container == "hic":
            return "float32"  # what the format holds
        with self._bins(resolution) as bins:
            dtype = bins.parent["pixels/count"].dtype
        if dtype.kind == "f":
            return "float64"
        return "int32" if np.can_cast(dtype, np.int32) else "int64"

    def _vectors(self, resolution: int) -> tuple[str, ...]:
        """Every vector `weight` can be asked for."""
        with reading(self.path, _KIND):
            if self.container == "hic":
                return tuple(self._open(resolution).avail_normalizations())
            with self._bins(resolution) as bins:
                return _float_columns(bins)

    def _stored(self, found: str, resolution: int, name: str) -> np.ndarray:
        """A vector as it is in the file, for the chromosome that the file calls `found`."""
        present = self._vectors(resolution)
        if name not in present:
            raise WeightError(
                f"{self.path}: has no weights {name!r} at {resolution:,} bp; it has {summarise(present)}."
            )
        start = 0
        for other, length in self.lengths.items():
            if other == found:
                break
            start += -(-length // resolution)
        stop = start - (-self.lengths[found] // resolution)
        with reading(self.path, _KIND):
            if self.container == "hic":
                return np.array(self._open(resolution).weights(name, divisive=True)[start:stop])
            with self._bins(resolution) as bins:
                return np.asarray(bins[name][start:stop], np.float64)

    def _has(self, found: str, resolution: int, name: str) -> bool:
        return bool(np.isfinite(self._stored(found, resolution, name)).any())

    def _declared(self, resolution: int, name: str) -> Direction | None:
        if self.container == "hic":
            return "divisive"  # the format's definition
        with reading(self.path, _KIND), self._bins(resolution) as bins:
            attribute = bins[name].attrs.get("divisive_weights")
        if attribute is None:
            return None
        return "divisive" if bool(np.ravel(attribute)[0]) else "multiplicative"

    # -- guards ---------------------------------------------------------------------------------------

    def _require_resolution(self, resolution: int) -> None:
        if resolution not in self.resolutions:
            raise ResolutionError(
                f"{self.path}: has no resolution of {resolution:,} bp; "
                f"it has {summarise([f'{r:,}' for r in self.resolutions], 20)}."
            )

    def _require_chrom(self, chrom: str) -> str:
        name = self.assembly.require(chrom)
        if name not in self.names:
            raise ChromosomeError(f"{self.path}: has no {name}; it has {summarise(self.chromosomes)}.")
        return self.names[name]

    def _checked(self, pixels: Pixels, chrom: str) -> Pixels:
        if pixels.bin2.max() >= pixels.n_bins or pixels.bin1.min() < 0:
            raise FileFormatError(f"{self.path}: has contacts beyond the end of {chrom}; it is damaged.")
        if pixels.count.dtype.kind == "f" and not np.isfinite(pixels.count).all():
            raise FileFormatError(f"{self.path}: has contacts on {chrom} that are no numbers; it is damaged.")
        if pixels.count.min() < 0:
            raise DataError(f"{self.path}: has negative contacts on {chrom}; raw counts are needed.")
        return pixels


class _Bins:
    """The bin table of a cooler, open for the length of a ``with`` block."""

    def __init__(self, file: str, group: str) -> None:
        self._file, self._group = file, group

    def __enter__(self) -> h5py.Group:
        self._handle = h5py.File(self._file, "r")
        return self._handle[self._group]["bins"]

    def __exit__(self, *_: object) -> None:
        self._handle.close()


def _float_columns(bins: h5py.Group) -> tuple[str, ...]:
    return tuple(
        name for name in bins if name not in {"chrom", "start", "end"} and bins[name].dtype.kind == "f"
    )


def _no_pixels(n_bins: int, resolution: int) -> Pixels:
    none = np.empty(0, np.int32)
    return Pixels(none, none, none, n_bins, resolution)
