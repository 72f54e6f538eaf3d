"""Signal tracks: any bigWig, as mean and coverage of fixed bins.

A base without a value in the file is "no data", not zero: it counts in no mean, and lowers the coverage.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pybigtools

from ..errors import ChromosomeError, ConfigError, FileFormatError
from ..genome import Assembly, summarise
from .formats import reading, require_file

__all__ = ["BinnedSignal", "TrackSource", "open_track"]

_KIND = "a bigWig file"
_MAGIC = 0x888FFC26
_BASES_AT_ONCE = 10_000_000


@dataclass(frozen=True, eq=False)
class BinnedSignal:
    """A track in fixed bins of one chromosome; the last bin may be shorter.

    Parameters
    ----------
    mean
        float32, (n,): mean over the bases of the bin that have a value, in the track's unit; NaN where none
        has.
    coverage
        float32, (n,): fraction of the bin's bases that have a value, 0 to 1.
    """

    mean: np.ndarray
    coverage: np.ndarray


def open_track(path: str | Path, name: str, assembly: Assembly | str) -> TrackSource:
    """Open a bigWig file.

    Parameters
    ----------
    path
        The file.
    name
        What the track is called from here on ("ATAC").
    assembly
        The assembly, or its name or chrom.sizes file; lengths are compared.

    Raises
    ------
    FileFormatError
        No such file, a directory, another kind of file, or one truncated or damaged.
    AssemblyError
        The file's chromosome lengths are not the assembly's.
    """
    require_file(path, _KIND)
    _check_header(Path(path))
    assembly = assembly if isinstance(assembly, Assembly) else Assembly.resolve(assembly)
    with reading(str(path), _KIND, pybigtools.BBIReadError), _reader(path) as reader:
        lengths = {str(chrom): int(length) for chrom, length in reader.chroms().items()}
    return TrackSource(
        str(path), name, assembly, MappingProxyType(assembly.check_lengths(lengths, str(path)))
    )


@dataclass(frozen=True, eq=False)
class TrackSource:
    """A track; made by :func:`open_track`. It pickles: the file is open only while it is read.

    Parameters
    ----------
    path
        The file.
    name
        What the track is called.
    assembly
        The assembly whose names and lengths it speaks.
    names
        Assembly name -> name in the file.
    """

    path: str
    name: str
    assembly: Assembly
    names: Mapping[str, str]

    def __reduce__(self) -> tuple[object, ...]:
        return (open_track, (self.path, self.name, self.assembly))

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """The assembly's names of the chromosomes the file has."""
        return tuple(self.names)

    def bins(self, chrom: str, width: int = 100) -> BinnedSignal:
        """Mean and coverage of each bin of a chromosome, exact (zoom levels are not used).

        Parameters
        ----------
        chrom
            Chromosome.
        width
            Bin size in bp.

        Raises
        ------
        ChromosomeError
            The file has no such chromosome; the message lists what it has.
        FileFormatError
            The file is damaged.
        """
        if width <= 0:
            raise ConfigError(f"a bin width is a positive number of bp, not {width}.")
        chrom = self.assembly.require(chrom)
        if chrom not in self.names:
            raise ChromosomeError(f"{self.path}: has no {chrom}; it has {summarise(self.chromosomes)}.")
        length = self.assembly.length(chrom)
        with reading(self.path, _KIND, pybigtools.BBIReadError), _reader(self.path) as reader:
            total, covered = _sums(reader, self.names[chrom], length, width)
        return _binned(total, covered, length, width)


def _sums(reader: Any, found: str, length: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of valued bases of each bin; the short last bin is asked by itself."""
    n_bins, whole = -(-length // width), length // width
    total, covered = np.zeros(n_bins), np.zeros(n_bins)
    for first, last, end in ((0, whole, whole * width), (whole, n_bins, length)):
        if first == last:
            continue
        for summary, out in (("sum", total), ("bases_covered", covered)):
            out[first:last] = reader.values(
                found, first * width, end, bins=last - first, summary=summary, exact=True, fillna=None
            )
    covered = np.nan_to_num(covered)  # a count of bases: none in an empty bin
    total[covered == 0] = 0
    _leave_out_nan(reader, found, length, width, total, covered)
    return total, covered


def _leave_out_nan(
    reader: Any, found: str, length: int, width: int, total: np.ndarray, covered: np.ndarray
) -> None:
    """Sum bins that hold NaN or infinite values again, base by base, without those (in place)."""
    spoilt = np.flatnonzero(~np.isfinite(total))
    most = max(1, _BASES_AT_ONCE // width)
    while len(spoilt):
        first = int(spoilt[0])
        last = int(spoilt[spoilt < first + most][-1]) + 1
        values = np.full((last - first) * width, np.nan)
        end = min(last * width, length)
        values[: end - first * width] = reader.values(found, first * width, end, fillna=None)
        values[~np.isfinite(values)] = np.nan
        by_bin = values.reshape(last - first, width)
        total[first:last] = np.nansum(by_bin, axis=1)
        covered[first:last] = np.isfinite(by_bin).sum(axis=1)
        spoilt = spoilt[spoilt >= last]


def _binned(total: np.ndarray, covered: np.ndarray, length: int, width: int) -> BinnedSignal:
    size = np.full(len(total), width, np.float64)
    size[-1] = length - (len(total) - 1) * width
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(covered > 0, total / covered, np.nan)
    return BinnedSignal(mean.astype(np.float32), (covered / size).astype(np.float32))


@contextmanager
def _reader(path: str | Path) -> Iterator[Any]:
    """A pybigtools reader. By name it knows .bw only, and users' files are called anything."""
    if str(path).endswith((".bw", ".bigWig")):
        with pybigtools.open(str(path)) as reader:
            yield reader
        return
    with open(path, "rb") as file, pybigtools.open(file) as reader:
        yield reader


def _check_header(path: Path) -> None:
    """A bigWig says at its start where its parts lie, and ends with the number it began with.

    Checked before the library opens it, which takes some damage for an empty chromosome.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        file.seek(max(0, size - 4))
        tail = file.read(4)
    order = next((o for o in "<>" if len(head) >= 4 and struct.unpack(f"{o}I", head[:4])[0] == _MAGIC), None)
    if order is None:
        raise FileFormatError(f"{path}: is no bigWig file (it begins with {head[:8]!r}).")
    if len(head) < 64 or struct.unpack(f"{order}I", tail)[0] != _MAGIC:
        raise FileFormatError(f"{path}: is truncated: a bigWig's closing mark is missing. Download it again.")
    if max(struct.unpack(f"{order}QQQ", head[8:32])) >= size:
        raise FileFormatError(f"{path}: is damaged: its parts lie beyond its end. Download it again.")
