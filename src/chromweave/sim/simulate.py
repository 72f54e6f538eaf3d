"""The verb: simulate cell lines and write them as the files a laboratory would have."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import ConfigError, FileFormatError
from ..files import atomic_directory, read_json, write_json
from ..genome import Assembly
from ..progress import notify, track
from ..provenance import describe_process
from .annotations import Chromosome, write_annotations, write_table
from .contacts import HiCLibrary
from .extrusion import Extrusion, extrude
from .genome import cell_state, lay_out, stream
from .maps import write_mcool
from .polymer import Polymer, expected_contacts
from .presets import Preset
from .tracks import TRACKS, signal_tracks, write_bigwig
from .truth import LoopRule, Regulation, expression, planted_loops

__all__ = ["CellLine", "Simulation", "simulate"]

MANIFEST = "simulation.json"
_VERSION = 1


@dataclass(frozen=True)
class CellLine:
    """The files of one simulated cell line.

    Parameters
    ----------
    name
        ``"A"``, ``"B"``, ...
    contacts
        Pooled ``.mcool``, raw counts.
    replicates
        ``.mcool`` of each replicate; they sum to the pooled one. Empty when there is one only.
    tracks
        Assay -> ``.bw``.
    loops
        ``.bedpe`` of the planted loops; the score is the expected centre over local background.
    genes
        TSV: chrom, tss, name, strand, expression.
    truth
        What only a simulator knows: ``compartments``, ``boundaries``, ``ctcf``, ``enhancers``, ``genes``,
        ``loops``, ``visibility`` -> file.
    """

    name: str
    contacts: Path
    replicates: tuple[Path, ...]
    tracks: Mapping[str, Path]
    loops: Path
    genes: Path
    truth: Mapping[str, Path]


@dataclass(frozen=True)
class Simulation:
    """A folder written by :func:`simulate`.

    Parameters
    ----------
    path
        The folder.
    assembly
        The simulated genome.
    chrom_sizes
        Its ``chrom.sizes`` file.
    resolutions
        Of the maps, bp, finest first.
    cell_lines
        Name -> files.
    manifest
        All of ``simulation.json``.
    """

    path: Path
    assembly: Assembly
    chrom_sizes: Path
    resolutions: tuple[int, ...]
    cell_lines: Mapping[str, CellLine]
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Simulation:
        """Read the manifest of a simulated genome.

        Raises
        ------
        FileFormatError
            The folder is missing, is no simulation, is of an unknown version, or lacks one of its files.
        """
        path = Path(path)
        if not (path / MANIFEST).is_file():
            raise FileFormatError(
                f"{path}: is no simulated genome (it has no {MANIFEST}); make one with chromweave simulate."
            )
        manifest = read_json(path / MANIFEST)
        if manifest.get("kind") != "simulation" or manifest.get("schema_version") != _VERSION:
            raise FileFormatError(
                f"{path / MANIFEST}: is a {manifest.get('kind')!r} of version "
                f"{manifest.get('schema_version')!r}; this chromweave reads version {_VERSION}."
            )
        lines = {entry["name"]: _from_entry(path, entry) for entry in manifest["cell_lines"]}
        assembly = Assembly(manifest["assembly"]["name"], manifest["assembly"]["chromosomes"])
        return cls(
            path=path,
            assembly=assembly,
            chrom_sizes=_present(path, manifest["assembly"]["chrom_sizes"]),
            resolutions=tuple(manifest["resolutions"]),
            cell_lines=lines,
            manifest=manifest,
        )


def _present(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise FileFormatError(f"{folder}: {name} is missing from this simulated genome; simulate it again.")
    return folder / name


def _from_entry(folder: Path, entry: Mapping[str, Any]) -> CellLine:
    return CellLine(
        name=entry["name"],
        contacts=_present(folder, entry["contacts"]),
        replicates=tuple(_present(folder, name) for name in entry["replicates"]),
        tracks={assay: _present(folder, name) for assay, name in entry["tracks"].items()},
        loops=_present(folder, entry["loops"]),
        genes=_present(folder, entry["genes"]),
        truth={what: _present(folder, name) for what, name in entry["truth"].items()},
    )


@dataclass(frozen=True)
class _Plan:
    """Everything that decides what is simulated."""

    preset: str
    seed: int
    assembly: Assembly
    resolutions: tuple[int, ...]
    depth: float
    near: int
    snapshots: int
    replicates: int
    balance: bool
    cohesin: bool
    extrusion: Extrusion
    polymer: Polymer
    loops: LoopRule
    regulation: Regulation


def simulate(
    out: str | Path,
    *,
    preset: str = "tiny",
    cell_lines: int = 2,
    seed: int = 0,
    replicates: int = 1,
    depth: float | None = None,
    assembly: Assembly | None = None,
    resolutions: Sequence[int] | None = None,
    cohesin: bool = True,
    balance: bool = False,
) -> Simulation:
    """Simulate cell lines that share a genome, and write maps, tracks, annotations and all truth.

    Parameters
    ----------
    out
        Folder to write; an earlier simulation there is replaced once the new one is complete.
    preset
        ``"tiny"``, ``"small"`` or ``"chromosome"``.
    cell_lines
        How many, 1 to 26, called A, B, ...; a line does not depend on how many others there are.
    seed
        Same seed, same counts and tracks.
    replicates
        Hi-C replicates per line; from 2 on each is written beside the pooled map.
    depth
        Contacts per Mb in the pooled map; the preset's by default.
    assembly
        Chromosomes to simulate in place of the preset's.
    resolutions
        Of the maps, bp, in place of the preset's; all multiples of the finest.
    cohesin
        False simulates the same cells without cohesin: no loops, no domains, stronger compartments.
    balance
        Also write cooler's cis-only ICE weights.

    Returns
    -------
    Simulation

    Raises
    ------
    ConfigError
        An unknown preset, or a number out of range.
    OutputError
        `out` exists and is no simulation, or cannot be written.
    """
    plan = _plan(preset, seed, replicates, depth, assembly, resolutions, cohesin, balance)
    names = _names(cell_lines)
    with atomic_directory(out, marker=MANIFEST) as folder:
        (folder / "truth").mkdir()
        sizes = f"{plan.assembly.name}.chrom.sizes"
        write_table(folder / sizes, pd.Series(dict(plan.assembly.chromosomes)).reset_index(), header=False)
        entries = []
        for name in track(names, f"simulating {plan.assembly.name}", unit="cell line"):
            entries.append(_simulate_line(folder, name, plan))
        write_json(folder / MANIFEST, _manifest(plan, sizes, entries))
    notify(f"{out}: {len(names)} cell lines of {plan.assembly.name}.")
    return Simulation.open(out)


def _plan(
    preset: str,
    seed: int,
    replicates: int,
    depth: float | None,
    assembly: Assembly | None,
    resolutions: Sequence[int] | None,
    cohesin: bool,
    balance: bool,
) -> _Plan:
    chosen = Preset.named(preset)
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}.")
    if replicates < 1:
        raise ConfigError(f"replicates must be 1 or more, not {replicates}.")
    depth = chosen.depth if depth is None else depth
    if not 0 < depth < 1e9:
        raise ConfigError(f"depth must be a positive number of contacts per Mb, not {depth}.")
    polymer = Polymer() if cohesin else Polymer(compartments=1.4 * Polymer().compartments)
    where = assembly or Assembly(f"sim-{preset}", chosen.chromosomes)
    bins = _checked_resolutions(chosen.resolutions if resolutions is None else resolutions)
    _check_lengths(where, bins[0])
    return _Plan(
        preset, seed, where, bins, depth, chosen.near, chosen.snapshots, replicates, balance, cohesin,
        Extrusion(), polymer, LoopRule(), Regulation(),
    )  # fmt: skip


def _checked_resolutions(resolutions: Sequence[int]) -> tuple[int, ...]:
    ordered = tuple(sorted({int(resolution) for resolution in resolutions}))
    if not ordered or ordered[0] < 1_000 or ordered[0] > 100_000:
        raise ConfigError(f"the finest resolution must be 1 to 100 kb; asked for {list(resolutions)}.")
    wrong = [resolution for resolution in ordered if resolution % ordered[0]]
    if wrong:
        raise ConfigError(
            f"resolutions must be multiples of the finest, {ordered[0]:,} bp, whose sums coarser maps are; "
            f"{', '.join(f'{resolution:,}' for resolution in wrong)} is not."
        )
    return ordered


def _check_lengths(assembly: Assembly, finest: int) -> None:
    least = max(1_000_000, 100 * finest)
    short = {chrom: length for chrom, length in assembly.chromosomes.items() if length < least}
    if short:
        chrom, length = next(iter(short.items()))
        raise ConfigError(
            f"{assembly.name}: {chrom} is {length:,} bp long; a chromosome must have at least {least:,} bp "
            f"to be simulated at {finest:,} bp. Leave out the short ones ({len(short)}) or use finer bins."
        )


def _names(cell_lines: int) -> tuple[str, ...]:
    if not 1 <= cell_lines <= len(string.ascii_uppercase):
        raise ConfigError(f"cell_lines must be 1 to {len(string.ascii_uppercase)}, not {cell_lines}.")
    return tuple(string.ascii_uppercase[:cell_lines])


def _simulate_line(folder: Path, name: str, plan: _Plan) -> dict[str, Any]:
    """Simulate and write one cell line; returns its entry in the manifest."""
    chromosomes = {
        chrom: _chromosome(name, chrom, plan)
        for chrom in track(plan.assembly.chromosomes, f"cell line {name}: loop extrusion", unit="chromosome")
    }
    libraries = {chrom: one.library for chrom, one in chromosomes.items()}
    maps = {f"{name}.mcool": None}
    if plan.replicates > 1:
        maps |= {f"{name}.rep{k + 1}.mcool": k for k in range(plan.replicates)}  # type: ignore[misc]
    for file, replicate in track(list(maps.items()), f"cell line {name}: contact maps", unit="map"):
        write_mcool(
            folder / file, libraries, plan.assembly, plan.resolutions,
            replicate=replicate, balance=plan.balance,
            metadata={"simulated": True, "cell_line": name, "seed": plan.seed},
        )  # fmt: skip
    pooled, *parts = maps
    return {
        "name": name,
        "contacts": pooled,
        "replicates": parts,
        "tracks": _write_tracks(folder, name, chromosomes, plan),
        **write_annotations(folder, name, chromosomes),
    }


def _chromosome(name: str, chrom: str, plan: _Plan) -> Chromosome:
    resolution = plan.resolutions[0]
    layout = lay_out(chrom, plan.assembly.length(chrom), resolution, plan.seed)
    state = cell_state(layout, name, plan.seed)
    conformations = None
    if plan.cohesin:
        rng = stream(plan.seed, "extrusion", name, chrom)
        conformations = extrude(layout, state, plan.extrusion, plan.snapshots, rng)
    expected = expected_contacts(conformations, state.compartment, resolution, plan.near, plan.polymer)
    noise = stream(plan.seed, "expression", name, chrom)
    library = HiCLibrary(
        expected, layout.visibility, plan.depth, layout.length, plan.replicates, plan.seed,
        f"contacts/{name}/{chrom}",
    )  # fmt: skip
    return Chromosome(
        layout, state, library,
        planted_loops(layout, state, expected, plan.loops),
        expression(layout, state, expected, plan.regulation, noise),
    )  # fmt: skip


def _write_tracks(
    folder: Path, name: str, chromosomes: Mapping[str, Chromosome], plan: _Plan
) -> dict[str, str]:
    signals = {
        chrom: signal_tracks(one.layout, one.state, one.genes, stream(plan.seed, "tracks", name, chrom))
        for chrom, one in chromosomes.items()
    }
    files = {}
    for assay in track(TRACKS, f"cell line {name}: tracks", unit="track"):
        files[assay] = f"{name}.{assay}.bw"
        write_bigwig(
            folder / files[assay], {chrom: of[assay] for chrom, of in signals.items()}, plan.assembly
        )
    return files


def _manifest(plan: _Plan, sizes: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": "simulation",
        "schema_version": _VERSION,
        "preset": plan.preset,
        "seed": plan.seed,
        "assembly": {
            "name": plan.assembly.name,
            "chrom_sizes": sizes,
            "chromosomes": dict(plan.assembly.chromosomes),
        },
        "resolutions": list(plan.resolutions),
        "depth": plan.depth,
        "replicates": plan.replicates,
        "cohesin": plan.cohesin,
        "near": plan.near,
        "snapshots": plan.snapshots,
        "model": {
            "extrusion": asdict(plan.extrusion),
            "polymer": asdict(plan.polymer),
            "loops": asdict(plan.loops),
            "regulation": asdict(plan.regulation),
        },
        "cell_lines": entries,
        **describe_process(),
    }
