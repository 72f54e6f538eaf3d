"""Coordinates as values: assemblies, intervals, binnings and chromosome splits.

Coordinates are 0-based and half-open, in bp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from .errors import AssemblyError, ChromosomeError, ConfigError, FileFormatError

__all__ = ["BUILT_IN", "Assembly", "Binning", "BlockSplit", "ChromSplit", "Interval", "RandomSplit"]

BUILT_IN = ("hg19", "hg38", "mm10", "mm39")

_ALIASES = {"grch37": "hg19", "b37": "hg19", "grch38": "hg38", "grcm38": "mm10", "grcm39": "mm39"}
_MITOCHONDRIAL = {"M", "MT", "chrM", "chrMT"}


@dataclass(frozen=True)
class Assembly:
    """A genome assembly: chromosome names in order, with their lengths.

    Parameters
    ----------
    name
        e.g. ``"hg38"``.
    chromosomes
        Length in bp of each chromosome, in the assembly's order.
    """

    name: str
    chromosomes: Mapping[str, int]

    def __post_init__(self) -> None:
        if not self.chromosomes:
            raise AssemblyError(f"assembly {self.name!r} has no chromosomes.")
        for chrom, length in self.chromosomes.items():
            if length <= 0:
                raise AssemblyError(
                    f"assembly {self.name!r}: {chrom} has length {length}; it must be positive."
                )
        object.__setattr__(self, "chromosomes", MappingProxyType(dict(self.chromosomes)))

    def __reduce__(self) -> tuple[object, ...]:  # a mapping proxy does not pickle by itself
        return (Assembly, (self.name, dict(self.chromosomes)))

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.chromosomes.items())))

    @classmethod
    def named(cls, name: str) -> Assembly:
        """A built-in assembly, by its UCSC or GRC name.

        Raises
        ------
        AssemblyError
            No such assembly is built in.
        """
        key = _ALIASES.get(name.lower(), name)
        if key not in BUILT_IN:
            raise AssemblyError(
                f"assembly {name!r} is not built in ({', '.join(BUILT_IN)} are); give a chrom.sizes file."
            )
        return _built_in(key)

    @classmethod
    def from_chrom_sizes(cls, path: str | Path, name: str | None = None) -> Assembly:
        """Read a two-column ``chrom.sizes`` file; `name` defaults to the file's stem.

        Raises
        ------
        FileFormatError
            The file is missing, or a line is not a name and a positive length.
        """
        path = Path(path)
        if not path.is_file():
            raise FileFormatError(
                f"{path}: no such file; a chrom.sizes file (name, tab, length in bp) is needed."
            )
        return cls(name or path.name.removesuffix(".chrom.sizes"), _parse_sizes(path.read_text(), str(path)))

    @classmethod
    def resolve(cls, name_or_path: str | Path) -> Assembly:
        """A built-in assembly by name, or any other by the path of its ``chrom.sizes`` file."""
        if Path(name_or_path).is_file():
            return cls.from_chrom_sizes(name_or_path)
        return cls.named(str(name_or_path))

    @classmethod
    def recognise(cls, lengths: Mapping[str, int]) -> Assembly | None:
        """The built-in assembly in which every chromosome of `lengths` that has a known name has that length.

        Unplaced contigs are passed over; None when nothing (or nothing unambiguous) fits.
        """
        fitting = []
        for assembly in map(_built_in, BUILT_IN):
            pairs = [
                (assembly.chromosomes[known], length)
                for found, length in lengths.items()
                if (known := assembly.canonical(found)) is not None and known != "chrM"
            ]
            if pairs and all(expected == length for expected, length in pairs):
                fitting.append(assembly)
        return fitting[0] if len(fitting) == 1 else None

    def canonical(self, chrom: str) -> str | None:
        """This assembly's name of `chrom` (``1`` is ``chr1``, ``MT`` is ``chrM``), or None."""
        candidates = [chrom, f"chr{chrom}", chrom.removeprefix("chr")]
        if chrom in _MITOCHONDRIAL:
            candidates += sorted(_MITOCHONDRIAL)
        return next((name for name in candidates if name in self.chromosomes), None)

    def require(self, chrom: str) -> str:
        """Like :meth:`canonical`, but an error where there is no such chromosome.

        Raises
        ------
        ChromosomeError
            `chrom` does not belong to this assembly.
        """
        name = self.canonical(chrom)
        if name is None:
            raise ChromosomeError(
                f"{chrom!r} is no chromosome of {self.name}; it has {summarise(list(self.chromosomes))}."
            )
        return name

    def length(self, chrom: str) -> int:
        """Length of `chrom` in bp."""
        return self.chromosomes[self.require(chrom)]

    @property
    def autosomes(self) -> tuple[str, ...]:
        """The numbered chromosomes, in order."""
        return tuple(chrom for chrom in self.chromosomes if chrom.removeprefix("chr").isdigit())

    def check_lengths(self, lengths: Mapping[str, int], source: str) -> dict[str, str]:
        """Map this assembly's names to those of a file, after comparing lengths.

        Parameters
        ----------
        lengths
            The file's chromosomes and lengths in bp; ones this assembly does not know are left out.
        source
            The file's name, for the error.

        Returns
        -------
        dict
            Assembly name -> name in the file, in the assembly's order.

        Raises
        ------
        AssemblyError
            A shared chromosome has another length, or none is shared.
        """
        names = {known: found for found in lengths if (known := self.canonical(found)) is not None}
        if not names:
            raise AssemblyError(
                f"{source}: no chromosome of {self.name} in it; it has {summarise(list(lengths))}."
            )
        for known, found in names.items():
            if known != "chrM" and lengths[found] != self.chromosomes[known]:
                guess = Assembly.recognise(lengths)
                raise AssemblyError(
                    f"{source}: {found} is {lengths[found]:,} bp long, but {self.chromosomes[known]:,} bp in "
                    f"{self.name}; "
                    + (f"the file looks like {guess.name}." if guess else "the file is of another assembly.")
                )
        return {chrom: names[chrom] for chrom in self.chromosomes if chrom in names}


