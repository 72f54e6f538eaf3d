"""Turning contact maps and tracks into a region store, and extending one.

A store is written chromosome by chromosome into a folder beside its target, which takes the target's place
when it is complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import (
    AssemblyError,
    ChromosomeError,
    ConfigError,
    DataError,
)
from ..files import atomic_directory
from ..genome import Assembly, summarise
from ..progress import notify
from ..provenance import describe_inputs
from .draft import Draft, extending
from .fill import BAND_UP_TO, MAX_DISTANCE, ContactOptions, write_contacts, write_tracks
from .store import MANIFEST, RegionStore

if TYPE_CHECKING:
    from ..io.contacts import ContactSource
    from ..io.tracks import TrackSource
    from ..io.weights import WeightType

__all__ = ["BAND_UP_TO", "MAX_DISTANCE", "add_contacts", "add_tracks", "build"]

_TRACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def build(
    out: str | Path,
    *,
    contacts: str | Path | None = None,
    tracks: Mapping[str, str | Path] | None = None,
    resolutions: Sequence[int] = (),
    assembly: Assembly | str | None = None,
    chroms: Sequence[str] | None = None,
    max_distance: int = MAX_DISTANCE,
    weights: Sequence[str] | None = None,
    weight_type: WeightType = "auto",
    name: str | None = None,
) -> RegionStore:
    """Write a region store.

    Parameters
    ----------
    out
        Folder to write; a store that is there is replaced once the new one is complete.
    contacts
        .hic, .cool, .mcool or cooler URI; None for a store of tracks only.
    tracks
        Name -> bigWig file.
    resolutions
        Contact layers to store, bp.
    assembly
        Name, ``chrom.sizes`` file or value; recognised from the map's chromosome lengths if not given, and
        taken from a map of ``predict contacts``, which holds the one of the store it was predicted for.
    chroms
        Chromosomes to store; those with contacts (or a track) if not given, without the mitochondrial one.
    max_distance
        Width in bp of layers of :data:`BAND_UP_TO` bp and finer. Contacts beyond are dropped and counted in
        the manifest; coarser layers hold every distance.
    weights
        Balancing vectors to store; all in the file if not given. Where the file has none, or with an empty
        sequence, ICE is computed over the chromosomes stored.
    weight_type
        Direction of the vectors in the file; ``"auto"`` finds out.
    name
        Of the cell line; the folder's name if not given.

    Raises
    ------
    ConfigError
        Neither contacts nor tracks, contacts without resolutions, or a name that cannot be a file's.
    DataError
        An input cannot be used; see the readers.
    OutputError
        The store cannot be written, or the folder holds something else.
    """
    out = Path(out)
    tracks = dict(tracks or {})
    _check_request(contacts, tracks, resolutions, max_distance)
    options = ContactOptions(
        tuple(sorted(set(resolutions))),
        max_distance,
        None if weights is None else tuple(weights),
        weight_type,
    )
    source = _open_contacts(contacts, assembly) if contacts is not None else None
    known = source.assembly if source is not None else _assembly_of_tracks(assembly)
    opened = _open_tracks(tracks, known)
    chosen = _chromosomes(known, source, opened, chroms)
    with atomic_directory(out, marker=MANIFEST) as folder:
        draft = Draft(folder)
        layers = write_contacts(draft, source, chosen, options) if source is not None else {}
        signals = write_tracks(draft, opened, chosen, known)
        used = ([("contacts", contacts)] if contacts is not None else []) + [
            ("track", p) for p in tracks.values()
        ]
        draft.finish(
            {
                "name": name or out.name.removesuffix(".store"),
                "assembly": {"name": known.name, "chromosomes": dict(known.chromosomes)},
                "chromosomes": list(chosen),
                "contacts": layers,
                "tracks": signals,
                "sources": _describe(used),
            }
        )
    return RegionStore.open(out)


def add_tracks(store: str | Path | RegionStore, tracks: Mapping[str, str | Path]) -> RegionStore:
    """Add tracks to a store, for the chromosomes it has; what is there is linked, not copied.

    Raises
    ------
    ConfigError
        No track is given, or one of that name is there already.
    DataError, OutputError
        As in :func:`build`.
    """
    before = _opened(store)
    _check_track_names(tracks)
    twice = [track_name for track_name in tracks if track_name in before.track_names]
    if twice or not tracks:
        what = (
            f"the store has a track {twice[0]!r} already; give another name" if twice else "no track to add"
        )
        raise ConfigError(f"{before.path}: {what}.")
    opened = _open_tracks(tracks, before.assembly)
    with extending(before) as (draft, content):
        content["tracks"] |= write_tracks(draft, opened, before.chromosomes, before.assembly)
        content["sources"] += _describe([("track", path) for path in tracks.values()])
    return RegionStore.open(before.path)


def add_contacts(
    store: str | Path | RegionStore,
    contacts: str | Path,
    resolutions: Sequence[int],
    *,
    max_distance: int = MAX_DISTANCE,
    weights: Sequence[str] | None = None,
    weight_type: WeightType = "auto",
) -> RegionStore:
    """Add contact layers to a store, for the chromosomes it has; parameters as in :func:`build`.

    Raises
    ------
    ConfigError
        A layer of that resolution is there already.
    ChromosomeError
        The map lacks contacts on a chromosome of the store.
    DataError, OutputError
        As in :func:`build`.
    """
    before = _opened(store)
    _check_request(contacts, {}, resolutions, max_distance)
    twice = [resolution for resolution in resolutions if resolution in before.resolutions]
    if twice:
        raise ConfigError(
            f"{before.path}: has a layer of {twice[0]:,} bp already; build a new store to replace it."
        )
    options = ContactOptions(
        tuple(sorted(set(resolutions))),
        max_distance,
        None if weights is None else tuple(weights),
        weight_type,
    )
    source = _open_contacts(contacts, before.assembly)
    _require_contacts(source, before.chromosomes)
    with extending(before) as (draft, content):
        content["contacts"] |= write_contacts(draft, source, before.chromosomes, options)
        content["sources"] += _describe([("contacts", contacts)])
    return RegionStore.open(before.path)


# -- what is asked for ----------------------------------------------------------------------------------


def _check_request(
    contacts: str | Path | None,
    tracks: Mapping[str, str | Path],
    resolutions: Sequence[int],
    max_distance: int,
) -> None:
    if contacts is None and not tracks:
        raise ConfigError("a store needs contacts, tracks or both; give at least one.")
    if contacts is not None and not resolutions:
        raise ConfigError(f"{contacts}: say at which resolutions its contacts are to be stored.")
    if contacts is None and resolutions:
        raise ConfigError("resolutions belong to contacts, and none are given; leave them out.")
    if max_distance <= 0:
        raise ConfigError(f"max_distance must be a positive number of bp, not {max_distance}.")
    _check_track_names(tracks)


def _check_track_names(tracks: Mapping[str, str | Path]) -> None:
    for track_name in tracks:
        if not _TRACK_NAME.fullmatch(track_name):
            raise ConfigError(
                f"{track_name!r} cannot name a track: letters, digits and _ . + - only, as it names files."
            )


def _open_contacts(path: str | Path, assembly: Assembly | str | None) -> ContactSource:
    from ..io.contact_export import assembly_of_predicted
    from ..io.contacts import open_contacts

    try:
        return open_contacts(path, assembly)
    except AssemblyError:
        own = assembly_of_predicted(path) if assembly is None else None
        if own is None:
            raise
    notify(f"{path}: is a predicted map, and of the assembly {own.name} of the store it was predicted for.")
    return open_contacts(path, own)


def _open_tracks(tracks: Mapping[str, str | Path], assembly: Assembly) -> list[TrackSource]:
    from ..io.tracks import open_track

    return [open_track(path, track_name, assembly) for track_name, path in tracks.items()]


def _assembly_of_tracks(assembly: Assembly | str | None) -> Assembly:
    if assembly is None:
        raise ConfigError("a store of tracks only needs its assembly named (hg38, or a chrom.sizes file).")
    return assembly if isinstance(assembly, Assembly) else Assembly.resolve(assembly)


def _opened(store: str | Path | RegionStore) -> RegionStore:
    return store if isinstance(store, RegionStore) else RegionStore.open(store)


def _chromosomes(
    assembly: Assembly,
    source: ContactSource | None,
    tracks: Sequence[TrackSource],
    chroms: Sequence[str] | None,
) -> tuple[str, ...]:
    """Chromosomes to store, in the assembly's order."""
    if source is not None:
        present: tuple[str, ...] = source.with_contacts
    else:
        present = tuple(c for c in assembly.chromosomes if any(c in one.chromosomes for one in tracks))
    if chroms is not None:
        asked = {assembly.require(chrom) for chrom in chroms}
        if not asked:
            raise ConfigError("no chromosome is asked for; name some, or leave the choice out.")
        if source is not None:
            _require_contacts(source, sorted(asked))
        elif not asked & set(present):
            raise ChromosomeError(
                f"no track has {summarise(sorted(asked))}; the tracks have {summarise(present)}."
            )
        return tuple(chrom for chrom in assembly.chromosomes if chrom in asked)
    chosen = tuple(c for c in assembly.chromosomes if c in present and c not in ("chrM", "M", "MT", "chrMT"))
    if not chosen:
        raise DataError(f"nothing to store: the inputs have data on {summarise(present)} only.")
    _say_left_out(source.chromosomes if source is not None else present, chosen)
    return chosen


def _say_left_out(found: Sequence[str], chosen: Sequence[str]) -> None:
    left_out = [chrom for chrom in found if chrom not in chosen]
    if left_out:
        notify(f"left out, as mitochondrial or without contacts: {summarise(left_out)}")


def _require_contacts(source: ContactSource, chroms: Sequence[str]) -> None:
    missing = [chrom for chrom in chroms if chrom not in source.with_contacts]
    if missing:
        raise ChromosomeError(
            f"{source.path}: has no contacts on {summarise(missing)}; "
            f"it has some on {summarise(source.with_contacts)}."
        )


def _describe(used: Sequence[tuple[str, str | Path]]) -> list[dict[str, Any]]:
    described = []
    for role, path in used:
        described += [{"role": role, **entry} for entry in describe_inputs([path])]
    return described