@cache
def _built_in(name: str) -> Assembly:
    text = resources.files("chromweave").joinpath("assemblies", f"{name}.chrom.sizes").read_text()
    return Assembly(name, _parse_sizes(text, name))


def _parse_sizes(text: str, source: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) < 2 or not fields[1].isdigit():
            raise FileFormatError(f"{source}: line {number} is not a chromosome name and a length: {line!r}.")
        if fields[0] in sizes:
            raise FileFormatError(f"{source}: line {number} names {fields[0]} a second time.")
        sizes[fields[0]] = int(fields[1])
    if not sizes:
        raise FileFormatError(f"{source}: holds no chromosome; a name and a length on each line are needed.")
    return sizes


def summarise(names: Sequence[object], most: int = 8) -> str:
    """`names` as a list for a message, cut in the middle when there are many."""
    shown = [str(name) for name in names]
    if len(shown) <= most:
        return ", ".join(shown) or "nothing"
    return ", ".join([*shown[: most - 1], "...", shown[-1]]) + f" ({len(shown)} in all)"


_REGION = re.compile(r"^(?P<chrom>[^:\s]+)(?::(?P<start>[\d,]+)-(?P<end>[\d,]+))?$")


@dataclass(frozen=True, order=True)
class Interval:
    """A stretch of a chromosome, 0-based, half-open, in bp."""

    chrom: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise AssemblyError(f"interval {self.chrom}:{self.start}-{self.end}: 0 <= start < end must hold.")

    @classmethod
    def parse(cls, region: str, assembly: Assembly) -> Interval:
        """Read ``chr1:1,000-2,000`` (0-based, half-open, as cooler and bioframe do) or ``chr1``.

        Raises
        ------
        ConfigError
            The text is no region.
        AssemblyError
            The region is not inside the chromosome.
        """
        match = _REGION.match(region.strip())
        if match is None:
            raise ConfigError(f"{region!r} is no region; write chr1 or chr1:1,000,000-2,000,000.")
        chrom = assembly.require(match["chrom"])
        if match["start"] is None:
            return cls(chrom, 0, assembly.length(chrom))
        start, end = (int(match[key].replace(",", "")) for key in ("start", "end"))
        if end > assembly.length(chrom):
            raise AssemblyError(
                f"{region}: ends beyond {chrom}, which is {assembly.length(chrom):,} bp long."
            )
        return cls(chrom, start, end)

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start:,}-{self.end:,}"

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share at least one base."""
        return self.chrom == other.chrom and self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Binning:
    """Fixed-size bins over an assembly; the last bin of a chromosome may be shorter.

    Parameters
    ----------
    assembly
        Where.
    resolution
        Bin size in bp.
    """

    assembly: Assembly
    resolution: int

    def __post_init__(self) -> None:
        if self.resolution <= 0:
            raise ConfigError(f"resolution must be a positive number of bp, not {self.resolution}.")

    def n_bins(self, chrom: str) -> int:
        """Number of bins of `chrom`, counted from the chromosome's length, not from its data."""
        return -(-self.assembly.length(chrom) // self.resolution)

    def bin_of(self, position: int) -> int:
        """Index, within its chromosome, of the bin that holds `position` (bp)."""
        return position // self.resolution


@dataclass(frozen=True)
class ChromSplit:
    """Whole chromosomes for training, validation and test; no chromosome twice."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        every = [*self.train, *self.valid, *self.test]
        twice = sorted({chrom for chrom in every if every.count(chrom) > 1})
        if twice:
            raise ConfigError(f"a chromosome belongs to one split only; {', '.join(twice)} stands in two.")

    @classmethod
    def paper(cls, assembly: Assembly) -> ChromSplit:
        """MIX-HIC's split: validation 10 and 11, test 3, 13 and 17, the other autosomes for training."""
        valid = tuple(assembly.require(chrom) for chrom in ("10", "11"))
        test = tuple(assembly.require(chrom) for chrom in ("3", "13", "17"))
        return cls(tuple(c for c in assembly.autosomes if c not in valid + test), valid, test)

    def of(self, interval: Interval) -> str | None:
        """``"train"``, ``"valid"`` or ``"test"``; None for a chromosome in none of them."""
        for name in ("train", "valid", "test"):
            if interval.chrom in getattr(self, name):
                return name
        return None


@dataclass(frozen=True)
class BlockSplit:
    """Contiguous blocks of chromosomes with gaps between them, for data of one or few chromosomes.

    Parameters
    ----------
    blocks
        (split, interval) pairs; an interval belongs to a split only if one of its blocks holds all of it.
    """

    blocks: tuple[tuple[str, Interval], ...]

    @classmethod
    def fractions(
        cls,
        intervals: Sequence[Interval],
        *,
        valid: float = 0.15,
        test: float = 0.25,
        gap: int = 2_000_000,
    ) -> BlockSplit:
        """Cut each interval into train, validation and test blocks, in that order, `gap` bp apart.

        Raises
        ------
        ConfigError
            A fraction is out of range, or an interval is too short for three blocks and two gaps.
        """
        _check_shares(valid, test)
        blocks = []
        for interval in intervals:
            usable = len(interval) - 2 * gap
            if usable <= 0:
                raise ConfigError(
                    f"{interval} is too short for three blocks {gap:,} bp apart; give a smaller gap."
                )
            first = interval.start + int(usable * (1 - valid - test))
            second = first + gap + int(usable * valid)
            blocks += [
                ("train", Interval(interval.chrom, interval.start, first)),
                ("valid", Interval(interval.chrom, first + gap, second)),
                ("test", Interval(interval.chrom, second + gap, interval.end)),
            ]
        return cls(tuple(blocks))

    def of(self, interval: Interval) -> str | None:
        """The split whose block holds the whole interval; None where it touches a gap."""
        for name, block in self.blocks:
            if block.chrom == interval.chrom and block.start <= interval.start and interval.end <= block.end:
                return name
        return None


@dataclass(frozen=True)
class RandomSplit:
    """Windows of any chromosome dealt to the splits at random, as MIX-HIC does for CAGE.

    Neighbouring windows share bins, so what is tested has partly been trained on.

    Parameters
    ----------
    chroms
        Chromosomes in use.
    valid, test
        Shares of the windows; the rest is for training.
    seed
        Of the shuffle.
    """

    chroms: tuple[str, ...]
    valid: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _check_shares(self.valid, self.test)


def _check_shares(valid: float, test: float) -> None:
    if valid <= 0 or test <= 0 or valid + test >= 1:
        raise ConfigError(f"valid ({valid}) and test ({test}) must be positive and sum to less than 1.")
